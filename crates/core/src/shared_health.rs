//! What the processes that share a store know of a provider together: how it does, and until when it is paused.
//!
//! Each process judges by its own calls and tells what changed; the rules here decide what is kept of that, whoever
//! comes first. The store keeps the result under a lock; nothing here knows how.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::circuit_breaker::{CLOCK_SKEW_MAX, CircuitState, is_open_period_over, is_probe_expired};
use crate::clock::saturating_add;
use crate::name::ConfigName;

/// The longest pause: a provider that asks for more is asked again after that.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Processes that read their configuration within this time of each other were started together: what is wrong with a
/// provider is news once for all of them.
const SAME_START_WINDOW: Duration = Duration::from_secs(60);

/// What one process has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Of which provider.
    pub provider: ConfigName,
    /// How it does, when this process has found out something new.
    pub circuit: Option<CircuitState>,
    /// The provider asked to be left alone until then.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// When this process read its configuration. Wrong settings that were found before then may have been mended.
    pub config_loaded_at: DateTime<Utc>,
}

/// What is known together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedHealth {
    /// Of which provider.
    pub provider: ConfigName,
    /// How it does.
    pub circuit: CircuitState,
    /// The provider asked to be left alone until then.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// When `told` changed. Who is out is so for those whose configuration is no newer than that of the newest process
    /// that found it out: then it is the moment when that one read its configuration.
    pub since: DateTime<Utc>,
    /// Greater with every change.
    pub version: i64,
}

impl SharedHealth {
    /// What is known after the news; `known` is none before the first.
    pub fn after(known: Option<Self>, news: HealthReport, now: DateTime<Utc>) -> Self {
        let found_at = match news.circuit {
            Some(CircuitState::Misconfigured { .. }) => news.config_loaded_at,
            _ => now,
        };
        let Some(known) = known else {
            return Self {
                provider: news.provider,
                circuit: news.circuit.unwrap_or(CircuitState::Closed),
                cooldown_until: news.cooldown_until,
                since: found_at,
                version: 1,
            };
        };
        let told = match &news.circuit {
            None => known.circuit.clone(),
            Some(told) if known.applies_to(news.config_loaded_at, now) => {
                merge_circuits(&known.circuit, told.clone())
            }
            Some(told) => told.clone(),
        };
        let since = if told != known.circuit || (news.circuit.is_some() && known.is_from_future(now)) {
            found_at
        } else if matches!(news.circuit, Some(CircuitState::Misconfigured { .. })) {
            known.since.max(found_at)
        } else {
            known.since
        };
        let paused_until = known
            .cooldown_until
            .filter(|until| !is_cooldown_implausible(*until, now));
        let after = Self {
            provider: known.provider.clone(),
            circuit: told,
            cooldown_until: paused_until.max(news.cooldown_until),
            since,
            version: known.version,
        };
        if after == known {
            return known;
        }
        Self {
            version: known.version + 1,
            ..after
        }
    }

    /// What is known once whoever asks makes the probe; none when it is not his to make: the provider rests, is well
    /// already, or another is making it.
    pub fn with_probe_started(&self, patience: Duration, now: DateTime<Utc>) -> Option<Self> {
        let (is_free, times) = match &self.circuit {
            CircuitState::Open {
                until,
                backoff_factor: times,
            } => (is_open_period_over(*until, patience, now), *times),
            CircuitState::HalfOpen {
                since,
                backoff_factor: times,
            } => (is_probe_expired(*since, patience, now), *times),
            CircuitState::Closed | CircuitState::Misconfigured { .. } => return None,
        };
        (is_free || self.is_from_future(now)).then(|| Self {
            circuit: CircuitState::HalfOpen {
                since: now,
                backoff_factor: times,
            },
            since: now,
            version: self.version + 1,
            ..self.clone()
        })
    }

    /// What is known once an operator wants it to be asked again. A pause that the provider asked for stays.
    pub fn resumed(&self, now: DateTime<Utc>) -> Self {
        Self {
            circuit: CircuitState::Closed,
            since: now,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// Whether it concerns a process that read its configuration at `loaded_at`.
    pub fn applies_to(&self, loaded_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        !self.is_from_future(now)
            && (!matches!(self.circuit, CircuitState::Misconfigured { .. }) || self.since >= loaded_at)
    }

    /// Whether only a clock that was wrong can have told it.
    fn is_from_future(&self, now: DateTime<Utc>) -> bool {
        self.since > saturating_add(now, CLOCK_SKEW_MAX)
    }
}

/// Whether a provider that asked to be left alone until then is to be left alone at `now`. A pause that is longer than
/// any can be was told by a clock that was wrong.
pub fn is_cooldown_active(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > now && !is_cooldown_implausible(until, now)
}

fn is_cooldown_implausible(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > saturating_add(now, COOLDOWN_MAX + CLOCK_SKEW_MAX)
}

/// What came of telling news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedHealth {
    /// What is known together now.
    pub shared: SharedHealth,
    /// Whether the news changed how the provider does: of all who find out the same, one is told so. Wrong settings that
    /// are found again after another start are news again.
    pub is_new: bool,
}

impl ReportedHealth {
    /// What comes of the news; `known` is none before the first.
    pub fn after(known: Option<SharedHealth>, news: HealthReport, now: DateTime<Utc>) -> Self {
        let before = known.as_ref().map(|known| (known.circuit.clone(), known.since));
        let is_new_start = before.as_ref().is_some_and(|(_, since)| {
            news.circuit.is_some() && news.config_loaded_at > saturating_add(*since, SAME_START_WINDOW)
        });
        let is_out = |told: &CircuitState| matches!(told, CircuitState::Misconfigured { .. });
        let known = SharedHealth::after(known, news, now);
        let is_news = match before {
            None => true,
            Some((told, _)) if is_out(&told) && is_out(&known.circuit) => is_new_start,
            Some((told, _)) => told != known.circuit,
        };
        Self {
            shared: known,
            is_new: is_news,
        }
    }
}

/// The longer of two rests counts, and who is out stays out; otherwise the newest word does.
fn merge_circuits(known: &CircuitState, news: CircuitState) -> CircuitState {
    match (known, news) {
        (CircuitState::Misconfigured { reason }, _) => CircuitState::Misconfigured {
            reason: reason.clone(),
        },
        (
            CircuitState::Open {
                until,
                backoff_factor: times,
            },
            CircuitState::Open {
                until: new,
                backoff_factor: t,
            },
        ) => CircuitState::Open {
            until: new.max(*until),
            backoff_factor: t.max(*times),
        },
        (
            CircuitState::HalfOpen {
                backoff_factor: times,
                ..
            },
            CircuitState::Open {
                until,
                backoff_factor: t,
            },
        ) => CircuitState::Open {
            until,
            backoff_factor: t.max(*times),
        },
        (CircuitState::Closed | CircuitState::Open { .. } | CircuitState::HalfOpen { .. }, news) => news,
    }
}

#[cfg(test)]
mod tests;
