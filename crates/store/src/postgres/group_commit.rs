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
        transaction: &PgTransaction,
        cache: &mut Self::BatchCache,
        operations: &[Self],
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
    pub fn new(pool: PgPool, stats: Arc<CommitStats>) -> Self {
        Self {
            pool,
            stats,
            sender: OnceLock::new(),
        }
    }

    /// Runs a piece of work in the next transaction and returns when it is on disk. A caller that gives up
    /// waiting does not stop it.
    pub async fn run(&self, operation: P) -> Result<P::Output> {
        let closed = || {
            Error::new(
                ErrorKind::Unavailable,
                format!("{}: the store is closed", P::ERROR_CONTEXT),
            )
        };
        let (reply_sender, reply) = oneshot::channel();
        let sender = self.sender.get_or_init(|| self.start());
        sender
            .send((operation, reply_sender))
            .await
            .map_err(|_| closed())?;
        reply.await.map_err(|_| closed())?
    }

    fn start(&self) -> OperationSender<P> {
        let (sender, waiting) = mpsc::channel(QUEUED_OPERATIONS_MAX);
        tokio::spawn(run_batches(self.pool.clone(), waiting, Arc::clone(&self.stats)));
        sender
    }
}

/// Serves until nobody is left to bring work.
async fn run_batches<P: BatchOperation>(
    pool: PgPool,
    mut waiting: mpsc::Receiver<(P, ReplySender<P>)>,
    stats: Arc<CommitStats>,
) {
    let mut cache = P::BatchCache::default();
    let mut batch = Vec::with_capacity(BATCH_OPERATIONS_MAX);
    let mut last = None;
    while waiting.recv_many(&mut batch, BATCH_OPERATIONS_MAX).await > 0 {
        let since = last.map_or(P::BATCH_INTERVAL, |last: Instant| last.elapsed());
        fill_batch(&mut waiting, &mut batch, P::BATCH_INTERVAL.saturating_sub(since)).await;
        last = Some(Instant::now());
        let mut batches = vec![batch.drain(..).unzip::<P, ReplySender<P>, Vec<_>, Vec<_>>()];
        while let Some((mut operations, mut reply_senders)) = batches.pop() {
            let began = Instant::now();
            match run_batch(&pool, &mut cache, &operations).await {
                Ok(outputs) => {
                    stats.record_commit(operations.len(), began.elapsed());
                    for (reply_sender, output) in reply_senders.into_iter().zip(outputs) {
                        // Whoever waited may have gone; that is their business.
                        drop(reply_sender.send(Ok(output)));
                    }
                }
                Err(error) if operations.len() == 1 || error.kind() != ErrorKind::Internal => {
                    for reply_sender in reply_senders {
                        drop(reply_sender.send(Err(error.to_error(P::ERROR_CONTEXT))));
                    }
                }
                Err(_) => {
                    let half = operations.len() / 2;
                    batches.push((operations.split_off(half), reply_senders.split_off(half)));
                    batches.push((operations, reply_senders));
                }
            }
        }
    }
}

/// Takes what comes until it is enough or the patience is over.
async fn fill_batch<T>(waiting: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, timeout: Duration) {
    let more = async {
        while batch.len() < BATCH_OPERATIONS_ENOUGH
            && waiting.recv_many(batch, BATCH_OPERATIONS_MAX - batch.len()).await > 0
        {}
    };
    if !timeout.is_zero() {
        // When it is over, whatever has come must do.
        drop(tokio::time::timeout(timeout, more).await);
    }
}

/// All the pieces in one transaction, or none of them.
async fn run_batch<P: BatchOperation>(
    pool: &PgPool,
    cache: &mut P::BatchCache,
    operations: &[P],
) -> Result<Vec<P::Output>, PgError> {
    let mut conflicts = 0;
    loop {
        let outcome = run_batch_once(pool, cache, operations).await;
        match outcome {
            Err(error) => {
                *cache = P::BatchCache::default();
                conflicts += 1;
                if !error.is_transaction_conflict() || conflicts > TRANSACTION_RETRIES_MAX {
                    return Err(error);
                }
            }
            outputs => return outputs,
        }
    }
}

async fn run_batch_once<P: BatchOperation>(
    pool: &PgPool,
    cache: &mut P::BatchCache,
    operations: &[P],
) -> Result<Vec<P::Output>, PgError> {
    let transaction = pool.begin_write().await?;
    let work = async move {
        let outcome = P::run(&transaction, cache, operations).await;
        transaction.finish(outcome).await
    };
    timeout(TRANSACTION_TIMEOUT, work).await.unwrap_or_else(|_| {
        pool.drop_idle_connections();
        Err(PgError::Timeout)
    })
}
