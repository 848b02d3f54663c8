//! A SQLite file as a store: opening, migrating, and access to its connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::migrate as migrations;
use super::{
    connect, errors::to_error, private_database_file, reader_pool::ReaderPool, write_thread::WriteThread,
    write_transaction::WriteTransaction,
};
use crate::{copy::write_guard::require_open, rows::SqlRow};
use postrider_core::error::{Error, ErrorKind, Result};

static MOVE_STATE: &str = sql!("sqlite/copy/read_state");

/// A store in a SQLite file.
pub struct SqliteStore {
    pub(super) file: PathBuf,
    pub(super) lock_timeout: Duration,
    pub(super) write_thread: WriteThread,
    readers: ReaderPool,
}

impl SqliteStore {
    /// Opens the file, creates it if it does not exist, and brings its schema up to date.
    pub fn open(database_file: &Path, lock_timeout: Duration) -> Result<Self> {
        let (connection, _) = open_and_migrate(database_file, lock_timeout)?;
        refuse_moved(&connection)?;
        private_database_file::warn_if_readable(database_file);
        // The absolute path does not change with the working directory.
        let database_file = std::path::absolute(database_file).map_err(|error| {
            Error::with_source(ErrorKind::Usage, "cannot find the working directory", error)
        })?;
        Ok(Self {
            readers: ReaderPool::new(database_file.clone(), lock_timeout),
            write_thread: WriteThread::start(connection, database_file.clone(), lock_timeout)?,
            file: database_file,
            lock_timeout,
        })
    }

    /// Runs a read on a reader connection. `context` begins the message of an error.
    pub(super) async fn read<T, F>(&self, context: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.read(context, work).await
    }

    /// Runs a write in the next group commit, like [`WriteThread::run`].
    pub(super) async fn write<T, F>(&self, context: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write_thread.run(context, work).await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.close();
    }
}

/// Brings the schema of a file up to date and returns the names of the applied migrations.
pub fn migrate(file: &Path, lock_timeout: Duration) -> Result<Vec<String>> {
    open_and_migrate(file, lock_timeout).map(|(_, applied_names)| applied_names)
}

/// Returns the names of the migrations that [`migrate`] would apply. Creates no file and changes nothing.
pub fn pending_migrations(database_file: &Path, lock_timeout: Duration) -> Result<Vec<String>> {
    let context = open_error_context(database_file);
    if !database_file.exists() {
        check_folder_writable(database_file)
            .map_err(|cause| Error::with_source(ErrorKind::Unavailable, context, cause))?;
        return Ok(migrations::all_names());
    }
    let connection = connect::open_reader(database_file, lock_timeout).map_err(to_error(&context))?;
    migrations::pending_names(&connection)
}

/// Creates and deletes a file beside `file`.
fn check_folder_writable(file: &Path) -> std::io::Result<()> {
    let probe_file = file.with_added_extension(format!("check-{}", std::process::id()));
    std::fs::File::create_new(&probe_file)?;
    std::fs::remove_file(&probe_file)
}

fn open_error_context(file: &Path) -> String {
    format!("cannot open the database {}", file.display())
}

fn open_and_migrate(file: &Path, lock_timeout: Duration) -> Result<(Connection, Vec<String>)> {
    let mut connection =
        connect::open_writer(file, lock_timeout).map_err(to_error(&open_error_context(file)))?;
    let applied_names = migrations::apply(&mut connection)?;
    Ok((connection, applied_names))
}

/// Refuses a store that was moved, or that a move is filling.
fn refuse_moved(connection: &Connection) -> Result<()> {
    let (moved_to, is_receiving) = connection
        .query_row(MOVE_STATE, [], |row| Ok((row.optional_text("moved_to")?, row.bool("is_receiving")?)))
        .map_err(to_error("cannot read the state of the store"))?;
    require_open(moved_to.as_deref(), is_receiving)
}
