//! The circuit breaker of one provider: decides from the results of the latest calls whether another call may start.
//!
//! The circuit opens when at least `failure_threshold` calls failed and these are at least half of the calls of the
//! last ten seconds (of the last ten calls, if there were fewer). After the open period one call, the probe, tests
//! whether the provider works again; the open period doubles while probes fail. A provider becomes misconfigured when
//! it refuses several messages in a row because of the account; it is then probed in the same way, and any success ends
//! the state. Pure rules: never waits and never calls a provider.

use std::time::Duration;

use chrono::{DateTime, Utc};
use strum::IntoStaticStr;

use crate::clock::saturating_add;
use crate::id::MessageId;
use call_window::CallWindow;

mod call_window;

pub use early_probe::ProbeUrgency;

mod early_probe;

/// Limit of the back-off: a circuit stays open for at most `BACKOFF_FACTOR_MAX` times `open_duration`.
const BACKOFF_FACTOR_MAX: u32 = 8;
/// Longest time between two probes of a misconfigured provider: a corrected account works again within the hour.
const MISCONFIGURED_PERIOD_MAX: Duration = Duration::from_secs(3_600);
/// Limit of the back-off of a misconfigured provider. It is large enough that any `open_duration` from 55 ms on reaches
/// [`MISCONFIGURED_PERIOD_MAX`].
const MISCONFIGURED_FACTOR_MAX: u32 = 65_536;
/// Number of messages in a row that the provider must refuse because of the account before it counts as misconfigured,
/// if it has accepted a message before. A firewall that blocks the texts of one client gives the same answer, so a few
/// refusals are no evidence.
const REFUSED_AFTER_SUCCESS_MIN: u32 = 5;
/// The same number for a provider that has not accepted any message in this process. It is lower, because a wrong
/// account is then more likely.
const REFUSED_BEFORE_SUCCESS_MIN: u32 = 2;
/// First cooldown after a throttled call whose response names no time. Doubles while probes are throttled.
const COOLDOWN_DEFAULT: Duration = Duration::from_secs(1);
/// Limit of the doubling: 8 s.
const COOLDOWN_DOUBLINGS_MAX: u32 = 3;
/// The back-off factor of a cooldown. If the probe after the cooldown fails for another reason, that failure is only
/// the first of a series and does not open the circuit by itself.
pub const COOLDOWN_FACTOR: u32 = 0;
/// Shortest time after which a probe without a result counts as lost.
const PROBE_TIMEOUT_MIN: Duration = Duration::from_secs(60);
/// Largest plausible difference between the clocks of two processes. A time that is further in the future comes from a
/// wrong clock. A smaller difference is possible: a process that was suspended may still use the time from before.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(3_600);

/// The circuit breaker of one provider.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    failure_threshold: u32,
    open_duration: Duration,
    /// Results of the latest calls while the circuit is closed.
    window: CallWindow,
    /// Number of consecutive calls that were refused because of the account. Repeated calls for the same message count
    /// once.
    refused_in_row: u32,
    last_refused: Option<MessageId>,
    /// Cooldowns since the last success.
    cooldowns_in_row: u32,
    /// True once this process has seen a success.
    has_succeeded: bool,
    state: CircuitState,
}

/// The state of a circuit, as processes share it.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CircuitState {
    /// Calls are allowed.
    Closed,
    /// Too many calls failed, or the provider asked for a pause; no calls are allowed.
    Open {
        /// The time of the next probe.
        until: DateTime<Utc>,
        /// The length of this pause as a multiple of the first pause; 0 if the provider asked for the pause.
        backoff_factor: u32,
    },
    /// One process makes a probe.
    HalfOpen {
        /// The start of the probe.
        since: DateTime<Utc>,
        /// The length of the pause before the probe, as in [`CircuitState::Open`].
        backoff_factor: u32,
    },
    /// The provider rejects our account or settings; no calls are allowed.
    Misconfigured {
        /// The reason that the provider gave.
        reason: String,
        /// The time of the next probe.
        until: DateTime<Utc>,
        /// The length of this pause as a multiple of the first pause; 1 when the state begins.
        backoff_factor: u32,
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
}

impl CircuitBreaker {
    /// Returns a closed breaker that opens after `failure_threshold` failures in its window, first for `open_duration`.
    pub fn new(failure_threshold: u32, open_duration: Duration) -> Self {
        Self {
            failure_threshold,
            open_duration,
            window: CallWindow::default(),
            refused_in_row: 0,
            last_refused: None,
            cooldowns_in_row: 0,
            has_succeeded: false,
            state: CircuitState::Closed,
        }
    }

    /// Returns whether [`CircuitBreaker::admit`] would allow a call. Changes nothing.
    pub fn is_available(&self, now: DateTime<Utc>) -> bool {
        self.state == CircuitState::Closed || self.state.is_probe_due(self.probe_timeout(), now)
    }

