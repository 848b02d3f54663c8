//! Runtime state of one provider: circuit breaker, rate limiter, and calls in flight.
//!
//! [`ProviderRuntime::acquire`] decides whether a call may start now; [`ProviderRuntime::call`] makes the call and updates
//! the circuit breaker with its result. Runtimes are independent of each other and know nothing about deliveries. A provider with a closed breaker and no `rate` needs no store access.

use postrider_core::attempt::{Attempt, Outcome, SendResult};
use postrider_core::circuit_breaker::{Admission, CircuitBreaker, CircuitState, ProbeUrgency};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::rate_limit::{RateLimitRequest, burst_parts};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_core::{id::MessageId, name::ConfigName, provider_control::ProviderControl};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::Notify;

mod busy;
mod call_metrics;
mod status;

pub use busy::{BUSY_RETRY_MIN, ProviderBusy};
pub use status::ProviderRuntimeStatus;

use crate::{
    circuit::ProviderCircuit, config::ProviderConfig, metrics::Metrics, response_times::ResponseTimes,
};
use busy::STORE_ERROR_RETRY;
use call_metrics::CallMetrics;
use postrider_providers::{OutboundMessage, Provider};
use postrider_store::{CoordinationStore, ProbeDecision};

/// Time by which an adapter may exceed its own timeout before the call is aborted.
const CALL_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// A configured provider and its state in this process.
pub struct ProviderRuntime {
    /// Name in the configuration.
    pub name: ConfigName,
    active: RwLock<ActiveAdapter>,
    /// Maximum number of calls in flight.
    pub concurrency: usize,
    /// Maximum number of message parts per second, for all processes together.
    pub rate: Option<f64>,
    /// Share of `rate` that may be sent at once.
    burst: f64,
    /// Maximum cooldown after a call that was throttled.
    cooldown_max: Duration,
    /// Maximum duration of a call.
    pub call_timeout: Duration,
    /// Number of times that a message is sent again after an `unknown` outcome of this provider, if configured.
    pub unknown_retries: Option<u32>,
    circuit: Mutex<ProviderCircuit>,
    context: RuntimeContext,
    in_flight: AtomicUsize,
    response_times: ResponseTimes,
    /// Maximum number of calls in flight while the provider is unresponsive, set by the worker's slot
    /// allocation.
    unresponsive_limit: AtomicUsize,
    call_metrics: CallMetrics,
}

/// The adapter in use, and the settings from which it was built.
struct ActiveAdapter {
    adapter: Arc<dyn Provider>,
    settings: toml::Table,
}

/// Dependencies that all provider runtimes of a process share.
#[derive(Clone)]
pub struct RuntimeContext {
    /// Store for rate permits, probes and shared health.
    pub store: Arc<dyn CoordinationStore>,
    /// Notified when health must be reported.
    pub health_changed: Arc<Notify>,
    /// Time at which this process read its configuration.
    pub config_loaded_at: Timestamp,
}

