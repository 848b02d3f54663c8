//! Whether a provider is fit to be asked, judged by how its last calls went.
//!
//! Several failures in a row give it a rest; then one call, the probe, finds out whether it is back. Wrong
//! settings put it out until the configuration is loaded again. Never waits and never calls anybody.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::saturating_add;

/// A rest grows with each failed probe, up to so many times the first one.
const BACKOFF_FACTOR_MAX: u32 = 8;
/// A probe that was never answered counts as lost after the first rest, but not sooner than this.
const PROBE_TIMEOUT_MIN: Duration = Duration::from_secs(60);
/// What lies further ahead than this was told by a clock that was wrong. Less than that can be somebody who was held up:
/// a worker that wakes late still has the time at which it fell asleep.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(3_600);

/// The health of one provider.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    failure_threshold: u32,
    open_duration: Duration,
    state: BreakerState,
}

#[derive(Clone, Debug)]
enum BreakerState {
    Closed {
        failures: u32,
    },
    Open {
        until: DateTime<Utc>,
        backoff_factor: u32,
    },
    HalfOpen {
        since: DateTime<Utc>,
        backoff_factor: u32,
    },
    Misconfigured {
        reason: String,
    },
}

/// What one process tells the others of a provider's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// It works.
    Closed,
    /// It failed too often and gets no calls.
    Open {
        /// Until then.
        until: DateTime<Utc>,
        /// How much longer than the first rest this one is.
        backoff_factor: u32,
    },
    /// One process is finding out whether it is back.
    HalfOpen {
        /// Since then.
        since: DateTime<Utc>,
        /// As in [`Told::Resting`].
        backoff_factor: u32,
    },
    /// Its account or settings are wrong.
    Misconfigured {
        /// What it objects to.
        reason: String,
    },
}

/// The answer to "may I ask it now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Allowed,
    /// Yes, and yours is the one call that finds out whether it is back. It has to be reported.
    Probe,
    /// No: it rests, or another call is finding out.
    CircuitOpen {
        /// When asking again makes sense.
        until: DateTime<Utc>,
    },
    /// No, not before the configuration is loaded again.
    Misconfigured,
}

/// How a provider stands, for pages and `console status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CircuitStatus {
    /// Its last call went well, or too few failed to worry.
    Closed,
    /// It gets no calls for a while.
    Open {
        /// Until then.
        until: DateTime<Utc>,
    },
    /// One call is finding out whether it is back.
    HalfOpen,
    /// Its account or settings are wrong.
    Misconfigured {
        /// What it objects to.
        reason: String,
    },
}

impl CircuitBreaker {
    /// A provider nothing bad is known of. It rests after `rest_after` failures in a row, first for `rest_for`.
    pub fn new(rest_after: u32, rest_for: Duration) -> Self {
        Self {
            failure_threshold: rest_after,
            open_duration: rest_for,
            state: BreakerState::Closed { failures: 0 },
        }
    }

    /// Whether [`Health::admit`] would let a call through; changes nothing.
    pub fn is_available(&self, now: DateTime<Utc>) -> bool {
        match &self.state {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { until, .. } => is_open_period_over(*until, self.probe_timeout(), now),
            BreakerState::HalfOpen { since, .. } => is_probe_expired(*since, self.probe_timeout(), now),
            BreakerState::Misconfigured { .. } => false,
        }
    }