    /// Requests one call. After the open period, exactly one call is allowed until its result is recorded.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Admission {
        let (until, backoff_factor) = match &self.state {
            CircuitState::Closed => return Admission::Allowed,
            CircuitState::Open { until, backoff_factor }
            | CircuitState::Misconfigured { until, backoff_factor, .. } => (*until, *backoff_factor),
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

    /// Records a call to which the provider responded, even if the provider rejected the message. Closes the circuit. A
    /// call that began before the circuit opened does not close it.
    pub fn record_success(&mut self, now: DateTime<Utc>) {
        (self.has_succeeded, self.refused_in_row, self.last_refused) = (true, 0, None);
        match self.state {
            CircuitState::Closed => {
                self.cooldowns_in_row = 0;
                self.window.record(true, now);
            }
            CircuitState::HalfOpen { .. } | CircuitState::Misconfigured { .. } => self.reset(),
            CircuitState::Open { .. } => {}
        }
    }

    /// Records a call that failed because of the provider.
    pub fn record_failure(&mut self, now: DateTime<Utc>) {
        match self.state {
            CircuitState::Closed => {
                self.window.record(false, now);
                if self.window.is_failing(self.failure_threshold) {
                    self.open(1, now);
                }
            }
            CircuitState::HalfOpen { backoff_factor: COOLDOWN_FACTOR, .. } => {
                self.state = CircuitState::Closed;
                self.record_failure(now);
            }
            CircuitState::HalfOpen { backoff_factor, .. } => {
                self.open(doubled(backoff_factor, BACKOFF_FACTOR_MAX), now);
            }
            // The call began before the circuit opened.
            CircuitState::Open { .. } | CircuitState::Misconfigured { .. } => {}
        }
    }

    /// Records a call that was refused because of our account or settings. The provider is misconfigured when several
    /// messages in a row were refused; before that, the call is a failure like any other. Repeated calls for the same
    /// `message` count once.
    pub fn record_refused(
        &mut self,
        reason: impl Into<String>,
        message: Option<MessageId>,
        now: DateTime<Utc>,
    ) {
        let was_misconfigured = self.refused_in_row >= self.refused_min();
        if message.is_none() || self.last_refused != message {
            self.refused_in_row = self.refused_in_row.saturating_add(1);
            self.last_refused = message;
        }
        if self.refused_in_row < self.refused_min() {
            self.record_failure(now);
            return;
        }
        let backoff_factor = match self.state {
            CircuitState::Misconfigured { .. } => return,
            CircuitState::HalfOpen { backoff_factor, .. } if was_misconfigured => {
                doubled(backoff_factor, MISCONFIGURED_FACTOR_MAX)
            }
            CircuitState::Closed | CircuitState::Open { .. } | CircuitState::HalfOpen { .. } => 1,
        };
        let period_max = MISCONFIGURED_PERIOD_MAX.max(self.open_duration);
        let period = self.open_duration.saturating_mul(backoff_factor).min(period_max);
        let until = saturating_add(now, period);
        self.state = CircuitState::Misconfigured { reason: reason.into(), until, backoff_factor };
    }

    /// Records a call that was too fast for the provider, and returns the end of the cooldown: `retry_after` from now,
    /// or a delay that doubles while probes are throttled. The first call after the cooldown is a probe.
    pub fn record_throttled(&mut self, retry_after: Option<Duration>, now: DateTime<Utc>) -> DateTime<Utc> {
        // The calls that were in flight at the same time are throttled too; together they count once.
        if matches!(self.state, CircuitState::Closed | CircuitState::HalfOpen { .. }) {
            self.cooldowns_in_row = self.cooldowns_in_row.saturating_add(1);
        }
        let doublings = self.cooldowns_in_row.saturating_sub(1).min(COOLDOWN_DOUBLINGS_MAX);
        let cooldown = retry_after.unwrap_or(COOLDOWN_DEFAULT * (1 << doublings));
        let cooldown_until = saturating_add(now, cooldown);
        let (until, backoff_factor) = match self.state {
            CircuitState::Closed => (cooldown_until, COOLDOWN_FACTOR),
            CircuitState::HalfOpen { backoff_factor, .. } => (cooldown_until, backoff_factor),
            CircuitState::Open { until, backoff_factor } => (until.max(cooldown_until), backoff_factor),
            CircuitState::Misconfigured { .. } => return cooldown_until,
        };
        self.state = CircuitState::Open { until, backoff_factor };
        cooldown_until
    }

    /// Closes the circuit from any state.
    pub fn reset(&mut self) {
        self.state = CircuitState::Closed;
        self.window.clear();
        (self.refused_in_row, self.last_refused, self.cooldowns_in_row) = (0, None, 0);
    }

    /// Returns whether a probe is running.
    pub fn is_half_open(&self) -> bool {
        matches!(self.state, CircuitState::HalfOpen { .. })
    }

    /// Returns the state, which the processes share.
    pub fn state(&self) -> &CircuitState {
        &self.state
    }

    /// Replaces the state by the state that the processes share. If both are closed, the counted calls of this process
    /// are kept.
    pub fn load_shared(&mut self, shared: &CircuitState) {
        if self.state != CircuitState::Closed && *shared == CircuitState::Closed {
            self.reset();
        }
        if matches!(shared, CircuitState::Misconfigured { .. }) {
            self.refused_in_row = self.refused_in_row.max(self.refused_min());
        }
        self.state = shared.clone();
    }

    fn open(&mut self, backoff_factor: u32, now: DateTime<Utc>) {
        self.window.clear();
        self.state = CircuitState::Open {
            until: saturating_add(now, self.open_duration.saturating_mul(backoff_factor)),
            backoff_factor,
        };
    }

    fn refused_min(&self) -> u32 {
        if self.has_succeeded { REFUSED_AFTER_SUCCESS_MIN } else { REFUSED_BEFORE_SUCCESS_MIN }
    }

    /// Returns the time after which a probe without a result counts as lost.
    pub fn probe_timeout(&self) -> Duration {
        self.open_duration.max(PROBE_TIMEOUT_MIN)
    }
}

fn doubled(backoff_factor: u32, factor_max: u32) -> u32 {
    backoff_factor.saturating_mul(2).clamp(1, factor_max)
}

/// Returns whether the open period until `until` is over, so that a probe may start. If `until` is further away than
/// any breaker sets it, it comes from a wrong clock and counts as over.
fn is_open_period_over(until: DateTime<Utc>, probe_timeout: Duration, now: DateTime<Utc>) -> bool {
    let period_max = probe_timeout.saturating_mul(BACKOFF_FACTOR_MAX).max(MISCONFIGURED_PERIOD_MAX);
    let open_period_max = period_max.saturating_add(CLOCK_SKEW_MAX);
    until <= now || until > saturating_add(now, open_period_max)
}

/// Returns whether the probe that began at `since` counts as lost: its timeout has passed, or `since` comes from a
/// wrong clock.
fn is_probe_expired(since: DateTime<Utc>, probe_timeout: Duration, now: DateTime<Utc>) -> bool {
    saturating_add(since, probe_timeout) <= now || since > saturating_add(now, CLOCK_SKEW_MAX)
}

impl CircuitState {
    /// Returns the name in stores and metrics.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Returns whether the next call may be the probe: the pause is over, or the running probe counts as lost.
    pub fn is_probe_due(&self, probe_timeout: Duration, now: DateTime<Utc>) -> bool {
        match self {
            Self::Closed => false,
            Self::Open { until, .. } | Self::Misconfigured { until, .. } => {
                is_open_period_over(*until, probe_timeout, now)
            }
            Self::HalfOpen { since, .. } => is_probe_expired(*since, probe_timeout, now),
        }
    }

