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

use super::fault::Trouble;
use super::link::{Desk, Link};
use crate::error::{Error, Kind, Result};
use crate::store::CommitStats;

/// The most pieces of work in one transaction.
const PIECES_MAX: usize = 512;

/// The most pieces that wait; whoever comes later waits outside.
const WAITING_MAX: usize = 8_192;

/// So many pieces are not few.
const PIECES_ENOUGH: usize = 64;

/// How long a transaction may take before the server counts as gone: longer than a frozen host can hold what
/// others wait for (`idle_in_transaction_session_timeout`), short enough that clients hear of it.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(6);

/// How often a piece of work is begun again when it collides with another.
pub const COLLISIONS_MAX: usize = 8;

/// A piece of work that can be done together with others of its kind.
pub trait Gathered: Send + Sync + Sized + 'static {
    /// What whoever brought it waits for.
    type Answer: Send + 'static;

    /// What is known from one transaction to the next; forgotten when one fails.
    type Memory: Default + Send;

    /// While few pieces wait, the next transaction begins this long after the last one began, so that it takes more
    /// of them with it: for a few it costs the server nearly as much as for many. The first piece after a pause does
    /// not wait.
    const INTERVAL: Duration = Duration::ZERO;

    /// What it is, for messages of errors.
    const ACT: &'static str;

    /// Does all the pieces; one answer for each, in order. May be called again for the same pieces after a failure.
    fn run(
        desk: &Desk,
        memory: &mut Self::Memory,
        pieces: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Trouble>> + Send;
}

type Waiting<P> = oneshot::Sender<Result<<P as Gathered>::Answer>>;
type Inbox<P> = mpsc::Sender<(P, Waiting<P>)>;

/// The way to the task of one kind of work. Dropping it lets the task finish what waits, then ends it.
pub struct Lane<P: Gathered> {
    link: Link,
    stats: Arc<CommitStats>,
    inbox: OnceLock<Inbox<P>>,
}

impl<P: Gathered> Lane<P> {
    /// A lane whose task begins with the first piece of work.
    pub fn new(link: Link, stats: Arc<CommitStats>) -> Self {
        Self {
            link,
            stats,
            inbox: OnceLock::new(),
        }
    }

    /// Runs a piece of work in the next transaction and returns when it is on disk. A caller that gives up
    /// waiting does not stop it.
    pub async fn run(&self, piece: P) -> Result<P::Answer> {
        let closed = || Error::new(Kind::Unavailable, format!("{}: the store is closed", P::ACT));
        let (answer, answered) = oneshot::channel();
        let inbox = self.inbox.get_or_init(|| self.start());
        inbox.send((piece, answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    fn start(&self) -> Inbox<P> {
        let (inbox, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(serve(self.link.clone(), waiting, Arc::clone(&self.stats)));
        inbox
    }
}

/// Serves until nobody is left to bring work.
async fn serve<P: Gathered>(
    link: Link,
    mut waiting: mpsc::Receiver<(P, Waiting<P>)>,
    stats: Arc<CommitStats>,
) {
    let mut memory = P::Memory::default();
    let mut taken = Vec::with_capacity(PIECES_MAX);
    let mut last = None;
    while waiting.recv_many(&mut taken, PIECES_MAX).await > 0 {
        let since = last.map_or(P::INTERVAL, |last: Instant| last.elapsed());
        gather_more(&mut waiting, &mut taken, P::INTERVAL.saturating_sub(since)).await;
        last = Some(Instant::now());
        let mut batches = vec![taken.drain(..).unzip::<P, Waiting<P>, Vec<_>, Vec<_>>()];
        while let Some((mut pieces, mut askers)) = batches.pop() {
            let began = Instant::now();
            match transact(&link, &mut memory, &pieces).await {
                Ok(answers) => {
                    stats.note(pieces.len(), began.elapsed());
                    for (asker, answer) in askers.into_iter().zip(answers) {
                        // Whoever waited may have gone; that is their business.
                        drop(asker.send(Ok(answer)));
                    }
                }
                Err(trouble) if pieces.len() == 1 || trouble.kind() != Kind::Internal => {
                    for asker in askers {
                        drop(asker.send(Err(trouble.fault(P::ACT))));
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
async fn gather_more<T>(waiting: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, patience: Duration) {
    let more = async {
        while taken.len() < PIECES_ENOUGH && waiting.recv_many(taken, PIECES_MAX - taken.len()).await > 0 {}
    };
    if !patience.is_zero() {
        // When it is over, whatever has come must do.
        drop(timeout(patience, more).await);
    }
}

/// All the pieces in one transaction, or none of them.
async fn transact<P: Gathered>(
    link: &Link,
    memory: &mut P::Memory,
    pieces: &[P],
) -> Result<Vec<P::Answer>, Trouble> {
    let mut collisions = 0;
    loop {
        let outcome = transact_once(link, memory, pieces).await;
        match outcome {
            Err(trouble) => {
                *memory = P::Memory::default();
                collisions += 1;
                if !trouble.is_collision() || collisions > COLLISIONS_MAX {
                    return Err(trouble);
                }
            }
            answers => return answers,
        }
    }
}

async fn transact_once<P: Gathered>(
    link: &Link,
    memory: &mut P::Memory,
    pieces: &[P],
) -> Result<Vec<P::Answer>, Trouble> {
    let desk = link.write().await?;
    let work = async move {
        let outcome = P::run(&desk, memory, pieces).await;
        desk.end(outcome).await
    };
    timeout(TRANSACTION_LIMIT, work).await.unwrap_or_else(|_| {
        link.forget_idle();
        Err(Trouble::Silent)
    })
}
