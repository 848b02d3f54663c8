//! The state of a provider that all processes on a store share: its circuit and its cooldown.
//!
//! Each process updates its own circuit after its own calls and reports the changes. The rules here merge reports, in
//! any order, into the shared state; the store applies them under a lock.

mod early_probe;

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::circuit_breaker::{CLOCK_SKEW_MAX, CircuitState, clock_time};
use crate::clock::saturating_add;
use crate::name::ConfigName;

/// Longest cooldown that can be configured: a provider that requests a longer one is called again after this time. Quotas
/// are mostly counted by day.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Processes that load their configuration within this time count as started together. If they all find the same
/// provider misconfigured, only the first report is new.
const SAME_START_WINDOW: Duration = Duration::from_secs(60);

/// The report of one process about a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// The provider.
    pub provider: ConfigName,
    /// The new state of its circuit; none if the circuit did not change.
    pub circuit: Option<CircuitState>,
    /// The end of the cooldown that the provider asked for; none if the cooldown did not change.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// The time at which this process loaded its configuration, which may correct settings that were wrong before.
    pub config_loaded_at: DateTime<Utc>,
}

/// The shared state of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedHealth {
    /// The provider.
    pub provider: ConfigName,
    /// The state of its circuit.
    pub circuit: CircuitState,
    /// The end of the cooldown that the provider asked for.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// The time at which `circuit` changed. For a misconfigured provider: the time at which the newest reporting
    /// process loaded its configuration. The state then applies only to configurations that are not newer than this
    /// time.
    pub since: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
}

impl SharedHealth {
    /// Merges a report into the shared state. `current_health` is none before the first report.
    pub fn after(current_health: Option<Self>, report: HealthReport, now: DateTime<Utc>) -> Self {
        let is_reported_misconfigured = report.circuit.as_ref().is_some_and(is_misconfigured);
        let reported_since = if is_reported_misconfigured { report.config_loaded_at } else { now };
        let Some(current_health) = current_health else {
            return Self {
                provider: report.provider,
                circuit: report.circuit.unwrap_or(CircuitState::Closed),
                cooldown_until: report.cooldown_until,
                since: reported_since,
                version: 1,
            };
        };
        let circuit = match &report.circuit {
            None => current_health.circuit.clone(),
            Some(circuit) if current_health.applies_to(report.config_loaded_at, now) => {
                merge_circuits(&current_health.circuit, circuit.clone())
            }
            Some(circuit) => circuit.clone(),
        };
        let since = if circuit != current_health.circuit
            || (report.circuit.is_some() && current_health.is_from_future(now))
        {
            reported_since
        } else if is_reported_misconfigured {
            current_health.since.max(reported_since)
        } else {
            current_health.since
        };
        let cooldown_until =
            current_health.cooldown_until.filter(|until| !is_cooldown_implausible(*until, now));
        let merged = Self {
            provider: current_health.provider.clone(),
            circuit,
            cooldown_until: cooldown_until.max(report.cooldown_until),
            since,
            version: current_health.version,
        };
        if merged == current_health {
            return current_health;
        }
        Self { version: current_health.version + 1, ..merged }
    }

    /// Returns the state in which the calling process makes the probe. None if the process may not probe: the circuit
    /// is closed or not due for a probe, or another process is probing.
    pub fn with_probe_started(&self, probe_timeout: Duration, now: DateTime<Utc>) -> Option<Self> {
        let backoff_factor = self.circuit.backoff_factor()?;
        (self.circuit.is_probe_due(probe_timeout, now) || self.is_from_future(now))
            .then(|| self.with_circuit(CircuitState::HalfOpen { since: now, backoff_factor }, now))
    }

    /// Returns the state after an operator has resumed the provider, which also ends its cooldown. None if the circuit is
    /// closed and there is no cooldown.
    pub fn resumed(&self, now: DateTime<Utc>) -> Option<Self> {
        if self.circuit == CircuitState::Closed && self.cooldown_until.is_none() {
            return None;
        }
        Some(Self { cooldown_until: None, ..self.with_circuit(CircuitState::Closed, now) })
    }

    /// Returns the name of the state and a sentence, for people.
    pub fn description(&self, now: DateTime<Utc>) -> (&'static str, String) {
        describe_health(&self.circuit, self.cooldown_until, now)
    }

    fn with_circuit(&self, circuit: CircuitState, now: DateTime<Utc>) -> Self {
        Self { circuit, since: now, version: self.version + 1, ..self.clone() }
    }

