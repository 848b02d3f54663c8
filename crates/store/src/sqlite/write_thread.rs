//! The one thread that writes: group commit.
//!
//! It takes whatever work is waiting, runs it in one transaction, commits once, then answers everyone. The
//! batch finds its own size; there are no timers. A piece that fails or panics takes nobody with it: the batch
//! is rolled back and tried again in halves until the guilty one stands alone. The thread never dies of a piece.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connect;
use super::errors;
use super::write_transaction::WriteTransaction;
use crate::CommitStats;
use postrider_core::error::{Error, ErrorKind, Result};

/// The most pieces of work in one transaction.
const BATCH_OPERATIONS_MAX: usize = 1_024;

/// The most pieces that wait for the writer; whoever comes later waits outside.
const QUEUED_OPERATIONS_MAX: usize = 8_192;

/// The way to the writing thread. Dropping it lets the thread finish what waits, then ends it.
pub struct WriteThread {
    operations: Option<mpsc::Sender<Box<dyn WriteOperation>>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<CommitStats>,
}

impl WriteThread {
    /// Starts the thread on an open connection. `file` and `lock_wait` are for opening it again after a failure.
    pub fn start(connection: Connection, file: PathBuf, lock_wait: Duration) -> Result<Self> {
        let (inbox, waiting) = mpsc::channel(QUEUED_OPERATIONS_MAX);
        let stats = Arc::new(CommitStats::default());
        let counted = Arc::clone(&stats);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let reopen = || connect::open_writer(&file, lock_wait);
                run_loop(connection, waiting, &counted, reopen);
            })
            .map_err(|error| {
                Error::with_source(ErrorKind::Unavailable, "cannot start the store's writer", error)
            })?;
        Ok(Self {
            operations: Some(inbox),
            thread: Some(thread),
            stats,
        })
    }

    /// Runs a piece of work in the next transaction and returns when it is on disk. The work may be run more
    /// than once, each time on the state before it; a caller that gives up waiting does not stop it.
    pub async fn run<T, F>(&self, act: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let piece = Box::new(PendingWrite {
            error_context: act,
            work,
            outcome: None,
            reply: Some(answer),
        });
        let closed = || Error::new(ErrorKind::Unavailable, format!("{act}: the store is closed"));
        let inbox = self.operations.as_ref().ok_or_else(closed)?;
        inbox.send(piece).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// What was committed so far.
    pub fn stats(&self) -> &CommitStats {
        &self.stats
    }
}

impl Drop for WriteThread {
    fn drop(&mut self) {
        self.operations = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the store's writer ended in a panic");
        }
    }
}

/// A piece of work of any type, with whoever waits for it.
trait WriteOperation: Send {
    fn run(&mut self, desk: &mut WriteTransaction<'_>) -> rusqlite::Result<()>;
    fn succeed(&mut self);
    fn fail(&mut self, trouble: &BatchError);
}

struct PendingWrite<T, F> {
    error_context: &'static str,
    work: F,
    outcome: Option<T>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T, F> PendingWrite<T, F> {
    /// Whoever waited may have gone; that is their business.
    fn send_reply(&mut self, outcome: Result<T>) {
        if let Some(answer) = self.reply.take() {
            drop(answer.send(outcome));
        }
    }
}

impl<T, F> WriteOperation for PendingWrite<T, F>
where
    T: Send,
    F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, desk: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
        self.outcome = Some((self.work)(desk)?);
        Ok(())
    }

    fn succeed(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            self.send_reply(Ok(outcome));
        }
    }

    fn fail(&mut self, trouble: &BatchError) {
        let act = format!("{}: {}", self.error_context, trouble.client_message());
        self.send_reply(Err(Error::with_source(trouble.kind(), act, trouble.to_string())));
    }
}

/// Why a transaction did not happen.
enum BatchError {
    Sqlite(rusqlite::Error),
    Panic,
}

impl BatchError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Sqlite(error) => errors::error_kind(error),
            Self::Panic => ErrorKind::Internal,
        }
    }

    fn client_message(&self) -> &'static str {
        match self {
            Self::Sqlite(error) => errors::client_message(error),
            Self::Panic => "a defect in the store",
        }
    }

    /// Whether no piece is to blame: trying each of them again would only ask a full disk once more.
    fn affects_all(&self) -> bool {
        self.kind() == ErrorKind::Unavailable
    }
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(out),
            Self::Panic => out.write_str("a piece of work panicked"),
        }
    }
}

/// Serves until nobody is left to send work. After trouble with the disk the file is opened again, because a
/// connection that was opened on a read-only file stays read-only.
fn run_loop(
    mut connection: Connection,
    mut waiting: mpsc::Receiver<Box<dyn WriteOperation>>,
    stats: &CommitStats,
    reopen: impl Fn() -> rusqlite::Result<Connection>,
) {
    while run_loop_on_connection(&connection, &mut waiting, stats) {
        if let Ok(fresh) = reopen() {
            connection = fresh;
        }
    }
}

/// Serves until the disk makes trouble (true) or the work is over (false).
fn run_loop_on_connection(
    connection: &Connection,
    waiting: &mut mpsc::Receiver<Box<dyn WriteOperation>>,
    stats: &CommitStats,
) -> bool {
    let mut desk = WriteTransaction::new(connection);
    let mut pieces = Vec::with_capacity(BATCH_OPERATIONS_MAX);
    while waiting.blocking_recv_many(&mut pieces, BATCH_OPERATIONS_MAX) > 0 {
        let healthy = commit_batch(&mut desk, &mut pieces, stats);
        pieces.clear();
        if !healthy {
            return true;
        }
    }
    false
}

/// Runs the pieces and answers them; false when the disk makes trouble.
fn commit_batch(
    desk: &mut WriteTransaction<'_>,
    pieces: &mut [Box<dyn WriteOperation>],
    stats: &CommitStats,
) -> bool {
    let began = Instant::now();
    match run_batch(desk, pieces) {
        Ok(()) => {
            stats.record_commit(pieces.len(), began.elapsed());
            pieces.iter_mut().for_each(|piece| piece.succeed());
            true
        }
        Err(trouble) if trouble.affects_all() || pieces.len() == 1 => {
            pieces.iter_mut().for_each(|piece| piece.fail(&trouble));
            !trouble.affects_all()
        }
        Err(_) => {
            let (first, second) = pieces.split_at_mut(pieces.len() / 2);
            let healthy = commit_batch(desk, first, stats);
            commit_batch(desk, second, stats) && healthy
        }
    }
}

/// All the pieces in one transaction, or none of them.
fn run_batch(
    desk: &mut WriteTransaction<'_>,
    pieces: &mut [Box<dyn WriteOperation>],
) -> Result<(), BatchError> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        desk.begin()?;
        for piece in pieces.iter_mut() {
            piece.run(desk)?;
        }
        desk.commit()
    }));
    let trouble = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => BatchError::Sqlite(error),
        Err(_) => BatchError::Panic,
    };
    if let Err(error) = desk.rollback() {
        log::error!("the store cannot roll back: {error}");
        return Err(BatchError::Sqlite(error));
    }
    Err(trouble)
}
