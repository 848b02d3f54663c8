//! The only module that reads the system clock or waits for time to pass.
//!
//! All other modules take the current time as an argument. Tests and simulations set a manual clock. Times are in UTC and
//! in whole milliseconds, as the stores keep them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};

mod steady;

pub use steady::SteadyClock;

/// A time in UTC, in whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// The source of the current time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The clock of this machine.
    #[default]
    System,
    /// The clock of another machine, which several hosts follow. Between two readings of that clock, the monotonic
    /// clock of this machine measures the time.
    Synced(Arc<SyncedClock>),
    /// The clock of this machine, which never goes back behind a time that it has shown.
    Steady(Arc<SteadyClock>),
    /// Milliseconds since 1970, set by a test or a simulation.
    Manual(Arc<AtomicI64>),
}

/// A clock that follows the clock of another machine.
#[derive(Debug)]
pub struct SyncedClock {
    /// The origin: the reading of this machine's monotonic clock at which counting began.
    origin: Instant,
    /// The time that the followed clock showed at the origin, in microseconds since 1970.
    at_origin_micros: AtomicI64,
}

impl SyncedClock {
    /// Returns the time since the origin, by the monotonic clock of this machine.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Records that the followed clock showed `shown_time` between `requested` and `received`, which are values of
    /// [`SyncedClock::elapsed`]. A difference that is no greater than the error of the reading changes nothing.
    pub fn record_reading(&self, shown_time: Timestamp, requested: Duration, received: Duration) {
        let middle_micros = to_micros((requested + received) / 2);
        let error_micros = to_micros(received.saturating_sub(requested) / 2) + 500;
        // `shown_time` was cut to whole milliseconds.
        let at_origin_micros = shown_time.timestamp_micros() + 500 - middle_micros;
        let current_micros = self.at_origin_micros.load(Ordering::SeqCst);
        if (at_origin_micros - current_micros).abs() > error_micros {
            self.at_origin_micros.store(at_origin_micros, Ordering::SeqCst);
        }
    }

    fn now(&self) -> Timestamp {
        let at_origin_micros = self.at_origin_micros.load(Ordering::SeqCst);
        from_millis((at_origin_micros + to_micros(self.elapsed())).div_euclid(1_000))
    }
}

fn to_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

impl Clock {
    /// Returns a clock that stands at `start` until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.timestamp_millis())))
    }

    /// Returns a clock that follows another one, and shows the time of this machine until the first reading.
    pub fn synced() -> Self {
        let local_micros = Self::System.now().timestamp_micros();
        Self::Synced(Arc::new(SyncedClock {
            origin: Instant::now(),
            at_origin_micros: AtomicI64::new(local_micros),
        }))
    }

    /// Returns a clock that follows the clock of this machine and does not go back with it; see [`SteadyClock`].
    /// `latest_seen` is the latest time that is known from an earlier process, such as the newest time in the store.
    pub fn steady(latest_seen: Timestamp) -> Self {
        Self::Steady(Arc::new(SteadyClock::new(latest_seen)))
    }

    /// Returns how far the clock is ahead of the clock of this machine, in seconds.
    pub fn offset_seconds(&self) -> f64 {
        match self {
            Self::Synced(_) | Self::Steady(_) => (self.now() - Self::System.now()).as_seconds_f64(),
            Self::System | Self::Manual(_) => 0.0,
        }
    }

    /// Returns the current time.
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => from_millis(Utc::now().timestamp_millis()),
            Self::Synced(synced) => synced.now(),
            Self::Steady(steady) => steady.now(),
            Self::Manual(millis) => from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward. Does nothing to other clocks.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(millis) = self {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Starts to measure time. Corrections of the system clock do not affect the result.
    pub fn stopwatch(&self) -> Stopwatch {
        match self {
            Self::System | Self::Synced(_) | Self::Steady(_) => Stopwatch::System(Instant::now()),
            Self::Manual(_) => Stopwatch::Manual(self.clone(), self.now()),
        }
    }

    /// Waits for `duration`. With a manual clock, only yields to other tasks, because a manual clock does not move by
    /// itself.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System | Self::Synced(_) | Self::Steady(_) => sleep(duration).await,
            Self::Manual(_) => tokio::task::yield_now().await,
        }
    }
}

/// The time since a start.
#[derive(Clone, Debug)]
pub enum Stopwatch {
    /// Measured by the monotonic clock of this machine.
    System(Instant),
    /// Measured by a manual clock, from the given start.
    Manual(Clock, Timestamp),
}

impl Stopwatch {
    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::System(start) => start.elapsed(),
            Self::Manual(clock, start) => (clock.now() - *start).to_std().unwrap_or_default(),
        }
    }
}

/// Returns the time `millis` milliseconds after 1970, or the last representable time.
pub fn from_millis(millis: i64) -> Timestamp {
    Utc.timestamp_millis_opt(millis).single().unwrap_or(Timestamp::MAX_UTC)
}

/// Returns `time` plus `wait`, or the last representable time if the sum is later. A provider may ask for a wait of any
/// length.
pub fn saturating_add(time: Timestamp, wait: Duration) -> Timestamp {
    TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| time.checked_add_signed(wait))
        .unwrap_or(Timestamp::MAX_UTC)
}

/// Waits in real time. Use it only to pace idle loops; correct results must not depend on it.
#[allow(clippy::disallowed_methods)]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Blocks the calling thread in real time. For threads outside the async runtime only.
#[allow(clippy::disallowed_methods)]
pub fn sleep_thread(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests;