    /// Returns the length of the pause before the next probe as a multiple of the first pause; none if the circuit is
    /// closed.
    pub fn backoff_factor(&self) -> Option<u32> {
        match self {
            Self::Closed => None,
            Self::Open { backoff_factor, .. }
            | Self::HalfOpen { backoff_factor, .. }
            | Self::Misconfigured { backoff_factor, .. } => Some(*backoff_factor),
        }
    }

    /// Returns the name of the state and a sentence, for operators. An open period that is over is shown as
    /// `half_open`: the next message probes the provider.
    pub fn description(&self, now: DateTime<Utc>) -> (&'static str, String) {
        let text = match self {
            Self::Closed => "circuit closed".to_owned(),
            Self::Open { until, backoff_factor: COOLDOWN_FACTOR } if *until > now => {
                format!("the provider asked us to wait until {}", clock_time(*until))
            }
            Self::Open { until, .. } if *until > now => {
                format!("circuit open after repeated failures until {}", clock_time(*until))
            }
            Self::Open { .. } => {
                return (
                    HALF_OPEN,
                    "the open period is over; the next message probes the provider".to_owned(),
                );
            }
            Self::HalfOpen { .. } => "circuit half-open; one probe call is running".to_owned(),
            Self::Misconfigured { reason, until, .. } => {
                let next_probe = if *until > now {
                    format!("a message after {} probes it", clock_time(*until))
                } else {
                    "the next message probes it".to_owned()
                };
                format!("misconfigured: the provider rejects our account or settings: {reason}; {next_probe}")
            }
        };
        (self.as_str(), text)
    }
}

/// Name of [`CircuitState::HalfOpen`].
const HALF_OPEN: &str = "half_open";

/// Returns the time of day as text for operators.
pub(crate) fn clock_time(time: DateTime<Utc>) -> String {
    time.format("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests;
