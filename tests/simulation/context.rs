//! State that all parts of a scenario share: the random generator, the simulated time, the step scheduler, the
//! reference model and the step log.
//!
//! Nothing here reads a clock or uses another source of randomness, so a seed replays the whole scenario.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::random::Random;

use super::reference_model::ReferenceModel;

/// Number of the last steps that a failure prints.
const LOG_LINES_SHOWN: usize = 60;

/// The shared state of one scenario.
pub struct SimulationContext {
    pub scheduler: StepScheduler,
    pub log: Arc<StepLog>,
    /// Largest difference between the clock of a host and the simulated time, in milliseconds: small, as for a clock
    /// that follows the clock of the store, or large.
    pub clock_skew_max_ms: i64,
    random: Random,
    time_ms: AtomicI64,
    model: Mutex<ReferenceModel>,
}

impl SimulationContext {
    pub fn new(seed: u64, log: Arc<StepLog>) -> Arc<Self> {
        Arc::new(Self {
            scheduler: StepScheduler::default(),
            log,
            clock_skew_max_ms: if seed.is_multiple_of(2) { 100 } else { 15_000 },
            random: Random::seeded(seed),
            time_ms: AtomicI64::new(1_800_000_000_000),
            model: Mutex::default(),
        })
    }

    pub fn model(&self) -> MutexGuard<'_, ReferenceModel> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the simulated time; hosts see it only through their own clocks.
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

    pub fn chance(&self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// Returns a number from `min` to `max`, both included.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // The numbers are small.
    pub fn random_between(&self, min: i64, max: i64) -> i64 {
        let width = (max - min + 1) as f64;
        min + (self.fraction() * width) as i64
    }

    /// Returns a random clock skew, in milliseconds.
    pub fn random_clock_skew(&self) -> i64 {
        self.random_between(-self.clock_skew_max_ms, self.clock_skew_max_ms)
    }

    /// Returns a random index below `count`; none when `count` is 0.
    pub fn random_index(&self, count: usize) -> Option<usize> {
        let last = i64::try_from(count).unwrap() - 1;
        (last >= 0).then(|| usize::try_from(self.random_between(0, last)).unwrap())
    }

    pub fn log_step(&self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.time_ms() - 1_800_000_000_000, line());
        self.log.lines().push(line);
    }
}

/// A task that runs on a host.
pub type SimulatedTask<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs one task at a time, each from one yield point to the next. Dropping a task at a yield point simulates a crash
/// at that point.
#[derive(Default)]
pub struct StepScheduler {
    is_yielded: AtomicBool,
}

impl StepScheduler {
    /// Suspends the task until the scheduler runs it again.
    pub async fn yield_point(&self) {
        let mut has_yielded = false;
        std::future::poll_fn(|_| {
            if has_yielded {
                return Poll::Ready(());
            }
            has_yielded = true;
            self.is_yielded.store(true, Ordering::SeqCst);
            Poll::Pending
        })
        .await;
    }

    /// Runs a task to its next yield point (returns none) or to its end (returns its result).
    pub async fn run_until_yield<T>(&self, task: &mut SimulatedTask<T>) -> Option<T> {
        std::future::poll_fn(|context| {
            self.is_yielded.store(false, Ordering::SeqCst);
            match task.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending if self.is_yielded.load(Ordering::SeqCst) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// The steps of a scenario, one line each.
#[derive(Default)]
pub struct StepLog(Mutex<Vec<String>>);

impl StepLog {
    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the last steps, to be printed with a failure.
    pub fn last_steps(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ")
    }
}
