//! The circuit breaker of one provider: decides from the results of the last calls whether another call may start.
//!
//! Several failures in a row open the circuit; after a pause one call, the probe, tests whether the provider works again.
//! A misconfigured provider gets no calls until the configuration is loaded again or an operator resets the breaker.
//! Pure rules: never waits and never calls a provider.

use std::time::Duration;

use chrono::{DateTime, Utc};
use strum::IntoStaticStr;

use crate::clock::saturating_add;

pub use early_probe::ProbeUrgency;

mod early_probe;

/// Limit of the back-off: a circuit stays open for at most `BACKOFF_FACTOR_MAX` times `open_duration`.
const BACKOFF_FACTOR_MAX: u32 = 8;
/// Shortest time after which a probe without a result counts as lost.
const PROBE_TIMEOUT_MIN: Duration = Duration::from_secs(60);
/// Largest plausible difference between the clocks of two processes. A time further ahead comes from a wrong clock; a
/// smaller difference may come from a process that was suspended and still uses the time from before.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(3_600);

/// The circuit breaker of one provider.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    failure_threshold: u32,
    open_duration: Duration,
    /// Failures in a row while the circuit is closed.
    failures: u32,
    state: CircuitState,
}

/// The state of a circuit, as processes share it.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CircuitState {
    /// Calls are allowed.
    Closed,
    /// Too many calls failed; no calls are allowed.
    Open {
        /// The time of the next probe.
        until: DateTime<Utc>,
        /// The length of this pause as a multiple of the first one.
        backoff_factor: u32,
    },
    /// One process makes a probe.
    HalfOpen {
        /// The start of the probe.
        since: DateTime<Utc>,
        /// The length of the pause before the probe, as in [`CircuitState::Open`].
        backoff_factor: u32,
    },
    /// The provider rejects our account or settings.
    Misconfigured {
        /// The reason that the provider gave.
        reason: String,
    },
}

/// The decision about one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The call may start.
    Allowed,
    /// The call may start as the probe. Its result has to be recorded.
    Probe,
    /// The circuit is open, or another call is the probe.
    CircuitOpen {
        /// The time of the next probe.
        until: DateTime<Utc>,
    },
    /// No calls before the configuration is loaded again.
    Misconfigured,
}

impl CircuitBreaker {
    /// Returns a closed breaker that opens after `failure_threshold` failures in a row, first for `open_duration`.
    pub fn new(failure_threshold: u32, open_duration: Duration) -> Self {
        Self { failure_threshold, open_duration, failures: 0, state: CircuitState::Closed }
    }

    /// Returns whether [`CircuitBreaker::admit`] would allow a call. Changes nothing.
    pub fn is_available(&self, now: DateTime<Utc>) -> bool {
        match &self.state {
            CircuitState::Closed => true,
            CircuitState::Open { until, .. } => is_open_period_over(*until, self.probe_timeout(), now),
            CircuitState::HalfOpen { since, .. } => is_probe_expired(*since, self.probe_timeout(), now),
            CircuitState::Misconfigured { .. } => false,
        }
    }

    /// Requests one call. After the open period, exactly one call is allowed until its result is recorded.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Admission {
        let (until, backoff_factor) = match &self.state {
            CircuitState::Closed => return Admission::Allowed,
            CircuitState::Misconfigured { .. } => return Admission::Misconfigured,
            CircuitState::Open { until, backoff_factor } => (*until, *backoff_factor),
            CircuitState::HalfOpen { since, backoff_factor } => {
                (saturating_add(*since, self.probe_timeout()), *backoff_factor)
            }
        };
        if !self.is_available(now) {
            return Admission::CircuitOpen { until };
        }
        self.state = CircuitState::HalfOpen { since: now, backoff_factor };
        Admission::Probe
    }

    /// Records a call to which the provider responded, even if it rejected the message.
    pub fn record_success(&mut self) {
        if !matches!(self.state, CircuitState::Misconfigured { .. }) {
            self.reset();
        }
    }

    /// Records a call that failed because of the provider.
    pub fn record_failure(&mut self, now: DateTime<Utc>) {
        match self.state {
            CircuitState::Closed => {
                self.failures += 1;
                if self.failures >= self.failure_threshold {
                    self.open(1, now);
                }
            }
            CircuitState::HalfOpen { backoff_factor, .. } => {
                self.open((backoff_factor * 2).min(BACKOFF_FACTOR_MAX), now);
            }
            // The call began before the circuit opened.
            CircuitState::Open { .. } | CircuitState::Misconfigured { .. } => {}
        }
    }

    /// Records that the provider rejects our account or settings.
    pub fn record_misconfigured(&mut self, reason: impl Into<String>) {
        self.state = CircuitState::Misconfigured { reason: reason.into() };
    }

    /// Closes the circuit from any state.
    pub fn reset(&mut self) {
        self.state = CircuitState::Closed;
        self.failures = 0;
    }

    /// Returns whether a probe is running.
    pub fn is_half_open(&self) -> bool {
        matches!(self.state, CircuitState::HalfOpen { .. })
    }

    /// Returns the state, which the processes share.
    pub fn state(&self) -> &CircuitState {
        &self.state
    }

    /// Takes over the state that the processes share. A closed circuit keeps its own count of failures. A misconfigured
    /// circuit stays misconfigured, because a call with the configuration of this process showed that.
    pub fn load_shared(&mut self, shared: &CircuitState) {
        if matches!(self.state, CircuitState::Misconfigured { .. }) {
            return;
        }
        if self.state != CircuitState::Closed {
            self.failures = 0;
        }
        self.state = shared.clone();
    }

    fn open(&mut self, backoff_factor: u32, now: DateTime<Utc>) {
        self.state = CircuitState::Open {
            until: saturating_add(now, self.open_duration.saturating_mul(backoff_factor)),
            backoff_factor,
        };
    }

    /// Returns the time after which a probe without a result counts as lost.
    pub fn probe_timeout(&self) -> Duration {
        self.open_duration.max(PROBE_TIMEOUT_MIN)
    }
}

/// Returns whether a circuit that is open until `until` may be probed. An open period longer than any that a breaker sets
/// comes from a wrong clock and counts as over.
pub fn is_open_period_over(until: DateTime<Utc>, probe_timeout: Duration, now: DateTime<Utc>) -> bool {
    let open_period_max = probe_timeout.saturating_mul(BACKOFF_FACTOR_MAX).saturating_add(CLOCK_SKEW_MAX);
    until <= now || until > saturating_add(now, open_period_max)
}

/// Returns whether a probe that began at `since` counts as lost or was begun by a wrong clock.
pub fn is_probe_expired(since: DateTime<Utc>, probe_timeout: Duration, now: DateTime<Utc>) -> bool {
    saturating_add(since, probe_timeout) <= now || since > saturating_add(now, CLOCK_SKEW_MAX)
}

impl CircuitState {
    /// Returns the name in APIs and metrics.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Returns the state in words for people.
    pub fn description(&self) -> String {
        match self {
            Self::Closed => "circuit closed".to_owned(),
            Self::Open { until, .. } => {
                format!("circuit open after repeated failures until {}", until.format("%H:%M:%S UTC"))
            }
            Self::HalfOpen { .. } => "circuit half-open; one probe call is running".to_owned(),
            Self::Misconfigured { reason } => {
                format!("misconfigured: the provider rejects our account or settings: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
