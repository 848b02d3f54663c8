//! Probes of a shared circuit before the end of its open period.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::SharedHealth;
use crate::circuit_breaker::{CircuitState, ProbeUrgency};

impl SharedHealth {
    /// Returns the state in which the calling process makes a probe with this urgency; none if the process may not
    /// probe. The process must have checked its own circuit breaker first: an early probe has a minimum delay.
    pub fn with_urgent_probe_started(
        &self,
        urgency: ProbeUrgency,
        probe_timeout: Duration,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        match (urgency, &self.circuit) {
            (ProbeUrgency::BeforeExpiry, CircuitState::Open { backoff_factor, .. }) => {
                let circuit = CircuitState::HalfOpen { since: now, backoff_factor: *backoff_factor };
                Some(self.with_circuit(circuit, now))
            }
            (ProbeUrgency::BeforeExpiry | ProbeUrgency::AfterOpenPeriod, _) => {
                self.with_probe_started(probe_timeout, now)
            }
        }
    }
}

#[cfg(test)]
mod tests;
