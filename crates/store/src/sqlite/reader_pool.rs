//! A small pool of connections that only read, used from blocking threads.
//!
//! Each piece of reading sees one unchanging state of the store, however long it takes, and holds nobody up.
//! Connections are opened at their first use and given up after any error.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connect;
use super::errors::to_error;
use postrider_core::error::{Error, ErrorKind, Result};

/// How many can read at the same time; each has a page cache.
const READERS_MAX: usize = 2;

/// The pool.
pub struct ReaderPool {
    file: PathBuf,
    lock_timeout: Duration,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl ReaderPool {
    /// A pool without connections yet.
    pub fn new(file: PathBuf, lock_wait: Duration) -> Self {
        Self {
            file,
            lock_timeout: lock_wait,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    /// Runs a piece of reading in a read transaction on a blocking thread.
    pub async fn read<T, F>(&self, act: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let gone = |error: &dyn std::error::Error| {
            Error::with_source(
                ErrorKind::Internal,
                format!("{act}: the reading broke off"),
                error.to_string(),
            )
        };
        let seat = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| gone(&error))?;
        let (file, lock_wait, idle) = (self.file.clone(), self.lock_timeout, Arc::clone(&self.idle));
        let reading = tokio::task::spawn_blocking(move || {
            let _seat = seat;
            let rested = lock_idle(&idle).pop();
            let connection = match rested {
                Some(connection) => connection,
                None => connect::open_reader(&file, lock_wait)?,
            };
            let transaction = connection.unchecked_transaction()?;
            let outcome = work(&transaction)?;
            transaction.finish()?;
            lock_idle(&idle).push(connection);
            Ok(outcome)
        });
        reading
            .await
            .map_err(|error| gone(&error))?
            .map_err(|error| to_error(act, error))
    }

    /// Closes what is idle, so that the writer is the last one to leave and can tidy the log away.
    pub fn close(&self) {
        lock_idle(&self.idle).clear();
    }
}

fn lock_idle(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