/// Permission for one call; counts as a call in flight until it is dropped.
pub struct CallPermit<'a> {
    in_flight: &'a AtomicUsize,
    /// True if the call is the probe of an open circuit breaker.
    is_probe: bool,
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ProviderRuntime {
    /// Creates a runtime with a closed circuit breaker.
    pub fn new(
        config: &ProviderConfig,
        adapter: Arc<dyn Provider>,
        metrics: &Metrics,
        context: RuntimeContext,
    ) -> Self {
        let provider_name = config.name.as_str();
        metrics.set_provider_available(provider_name, true, 0);
        Self {
            name: config.name.clone(),
            active: RwLock::new(ActiveAdapter { adapter, settings: config.settings.clone() }),
            concurrency: config.concurrency,
            rate: config.rate,
            burst: config.burst,
            cooldown_max: config.cooldown_max,
            call_timeout: config.timeout + CALL_TIMEOUT_MARGIN,
            unknown_retries: config.unknown_retries,
            circuit: Mutex::new(ProviderCircuit::new(CircuitBreaker::new(
                config.breaker_failure_threshold,
                config.breaker_open_duration,
            ))),
            context,
            in_flight: AtomicUsize::new(0),
            response_times: ResponseTimes::default(),
            unresponsive_limit: AtomicUsize::new(usize::MAX),
            call_metrics: CallMetrics::new(provider_name, metrics),
        }
    }

    /// Returns the adapter in use.
    pub fn adapter(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.active.read().adapter)
    }

    /// Returns the settings of the adapter in use, with secrets.
    pub(crate) fn active_settings(&self) -> toml::Table {
        self.active.read().settings.clone()
    }

    /// Returns whether `adapter` can take over without a restart.
    pub(crate) fn can_replace_adapter(&self, adapter: &dyn Provider) -> bool {
        let active = self.adapter();
        active.is_replaceable() && active.address_kind() == adapter.address_kind()
    }

    /// Replaces the adapter for all later calls.
    pub(crate) fn replace_adapter(&self, adapter: Arc<dyn Provider>, settings: toml::Table) {
        *self.active.write() = ActiveAdapter { adapter, settings };
    }

    /// Returns the number of parts in which the provider sends the message.
    pub fn part_count(&self, message: &OutboundMessage) -> u32 {
        // Only the rate limiter needs the number of parts, so it is not computed without a rate.
        if self.rate.is_some() { self.adapter().part_count(message) } else { message.parts }
    }

    /// Returns the number of calls so far and their total duration.
    pub fn call_totals(&self) -> (u64, Duration) {
        self.call_metrics.totals()
    }

    /// Returns the number of calls in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Returns whether calls are in flight and the provider has not responded for a second.
    pub fn is_unresponsive(&self) -> bool {
        self.response_times.is_unresponsive()
    }

    /// Limits the calls in flight while the provider is unresponsive, so that worker slots stay free for other
    /// providers.
    pub fn set_unresponsive_limit(&self, calls: usize) {
        self.unresponsive_limit.store(calls, Ordering::Release);
    }

    /// Returns whether calls may be allowed at `now`; [`ProviderRuntime::acquire`] decides.
    pub fn is_available(&self, now: Timestamp) -> bool {
        let is_closed = *self.circuit().breaker.state() == CircuitState::Closed;
        if !is_closed && let Some(connected_at) = self.adapter().last_connected_at() {
            self.update_circuit(now, |circuit| circuit.record_connection(connected_at, now));
        }
        self.circuit().is_available(now)
    }

    /// Returns whether the end of the unavailability is unknown: a probe is in flight, or an operator has
    /// paused the provider.
    pub fn has_unknown_recovery(&self, now: Timestamp) -> bool {
        let circuit = self.circuit();
        let is_probe_in_flight = !circuit.is_available(now) && circuit.breaker.is_half_open();
        is_probe_in_flight || circuit.active_pause().is_some()
    }

    /// Acquires a permit for a call with this number of message parts.
    ///
    /// # Errors
    ///
    /// Returns [`ProviderBusy`] if the circuit breaker, the rate limiter, a pause, a cooldown or the
    /// concurrency does not allow a call.
    pub async fn acquire(&self, parts: u32, now: Timestamp) -> Result<CallPermit<'_>, ProviderBusy> {
        let calls_max = self.in_flight_max();
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= calls_max {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(ProviderBusy::at_concurrency_limit(&self.name));
        }
        let mut permit = CallPermit { in_flight: &self.in_flight, is_probe: false };
        if !self.is_available(now) {
            return Err(self.unavailability(now));
        }
        if let Some(rate) = self.rate {
            self.acquire_rate(rate, parts, now).await?;
        }
        let admission = self.circuit().breaker.admit(now);
        match admission {
            Admission::Allowed => Ok(permit),
            Admission::Probe => {
                self.acquire_probe(ProbeUrgency::AfterOpenPeriod, now).await?;
                permit.is_probe = self.circuit().breaker.is_half_open();
                Ok(permit)
            }
            // Another task became the probe while this one waited for the rate limiter.
            Admission::CircuitOpen { .. } => Err(self.unavailability(now)),
        }
    }

    /// Acquires a permit for a probe before the end of the open period, for a delivery that would expire without a try.
    ///
    /// # Errors
    ///
    /// Returns [`ProviderBusy`] if the circuit breaker is not open or was opened just now, or if a pause, a cooldown, the
    /// rate limiter or the concurrency does not allow a call.
    pub async fn acquire_early_probe(
        &self,
        parts: u32,
        now: Timestamp,
    ) -> Result<CallPermit<'_>, ProviderBusy> {
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= self.in_flight_max() {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(ProviderBusy::at_concurrency_limit(&self.name));
        }
        let mut permit = CallPermit { in_flight: &self.in_flight, is_probe: false };
        if !self.circuit().is_early_probe_allowed(now) {
            return Err(self.unavailability(now));
        }
        if let Some(rate) = self.rate {
            self.acquire_rate(rate, parts, now).await?;
        }
        if !self.circuit().breaker.admit_early(now) {
            return Err(self.unavailability(now));
        }
        self.acquire_probe(ProbeUrgency::BeforeExpiry, now).await?;
        permit.is_probe = self.circuit().breaker.is_half_open();
        Ok(permit)
    }

    fn in_flight_max(&self) -> usize {
        if self.is_unresponsive() {
            self.concurrency.min(self.unresponsive_limit.load(Ordering::Acquire))
        } else {
            self.concurrency
        }
    }

    /// Releases a permit without a call, so that another call can be the probe.
    pub fn release(&self, permit: CallPermit<'_>, now: Timestamp) {
        let is_probe = permit.is_probe;
        drop(permit);
        if is_probe {
            self.update_circuit(now, |circuit| circuit.reopen(now));
        }
    }

    /// Acquires rate permits from the store, which counts for all processes. Permits are never cached
    /// here, because a cached permit would outlive a failure: while the store is unavailable, no call is made.
    async fn acquire_rate(&self, rate: f64, parts: u32, now: Timestamp) -> Result<(), ProviderBusy> {
        let request = RateLimitRequest {
            provider: self.name.clone(),
            rate,
            burst: burst_parts(rate, self.burst),
            parts: vec![parts],
            cooldown_until: self.circuit().cooldown_until(now),
        };
        let permits = self.context.store.acquire_rate_permits(request, now).await.unwrap_or_else(|error| {
            let (error, provider) = (error.chain(), &self.name);
            log::error!("rate limiter: store error, no calls are made: {error}; provider={provider}");
            Vec::new()
        });
        permits.into_iter().next().unwrap_or(Err(STORE_ERROR_RETRY)).map_err(|retry_after| {
            self.call_metrics.rate_limited.inc();
            ProviderBusy::at_rate_limit(&self.name, retry_after)
        })
    }

    /// Acquires the right to probe; only one process at a time gets it.
    async fn acquire_probe(&self, urgency: ProbeUrgency, now: Timestamp) -> Result<(), ProviderBusy> {
        let Ok(decision) = self.request_probe(urgency, now).await else {
            self.circuit().reopen(saturating_add(now, STORE_ERROR_RETRY));
            return Err(ProviderBusy::probe_unavailable(&self.name));
        };
        match decision {
            ProbeDecision::Granted(shared_health) => self.load_health(&shared_health, now),
            // The shared health does not contain the open breaker yet.
            ProbeDecision::Denied(None) => {}
            // The shared health does not apply to this configuration.
            ProbeDecision::Denied(Some(shared_health))
                if !shared_health.applies_to(self.context.config_loaded_at, now) => {}
            ProbeDecision::Denied(Some(shared_health)) => {
                self.load_health(&shared_health, now);
                if *self.circuit().breaker.state() != CircuitState::Closed {
                    return Err(ProviderBusy::half_open(&self.name));
                }
            }
        }
        Ok(())
    }

    async fn request_probe(
        &self,
        urgency: ProbeUrgency,
        now: Timestamp,
    ) -> postrider_core::error::Result<ProbeDecision> {
        let store = &self.context.store;
        // The store grants probes only for breakers whose open state was reported.
        if let Some(report) = self.unreported_health() {
            for response in store.report_health(vec![report.clone()], now).await? {
                self.confirm_reported(&report, &response, now);
            }
        }
        let timeout = self.circuit().breaker.probe_timeout();
        store.acquire_probe(&self.name, urgency, timeout, now).await
    }

    /// Returns the health that was not reported to other processes yet.
    pub fn unreported_health(&self) -> Option<HealthReport> {
        self.circuit().unreported_health(&self.name, self.context.config_loaded_at)
    }

    /// Processes the store's answer to a report. A misconfigured provider is logged once, by one process.
    pub fn confirm_reported(&self, report: &HealthReport, response: &ReportedHealth, now: Timestamp) {
        let mut circuit = self.circuit();
        if circuit.is_worth_logging(report, response) {
            let code = circuit.misconfigured_code.as_deref().unwrap_or("no code");
            log::error!(
                "provider misconfigured: it rejects our account or settings and gets one probe after growing pauses, an \
                 hour at most; `console status` shows its response; provider={} code={code}",
                self.name,
            );
        }
        circuit.confirm_reported(report, &response.shared, now);
    }

    /// Records that a report was sent and the store did not answer.
    pub fn mark_report_uncertain(&self) {
        self.circuit().mark_report_uncertain();
    }

    /// Loads the health that other processes have reported.
    pub fn load_health(&self, shared: &SharedHealth, now: Timestamp) {
        self.circuit().load_health(shared, self.context.config_loaded_at, now);
    }

    /// Applies a pause or resume by an operator.
    pub fn apply_control(&self, control: &ProviderControl) {
        self.circuit().apply_control(control, self.context.config_loaded_at);
    }

    /// Returns the maximum duration of a call, including waits that the adapter needs beyond its timeout.
    pub(crate) fn call_time_max(&self) -> Duration {
        self.call_timeout + self.adapter().extra_call_time()
    }

    /// Calls the provider and updates the circuit breaker. Never takes longer than the provider's timeout
    /// plus a margin.
    pub async fn call(&self, _permit: CallPermit<'_>, message: &OutboundMessage, clock: &Clock) -> Attempt {
        let (started_at, stopwatch) = (clock.now(), clock.stopwatch());
        let _call_guard = self.response_times.start_call(clock);
        let adapter = self.adapter();
        let time_max = self.call_timeout + adapter.extra_call_time();
        let send_result = tokio::time::timeout(time_max, adapter.send(message)).await;
        let send_result = send_result.unwrap_or_else(|_| {
            Outcome::Unknown { reason: "no response within the timeout".to_owned() }.into()
        });
        if !matches!(send_result.outcome, Outcome::Unknown { .. } | Outcome::Unavailable { .. }) {
            self.response_times.record_response(clock);
        }
        let duration = stopwatch.elapsed();
        self.complete(&send_result, Some(message.message_id), started_at + duration);
        self.call_metrics.record_duration(duration);
        Attempt {
            provider: Some(self.name.clone()),
            outcome: send_result.outcome,
            code: send_result.code,
            at: started_at,
            duration,
            address: None,
        }
    }

    /// Updates counters and circuit breaker with the result of a call for `message`. The provider's response text is not
    /// logged, because the response may repeat the request with number and body.
    pub fn complete(&self, send_result: &SendResult, message: Option<MessageId>, now: Timestamp) {
        self.call_metrics.count_outcome(&send_result.outcome);
        match &send_result.outcome {
            Outcome::Accepted { .. }
            | Outcome::Deferred { .. }
            | Outcome::Rejected { .. }
            | Outcome::InvalidRecipient { .. } => {
                self.update_circuit(now, |circuit| circuit.breaker.record_success(now));
            }
            Outcome::Unavailable { .. } if self.concerns_destination(send_result) => {
                self.update_circuit(now, |circuit| circuit.breaker.record_success(now));
            }
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                self.update_circuit(now, |circuit| circuit.breaker.record_failure(now));
            }
            Outcome::Throttled { retry_after } => {
                self.update_circuit(now, |circuit| {
                    circuit.record_throttled(*retry_after, self.cooldown_max, now);
                });
            }
            Outcome::Misconfigured { reason } => {
                self.update_circuit(now, |circuit| {
                    circuit.record_refused(reason, send_result.code.as_deref(), message, now);
                });
            }
        }
    }

    fn concerns_destination(&self, send_result: &SendResult) -> bool {
        let code = send_result.code.as_deref();
        code.is_some_and(|code| self.adapter().concerns_destination(code))
    }

    /// Closes the circuit breaker, because the provider accepted our account on a new connection.
    pub fn record_account_accepted(&self, now: Timestamp) {
        self.update_circuit(now, |circuit| circuit.breaker.reset());
    }

    /// Changes the circuit and notifies the health sync if other processes must know.
    fn update_circuit(&self, now: Timestamp, change: impl FnOnce(&mut ProviderCircuit)) {
        if self.circuit().update(now, change) {
            self.context.health_changed.notify_one();
        }
    }

    /// Returns why no call is allowed at `now`.
    pub fn unavailability(&self, now: Timestamp) -> ProviderBusy {
        ProviderBusy::from_circuit(&self.name, &self.circuit(), now)
    }

    /// Returns the status at `now`.
    pub fn status(&self, now: Timestamp) -> ProviderRuntimeStatus {
        ProviderRuntimeStatus::new(&self.circuit(), self.in_flight(), now)
    }

    fn circuit(&self) -> MutexGuard<'_, ProviderCircuit> {
        self.circuit.lock()
    }
}

#[cfg(test)]
mod tests;
