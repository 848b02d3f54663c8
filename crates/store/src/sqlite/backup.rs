//! A backup of the whole store while it is in use, by SQLite's online backup.
//!
//! The read connection keeps one transaction open, so that a busy writer cannot make the backup start over. The backup is
//! written to a file beside the target, which is renamed when the backup is complete. It contains the store secret, so only
//! the owner may read it.

use std::path::{Path, PathBuf};
use std::{ffi::OsString, time::Duration};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{connect, errors::to_error, private_database_file::create_private};
use crate::Progress;
use postrider_core::clock::sleep_thread;
use postrider_core::error::{Error, ErrorKind, Result};

const ERROR_CONTEXT: &str = "cannot back up the store";

/// Number of pages copied between two calls of `progress`.
const BACKUP_STEP_PAGES: i32 = 1_024;

/// Delay between two tries when a file is locked.
const BACKUP_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Copies the database `from` to the file `to`, which is replaced if it exists.
pub fn backup_database(from: &Path, to: &Path, lock_timeout: Duration, progress: &Progress) -> Result<()> {
    if is_same_file(from, to) {
        return Err(Error::usage(format!(
            "{ERROR_CONTEXT} onto itself: name another file than {}",
            from.display()
        )));
    }
    let unavailable = |error| Error::with_source(ErrorKind::Unavailable, ERROR_CONTEXT, error);
    let partial_file = with_suffix(to, ".part");
    remove_if_exists(&partial_file).map_err(unavailable)?;
    copy_pages(from, &partial_file, lock_timeout, progress).map_err(to_error(ERROR_CONTEXT))?;
    // SQLite would apply a write-ahead log that an older backup of this name left behind to the new backup.
    remove_if_exists(&with_suffix(to, "-wal")).map_err(unavailable)?;
    remove_if_exists(&with_suffix(to, "-shm")).map_err(unavailable)?;
    std::fs::rename(&partial_file, to).map_err(unavailable)
}

fn copy_pages(from: &Path, to: &Path, lock_timeout: Duration, progress: &Progress) -> rusqlite::Result<()> {
    let source = connect::open_reader(from, lock_timeout)?;
    let snapshot = source.unchecked_transaction()?;
    snapshot.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    create_private(to);
    let mut target = Connection::open_with_flags(
        to,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let backup = Backup::new(&snapshot, &mut target)?;
    loop {
        let step_result = backup.step(BACKUP_STEP_PAGES)?;
        let pages = backup.progress();
        let total = u64::try_from(pages.pagecount).unwrap_or(0);
        progress(total - u64::try_from(pages.remaining).unwrap_or(0).min(total), total);
        match step_result {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => sleep_thread(BACKUP_RETRY_DELAY),
            _ => {}
        }
    }
}

fn is_same_file(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first == second,
        _ => false,
    }
}

/// Returns the path with a suffix on its last component.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut suffixed_path = OsString::from(path);
    suffixed_path.push(suffix);
    PathBuf::from(suffixed_path)
}

fn remove_if_exists(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
