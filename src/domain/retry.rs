//! When a delivery that could not be sent is tried again, and when it is given up.

use std::time::Duration;

/// `base × factor^tries`, at most `cap`, spread by full jitter. Ends at `tries_max` or `age_max`.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The wait after the first failed round.
    pub base: Duration,
    /// By how much each wait is longer than the one before.
    pub factor: f64,
    /// The longest wait.
    pub cap: Duration,
    /// After so many failed rounds it is given up.
    pub tries_max: u32,
    /// At this age it is given up, so that no flood of stale codes follows an outage.
    pub age_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(30),
            factor: 2.0,
            cap: Duration::from_secs(3600),
            tries_max: 30,
            age_max: Duration::from_secs(24 * 3600),
        }
    }
}

impl Retry {
    /// The wait after the round that used up try number `tries` (from 1), with `luck` from 0 to 1.
    /// A provider's own `retry_after` is a floor.
    pub fn wait(&self, tries: u32, retry_after: Option<Duration>, luck: f64) -> Duration {
        let exponent = f64::from(tries.saturating_sub(1).min(1_000));
        let longest = (self.base.as_secs_f64() * self.factor.powf(exponent)).min(self.cap.as_secs_f64());
        let spread = Duration::from_secs_f64(longest * luck.clamp(0.0, 1.0));
        spread.max(retry_after.unwrap_or_default())
    }

    /// Whether try number `tries` was the last one.
    pub fn exhausted(&self, tries: u32) -> bool {
        tries >= self.tries_max
    }
}
