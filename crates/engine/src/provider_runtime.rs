//! Runtime state of one provider: circuit breaker, rate limiter, and calls in flight.
//!
//! [`ProviderRuntime::acquire`] decides whether a call may start now; [`ProviderRuntime::call`] makes it and
//! updates the circuit breaker with its result. Runtimes are independent of each other and know nothing about
//! deliveries. A provider with a closed breaker and no `rate` needs no store access.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;

use super::circuit::ProviderCircuit;
use super::response_times::ResponseTimes;
use crate::config::ProviderConfig;
use crate::metrics::Metrics;
use postrider_core::attempt::{Attempt, Outcome, SendResult};
use postrider_core::channel::ConfigName;
use postrider_core::circuit_breaker::{Admission, CircuitBreaker, CircuitStatus};
use postrider_core::clock::{Clock, Timestamp};
use postrider_core::provider_control::ProviderControl;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::retry::saturating_add;
use postrider_core::shared_health::{COOLDOWN_MAX, HealthReport, ReportedHealth, SharedHealth};
use postrider_providers::{OutboundMessage, Provider};
use postrider_store::{ProbeDecision, Store};

/// Delay before a provider with `concurrency` calls in flight is tried again.
const CONCURRENCY_RETRY: Duration = Duration::from_millis(250);

/// Delay before a misconfigured provider is tried again.
const MISCONFIGURED_RETRY: Duration = Duration::from_secs(60);

/// Delay before a provider with a probe in flight is tried again: 1 s plus up to 1 s of jitter, so that
/// waiting deliveries do not all become due at once.
const HALF_OPEN_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1));

/// Delay before a provider is tried again after a store error.
const STORE_ERROR_RETRY: Duration = Duration::from_secs(1);

/// Reason for [`ProviderBusy`] while a probe is in flight.
const REASON_HALF_OPEN: &str = "is finding out whether it is back";

/// Reason for [`ProviderBusy`] of a misconfigured provider.
const REASON_MISCONFIGURED: &str = "is out of the rotation: its settings are wrong";

/// Delay before a paused provider is tried again: 30 s plus up to 10 s of jitter.
const PAUSED_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Cooldown after outcome `throttled` without a `retry_after`.
const THROTTLED_COOLDOWN: Duration = Duration::from_secs(1);

/// Time by which an adapter may exceed its own timeout before the call is aborted.
const CALL_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// A configured provider and its state in this process.
pub struct ProviderRuntime {
    /// Name in the configuration.
    pub name: ConfigName,
    /// The adapter.
    pub provider: Arc<dyn Provider>,
    /// Maximum number of calls in flight.
    pub concurrency: usize,
    /// Maximum number of message parts per second, for all processes together.
    pub rate: Option<f64>,
    /// Maximum duration of a call.
    pub call_timeout: Duration,
    circuit: Mutex<ProviderCircuit>,
    context: RuntimeContext,
    in_flight: AtomicUsize,
    response_times: ResponseTimes,
    rate_limited: Counter,
    /// Maximum number of calls in flight while the provider is unresponsive, set by the worker's slot
    /// allocation.
    unresponsive_limit: AtomicUsize,
    outcome_counters: [Counter; Outcome::NAMES.len()],
    durations: Histogram,
    calls_total: AtomicU64,
    call_micros_total: AtomicU64,
}

/// Dependencies that all provider runtimes of a process share.
#[derive(Clone)]
pub struct RuntimeContext {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Notified when health must be reported.
    pub health_changed: Arc<Notify>,
    /// Time at which this process read its configuration.
    pub config_loaded_at: Timestamp,
}

/// The reason why a provider cannot be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderBusy {
    /// Delay before the provider should be tried again.
    pub retry_after: Duration,
    /// Maximum jitter to add to `retry_after`.
    pub jitter_max: Duration,
    /// Reason for the operator.
    pub reason: String,
}

/// Status of a provider, for pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRuntimeStatus {
    /// Circuit state, or `paused`.
    pub state: &'static str,
    /// Description of the state.
    pub detail: String,
    /// Whether calls are allowed.
    pub is_available: bool,
    /// Calls in flight.
    pub in_flight: usize,
    /// Whether an operator has paused the provider.
    pub is_paused: bool,
}

impl ProviderRuntimeStatus {
    /// Returns whether a resume would change anything. A cooldown is not ended by a resume.
    pub fn can_resume(&self) -> bool {
        self.state != CircuitStatus::Closed.as_str()
    }
}

