//! Group commit: what arrives while a commit is under way goes into the next one.
//!
//! One task for each kind of work takes whatever waits, runs it in one transaction, commits once, then answers
//! everyone. The batch finds its own size; there are no timers. A piece that fails takes nobody with it: the batch
//! is rolled back and tried again in halves until the guilty one stands alone.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::errors::PgError;
use super::pool::{PgPool, PgTransaction};
use crate::CommitStats;
use postrider_core::error::{Error, ErrorKind, Result};

/// The most pieces of work in one transaction.
const BATCH_OPERATIONS_MAX: usize = 512;

/// The most pieces that wait; whoever comes later waits outside.
const QUEUED_OPERATIONS_MAX: usize = 8_192;

/// So many pieces are not few.
const BATCH_OPERATIONS_ENOUGH: usize = 64;

/// How long a transaction may take before the server counts as gone: longer than a frozen host can hold what
/// others wait for (`idle_in_transaction_session_timeout`), short enough that clients hear of it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(6);

/// How often a piece of work is begun again when it collides with another.
pub const TRANSACTION_RETRIES_MAX: usize = 8;

/// A piece of work that can be done together with others of its kind.
pub trait BatchOperation: Send + Sync + Sized + 'static {
    /// What whoever brought it waits for.
    type Output: Send + 'static;

    /// What is known from one transaction to the next; forgotten when one fails.
    type BatchCache: Default + Send;

    /// While few pieces wait, the next transaction begins this long after the last one began, so that it takes more
    /// of them with it: for a few it costs the server nearly as much as for many. The first piece after a pause does
    /// not wait.
    const BATCH_INTERVAL: Duration = Duration::ZERO;

    /// What it is, for messages of errors.
    const ERROR_CONTEXT: &'static str;

    /// Does all the pieces; one answer for each, in order. May be called again for the same pieces after a failure.
    fn run(
        desk: &PgTransaction,
        memory: &mut Self::BatchCache,
        pieces: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Output>, PgError>> + Send;
}

type ReplySender<P> = oneshot::Sender<Result<<P as BatchOperation>::Output>>;
type OperationSender<P> = mpsc::Sender<(P, ReplySender<P>)>;

/// The way to the task of one kind of work. Dropping it lets the task finish what waits, then ends it.
pub struct GroupCommitQueue<P: BatchOperation> {
    pool: PgPool,
    stats: Arc<CommitStats>,
    sender: OnceLock<OperationSender<P>>,
}

impl<P: BatchOperation> GroupCommitQueue<P> {
    /// A lane whose task begins with the first piece of work.
    pub fn new(link: PgPool, stats: Arc<CommitStats>) -> Self {
        Self {
            pool: link,
            stats,
            sender: OnceLock::new(),
        }
    }

    /// Runs a piece of work in the next transaction and returns when it is on disk. A caller that gives up
    /// waiting does not stop it.
    pub async fn run(&self, piece: P) -> Result<P::Output> {
        let closed = || {
            Error::new(
                ErrorKind::Unavailable,
                format!("{}: the store is closed", P::ERROR_CONTEXT),
            )
        };
        let (answer, answered) = oneshot::channel();
        let inbox = self.sender.get_or_init(|| self.start());
        inbox.send((piece, answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    fn start(&self) -> OperationSender<P> {
        let (inbox, waiting) = mpsc::channel(QUEUED_OPERATIONS_MAX);
        tokio::spawn(run_batches(self.pool.clone(), waiting, Arc::clone(&self.stats)));
        inbox
    }
}

/// Serves until nobody is left to bring work.
async fn run_batches<P: BatchOperation>(
    link: PgPool,
    mut waiting: mpsc::Receiver<(P, ReplySender<P>)>,
    stats: Arc<CommitStats>,
) {
    let mut memory = P::BatchCache::default();
    let mut taken = Vec::with_capacity(BATCH_OPERATIONS_MAX);
    let mut last = None;
    while waiting.recv_many(&mut taken, BATCH_OPERATIONS_MAX).await > 0 {
        let since = last.map_or(P::BATCH_INTERVAL, |last: Instant| last.elapsed());
        fill_batch(&mut waiting, &mut taken, P::BATCH_INTERVAL.saturating_sub(since)).await;
        last = Some(Instant::now());
        let mut batches = vec![taken.drain(..).unzip::<P, ReplySender<P>, Vec<_>, Vec<_>>()];
        while let Some((mut pieces, mut askers)) = batches.pop() {
            let began = Instant::now();
            match run_batch(&link, &mut memory, &pieces).await {
                Ok(answers) => {
                    stats.record_commit(pieces.len(), began.elapsed());
                    for (asker, answer) in askers.into_iter().zip(answers) {
                        // Whoever waited may have gone; that is their business.
                        drop(asker.send(Ok(answer)));
                    }
                }
                Err(trouble) if pieces.len() == 1 || trouble.kind() != ErrorKind::Internal => {
                    for asker in askers {
                        drop(asker.send(Err(trouble.to_error(P::ERROR_CONTEXT))));
                    }
                }
                Err(_) => {
                    let half = pieces.len() / 2;
                    batches.push((pieces.split_off(half), askers.split_off(half)));
                    batches.push((pieces, askers));
                }
            }
        }
    }
}

/// Takes what comes until it is enough or the patience is over.
async fn fill_batch<T>(waiting: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, patience: Duration) {
    let more = async {
        while taken.len() < BATCH_OPERATIONS_ENOUGH
            && waiting.recv_many(taken, BATCH_OPERATIONS_MAX - taken.len()).await > 0
        {}
    };
    if !patience.is_zero() {
        // When it is over, whatever has come must do.
        drop(timeout(patience, more).await);
    }
}

/// All the pieces in one transaction, or none of them.
async fn run_batch<P: BatchOperation>(
    link: &PgPool,
    memory: &mut P::BatchCache,
    pieces: &[P],
) -> Result<Vec<P::Output>, PgError> {
    let mut collisions = 0;
    loop {
        let outcome = run_batch_once(link, memory, pieces).await;
        match outcome {
            Err(trouble) => {
                *memory = P::BatchCache::default();
                collisions += 1;
                if !trouble.is_transaction_conflict() || collisions > TRANSACTION_RETRIES_MAX {
                    return Err(trouble);
                }
            }
            answers => return answers,
        }
    }
}

async fn run_batch_once<P: BatchOperation>(
    link: &PgPool,
    memory: &mut P::BatchCache,
    pieces: &[P],
) -> Result<Vec<P::Output>, PgError> {
    let desk = link.begin_write().await?;
    let work = async move {
        let outcome = P::run(&desk, memory, pieces).await;
        desk.finish(outcome).await
    };
    timeout(TRANSACTION_TIMEOUT, work).await.unwrap_or_else(|_| {
        link.drop_idle_connections();
        Err(PgError::Timeout)
    })
}
