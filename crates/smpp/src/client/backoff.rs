//! Delays between attempts to open a session.
//!
//! A refusal that concerns the account is repeated rarely, because SMSCs lock accounts after repeated failures. Every
//! delay has a jitter of one fifth, so that many clients do not reconnect at once.

use std::time::Duration;

use postrider_core::random::Random;

use super::session::SessionEnd;
use crate::command_status::ESME_RALYBND;

#[cfg(test)]
mod tests;

/// A session that lasted this long resets the delay after a lost connection.
const STABLE_SESSION_MIN: Duration = Duration::from_secs(60);

/// Maximum delay after a lost connection, as a multiple of the first.
const LOST_FACTOR_MAX: u32 = 60;

/// First and maximum delay after a refused bind, as multiples of the first delay after a lost connection.
const REFUSED_FACTOR_MIN: u32 = 5;
const REFUSED_FACTOR_MAX: u32 = 300;

/// Delay while the account is bound already, as a multiple of the first.
const ALREADY_BOUND_FACTOR: u32 = 30;

/// Delay after an unbind by the SMSC, as a multiple of the first.
const UNBIND_FACTOR: u32 = 5;

/// The backoff of one connection.
pub struct ReconnectBackoff {
    first_delay: Duration,
    lost_delay: Duration,
    refused_delay: Duration,
    random: Random,
}

impl ReconnectBackoff {
    /// Creates a backoff that begins with `first_delay`.
    pub fn new(first_delay: Duration) -> Self {
        Self {
            first_delay,
            lost_delay: Duration::ZERO,
            refused_delay: Duration::ZERO,
            random: Random::default(),
        }
    }

    /// Returns the delay after a session that lasted `duration`.
    pub fn after_session(&mut self, end: &SessionEnd, duration: Duration) -> Duration {
        self.refused_delay = Duration::ZERO;
        if duration >= STABLE_SESSION_MIN {
            self.lost_delay = Duration::ZERO;
        }
        match end {
            SessionEnd::Unbound => self.with_jitter((self.first_delay * UNBIND_FACTOR).max(self.lost_delay)),
            SessionEnd::Lost(_) | SessionEnd::Dropped => self.after_loss(),
        }
    }

    /// Returns the delay after a failed connection attempt; each one doubles it.
    pub fn after_loss(&mut self) -> Duration {
        let delay_max = self.first_delay * LOST_FACTOR_MAX;
        self.lost_delay = (self.lost_delay * 2).clamp(self.first_delay, delay_max);
        self.with_jitter(self.lost_delay)
    }

    /// Returns the delay after a bind that was refused with `status`.
    pub fn after_refusal(&mut self, status: u32, is_account_error: bool) -> Duration {
        let delay_max = self.first_delay * REFUSED_FACTOR_MAX;
        if is_account_error {
            return self.with_jitter(delay_max);
        }
        if status == ESME_RALYBND {
            return self.with_jitter(self.first_delay * ALREADY_BOUND_FACTOR);
        }
        let delay_min = self.first_delay * REFUSED_FACTOR_MIN;
        self.refused_delay = (self.refused_delay * 2).clamp(delay_min, delay_max);
        self.with_jitter(self.refused_delay)
    }

    fn with_jitter(&self, delay: Duration) -> Duration {
        delay.mul_f64(0.8 + 0.4 * self.random.fraction())
    }
}
