//! Turns SQLite's errors into ours, and decides which of them are the disk's fault and not the work's.
//!
//! The words name what to do; SQL and file contents stay out of them.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;

use crate::copy::WriteGuard;
use postrider_core::error::{Error, ErrorKind};

/// What kind of failure an error of SQLite is. Full, read-only, locked, away: try again later.
pub fn error_kind(error: &rusqlite::Error) -> ErrorKind {
    if let Some(fence) = write_guard(error) {
        return fence.kind();
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

/// What a client may know of an error: what is the matter with the disk, never SQL.
pub fn client_message(error: &rusqlite::Error) -> &'static str {
    if let Some(fence) = write_guard(error) {
        return fence.client_message();
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "the database cannot be written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has been holding the database for too long"
        }
        Some(ErrorCode::CannotOpen) => "the database file cannot be opened",
        Some(ErrorCode::NotADatabase) => "the file is not a database",
        Some(ErrorCode::DatabaseCorrupt) => "the database is damaged",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::OutOfMemory) => "there is no memory left",
        _ => "the database refuses it",
    }
}

/// What a move between stores has put in the way; see `sql/sqlite/move_*.sql`.
fn write_guard(error: &rusqlite::Error) -> Option<WriteGuard> {
    let rusqlite::Error::SqliteFailure(failure, Some(said)) = error else {
        return None;
    };
    let marked = said.strip_prefix("postrider: ")?;
    (failure.extended_code == SQLITE_CONSTRAINT_TRIGGER).then(|| WriteGuard::from_trigger_message(marked))?
}

/// Our error for one of SQLite's.
pub fn to_error(act: &str, error: rusqlite::Error) -> Error {
    Error::with_source(
        error_kind(&error),
        format!("{act}: {}", client_message(&error)),
        error,
    )
}
