//! Group commit: operations that arrive while a transaction is running are committed together in the next one.
//!
//! One task for each kind of operation takes all that wait, runs them in one transaction and sends the results. If an
//! operation fails, the batch is rolled back and run again in halves, so that only the failing operation returns the
//! error.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::errors::PgError;
use super::pool::{PgPool, PgTransaction};
use crate::CommitStats;
use postrider_core::error::{Error, ErrorKind, Result};

/// Maximum number of operations in one transaction.
const BATCH_OPERATIONS_MAX: usize = 512;

/// Maximum number of waiting operations; later callers wait before they enqueue.
const QUEUED_OPERATIONS_MAX: usize = 8_192;

/// A batch with this many operations starts without waiting for more.
const BATCH_OPERATIONS_ENOUGH: usize = 64;

/// Maximum time of a transaction before the server counts as unavailable. It is longer than the time for which a frozen
/// process can hold locks (`idle_in_transaction_session_timeout`, 4 s), and short enough for waiting clients.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(6);

/// Maximum number of retries of a transaction that conflicts with another one.
pub const TRANSACTION_RETRIES_MAX: usize = 8;

/// An operation that is committed together with others of its kind.
pub trait BatchOperation: Send + Sync + Sized + 'static {
    /// The result of one operation.
    type Output: Send + 'static;

    /// State that is kept from one transaction to the next. It is reset when a transaction fails.
    type BatchCache: Default + Send;

    /// Minimum time between the starts of two transactions while fewer than [`BATCH_OPERATIONS_ENOUGH`] operations
    /// wait. A small batch costs the server nearly as much as a large one. The first operation after a pause does not
    /// wait.
    const BATCH_INTERVAL: Duration = Duration::ZERO;

    /// Beginning of the error message.
    const ERROR_CONTEXT: &'static str;

    /// Runs all operations and returns one result for each, in order. Called again with the same operations after a
    /// failure.
    fn run(
        transaction: &PgTransaction,
        cache: &mut Self::BatchCache,
        operations: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Output>, PgError>> + Send;
}

type ReplySender<P> = oneshot::Sender<Result<<P as BatchOperation>::Output>>;
type OperationSender<P> = mpsc::Sender<(P, ReplySender<P>)>;

/// Sends operations of one kind to their task. When the queue is dropped, the task completes the waiting operations and
/// ends.
pub struct GroupCommitQueue<P: BatchOperation> {
    pool: PgPool,
    stats: Arc<CommitStats>,
    sender: OnceLock<OperationSender<P>>,
}

impl<P: BatchOperation> GroupCommitQueue<P> {
    /// Creates a queue. Its task starts with the first operation.
    pub fn new(pool: PgPool, stats: Arc<CommitStats>) -> Self {
        Self { pool, stats, sender: OnceLock::new() }
    }

    /// Runs an operation in the next transaction and returns after the commit. Dropping the future does not cancel the
    /// operation.
    pub async fn run(&self, operation: P) -> Result<P::Output> {
        let closed =
            || Error::new(ErrorKind::Unavailable, format!("{}: the store is closed", P::ERROR_CONTEXT));
        let (reply_sender, reply) = oneshot::channel();
        let sender = self.sender.get_or_init(|| self.start());
        sender.send((operation, reply_sender)).await.map_err(|_| closed())?;
        reply.await.map_err(|_| closed())?
    }

    fn start(&self) -> OperationSender<P> {
        let (sender, waiting) = mpsc::channel(QUEUED_OPERATIONS_MAX);
        tokio::spawn(run_batches(self.pool.clone(), waiting, Arc::clone(&self.stats)));
        sender
    }
}

/// Runs batches until all senders are dropped.
async fn run_batches<P: BatchOperation>(
    pool: PgPool,
    mut waiting: mpsc::Receiver<(P, ReplySender<P>)>,
    stats: Arc<CommitStats>,
) {
    let mut cache = P::BatchCache::default();
    let mut batch = Vec::with_capacity(BATCH_OPERATIONS_MAX);
    let mut last_start = None;
    while waiting.recv_many(&mut batch, BATCH_OPERATIONS_MAX).await > 0 {
        let since_last_start = last_start.map_or(P::BATCH_INTERVAL, |start: Instant| start.elapsed());
        fill_batch(&mut waiting, &mut batch, P::BATCH_INTERVAL.saturating_sub(since_last_start)).await;
        last_start = Some(Instant::now());
        let mut batches = vec![batch.drain(..).unzip::<P, ReplySender<P>, Vec<_>, Vec<_>>()];
        while let Some((mut operations, mut reply_senders)) = batches.pop() {
            let started_at = Instant::now();
            match run_batch(&pool, &mut cache, &operations).await {
                Ok(outputs) => {
                    stats.record_commit(operations.len(), started_at.elapsed());
                    for (reply_sender, output) in reply_senders.into_iter().zip(outputs) {
                        // The caller may have stopped waiting; its receiver is then gone.
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

/// Receives operations until the batch is large enough or `timeout` has passed.
async fn fill_batch<T>(waiting: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, timeout: Duration) {
    let receive_more = async {
        while batch.len() < BATCH_OPERATIONS_ENOUGH
            && waiting.recv_many(batch, BATCH_OPERATIONS_MAX - batch.len()).await > 0
        {}
    };
    if !timeout.is_zero() {
        // After the timeout the batch stays as it is.
        drop(tokio::time::timeout(timeout, receive_more).await);
    }
}

/// Runs the operations in one transaction, with retries after conflicts.
async fn run_batch<P: BatchOperation>(
    pool: &PgPool,
    cache: &mut P::BatchCache,
    operations: &[P],
) -> Result<Vec<P::Output>, PgError> {
    let mut conflicts = 0;
    loop {
        match run_batch_once(pool, cache, operations).await {
            Err(error) => {
                *cache = P::BatchCache::default();
                conflicts += 1;
                if !error.is_transaction_conflict() || conflicts > TRANSACTION_RETRIES_MAX {
                    return Err(error);
                }
            }
            Ok(outputs) => return Ok(outputs),
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
