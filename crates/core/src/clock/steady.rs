//! The clock of this machine, which continues instead of stepping back.
//!
//! The leases and due times of a store in a file are times of this clock. If the clock went back, a delivery that is
//! due now would wait until the clock shows the old time again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use super::{Clock, Timestamp, from_millis};

/// Longest step back that is bridged: a day, more than the error of a wrong time zone. After a longer step the new time
/// is used, because the clock was wrong before (for example after a start with an empty battery).
const STEP_BACK_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// A clock that follows the clock of this machine. When that clock goes back, this one continues from the latest time
/// that it has shown.
#[derive(Debug)]
pub struct SteadyClock {
    /// The origin: the reading of this machine's monotonic clock at which counting began.
    origin: Instant,
    /// The time that corresponds to the origin, in milliseconds since 1970.
    at_origin_ms: AtomicI64,
}

impl SteadyClock {
    pub(super) fn new(latest_seen: Timestamp) -> Self {
        Self { origin: Instant::now(), at_origin_ms: AtomicI64::new(latest_seen.timestamp_millis()) }
    }

    pub(super) fn now(&self) -> Timestamp {
        let elapsed_ms = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX / 4);
        from_millis(self.show(Clock::System.now().timestamp_millis(), elapsed_ms))
    }

    /// Returns the time to show when this machine's clock shows `system_ms` and `elapsed_ms` have passed since the origin.
    pub(super) fn show(&self, system_ms: i64, elapsed_ms: i64) -> i64 {
        let steady_ms = self.at_origin_ms.load(Ordering::SeqCst) + elapsed_ms;
        if steady_ms - system_ms > STEP_BACK_MAX_MS {
            self.at_origin_ms.store(system_ms - elapsed_ms, Ordering::SeqCst);
            return system_ms;
        }
        let at_origin_ms = self.at_origin_ms.fetch_max(system_ms - elapsed_ms, Ordering::SeqCst);
        steady_ms.max(at_origin_ms + elapsed_ms).max(system_ms)
    }
}
