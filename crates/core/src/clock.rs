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
    /// Another machine's clock, from which many take the time; between two looks at it ours only counts on.
    Synced(Arc<SyncedClock>),
    /// Milliseconds since 1970, moved by a test or a simulation.
    Manual(Arc<AtomicI64>),
}

/// What is known of a clock that is followed.
#[derive(Debug)]
pub struct SyncedClock {
    /// Where the machine's steady clock is counted from.
    origin: Instant,
    /// What the followed clock showed at the origin, in microseconds since 1970.
    at_origin_micros: AtomicI64,
}

impl SyncedClock {
    /// How long it has been counting, by the machine's steady clock.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Takes over what the followed clock showed somewhen between two moments of [`Followed::counted`]. What lies
    /// within the error of such a look changes nothing.
    pub fn record_reading(&self, shown: Timestamp, asked: Duration, answered: Duration) {
        let middle = micros((asked + answered) / 2);
        let error = micros(answered.saturating_sub(asked) / 2) + 500;
        // It was cut to whole milliseconds.
        let at_origin = shown.timestamp_micros() + 500 - middle;
        let known = self.at_origin_micros.load(Ordering::SeqCst);
        if (at_origin - known).abs() > error {
            self.at_origin_micros.store(at_origin, Ordering::SeqCst);
        }
    }

    fn now(&self) -> Timestamp {
        let at_origin = self.at_origin_micros.load(Ordering::SeqCst);
        from_millis((at_origin + micros(self.elapsed())).div_euclid(1_000))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

impl Clock {
    /// A clock that stands still at the given moment until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.timestamp_millis())))
    }

    /// A clock that follows another one, and shows the machine's time until it has heard of it.
    pub fn synced() -> Self {
        let shown = Self::System.now().timestamp_micros();
        Self::Synced(Arc::new(SyncedClock {
            origin: Instant::now(),
            at_origin_micros: AtomicI64::new(shown),
        }))
    }

    /// How far it is ahead of the machine's own clock, in seconds.
    pub fn offset_seconds(&self) -> f64 {
        match self {
            Self::Synced(followed) => (followed.now() - Self::System.now()).as_seconds_f64(),
            Self::System | Self::Manual(_) => 0.0,
        }
    }

    /// The present, cut to whole milliseconds as the stores keep it.
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => from_millis(Utc::now().timestamp_millis()),
            Self::Synced(followed) => followed.now(),
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
            Self::System | Self::Synced(_) => Stopwatch::System(Instant::now()),
            Self::Manual(_) => Stopwatch::Manual(self.clone(), self.now()),
        }
    }

    /// Waits for time to pass. Nobody can wait for a clock that is moved by hand: it only gives way to others.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System | Self::Synced(_) => sleep(duration).await,
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
    pub fn elapsed(&self) -> Duration {
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

/// The moment that lies so much later; the end of time when that is out of range, because some waits are a
/// provider's word.
pub fn saturating_add(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| now.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Waits in real time. For loops that have nothing to do, never for correctness.
#[allow(clippy::disallowed_methods)]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Blocks the calling thread in real time; for threads outside the async runtime only.
#[allow(clippy::disallowed_methods)]
pub fn sleep_thread(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests;
