//! What every part of a storm shares: one seeded luck, the true time, the stage on which one thing happens at a time,
//! the ledger of what really happened and the journal of how it came to it.
//!
//! Nothing here reads a clock or throws other dice, so a seed replays the whole storm.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::random::Random;

use super::reference_model::ReferenceModel;

/// How many of the last steps a failure shows.
const LOG_LINES_SHOWN: usize = 60;

/// A storm's surroundings.
pub struct SimulationContext {
    pub scheduler: StepScheduler,
    pub log: Arc<StepLog>,
    /// How far a host's clock may be from the true time: hardly, as one that follows the store's, or far.
    pub clock_skew_max_ms: i64,
    random: Random,
    time_ms: AtomicI64,
    model: Mutex<ReferenceModel>,
}

impl SimulationContext {
    pub fn new(seed: u64, journal: Arc<StepLog>) -> Arc<Self> {
        Arc::new(Self {
            scheduler: StepScheduler::default(),
            log: journal,
            clock_skew_max_ms: if seed.is_multiple_of(2) { 100 } else { 15_000 },
            random: Random::seeded(seed),
            time_ms: AtomicI64::new(1_800_000_000_000),
            model: Mutex::default(),
        })
    }

    pub fn model(&self) -> MutexGuard<'_, ReferenceModel> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
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

    pub fn fraction(&self) -> f64 {
        self.random.fraction()
    }

    pub fn chance(&self, part: f64) -> bool {
        self.fraction() < part
    }

    /// A number from `least` to `most`, both included.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // Small numbers only.
    pub fn random_between(&self, least: i64, most: i64) -> i64 {
        let width = (most - least + 1) as f64;
        least + (self.fraction() * width) as i64
    }

    /// How far a clock is off.
    pub fn random_clock_skew(&self) -> i64 {
        self.random_between(-self.clock_skew_max_ms, self.clock_skew_max_ms)
    }

    /// One of so many, counted from 0; none of nothing.
    pub fn random_index(&self, count: usize) -> Option<usize> {
        let last = i64::try_from(count).unwrap() - 1;
        (last >= 0).then(|| usize::try_from(self.random_between(0, last)).unwrap())
    }

    pub fn log_step(&self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.time_ms() - 1_800_000_000_000, line());
        self.log.lines().push(line);
    }
}

/// Something that is going on at a host.
pub type SimulatedTask<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where things happen, one at a time: a task runs until it stands at a gate, and goes on when it is its turn again.
/// One that is dropped at a gate died there.
#[derive(Default)]
pub struct StepScheduler {
    is_yielded: AtomicBool,
}

impl StepScheduler {
    /// Stands still until it is this task's turn again.
    pub async fn yield_point(&self) {
        let mut waited = false;
        std::future::poll_fn(|_| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            self.is_yielded.store(true, Ordering::SeqCst);
            Poll::Pending
        })
        .await;
    }

    /// Lets a task go on to its next gate (none) or to its end.
    pub async fn run_until_yield<T>(&self, task: &mut SimulatedTask<T>) -> Option<T> {
        std::future::poll_fn(|context| {
            self.is_yielded.store(false, Ordering::SeqCst);
            match task.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.is_yielded.load(Ordering::SeqCst) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Every step of a storm in a line.
#[derive(Default)]
pub struct StepLog(Mutex<Vec<String>>);

impl StepLog {
    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last steps, for whoever looks for the fault.
    pub fn last_steps(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ")
    }
}