    /// Asks for one call. After a rest, exactly one gets through until its result is reported.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Admission {
        let (times, until) = match &self.state {
            BreakerState::Closed { .. } => return Admission::Allowed,
            BreakerState::Misconfigured { .. } => return Admission::Misconfigured,
            BreakerState::Open {
                until,
                backoff_factor: times,
            } => (*times, *until),
            BreakerState::HalfOpen {
                since,
                backoff_factor: times,
            } => (*times, saturating_add(*since, self.probe_timeout())),
        };
        if !self.is_available(now) {
            return Admission::CircuitOpen { until };
        }
        self.state = BreakerState::HalfOpen {
            since: now,
            backoff_factor: times,
        };
        Admission::Probe
    }

    /// A call went well, whatever was said about the message: the provider works.
    pub fn record_success(&mut self) {
        match self.state {
            BreakerState::Closed { .. } | BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => {
                self.state = BreakerState::Closed { failures: 0 };
            }
            BreakerState::Misconfigured { .. } => {}
        }
    }

    /// A call failed through the provider's fault.
    pub fn record_failure(&mut self, now: DateTime<Utc>) {
        match self.state {
            BreakerState::Closed { failures } if failures + 1 < self.failure_threshold => {
                self.state = BreakerState::Closed {
                    failures: failures + 1,
                };
            }
            BreakerState::Closed { .. } => self.open(1, now),
            BreakerState::HalfOpen {
                backoff_factor: times,
                ..
            } => self.open((times * 2).min(BACKOFF_FACTOR_MAX), now),
            // A call from before the rest: nothing new.
            BreakerState::Open { .. } | BreakerState::Misconfigured { .. } => {}
        }
    }

    /// Its account or settings are wrong; more calls would only annoy it.
    pub fn record_misconfigured(&mut self, reason: impl Into<String>) {
        self.state = BreakerState::Misconfigured {
            reason: reason.into(),
        };
    }

    /// An operator wants it to be asked again, whatever was found out.
    pub fn reset(&mut self) {
        self.state = BreakerState::Closed { failures: 0 };
    }

    /// What others should know.
    pub fn state_to_share(&self) -> CircuitState {
        match &self.state {
            BreakerState::Closed { .. } => CircuitState::Closed,
            BreakerState::Open {
                until,
                backoff_factor: times,
            } => CircuitState::Open {
                until: *until,
                backoff_factor: *times,
            },
            BreakerState::HalfOpen {
                since,
                backoff_factor: times,
            } => CircuitState::HalfOpen {
                since: *since,
                backoff_factor: *times,
            },
            BreakerState::Misconfigured { reason } => CircuitState::Misconfigured {
                reason: reason.clone(),
            },
        }
    }

    /// Takes over what others found out. Failures of our own go on being counted while it is well; who is out stays out,
    /// because our own configuration is the one that was found wrong.
    pub fn load_shared(&mut self, told: &CircuitState) {
        if matches!(self.state, BreakerState::Misconfigured { .. }) {
            return;
        }
        self.state = match (told, &self.state) {
            (CircuitState::Closed, BreakerState::Closed { failures }) => {
                BreakerState::Closed { failures: *failures }
            }
            (CircuitState::Closed, _) => BreakerState::Closed { failures: 0 },
            (
                CircuitState::Open {
                    until,
                    backoff_factor: times,
                },
                _,
            ) => BreakerState::Open {
                until: *until,
                backoff_factor: *times,
            },
            (
                CircuitState::HalfOpen {
                    since,
                    backoff_factor: times,
                },
                _,
            ) => BreakerState::HalfOpen {
                since: *since,
                backoff_factor: *times,
            },
            (CircuitState::Misconfigured { reason }, _) => BreakerState::Misconfigured {
                reason: reason.clone(),
            },
        };
    }

    /// How it stands.
    pub fn status(&self) -> CircuitStatus {
        match &self.state {
            BreakerState::Closed { .. } => CircuitStatus::Closed,
            BreakerState::Open { until, .. } => CircuitStatus::Open { until: *until },
            BreakerState::HalfOpen { .. } => CircuitStatus::HalfOpen,
            BreakerState::Misconfigured { reason } => CircuitStatus::Misconfigured {
                reason: reason.clone(),
            },
        }
    }

    fn open(&mut self, times: u32, now: DateTime<Utc>) {
        self.state = BreakerState::Open {
            until: saturating_add(now, self.open_duration.saturating_mul(times)),
            backoff_factor: times,
        };
    }

    /// How long the result of a probe is waited for before another may be made.
    pub fn probe_timeout(&self) -> Duration {
        self.open_duration.max(PROBE_TIMEOUT_MIN)
    }
}

/// Whether a rest until then is over, among those who wait so long for a probe. One that is longer than any rest can be
/// was told by a clock that was wrong.
pub fn is_open_period_over(until: DateTime<Utc>, patience: Duration, now: DateTime<Utc>) -> bool {
    let longest = patience
        .saturating_mul(BACKOFF_FACTOR_MAX)
        .saturating_add(CLOCK_SKEW_MAX);
    until <= now || until > saturating_add(now, longest)
}

/// Whether a probe that began then has been waited for long enough, or was begun by a clock that was wrong.
pub fn is_probe_expired(since: DateTime<Utc>, patience: Duration, now: DateTime<Utc>) -> bool {
    saturating_add(since, patience) <= now || since > saturating_add(now, CLOCK_SKEW_MAX)
}

impl CircuitStatus {
    /// Every word that [`Standing::word`] says.
    pub const NAMES: [&'static str; 4] = ["closed", "open", "half_open", "misconfigured"];

    /// One word, for machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }

    /// A sentence, for a person.
    pub fn description(&self) -> String {
        match self {
            Self::Closed => "works".to_owned(),
            Self::Open { until } => {
                format!("failed too often; rests until {}", until.format("%H:%M:%S UTC"))
            }
            Self::HalfOpen => "rested; one call is finding out whether it is back".to_owned(),
            Self::Misconfigured { reason } => {
                format!("out until the next start, its account or settings are wrong: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
