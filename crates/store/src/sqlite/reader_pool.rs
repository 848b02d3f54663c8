//! A small pool of read connections, used on blocking threads.
//!
//! Each read sees one snapshot of the store and blocks no writer. Connections are opened at their first use and closed
//! after any error.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{connect, errors::to_error};
use postrider_core::error::{Error, ErrorKind, Result};

/// Maximum number of concurrent reads; each connection has a page cache.
const READERS_MAX: usize = 2;

/// Connections that are idle, and permits for those in use.
pub struct ReaderPool {
    file: PathBuf,
    lock_timeout: Duration,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl ReaderPool {
    /// Creates a pool without connections.
    pub fn new(file: PathBuf, lock_timeout: Duration) -> Self {
        Self { file, lock_timeout, idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Runs a read in a read transaction on a blocking thread.
    pub async fn read<T, F>(&self, context: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let aborted = |error: &dyn std::error::Error| {
            let message = format!("{context}: the read was aborted");
            Error::with_source(ErrorKind::Internal, message, error.to_string())
        };
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| aborted(&error))?;
        let (file, lock_timeout, idle) = (self.file.clone(), self.lock_timeout, Arc::clone(&self.idle));
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let idle_connection = idle.lock().pop();
            let connection = match idle_connection {
                Some(connection) => connection,
                None => connect::open_reader(&file, lock_timeout)?,
            };
            let transaction = connection.unchecked_transaction()?;
            let output = work(&transaction)?;
            transaction.finish()?;
            idle.lock().push(connection);
            Ok(output)
        });
        read.await.map_err(|error| aborted(&error))?.map_err(to_error(context))
    }

    /// Closes the idle connections, so that the writer closes last and deletes the write-ahead log.
    pub fn close(&self) {
        self.idle.lock().clear();
    }
}
