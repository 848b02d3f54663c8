//! When a delivery that could not be sent is tried again, and when it is given up.
//!
//! Numbers and luck come in as arguments; it never looks at a clock.

use std::time::Duration;

/// `base × factor^tries`, at most `cap`, spread by full jitter. Ends at `tries_max` or `age_max`.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
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
    /// The wait after the round that used up try number `tries` (from 1), with `luck` from 0 to 1.
    /// A provider's own `retry_after` is a floor.
    pub fn delay(&self, tries: u32, retry_after: Option<Duration>, luck: f64) -> Duration {
        let exponent = f64::from(tries.saturating_sub(1).min(1_000));
        let longest = (self.base.as_secs_f64() * self.factor.powf(exponent)).min(self.cap.as_secs_f64());
        let spread = Duration::from_secs_f64(longest * luck.clamp(0.0, 1.0));
        spread.max(retry_after.unwrap_or_default())
    }

    /// Whether try number `tries` was the last one.
    pub fn is_exhausted(&self, tries: u32) -> bool {
        tries >= self.tries_max
    }
}

/// What follows an `unknown` outcome, the one case that can send twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UnknownPolicy {
    /// Send again later: better twice than never.
    #[default]
    Resend,
    /// Stop and show it as failed: better never than twice.
    Hold,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let retry = RetryPolicy::default();
        for (tries, seconds) in [
            (0, 30),
            (1, 30),
            (2, 60),
            (3, 120),
            (7, 1_920),
            (8, 3_600),
            (30, 3_600),
            (u32::MAX, 3_600),
        ] {
            assert_eq!(
                retry.delay(tries, None, 1.0),
                Duration::from_secs(seconds),
                "{tries}"
            );
            assert_eq!(
                retry.delay(tries, None, 0.5),
                Duration::from_secs(seconds) / 2,
                "{tries}"
            );
            assert_eq!(retry.delay(tries, None, 0.0), Duration::ZERO, "{tries}");
        }
    }

    #[test]
    fn a_provider_that_asks_for_more_time_gets_it() {
        let retry = RetryPolicy::default();
        let asked = |seconds| retry.delay(1, Some(Duration::from_secs(seconds)), 1.0);
        assert_eq!(asked(10), Duration::from_secs(30));
        assert_eq!(asked(90), Duration::from_secs(90));
        assert_eq!(asked(100_000), Duration::from_secs(100_000));
    }

    #[test]
    fn the_last_try_is_the_last() {
        let retry = RetryPolicy {
            tries_max: 3,
            ..RetryPolicy::default()
        };
        assert_eq!(
            [1, 2, 3, 4].map(|tries| retry.is_exhausted(tries)),
            [false, false, true, true]
        );
    }

    proptest! {
        #[test]
        fn every_wait_lies_between_nothing_and_the_cap(
            base_ms in 0_u64..10_000_000,
            factor in 1.0_f64..100.0,
            cap_ms in 0_u64..10_000_000,
            tries in any::<u32>(),
            luck in -1.0_f64..2.0,
        ) {
            let retry = RetryPolicy {
                base: Duration::from_millis(base_ms),
                factor,
                cap: Duration::from_millis(cap_ms),
                ..RetryPolicy::default()
            };
            prop_assert!(retry.delay(tries, None, luck) <= retry.cap);
        }
    }
}
