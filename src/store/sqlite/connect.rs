//! Opens connections: what each kind of connection may do, how long it waits, how much it keeps in memory.
//!
//! Only the writer gets one that writes.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::clock::pause_thread;

/// The writer's page cache, in KiB.
const CACHE_WRITING_KIB: i64 = 12 * 1024;

/// Each reader's page cache, in KiB.
const CACHE_READING_KIB: i64 = 1024;

/// The log is copied into the database whenever it has grown by so many pages.
const CHECKPOINT_PAGES: i64 = 4_000;

/// A log that outgrew this while a reader held it up is cut back, in bytes.
const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How long to wait before asking again where SQLite itself does not wait.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A connection that writes: every commit is on disk before it returns.
pub fn writing(file: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(lock_wait)?;
    use_log(&connection, lock_wait)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_WRITING_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    Ok(connection)
}

/// A connection that only reads. The file must be there.
pub fn reading(file: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(lock_wait)?;
    connection.pragma_update(None, "cache_size", -CACHE_READING_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Turns the write-ahead log on. SQLite does not wait for the lock this takes, so two processes that make the
/// file at the same time would get in each other's way.
fn use_log(connection: &Connection, lock_wait: Duration) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_locked(&error) && waited < lock_wait => {
                pause_thread(ASK_AGAIN);
                waited += ASK_AGAIN;
            }
            outcome => return outcome,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}
