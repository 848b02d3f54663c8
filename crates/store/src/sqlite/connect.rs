//! Opens connections: what each kind of connection may do, how long it waits, how much it keeps in memory.
//!
//! Only the writer gets one that writes.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use postrider_core::clock::sleep_thread;

/// The writer's page cache, in KiB.
const WRITER_CACHE_KIB: i64 = 12 * 1024;

/// Each reader's page cache, in KiB.
const READER_CACHE_KIB: i64 = 1024;

/// The log is copied into the database whenever it has grown by so many pages.
const CHECKPOINT_PAGES: i64 = 4_000;

/// A log that outgrew this while a reader held it up is cut back, in bytes.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How long to wait before asking again where SQLite itself does not wait.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(20);

/// A connection that writes: every commit is on disk before it returns.
pub fn open_writer(file: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(lock_wait)?;
    enable_wal(&connection, lock_wait)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    Ok(connection)
}

/// A connection that only reads. The file must be there.
pub fn open_reader(file: &Path, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(lock_wait)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Turns the write-ahead log on. SQLite does not wait for the lock this takes, so two processes that make the
/// file at the same time would get in each other's way.
fn enable_wal(connection: &Connection, lock_wait: Duration) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_locked(&error) && waited < lock_wait => {
                sleep_thread(LOCK_RETRY_DELAY);
                waited += LOCK_RETRY_DELAY;
            }
            outcome => return outcome,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}
