//! Circuit breaker of a provider in this process, with the changes that other processes do not know yet.
//!
//! Shared health never overwrites a change that this process has not reported yet. This module has no access to the
//! store.

use postrider_core::circuit_breaker::{CircuitBreaker, CircuitState};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth, is_cooldown_active};
use postrider_core::{clock::Timestamp, name::ConfigName};

/// State of a provider that an operator has paused, shown instead of the state of its circuit breaker.
pub const PAUSED: &str = "paused";

/// Circuit breaker, cooldown and pause of one provider.
pub struct ProviderCircuit {
    /// The circuit breaker.
    pub breaker: CircuitBreaker,
    cooldown_until: Option<Timestamp>,
    /// Provider code of the response that opened the breaker as misconfigured.
    pub misconfigured_code: Option<String>,
    /// New circuit state, found by this process and not reported yet.
    unreported: Option<CircuitState>,
    /// True if a report was sent without an answer from the store.
    is_report_uncertain: bool,
    is_cooldown_unreported: bool,
    /// Version of the newest shared health that was loaded.
    version: i64,
    /// Latest pause or resume by an operator.
    control: Option<ProviderControl>,
}

impl ProviderCircuit {
    /// Creates the state of a provider without cooldown, pause and unreported changes.
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self {
            breaker,
            cooldown_until: None,
            misconfigured_code: None,
            unreported: None,
            is_report_uncertain: false,
            is_cooldown_unreported: false,
            version: 0,
            control: None,
        }
    }

    /// Returns whether calls are allowed: not paused, no cooldown, breaker permits.
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.active_pause().is_none() && self.cooldown_until(now).is_none() && self.breaker.is_available(now)
    }

    /// Returns whether the provider may be probed before the end of its open period: not paused, no cooldown, and not
    /// opened just now.
    pub fn is_early_probe_allowed(&self, now: Timestamp) -> bool {
        self.active_pause().is_none()
            && self.cooldown_until(now).is_none()
            && self.breaker.is_early_probe_allowed(now)
    }

    /// Returns the end of the cooldown if it is active at `now`.
    pub fn cooldown_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.cooldown_until.filter(|until| is_cooldown_active(*until, now))
    }

    /// Returns the pause by an operator while it is in force.
    pub fn active_pause(&self) -> Option<&ProviderControl> {
        self.control.as_ref().filter(|control| control.action == ControlAction::Pause)
    }

    /// Applies a pause or resume. A resume resets the breaker, but not the cooldown. A resume older than
    /// `loaded_at`, when this process read its configuration, has no effect on the breaker.
    pub fn apply_control(&mut self, control: &ProviderControl, loaded_at: Timestamp) {
        if self.control.as_ref() == Some(control) {
            return;
        }
        if control.action == ControlAction::Resume && control.at >= loaded_at {
            self.breaker.reset();
            self.misconfigured_code = None;
            self.unreported = None;
            self.is_report_uncertain = false;
        }
        self.control = Some(control.clone());
    }

    /// Starts a cooldown until `until`; a longer cooldown stays.
    pub fn start_cooldown(&mut self, until: Timestamp) {
        if self.cooldown_until.is_none_or(|current_end| current_end < until) {
            self.cooldown_until = Some(until);
            self.is_cooldown_unreported = true;
        }
    }

    /// Opens the breaker as misconfigured. The first reason is kept; calls that were in flight add nothing.
    pub fn record_misconfigured(&mut self, reason: &str, code: Option<&str>) {
        if !matches!(self.breaker.state(), CircuitState::Misconfigured { .. }) {
            self.misconfigured_code = code.map(str::to_owned);
            self.breaker.record_misconfigured(reason);
        }
    }

    /// Records that a report was sent and the store has not confirmed it.
    pub fn mark_report_uncertain(&mut self) {
        self.is_report_uncertain = true;
    }

    /// Returns whether `report` is worth a log line: a misconfiguration that no other process has reported, or may not
    /// have reported (a duplicate line is better than a missing line).
    pub fn is_worth_logging(&mut self, report: &HealthReport, response: &ReportedHealth) -> bool {
        let was_uncertain = std::mem::take(&mut self.is_report_uncertain);
        matches!(report.circuit, Some(CircuitState::Misconfigured { .. }))
            && (response.is_new || was_uncertain)
    }

    /// Applies a change and returns whether there is something new to report.
    pub fn update(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let (state_before, cooldown_before) = (self.breaker.state().clone(), self.cooldown_until);
        change(self);
        let is_state_changed = *self.breaker.state() != state_before;
        if is_state_changed {
            self.unreported = Some(self.breaker.state().clone());
        }
        is_state_changed || self.cooldown_until != cooldown_before
    }

    /// Returns the health that other processes do not know yet.
    pub fn unreported_health(&self, provider: &ConfigName, loaded_at: Timestamp) -> Option<HealthReport> {
        (self.unreported.is_some() || self.is_cooldown_unreported).then(|| HealthReport {
            provider: provider.clone(),
            circuit: self.unreported.clone(),
            cooldown_until: self.cooldown_until,
            config_loaded_at: loaded_at,
        })
    }

    /// Records that the report was stored, and loads the shared health. Changes made since the report stay
    /// unreported.
    pub fn confirm_reported(&mut self, report: &HealthReport, shared: &SharedHealth, now: Timestamp) {
        if self.cooldown_until == report.cooldown_until {
            self.is_cooldown_unreported = false;
        }
        if self.unreported == report.circuit {
            self.unreported = None;
            self.load_health(shared, report.config_loaded_at, now);
        }
    }

    /// Loads shared health, unless a newer version was loaded, the health does not apply any more, or a local change is
    /// unreported.
    pub fn load_health(&mut self, shared: &SharedHealth, loaded_at: Timestamp, now: Timestamp) {
        self.cooldown_until = self.cooldown_until.max(shared.cooldown_until);
        if shared.version > self.version && self.unreported.is_none() {
            self.version = shared.version;
            if shared.applies_to(loaded_at, now) {
                self.breaker.load_shared(&shared.circuit);
            }
        }
    }

    /// Opens the circuit again until `until`, because the probe could not be made.
    pub fn reopen(&mut self, until: Timestamp) {
        if let CircuitState::HalfOpen { backoff_factor, .. } = *self.breaker.state() {
            self.breaker.load_shared(&CircuitState::Open { until, backoff_factor });
        }
    }
}
