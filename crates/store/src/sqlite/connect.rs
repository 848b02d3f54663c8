//! Opens connections: the write connection of the write thread, and read connections.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::private_database_file::create_private;
use postrider_core::clock::sleep_thread;

/// Page cache of the write connection, in KiB.
const WRITER_CACHE_KIB: i64 = 12 * 1024;

/// Page cache of each read connection, in KiB.
const READER_CACHE_KIB: i64 = 1024;

/// Number of pages in the write-ahead log at which SQLite copies the log into the database.
const CHECKPOINT_PAGES: i64 = 4_000;

/// Size to which a write-ahead log is truncated after a long read kept it growing, in bytes.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Delay between two tries where SQLite itself does not wait for a lock.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Opens a connection that writes: every commit is on disk before it returns. A new file is private to its owner.
pub fn open_writer(file: &Path, lock_timeout: Duration) -> rusqlite::Result<Connection> {
    create_private(file);
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(lock_timeout)?;
    enable_wal(&connection, lock_timeout)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    Ok(connection)
}

/// Opens a connection that only reads. The file must exist.
pub fn open_reader(file: &Path, lock_timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(lock_timeout)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Enables the write-ahead log. Another process may create the file at the same time and hold the lock; SQLite does not
/// wait for this lock, so the change is tried again until `lock_timeout`.
fn enable_wal(connection: &Connection, lock_timeout: Duration) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_locked(&error) && waited < lock_timeout => {
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
