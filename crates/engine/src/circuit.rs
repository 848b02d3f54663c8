//! What a process thinks of a provider, and which of it the others do not know yet.
//!
//! What was found out here and not told yet is never overwritten by what others say. Asks and tells nobody itself.

use postrider_core::circuit_breaker::{CircuitBreaker, CircuitState};
use postrider_core::clock::Timestamp;
use postrider_core::name::ConfigName;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth, is_cooldown_active};

/// The judgement on one provider.
pub struct ProviderCircuit {
    /// How it does.
    pub breaker: CircuitBreaker,
    cooldown_until: Option<Timestamp>,
    /// The code it was put out with, if it was.
    pub misconfigured_code: Option<String>,
    /// Found out here, and not told yet.
    unreported: Option<CircuitState>,
    /// It may have been told, but no answer came.
    is_report_uncertain: bool,
    is_cooldown_unreported: bool,
    /// The newest of what is known together that went into this.
    version: i64,
    /// An operator's last word.
    control: Option<ProviderControl>,
}

impl ProviderCircuit {
    /// Nothing was found out yet.
    pub fn new(health: CircuitBreaker) -> Self {
        Self {
            breaker: health,
            cooldown_until: None,
            misconfigured_code: None,
            unreported: None,
            is_report_uncertain: false,
            is_cooldown_unreported: false,
            version: 0,
            control: None,
        }
    }

    /// Whether it may be worth asking.
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.active_pause().is_none() && self.cooldown_until(now).is_none() && self.breaker.is_available(now)
    }

    /// Until when it asked to be left alone, if it is at `now`.
    pub fn cooldown_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.cooldown_until
            .filter(|until| is_cooldown_active(*until, now))
    }

    /// The word of an operator who put it to rest, while it holds.
    pub fn active_pause(&self) -> Option<&ProviderControl> {
        self.control
            .as_ref()
            .filter(|order| order.action == ControlAction::Pause)
    }

    /// Takes an operator's word over. To be woken ends whatever this process, whose configuration is of `loaded_at`, has
    /// found out so far, but not a pause that the provider asked for; a word from before then has done its work.
    pub fn apply_control(&mut self, order: &ProviderControl, loaded_at: Timestamp) {
        if self.control.as_ref() == Some(order) {
            return;
        }
        if order.action == ControlAction::Resume && order.at >= loaded_at {
            self.breaker.reset();
            self.misconfigured_code = None;
            self.unreported = None;
            self.is_report_uncertain = false;
        }
        self.control = Some(order.clone());
    }

    /// Leaves it alone until then; a longer pause stays.
    pub fn start_cooldown(&mut self, until: Timestamp) {
        if self.cooldown_until.is_none_or(|known| known < until) {
            self.cooldown_until = Some(until);
            self.is_cooldown_unreported = true;
        }
    }

    /// Puts it out. The first refusal is kept; those that were under way with it say nothing new.
    pub fn record_misconfigured(&mut self, reason: &str, code: Option<&str>) {
        if !matches!(self.breaker.state_to_share(), CircuitState::Misconfigured { .. }) {
            self.misconfigured_code = code.map(str::to_owned);
            self.breaker.record_misconfigured(reason);
        }
    }

    /// Nobody knows whether the others were told.
    pub fn mark_report_uncertain(&mut self) {
        self.is_report_uncertain = true;
    }

    /// Whether what came of telling `news` is worth a word to the operator: when nobody else has brought the same, and,
    /// better twice than never, when it is in doubt who has.
    pub fn is_worth_logging(&mut self, news: &HealthReport, learned: &ReportedHealth) -> bool {
        let in_doubt = std::mem::take(&mut self.is_report_uncertain);
        matches!(news.circuit, Some(CircuitState::Misconfigured { .. })) && (learned.is_new || in_doubt)
    }

    /// Runs a change; whether there is something new to tell.
    pub fn update(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let (before, paused_before) = (self.breaker.state_to_share(), self.cooldown_until);
        change(self);
        let after = self.breaker.state_to_share();
        let found = after != before;
        if found {
            self.unreported = Some(after);
        }
        found || self.cooldown_until != paused_before
    }

    /// What the others do not know yet.
    pub fn unreported_health(&self, provider: &ConfigName, loaded_at: Timestamp) -> Option<HealthReport> {
        (self.unreported.is_some() || self.is_cooldown_unreported).then(|| HealthReport {
            provider: provider.clone(),
            circuit: self.unreported.clone(),
            cooldown_until: self.cooldown_until,
            config_loaded_at: loaded_at,
        })
    }

    /// The news were told, and this is known together since. What was found out meanwhile still has to be told.
    pub fn confirm_reported(&mut self, news: &HealthReport, known: &SharedHealth, now: Timestamp) {
        if self.cooldown_until == news.cooldown_until {
            self.is_cooldown_unreported = false;
        }
        if self.unreported == news.circuit {
            self.unreported = None;
            self.load_health(known, news.config_loaded_at, now);
        }
    }

    /// Takes over what others found out, unless it is old, was mended since, or we know better.
    pub fn load_health(&mut self, known: &SharedHealth, loaded_at: Timestamp, now: Timestamp) {
        self.cooldown_until = self.cooldown_until.max(known.cooldown_until);
        if known.version > self.version && self.unreported.is_none() {
            self.version = known.version;
            if known.applies_to(loaded_at, now) {
                self.breaker.load_shared(&known.circuit);
            }
        }
    }

    /// The probe could not be made after all; the rest goes on until then.
    pub fn reopen(&mut self, until: Timestamp) {
        if let CircuitState::HalfOpen {
            backoff_factor: times,
            ..
        } = self.breaker.state_to_share()
        {
            self.breaker.load_shared(&CircuitState::Open {
                until,
                backoff_factor: times,
            });
        }
    }
}