/// Permission for one call; counts as a call in flight until it is dropped.
pub struct CallPermit<'a> {
    in_flight: &'a AtomicUsize,
    /// Whether the call is the probe of an open circuit breaker.
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
        provider: Arc<dyn Provider>,
        metrics: &Metrics,
        context: RuntimeContext,
    ) -> Self {
        let name = config.name.as_str();
        metrics.set_provider_available(name, true, 0);
        Self {
            name: config.name.clone(),
            provider,
            concurrency: config.concurrency,
            rate: config.rate,
            call_timeout: config.timeout + CALL_TIMEOUT_MARGIN,
            circuit: Mutex::new(ProviderCircuit::new(CircuitBreaker::new(
                config.breaker_failure_threshold,
                config.breaker_open_duration,
            ))),
            rate_limited: metrics.rate_limited_counter(name),
            context,
            in_flight: AtomicUsize::new(0),
            response_times: ResponseTimes::default(),
            unresponsive_limit: AtomicUsize::new(usize::MAX),
            outcome_counters: Outcome::NAMES.map(|outcome| metrics.attempt_counter(name, outcome)),
            durations: metrics.attempt_duration_histogram(name),
            calls_total: AtomicU64::new(0),
            call_micros_total: AtomicU64::new(0),
        }
    }

    /// Returns the number of calls so far and their total duration.
    pub fn call_totals(&self) -> (u64, Duration) {
        let micros = self.call_micros_total.load(Ordering::Relaxed);
        (
            self.calls_total.load(Ordering::Relaxed),
            Duration::from_micros(micros),
        )
    }

    /// Returns the number of calls in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Returns whether calls are in flight and none was answered for a while.
    pub fn is_unresponsive(&self) -> bool {
        self.response_times.is_unresponsive()
    }

    /// Limits the calls in flight while the provider is unresponsive, so that it cannot occupy worker slots
    /// that other providers need.
    pub fn set_unresponsive_limit(&self, calls: usize) {
        self.unresponsive_limit.store(calls, Ordering::Release);
    }

    /// Returns whether calls may be allowed at `now`; [`ProviderRuntime::acquire`] decides.
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.circuit().is_available(now)
    }

    /// Returns whether the end of the unavailability is unknown: a probe is in flight, or an operator has
    /// paused the provider.
    pub fn has_unknown_recovery(&self, now: Timestamp) -> bool {
        let circuit = self.circuit();
        let is_probed = !circuit.is_available(now) && circuit.breaker.status() == CircuitStatus::HalfOpen;
        is_probed || circuit.active_pause().is_some()
    }

    /// Acquires a permit for a call with this number of message parts.
    ///
    /// # Errors
    ///
    /// Returns [`ProviderBusy`] if the circuit breaker, the rate limiter, a pause, a cooldown or the
    /// concurrency does not allow a call.
    pub async fn acquire(&self, parts: u32, now: Timestamp) -> Result<CallPermit<'_>, ProviderBusy> {
        let limit = self.in_flight_max();
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= limit {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(self.busy_for(CONCURRENCY_RETRY, "has all its calls in flight"));
        }
        let mut permit = CallPermit {
            in_flight: &self.in_flight,
            is_probe: false,
        };
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
                self.acquire_probe(now).await?;
                permit.is_probe = self.circuit().breaker.status() == CircuitStatus::HalfOpen;
                Ok(permit)
            }
            // Another task became the probe while this one waited for the rate limiter.
            Admission::CircuitOpen { .. } | Admission::Misconfigured => Err(self.unavailability(now)),
        }
    }

    fn in_flight_max(&self) -> usize {
        if self.is_unresponsive() {
            self.concurrency
                .min(self.unresponsive_limit.load(Ordering::Acquire))
        } else {
            self.concurrency
        }
    }

    /// Releases a permit without a call, so that another call can be the probe.
    pub fn release(&self, permit: CallPermit<'_>, now: Timestamp) {
        let is_probe = permit.is_probe;
        drop(permit);
        if is_probe {
            self.update_circuit(|circuit| circuit.reopen(now));
        }
    }

    /// Acquires rate permits from the store, which counts for all processes. Permits are never cached here,
    /// so that none outlives a failure: while the store is unavailable, no call passes.
    async fn acquire_rate(&self, rate: f64, parts: u32, now: Timestamp) -> Result<(), ProviderBusy> {
        let request = RateLimitRequest {
            provider: self.name.clone(),
            rate,
            parts: vec![parts],
            cooldown_until: self.circuit().cooldown_until(now),
        };
        let decision = match self.context.store.acquire_rate_permits(request, now).await {
            Ok(decisions) => decisions.into_iter().next(),
            Err(error) => {
                log::error!("nothing goes to {}: {}", self.name, error.chain());
                None
            }
        };
        decision.unwrap_or(Err(STORE_ERROR_RETRY)).map_err(|wait| {
            self.rate_limited.inc();
            self.busy_for(wait, "is at its rate limit")
        })
    }

    /// Acquires the right to probe; only one process at a time gets it.
    async fn acquire_probe(&self, now: Timestamp) -> Result<(), ProviderBusy> {
        let Ok(probe) = self.request_probe(now).await else {
            self.circuit().reopen(saturating_add(now, STORE_ERROR_RETRY));
            return Err(self.busy_for(STORE_ERROR_RETRY, REASON_HALF_OPEN));
        };
        match probe {
            ProbeDecision::Granted(shared) => self.load_health(&shared, now),
            // No other process knows that the breaker is open.
            ProbeDecision::Denied(None) => {}
            // The shared health does not apply to this configuration.
            ProbeDecision::Denied(Some(shared)) if !shared.applies_to(self.context.config_loaded_at, now) => {}
            ProbeDecision::Denied(Some(shared)) => {
                self.load_health(&shared, now);
                if self.circuit().breaker.status() != CircuitStatus::Closed {
                    return Err(self.busy_half_open());
                }
            }
        }
        Ok(())
    }

    async fn request_probe(&self, now: Timestamp) -> postrider_core::error::Result<ProbeDecision> {
        let store = &self.context.store;
        // Other processes must know that the breaker is open before one of them can probe.
        if let Some(report) = self.unreported_health() {
            for response in store.report_health(vec![report.clone()], now).await? {
                self.confirm_reported(&report, &response, now);
            }
        }
        let timeout = self.circuit().breaker.probe_timeout();
        store.acquire_probe(&self.name, timeout, now).await
    }

    /// Returns what other processes do not know yet.
    pub fn unreported_health(&self) -> Option<HealthReport> {
        self.circuit()
            .unreported_health(&self.name, self.context.config_loaded_at)
    }

    /// Processes the store's answer to a report. A misconfigured provider is logged once, by one process.
    pub fn confirm_reported(&self, report: &HealthReport, response: &ReportedHealth, now: Timestamp) {
        let mut circuit = self.circuit();
        if circuit.is_worth_logging(report, response) {
            let code = circuit.misconfigured_code.as_deref().unwrap_or("no code");
            log::error!(
                "{} is out of the rotation until the next start, or until an operator wakes it: it refuses our account or \
                 settings ({code}); `console status` has its words",
                self.name,
            );
        }
        circuit.confirm_reported(report, &response.shared, now);
    }

    /// Notes that a report was sent without an answer from the store.
    pub fn mark_report_uncertain(&self) {
        self.circuit().mark_report_uncertain();
    }

    /// Loads what other processes have reported.
    pub fn load_health(&self, shared: &SharedHealth, now: Timestamp) {
        self.circuit()
            .load_health(shared, self.context.config_loaded_at, now);
    }

    /// Applies a pause or resume by an operator.
    pub fn apply_control(&self, control: &ProviderControl) {
        self.circuit().apply_control(control, self.context.config_loaded_at);
    }

    /// Returns why no call is allowed at `now`.
    pub fn unavailability(&self, now: Timestamp) -> ProviderBusy {
        let (cooldown_until, status) = {
            let circuit = self.circuit();
            if circuit.active_pause().is_some() {
                let (retry_after, jitter_max) = PAUSED_RETRY;
                return ProviderBusy {
                    jitter_max,
                    ..self.busy_for(retry_after, "was put to rest by an operator")
                };
            }
            (circuit.cooldown_until(now), circuit.breaker.status())
        };
        if let Some(until) = cooldown_until {
            let wait = (until - now).to_std().unwrap_or_default();
            return self.busy_for(wait, "asked us to slow down");
        }
        match status {
            CircuitStatus::Open { until } => self.busy_circuit_open(until, now),
            CircuitStatus::Closed => self.busy_for(CONCURRENCY_RETRY, REASON_HALF_OPEN),
            CircuitStatus::HalfOpen => self.busy_half_open(),
            CircuitStatus::Misconfigured { .. } => self.busy_for(MISCONFIGURED_RETRY, REASON_MISCONFIGURED),
        }
    }

    fn busy_circuit_open(&self, until: Timestamp, now: Timestamp) -> ProviderBusy {
        let wait = (until - now)
            .to_std()
            .unwrap_or_default()
            .max(Duration::from_millis(10));
        self.busy_for(wait, "rests after failures")
    }

    fn busy_half_open(&self) -> ProviderBusy {
        let (retry_after, jitter_max) = HALF_OPEN_RETRY;
        ProviderBusy {
            jitter_max,
            ..self.busy_for(retry_after, REASON_HALF_OPEN)
        }
    }

    fn busy_for(&self, retry_after: Duration, reason: &str) -> ProviderBusy {
        ProviderBusy {
            retry_after,
            jitter_max: Duration::ZERO,
            reason: format!("{} {reason}", self.name),
        }
    }

    /// Calls the provider and updates the circuit breaker. Never takes longer than the provider's timeout
    /// plus a margin.
    pub async fn call(&self, _permit: CallPermit<'_>, message: &OutboundMessage, clock: &Clock) -> Attempt {
        let (at, stopwatch, _guard) = (
            clock.now(),
            clock.stopwatch(),
            self.response_times.start_call(clock),
        );
        let result = match tokio::time::timeout(self.call_timeout, self.provider.send(message)).await {
            Ok(result) => result,
            Err(_) => SendResult::from(Outcome::Unknown {
                reason: "no answer within the time limit".to_owned(),
            }),
        };
        if !matches!(
            result.outcome,
            Outcome::Unknown { .. } | Outcome::Unavailable { .. }
        ) {
            self.response_times.record_response(clock);
        }
        let duration = stopwatch.elapsed();
        self.complete(&result, at + duration);
        self.durations.observe(duration.as_secs_f64());
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.call_micros_total.fetch_add(micros, Ordering::Relaxed);
        self.calls_total.fetch_add(1, Ordering::Relaxed);
        Attempt {
            provider: Some(self.name.clone()),
            outcome: result.outcome,
            code: result.code,
            at,
            duration,
            address: None,
        }
    }

    /// Updates counters and circuit breaker with the result of a call. The provider's response text is not
    /// logged, because it may repeat the request with number and body.
    pub(crate) fn complete(&self, result: &SendResult, now: Timestamp) {
        let outcome = &result.outcome;
        if let Some(counter) = Outcome::NAMES.iter().position(|name| *name == outcome.as_str()) {
            self.outcome_counters[counter].inc();
        }
        match outcome {
            Outcome::Accepted { .. }
            | Outcome::Deferred { .. }
            | Outcome::Rejected { .. }
            | Outcome::InvalidRecipient { .. } => {
                self.update_circuit(|circuit| circuit.breaker.record_success())
            }
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                self.update_circuit(|circuit| circuit.breaker.record_failure(now));
            }
            Outcome::Throttled { retry_after } => {
                let until = saturating_add(now, retry_after.unwrap_or(THROTTLED_COOLDOWN).min(COOLDOWN_MAX));
                self.update_circuit(|circuit| {
                    circuit.start_cooldown(until);
                    // A provider that answers "too fast" is reachable.
                    if matches!(circuit.breaker.status(), CircuitStatus::HalfOpen) {
                        circuit.breaker.record_success();
                    }
                });
            }
            Outcome::Misconfigured { reason } => {
                self.update_circuit(|circuit| circuit.record_misconfigured(reason, result.code.as_deref()));
            }
        }
    }

    /// Counts a receipt "not delivered" as a failure of the provider.
    pub fn record_bounce(&self, now: Timestamp) {
        self.update_circuit(|circuit| circuit.breaker.record_failure(now));
    }

    /// Changes the circuit and notifies the health sync if other processes must know.
    fn update_circuit(&self, change: impl FnOnce(&mut ProviderCircuit)) {
        if self.circuit().update(change) {
            self.context.health_changed.notify_one();
        }
    }

    /// Returns the status at `now`.
    pub fn status(&self, now: Timestamp) -> ProviderRuntimeStatus {
        let circuit = self.circuit();
        let status = circuit.breaker.status();
        let cooldown_until = circuit
            .cooldown_until(now)
            .filter(|_| status == CircuitStatus::Closed);
        let (state, detail) = match (circuit.active_pause(), cooldown_until) {
            (Some(control), _) => ("paused", pause_description(control)),
            (None, Some(until)) => {
                let until = until.format("%H:%M:%S UTC");
                (
                    status.as_str(),
                    format!("asked us to slow down; gets no calls until {until}"),
                )
            }
            (None, None) => (status.as_str(), status.description()),
        };
        ProviderRuntimeStatus {
            state,
            detail,
            is_available: circuit.is_available(now),
            in_flight: self.in_flight(),
            is_paused: circuit.active_pause().is_some(),
        }
    }

    fn circuit(&self) -> MutexGuard<'_, ProviderCircuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause_description(control: &ProviderControl) -> String {
    let by = if control.requested_by.is_empty() {
        "an operator"
    } else {
        control.requested_by.as_str()
    };
    let at = control.at.format("%Y-%m-%d %H:%M UTC");
    format!("put to rest by {by} on {at}; gets no calls until it is woken")
}
