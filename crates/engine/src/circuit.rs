//! Circuit breaker of a provider in this process, with the changes that other processes do not know yet.
//!
//! A change that was found here and is not reported yet is never overwritten by shared health. This module
//! neither reads nor writes the store.
use postrider_core::circuit_breaker::{CircuitBreaker, CircuitState};
use postrider_core::clock::Timestamp;
use postrider_core::name::ConfigName;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth, is_cooldown_active};

/// Circuit breaker, cooldown and pause of one provider.
pub struct ProviderCircuit {
    /// The circuit breaker.
    pub breaker: CircuitBreaker,
    cooldown_until: Option<Timestamp>,
    /// Provider code of the response that opened the breaker as misconfigured.
    pub misconfigured_code: Option<String>,
    /// State that was found here and is not reported yet.
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
    /// Creates the state of a provider about which nothing is known yet.
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

    /// Starts a cooldown; a longer one stays.
    pub fn start_cooldown(&mut self, until: Timestamp) {
        if self.cooldown_until.is_none_or(|shared| shared < until) {
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

    /// Notes that it is not known whether the report was stored.
    pub fn mark_report_uncertain(&mut self) {
        self.is_report_uncertain = true;
    }

    /// Returns whether the operator should see a log line about `report`: if no other process has reported
    /// the same, and if that is uncertain (a duplicate line is better than none).
    pub fn is_worth_logging(&mut self, report: &HealthReport, response: &ReportedHealth) -> bool {
        let in_doubt = std::mem::take(&mut self.is_report_uncertain);
        matches!(report.circuit, Some(CircuitState::Misconfigured { .. })) && (response.is_new || in_doubt)
    }

    /// Applies a change and returns whether there is something new to report.
    pub fn update(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let (before, cooldown_before) = (self.breaker.state().clone(), self.cooldown_until);
        change(self);
        let after = self.breaker.state();
        let is_changed = *after != before;
        if is_changed {
            self.unreported = Some(after.clone());
        }
        is_changed || self.cooldown_until != cooldown_before
    }

    /// Returns what other processes do not know yet.
    pub fn unreported_health(&self, provider: &ConfigName, loaded_at: Timestamp) -> Option<HealthReport> {
        (self.unreported.is_some() || self.is_cooldown_unreported).then(|| HealthReport {
            provider: provider.clone(),
            circuit: self.unreported.clone(),
            cooldown_until: self.cooldown_until,
            config_loaded_at: loaded_at,
        })
    }

    /// Notes that the report was stored, and loads the shared health. Changes made since the report stay
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

    /// Loads shared health, unless it is older than what is known, no longer applies, or a local change is
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

    /// Returns to `open` until then, because the probe could not be made.
    pub fn reopen(&mut self, until: Timestamp) {
        if let CircuitState::HalfOpen { backoff_factor, .. } = *self.breaker.state() {
            self.breaker.load_shared(&CircuitState::Open { until, backoff_factor });
        }
    }
}
