//! Probes before the end of an open period, for deliveries that would expire without a try.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{CircuitBreaker, CircuitState};
use crate::clock::saturating_add;

/// Shortest time between the opening of a circuit and an early probe; the first open period, if that is shorter. A
/// provider that stays broken gets at most one early probe in this time, however many deliveries expire.
const EARLY_PROBE_DELAY: Duration = Duration::from_secs(5);

/// How soon a probe of an open circuit may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeUrgency {
    /// After the open period.
    AfterOpenPeriod,
    /// During the open period, because a delivery would expire without a try.
    BeforeExpiry,
}

impl CircuitBreaker {
    /// Returns whether [`CircuitBreaker::admit_early`] would allow a probe. Changes nothing.
    pub fn is_early_probe_allowed(&self, now: DateTime<Utc>) -> bool {
        let CircuitState::Open { until, backoff_factor } = &self.state else {
            return false;
        };
        let open_period = self.open_duration.saturating_mul(*backoff_factor);
        let delay = self.open_duration.min(EARLY_PROBE_DELAY);
        saturating_add(now, open_period) >= saturating_add(*until, delay)
    }

    /// Requests a probe before the end of the open period. The caller must record the result of the probe.
    pub fn admit_early(&mut self, now: DateTime<Utc>) -> bool {
        if !self.is_early_probe_allowed(now) {
            return false;
        }
        if let CircuitState::Open { backoff_factor, .. } = self.state {
            self.state = CircuitState::HalfOpen { since: now, backoff_factor };
        }
        true
    }
}

#[cfg(test)]
mod tests;
