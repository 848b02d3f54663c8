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
use super::desk::Desk;
use super::fault;
use crate::error::{Error, Kind, Result};
use crate::store::CommitStats;

/// The most pieces of work in one transaction.
const PIECES_MAX: usize = 1_024;

/// The most pieces that wait for the writer; whoever comes later waits outside.
const WAITING_MAX: usize = 8_192;

/// The way to the writing thread. Dropping it lets the thread finish what waits, then ends it.
pub struct Writer {
    inbox: Option<mpsc::Sender<Box<dyn Piece>>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<CommitStats>,
}

impl Writer {
    /// Starts the thread on an open connection. `file` and `lock_wait` are for opening it again after a failure.
    pub fn start(connection: Connection, file: PathBuf, lock_wait: Duration) -> Result<Self> {
        let (inbox, waiting) = mpsc::channel(WAITING_MAX);
        let stats = Arc::new(CommitStats::default());
        let counted = Arc::clone(&stats);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let reopen = || connect::writing(&file, lock_wait);
                serve(connection, waiting, &counted, reopen);
            })
            .map_err(|error| Error::because(Kind::Unavailable, "cannot start the store's writer", error))?;
        Ok(Self {
            inbox: Some(inbox),
            thread: Some(thread),
            stats,
        })
    }

    /// Runs a piece of work in the next transaction and returns when it is on disk. The work may be run more
    /// than once, each time on the state before it; a caller that gives up waiting does not stop it.
    pub async fn run<T, F>(&self, act: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Desk<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let piece = Box::new(Work {
            act,
            work,
            outcome: None,
            answer: Some(answer),
        });
        let closed = || Error::new(Kind::Unavailable, format!("{act}: the store is closed"));
        let inbox = self.inbox.as_ref().ok_or_else(closed)?;
        inbox.send(piece).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// What was committed so far.
    pub fn stats(&self) -> &CommitStats {
        &self.stats
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.inbox = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the store's writer ended in a panic");
        }
    }
}

/// A piece of work of any type, with whoever waits for it.
trait Piece: Send {
    fn run(&mut self, desk: &mut Desk<'_>) -> rusqlite::Result<()>;
    fn succeed(&mut self);
    fn fail(&mut self, trouble: &Trouble);
}

struct Work<T, F> {
    act: &'static str,
    work: F,
    outcome: Option<T>,
    answer: Option<oneshot::Sender<Result<T>>>,
}

impl<T, F> Work<T, F> {
    /// Whoever waited may have gone; that is their business.
    fn answer(&mut self, outcome: Result<T>) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(outcome));
        }
    }
}

impl<T, F> Piece for Work<T, F>
where
    T: Send,
    F: FnMut(&mut Desk<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, desk: &mut Desk<'_>) -> rusqlite::Result<()> {
        self.outcome = Some((self.work)(desk)?);
        Ok(())
    }

    fn succeed(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            self.answer(Ok(outcome));
        }
    }

    fn fail(&mut self, trouble: &Trouble) {
        let act = format!("{}: {}", self.act, trouble.words());
        self.answer(Err(Error::because(trouble.kind(), act, trouble.to_string())));
    }
}

/// Why a transaction did not happen.
enum Trouble {
    Sqlite(rusqlite::Error),
    Panic,
}

impl Trouble {
    fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(error) => fault::kind(error),
            Self::Panic => Kind::Internal,
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Sqlite(error) => fault::words(error),
            Self::Panic => "a defect in the store",
        }
    }

    /// Whether no piece is to blame: trying each of them again would only ask a full disk once more.
    fn is_everyones(&self) -> bool {
        self.kind() == Kind::Unavailable
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(out),
            Self::Panic => out.write_str("a piece of work panicked"),
        }
    }
}

/// Serves until nobody is left to send work. After trouble with the disk the file is opened again, because a
/// connection that was opened on a read-only file stays read-only.
fn serve(
    mut connection: Connection,
    mut waiting: mpsc::Receiver<Box<dyn Piece>>,
    stats: &CommitStats,
    reopen: impl Fn() -> rusqlite::Result<Connection>,
) {
    while serve_connection(&connection, &mut waiting, stats) {
        if let Ok(fresh) = reopen() {
            connection = fresh;
        }
    }
}

/// Serves until the disk makes trouble (true) or the work is over (false).
fn serve_connection(
    connection: &Connection,
    waiting: &mut mpsc::Receiver<Box<dyn Piece>>,
    stats: &CommitStats,
) -> bool {
    let mut desk = Desk::new(connection);
    let mut pieces = Vec::with_capacity(PIECES_MAX);
    while waiting.blocking_recv_many(&mut pieces, PIECES_MAX) > 0 {
        let healthy = settle(&mut desk, &mut pieces, stats);
        pieces.clear();
        if !healthy {
            return true;
        }
    }
    false
}

/// Runs the pieces and answers them; false when the disk makes trouble.
fn settle(desk: &mut Desk<'_>, pieces: &mut [Box<dyn Piece>], stats: &CommitStats) -> bool {
    let began = Instant::now();
    match transact(desk, pieces) {
        Ok(()) => {
            stats.note(pieces.len(), began.elapsed());
            pieces.iter_mut().for_each(|piece| piece.succeed());
            true
        }
        Err(trouble) if trouble.is_everyones() || pieces.len() == 1 => {
            pieces.iter_mut().for_each(|piece| piece.fail(&trouble));
            !trouble.is_everyones()
        }
        Err(_) => {
            let (first, second) = pieces.split_at_mut(pieces.len() / 2);
            let healthy = settle(desk, first, stats);
            settle(desk, second, stats) && healthy
        }
    }
}

/// All the pieces in one transaction, or none of them.
fn transact(desk: &mut Desk<'_>, pieces: &mut [Box<dyn Piece>]) -> Result<(), Trouble> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        desk.begin()?;
        for piece in pieces.iter_mut() {
            piece.run(desk)?;
        }
        desk.commit()
    }));
    let trouble = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => Trouble::Sqlite(error),
        Err(_) => Trouble::Panic,
    };
    if let Err(error) = desk.roll_back() {
        log::error!("the store cannot roll back: {error}");
        return Err(Trouble::Sqlite(error));
    }
    Err(trouble)
}