    /// Returns whether the state applies to a process that loaded its configuration at `config_loaded_at`.
    pub fn applies_to(&self, config_loaded_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        !self.is_from_future(now) && (!is_misconfigured(&self.circuit) || self.since >= config_loaded_at)
    }

    /// Returns whether the state comes from a wrong clock.
    fn is_from_future(&self, now: DateTime<Utc>) -> bool {
        self.since > saturating_add(now, CLOCK_SKEW_MAX)
    }
}

/// Name of the state of a provider in a cooldown, shown instead of the state of its circuit.
pub const COOLDOWN: &str = "cooldown";

/// Returns the name of a provider's state and a sentence, for people: the cooldown, unless the circuit is open for longer
/// or the provider is misconfigured.
pub fn describe_health(
    circuit: &CircuitState,
    cooldown_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> (&'static str, String) {
    let Some(cooldown_until) = cooldown_until.filter(|until| is_cooldown_active(*until, now)) else {
        return circuit.description(now);
    };
    match circuit {
        CircuitState::Misconfigured { .. } => circuit.description(now),
        CircuitState::Open { until, .. } if *until > cooldown_until => circuit.description(now),
        CircuitState::Closed | CircuitState::Open { .. } | CircuitState::HalfOpen { .. } => {
            let end = clock_time(cooldown_until);
            (COOLDOWN, format!("cooldown until {end}: the provider asked us to wait (throttled)"))
        }
    }
}

/// Returns whether a cooldown until `until` is in force at `now`. A cooldown longer than [`COOLDOWN_MAX`] comes from a
/// wrong clock and is ignored.
pub fn is_cooldown_active(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > now && !is_cooldown_implausible(until, now)
}

fn is_cooldown_implausible(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > saturating_add(now, COOLDOWN_MAX + CLOCK_SKEW_MAX)
}

/// The result of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedHealth {
    /// The shared state after the report.
    pub shared: SharedHealth,
    /// True if the report changed the circuit. If several processes report the same state, only one of them gets
    /// `true`. Settings that are still wrong after another start are reported as new again.
    pub is_new: bool,
}

impl ReportedHealth {
    /// Merges a report as [`SharedHealth::after`] does and decides whether it is new.
    pub fn after(current: Option<SharedHealth>, report: HealthReport, now: DateTime<Utc>) -> Self {
        let previous_health = current.clone();
        let is_new_start = previous_health.as_ref().is_some_and(|previous_health| {
            report.circuit.is_some()
                && report.config_loaded_at > saturating_add(previous_health.since, SAME_START_WINDOW)
        });
        let shared = SharedHealth::after(current, report, now);
        let is_new = match previous_health.map(|health| health.circuit) {
            None => true,
            Some(previous_circuit)
                if is_misconfigured(&previous_circuit) && is_misconfigured(&shared.circuit) =>
            {
                is_new_start
            }
            Some(previous_circuit) => previous_circuit != shared.circuit,
        };
        Self { shared, is_new }
    }
}

fn is_misconfigured(circuit: &CircuitState) -> bool {
    matches!(circuit, CircuitState::Misconfigured { .. })
}

/// Merges a reported circuit into the current one. The reported state wins, with two exceptions: of two pauses of the
/// same kind the longer one wins, and a misconfigured provider stays misconfigured when another process reports an open
/// circuit.
fn merge_circuits(current: &CircuitState, reported: CircuitState) -> CircuitState {
    match (current, reported) {
        (
            CircuitState::Misconfigured { reason, until: current_until, backoff_factor: current_factor },
            CircuitState::Misconfigured { until, backoff_factor, .. },
        ) => CircuitState::Misconfigured {
            reason: reason.clone(),
            until: until.max(*current_until),
            backoff_factor: backoff_factor.max(*current_factor),
        },
        (CircuitState::Misconfigured { .. }, CircuitState::Open { .. }) => current.clone(),
        (
            CircuitState::Open { until: current_until, backoff_factor: current_factor },
            CircuitState::Open { until, backoff_factor },
        ) => CircuitState::Open {
            until: until.max(*current_until),
            backoff_factor: backoff_factor.max(*current_factor),
        },
        (
            CircuitState::HalfOpen { backoff_factor: current_factor, .. },
            CircuitState::Open { until, backoff_factor },
        ) => CircuitState::Open { until, backoff_factor: backoff_factor.max(*current_factor) },
        (
            _,
            reported @ (CircuitState::Closed
            | CircuitState::HalfOpen { .. }
            | CircuitState::Misconfigured { .. }),
        )
        | (CircuitState::Closed, reported @ CircuitState::Open { .. }) => reported,
    }
}

#[cfg(test)]
mod tests;
