//! The only file that reads the system clock or waits for time to pass.
//!
//! Everything else gets `now` as an argument. Simulations set the clock by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeZone, Utc};

/// A moment in UTC. Stores keep it in whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// Where `now` comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clock.
    #[default]
    System,
    /// Milliseconds since 1970, moved by a test or a simulation.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at the given moment until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.timestamp_millis())))
    }

    /// The present, cut to whole milliseconds as the stores keep it.
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => from_millis(Utc::now().timestamp_millis()),
            Self::Manual(millis) => from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the system's clock is not ours to move.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(millis) = self {
            millis.fetch_add(
                i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }

    /// Begins to measure time; a correction of the system's clock does not touch what is measured.
    pub fn stopwatch(&self) -> Stopwatch {
        match self {
            Self::System => Stopwatch::System(Instant::now()),
            Self::Manual(_) => Stopwatch::Manual(self.clone(), self.now()),
        }
    }

    /// Waits for time to pass. Nobody can wait for a clock that is moved by hand: it only gives way to others.
    pub async fn pause(&self, duration: Duration) {
        match self {
            Self::System => pause(duration).await,
            Self::Manual(_) => tokio::task::yield_now().await,
        }
    }
}

/// Time measured from one moment on.
#[derive(Clone, Debug)]
pub enum Stopwatch {
    /// By the machine's steady clock.
    System(Instant),
    /// By how far a manual clock was moved since.
    Manual(Clock, Timestamp),
}

impl Stopwatch {
    /// How much time has passed.
    pub fn passed(&self) -> Duration {
        match self {
            Self::System(began) => began.elapsed(),
            Self::Manual(clock, began) => (clock.now() - *began).to_std().unwrap_or_default(),
        }
    }
}

/// The moment that lies `millis` milliseconds after 1970; the end of time when that is out of range.
pub fn from_millis(millis: i64) -> Timestamp {
    Utc.timestamp_millis_opt(millis)
        .single()
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Waits in real time. For loops that have nothing to do, never for correctness.
#[allow(clippy::disallowed_methods)]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Blocks the calling thread in real time; for threads outside the async runtime only.
#[allow(clippy::disallowed_methods)]
pub fn pause_thread(duration: Duration) {
    std::thread::sleep(duration);
}
