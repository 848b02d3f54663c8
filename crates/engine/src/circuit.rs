//! Circuit breaker of a provider in this process, with the changes that were not reported to other processes yet.
//!
//! Shared health never overwrites a change that this process has not reported yet. This module has no access to the
//! store.

use postrider_core::circuit_breaker::{COOLDOWN_FACTOR, CircuitBreaker, CircuitState};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth, is_cooldown_active};
use postrider_core::{clock::Timestamp, id::MessageId, name::ConfigName};
use std::time::Duration;

/// State of a provider that an operator has paused, shown instead of the state of its circuit breaker.
pub const PAUSED: &str = "paused";

/// Circuit breaker, cooldown and pause of one provider.
pub struct ProviderCircuit {
    /// The circuit breaker.
    pub breaker: CircuitBreaker,
    cooldown_until: Option<Timestamp>,
    /// Provider code of the response that opened the breaker as misconfigured.
    pub misconfigured_code: Option<String>,
    /// Time at which this process found the circuit open; none while the circuit is closed.
    opened_at: Option<Timestamp>,
    /// New circuit state, found by this process and not reported yet.
    unreported: Option<CircuitState>,
    /// True if a report was sent and the store did not answer, so that the report may or may not be stored.
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
            opened_at: None,
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

    /// Returns whether the provider may be probed before the end of its open period: not paused, no cooldown, and open
    /// for the minimum delay of an early probe.
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

    /// Applies a pause or resume. A resume resets the breaker and ends the cooldown. A resume older than `loaded_at`, when
    /// this process read its configuration, changes neither.
    pub fn apply_control(&mut self, control: &ProviderControl, loaded_at: Timestamp) {
        if self.control.as_ref() == Some(control) {
            return;
        }
        if control.action == ControlAction::Resume && control.at >= loaded_at {
            self.breaker.reset();
            (self.misconfigured_code, self.opened_at) = (None, None);
            (self.cooldown_until, self.is_cooldown_unreported) = (None, false);
            self.unreported = None;
            self.is_report_uncertain = false;
        }
        self.control = Some(control.clone());
    }

    /// Starts a cooldown until `until`, unless the current cooldown lasts longer.
    fn start_cooldown(&mut self, until: Timestamp) {
        if self.cooldown_until.is_none_or(|current_end| current_end < until) {
            self.cooldown_until = Some(until);
            self.is_cooldown_unreported = true;
        }
    }

    /// Records a call for `message` that was refused because of the account. The first reason and code are kept; later
    /// calls that were already in flight do not replace them.
    pub fn record_refused(
        &mut self,
        reason: &str,
        code: Option<&str>,
        message: Option<MessageId>,
        now: Timestamp,
    ) {
        if !self.is_misconfigured() {
            self.breaker.record_refused(reason, message, now);
            if self.is_misconfigured() {
                self.misconfigured_code = code.map(str::to_owned);
            }
        }
    }

    /// Records a call that was too fast for the provider; the cooldown lasts at most `cooldown_max`.
    pub fn record_throttled(
        &mut self,
        retry_after: Option<Duration>,
        cooldown_max: Duration,
        now: Timestamp,
    ) {
        let retry_after = retry_after.map(|delay| delay.min(cooldown_max));
        let cooldown_until = self.breaker.record_throttled(retry_after, now);
        self.start_cooldown(cooldown_until);
    }

    fn is_misconfigured(&self) -> bool {
        matches!(self.breaker.state(), CircuitState::Misconfigured { .. })
    }

    /// Records that a report was sent and the store has not confirmed it.
    pub fn mark_report_uncertain(&mut self) {
        self.is_report_uncertain = true;
    }

    /// Returns whether `report` is worth a log line: it is a misconfiguration that no other process has reported. If it
    /// is uncertain whether another process has, the line is logged, because a duplicate line is better than a missing
    /// line. A failed probe of a misconfigured provider is not logged.
    pub fn is_worth_logging(&mut self, report: &HealthReport, response: &ReportedHealth) -> bool {
        let was_uncertain = std::mem::take(&mut self.is_report_uncertain);
        matches!(report.circuit, Some(CircuitState::Misconfigured { backoff_factor: 1, .. }))
            && (response.is_new || was_uncertain)
    }

    /// Closes the circuit if the provider accepted a connection after the circuit opened. A cooldown stays in force,
    /// and the call after it is still a probe.
    pub fn record_connection(&mut self, connected_at: Timestamp, now: Timestamp) {
        let is_newer = self.opened_at.is_some_and(|opened_at| opened_at < connected_at);
        let is_throttled = self.breaker.state().backoff_factor() == Some(COOLDOWN_FACTOR);
        if is_newer && !is_throttled && self.cooldown_until(now).is_none() {
            self.breaker.reset();
        }
    }

    /// Applies a change at `now` and returns whether there is something new to report.
    pub fn update(&mut self, now: Timestamp, change: impl FnOnce(&mut Self)) -> bool {
        let (state_before, cooldown_before) = (self.breaker.state().clone(), self.cooldown_until);
        change(self);
        let is_state_changed = *self.breaker.state() != state_before;
        if is_state_changed {
            self.unreported = Some(self.breaker.state().clone());
            self.note_opening(now);
        }
        is_state_changed || self.cooldown_until != cooldown_before
    }

    fn note_opening(&mut self, now: Timestamp) {
        let is_closed = *self.breaker.state() == CircuitState::Closed;
        self.opened_at = (!is_closed).then(|| self.opened_at.unwrap_or(now));
    }

    /// Returns the health that was not reported to other processes yet.
    pub fn unreported_health(&self, provider: &ConfigName, loaded_at: Timestamp) -> Option<HealthReport> {
        (self.unreported.is_some() || self.is_cooldown_unreported).then(|| HealthReport {
            provider: provider.clone(),
            circuit: self.unreported.clone(),
            cooldown_until: self.cooldown_until.filter(|_| self.is_cooldown_unreported),
            config_loaded_at: loaded_at,
        })
    }

    /// Records that the report was stored, and loads the shared health. Changes made since the report stay
    /// unreported.
    pub fn confirm_reported(&mut self, report: &HealthReport, shared: &SharedHealth, now: Timestamp) {
        if report.cooldown_until.is_some() && self.cooldown_until == report.cooldown_until {
            self.is_cooldown_unreported = false;
        }
        if self.unreported == report.circuit {
            self.unreported = None;
            self.load_health(shared, report.config_loaded_at, now);
        }
    }

    /// Loads shared health. Ignores it if a newer version was loaded, if the health no longer applies, or if a local
    /// change was not reported yet.
    pub fn load_health(&mut self, shared: &SharedHealth, loaded_at: Timestamp, now: Timestamp) {
        if shared.version <= self.version {
            return;
        }
        self.cooldown_until = if self.is_cooldown_unreported {
            self.cooldown_until.max(shared.cooldown_until)
        } else {
            shared.cooldown_until
        };
        if self.unreported.is_none() {
            self.version = shared.version;
            if shared.applies_to(loaded_at, now) {
                self.breaker.load_shared(&shared.circuit);
                self.note_opening(now);
            }
        }
    }

    /// Opens the circuit again until `until`, because the allowed probe was not made.
    pub fn reopen(&mut self, until: Timestamp) {
        if let CircuitState::HalfOpen { backoff_factor, .. } = *self.breaker.state() {
            self.breaker.load_shared(&CircuitState::Open { until, backoff_factor });
        }
    }
}
