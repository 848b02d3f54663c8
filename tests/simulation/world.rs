//! What every part of a storm shares: one seeded luck, the true time, the stage on which one thing happens at a time,
//! the ledger of what really happened and the journal of how it came to it.
//!
//! Nothing here reads a clock or throws other dice, so a seed replays the whole storm.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use postrider::clock::{Timestamp, from_millis};
use postrider::dice::Dice;

use super::ledger::Ledger;

/// How many of the last steps a failure shows.
const STEPS_SHOWN: usize = 60;

/// A storm's surroundings.
pub struct World {
    pub stage: Stage,
    pub journal: Arc<Journal>,
    /// How far a host's clock may be from the true time: hardly, as one that follows the store's, or far.
    pub skew_max_ms: i64,
    dice: Dice,
    time_ms: AtomicI64,
    ledger: Mutex<Ledger>,
}

impl World {
    pub fn new(seed: u64, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self {
            stage: Stage::default(),
            journal,
            skew_max_ms: if seed.is_multiple_of(2) { 100 } else { 15_000 },
            dice: Dice::seeded(seed),
            time_ms: AtomicI64::new(1_800_000_000_000),
            ledger: Mutex::default(),
        })
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The true time, which no host knows.
    pub fn time_ms(&self) -> i64 {
        self.time_ms.load(Ordering::SeqCst)
    }

    pub fn now(&self) -> Timestamp {
        from_millis(self.time_ms())
    }

    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap();
        self.time_ms.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn luck(&self) -> f64 {
        self.dice.luck()
    }

    pub fn chance(&self, part: f64) -> bool {
        self.luck() < part
    }

    /// A number from `least` to `most`, both included.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // Small numbers only.
    pub fn between(&self, least: i64, most: i64) -> i64 {
        let width = (most - least + 1) as f64;
        least + (self.luck() * width) as i64
    }

    /// How far a clock is off.
    pub fn skew(&self) -> i64 {
        self.between(-self.skew_max_ms, self.skew_max_ms)
    }

    /// One of so many, counted from 0; none of nothing.
    pub fn pick(&self, count: usize) -> Option<usize> {
        let last = i64::try_from(count).unwrap() - 1;
        (last >= 0).then(|| usize::try_from(self.between(0, last)).unwrap())
    }

    pub fn note(&self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.time_ms() - 1_800_000_000_000, line());
        self.journal.lines().push(line);
    }
}

/// Something that is going on at a host.
pub type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where things happen, one at a time: a task runs until it stands at a gate, and goes on when it is its turn again.
/// One that is dropped at a gate died there.
#[derive(Default)]
pub struct Stage {
    stopped: AtomicBool,
}

impl Stage {
    /// Stands still until it is this task's turn again.
    pub async fn gate(&self) {
        let mut waited = false;
        std::future::poll_fn(|_| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            self.stopped.store(true, Ordering::SeqCst);
            Poll::Pending
        })
        .await;
    }

    /// Lets a task go on to its next gate (none) or to its end.
    pub async fn turn<T>(&self, task: &mut Task<T>) -> Option<T> {
        std::future::poll_fn(|context| {
            self.stopped.store(false, Ordering::SeqCst);
            match task.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.stopped.load(Ordering::SeqCst) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Every step of a storm in a line.
#[derive(Default)]
pub struct Journal(Mutex<Vec<String>>);

impl Journal {
    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last steps, for whoever looks for the fault.
    pub fn end(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(STEPS_SHOWN)..].join("\n  ")
    }
}
