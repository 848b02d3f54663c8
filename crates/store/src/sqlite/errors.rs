//! Converts errors of SQLite. The messages contain neither SQL nor file contents.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;

use crate::copy::write_guard::WriteGuard;
use postrider_core::error::{Error, ErrorKind};

/// Returns the kind of an error. A full, read-only, locked or missing file is `Unavailable`, because a later try may
/// succeed.
pub fn error_kind(error: &rusqlite::Error) -> ErrorKind {
    if let Some(guard) = write_guard(error) {
        return guard.kind();
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed,
        ) => ErrorKind::Unavailable,
        Some(ErrorCode::NotADatabase) => ErrorKind::Usage,
        _ => ErrorKind::Internal,
    }
}

/// Returns the message of an error for clients.
pub fn client_message(error: &rusqlite::Error) -> &'static str {
    if let Some(guard) = write_guard(error) {
        return guard.client_message();
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "the database cannot be written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program kept the database locked for too long"
        }
        Some(ErrorCode::CannotOpen) => "the database file cannot be opened",
        Some(ErrorCode::NotADatabase) => "the file is not a database",
        Some(ErrorCode::DatabaseCorrupt) => "the database is damaged",
        Some(ErrorCode::SystemIoFailure) => "the disk reported an error",
        Some(ErrorCode::OutOfMemory) => "out of memory",
        _ => "the database rejected the operation",
    }
}

/// Returns the write guard of a move that raised the error; see `sql/sqlite/copy/create_*_guard.sql`.
fn write_guard(error: &rusqlite::Error) -> Option<WriteGuard> {
    let rusqlite::Error::SqliteFailure(failure, Some(message)) = error else {
        return None;
    };
    let guard_name = message.strip_prefix("postrider: ")?;
    (failure.extended_code == SQLITE_CONSTRAINT_TRIGGER)
        .then(|| WriteGuard::from_trigger_message(guard_name))?
}

/// Returns a function that converts an error of SQLite. `context` begins the new message.
pub fn to_error(context: &str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| {
        let message = format!("{context}: {}", client_message(&error));
        Error::with_source(error_kind(&error), message, error)
    }
}
