//! Retry rules: the delay before the next try of a delivery, and the end of trying.

use std::time::Duration;

/// Exponential back-off with full jitter: `base × factor^(tries - 1)`, at most `cap`. Ends at `tries_max` or `age_max`.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Longest delay after the first failed round.
    pub base: Duration,
    /// Growth of the delay from one round to the next.
    pub factor: f64,
    /// Longest delay after any round.
    pub cap: Duration,
    /// Maximum number of failed rounds.
    pub tries_max: u32,
    /// Age at which a delivery expires, so that outdated one-time codes are not sent after an outage.
    pub age_max: Duration,
}

impl Default for RetryPolicy {
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

impl RetryPolicy {
    /// Returns the delay after the round that used up try number `tries` (from 1), but at least the `retry_after` of the
    /// provider. `random` is a number from 0 to 1.
    pub fn delay(&self, tries: u32, retry_after: Option<Duration>, random: f64) -> Duration {
        let exponent = f64::from(tries.saturating_sub(1).min(1_000));
        let delay_max = (self.base.as_secs_f64() * self.factor.powf(exponent)).min(self.cap.as_secs_f64());
        let jittered_delay = Duration::from_secs_f64(delay_max * random.clamp(0.0, 1.0));
        jittered_delay.max(retry_after.unwrap_or_default())
    }

    /// Returns whether try number `tries` was the last one.
    pub fn is_exhausted(&self, tries: u32) -> bool {
        tries >= self.tries_max
    }
}

/// Number of times that a message is sent again after an `unknown` outcome, unless the configuration sets it. One
/// duplicate is better than a lost message, but more duplicates are not.
pub const UNKNOWN_RETRIES_DEFAULT: u32 = 1;

#[cfg(test)]
mod tests;
