//! The write thread: group commit.
//!
//! The thread takes all operations that wait, runs them in one transaction, commits once, and sends the results. The
//! batch size follows the load; there are no timers. If an operation fails or panics, the batch is rolled back and run
//! again in halves until the failing operation is alone, so it affects no other. The thread survives every operation.
//! PostgreSQL has its own group commit, in `postgres/group_commit.rs`: its batches are asynchronous, of one kind of
//! operation, and limited in time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{path::PathBuf, sync::Arc, thread::JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{connect, errors, write_transaction::WriteTransaction};
use crate::commit_stats::CommitStats;
use postrider_core::error::{Error, ErrorKind, Result};

/// Maximum number of operations in one transaction.
const BATCH_OPERATIONS_MAX: usize = 1_024;

/// Maximum time that a transaction waits for the lock of another process. Afterwards clients get a 503; the results of
/// sends are recorded again until the lease ends.
const WRITE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of operations in the queue of the thread. Further callers wait before they can add theirs.
const QUEUED_OPERATIONS_MAX: usize = 8_192;

/// A handle of the write thread. Dropping it lets the thread finish the queued operations and end.
pub struct WriteThread {
    operations: Option<mpsc::Sender<Box<dyn WriteOperation>>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<CommitStats>,
}

impl WriteThread {
    /// Starts the thread on an open connection. After a disk error it opens `file` again. A transaction waits at most
    /// [`WRITE_LOCK_TIMEOUT`] for a lock, and at most `lock_timeout`.
    pub fn start(connection: Connection, file: PathBuf, lock_timeout: Duration) -> Result<Self> {
        let lock_timeout = lock_timeout.min(WRITE_LOCK_TIMEOUT);
        connection.busy_timeout(lock_timeout).map_err(errors::to_error("cannot set the lock timeout"))?;
        let (operations, queue) = mpsc::channel(QUEUED_OPERATIONS_MAX);
        let stats = Arc::new(CommitStats::default());
        let thread_stats = Arc::clone(&stats);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let reopen = || connect::open_writer(&file, lock_timeout);
                run_loop(connection, queue, &thread_stats, reopen);
            })
            .map_err(|error| {
                let message = "cannot start the write thread of the store";
                Error::with_source(ErrorKind::Unavailable, message, error)
            })?;
        Ok(Self { operations: Some(operations), thread: Some(thread), stats })
    }

    /// Runs an operation in the next transaction and returns its result after the commit. The operation may run more
    /// than once, each time on the state before it. A caller that stops waiting does not cancel it.
    pub async fn run<T, F>(&self, context: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let operation = Box::new(PendingWrite { context, work, output: None, reply: Some(reply) });
        let closed = || Error::new(ErrorKind::Unavailable, format!("{context}: the store is closed"));
        let operations = self.operations.as_ref().ok_or_else(closed)?;
        operations.send(operation).await.map_err(|_| closed())?;
        result.await.map_err(|_| closed())?
    }

    /// Returns the histograms of the commits.
    pub fn stats(&self) -> &CommitStats {
        &self.stats
    }
}

impl Drop for WriteThread {
    fn drop(&mut self) {
        self.operations = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("store: write thread panicked");
        }
    }
}

/// An operation of any result type, with the channel to its caller.
trait WriteOperation: Send {
    fn run(&mut self, transaction: &mut WriteTransaction<'_>) -> rusqlite::Result<()>;
    fn succeed(&mut self);
    fn fail(&mut self, error: &BatchError);
}

struct PendingWrite<T, F> {
    context: &'static str,
    work: F,
    output: Option<T>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T, F> PendingWrite<T, F> {
    /// Sends the result, unless the caller no longer waits for the result.
    fn send_reply(&mut self, result: Result<T>) {
        if let Some(reply) = self.reply.take() {
            drop(reply.send(result));
        }
    }
}

impl<T, F> WriteOperation for PendingWrite<T, F>
where
    T: Send,
    F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, transaction: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
        self.output = Some((self.work)(transaction)?);
        Ok(())
    }

    fn succeed(&mut self) {
        if let Some(output) = self.output.take() {
            self.send_reply(Ok(output));
        }
    }

    fn fail(&mut self, error: &BatchError) {
        let message = format!("{}: {}", self.context, error.client_message);
        self.send_reply(Err(Error::with_source(error.kind, message, error.cause.clone())));
    }
}

/// The reason why a transaction did not happen.
struct BatchError {
    kind: ErrorKind,
    client_message: &'static str,
    cause: String,
}

impl BatchError {
    /// Returns whether the error affects every operation of the batch, such as a full disk.
    fn affects_all(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl From<rusqlite::Error> for BatchError {
    fn from(error: rusqlite::Error) -> Self {
        let (kind, client_message) = (errors::error_kind(&error), errors::client_message(&error));
        Self { kind, client_message, cause: error.to_string() }
    }
}

/// Runs operations until the queue is closed. After a disk error, opens the file again, because a connection to a file
/// that was read-only stays read-only.
fn run_loop(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Box<dyn WriteOperation>>,
    stats: &CommitStats,
    reopen: impl Fn() -> rusqlite::Result<Connection>,
) {
    while run_loop_on_connection(&connection, &mut queue, stats) {
        if let Ok(reopened) = reopen() {
            connection = reopened;
        }
    }
}

/// Runs operations until a disk error (returns true) or until the queue is closed (returns false).
fn run_loop_on_connection(
    connection: &Connection,
    queue: &mut mpsc::Receiver<Box<dyn WriteOperation>>,
    stats: &CommitStats,
) -> bool {
    let mut transaction = WriteTransaction::new(connection);
    let mut batch = Vec::with_capacity(BATCH_OPERATIONS_MAX);
    while queue.blocking_recv_many(&mut batch, BATCH_OPERATIONS_MAX) > 0 {
        let is_healthy = commit_batch(&mut transaction, &mut batch, stats);
        batch.clear();
        if !is_healthy {
            return true;
        }
    }
    false
}

/// Runs a batch and sends the results; returns false after a disk error.
fn commit_batch(
    transaction: &mut WriteTransaction<'_>,
    batch: &mut [Box<dyn WriteOperation>],
    stats: &CommitStats,
) -> bool {
    let started = Instant::now();
    match run_batch(transaction, batch) {
        Ok(()) => {
            stats.record_commit(batch.len(), started.elapsed());
            batch.iter_mut().for_each(|operation| operation.succeed());
            true
        }
        Err(error) if error.affects_all() || batch.len() == 1 => {
            batch.iter_mut().for_each(|operation| operation.fail(&error));
            !error.affects_all()
        }
        Err(_) => {
            let (first_half, second_half) = batch.split_at_mut(batch.len() / 2);
            let is_healthy = commit_batch(transaction, first_half, stats);
            commit_batch(transaction, second_half, stats) && is_healthy
        }
    }
}

/// Runs all operations in one transaction, or none of them.
fn run_batch(
    transaction: &mut WriteTransaction<'_>,
    batch: &mut [Box<dyn WriteOperation>],
) -> Result<(), BatchError> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        transaction.begin()?;
        for operation in batch.iter_mut() {
            operation.run(transaction)?;
        }
        transaction.commit()
    }));
    let error = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.into(),
        Err(_) => BatchError {
            kind: ErrorKind::Internal,
            client_message: "a defect in the store",
            cause: "an operation panicked".to_owned(),
        },
    };
    if let Err(rollback_error) = transaction.rollback() {
        log::error!("store: rollback failed: error={rollback_error}");
        return Err(rollback_error.into());
    }
    Err(error)
}
