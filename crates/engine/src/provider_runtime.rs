//! A lane: one provider with its health, its pace and its calls in flight.
//!
//! The lane decides whether its provider can be asked now and remembers what came of it. It knows nothing of
//! deliveries or states, and one lane never waits for another. A lane without a rate whose provider is well asks
//! nobody.

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
use postrider_core::circuit_breaker::{Admission, CircuitBreaker, CircuitStatus};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::name::ConfigName;
use postrider_core::provider_control::ProviderControl;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::shared_health::{COOLDOWN_MAX, HealthReport, ReportedHealth, SharedHealth};
use postrider_providers::{OutboundMessage, Provider};
use postrider_store::{ProbeDecision, Store};

/// How soon to look again when every place of a provider is taken.
const CONCURRENCY_RETRY: Duration = Duration::from_millis(250);

/// How soon to look again when a provider is out of the rotation until the next start.
const MISCONFIGURED_RETRY: Duration = Duration::from_secs(60);

/// How soon to look again at a provider that may be back, and how much later is as well: a call can take long, and not
/// all who wait for it need to come at once.
const HALF_OPEN_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1));

/// How soon to look again when the store could not be asked.
const STORE_ERROR_RETRY: Duration = Duration::from_secs(1);

/// Why a provider is not asked for a moment.
const REASON_HALF_OPEN: &str = "is finding out whether it is back";

/// Why a provider is not asked at all.
const REASON_MISCONFIGURED: &str = "is out of the rotation: its settings are wrong";

/// How soon to look again at a provider that an operator put to rest, and how much later is as well.
const PAUSED_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// How long a provider that said "too fast" without a time is left alone.
const THROTTLED_COOLDOWN: Duration = Duration::from_secs(1);

/// What an adapter may take beyond its own time limits before it is cut off.
const CALL_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// A provider on its way through the day.
pub struct ProviderRuntime {
    /// Its name in the configuration.
    pub name: ConfigName,
    /// The adapter.
    pub provider: Arc<dyn Provider>,
    /// Calls in flight at most.
    pub concurrency: usize,
    /// Message parts a second at most, of all processes together.
    pub rate: Option<f64>,
    /// What a call may take at most.
    pub call_timeout: Duration,
    circuit: Mutex<ProviderCircuit>,
    context: RuntimeContext,
    in_flight: AtomicUsize,
    response_times: ResponseTimes,
    rate_limited: Counter,
    /// Calls in flight at most while it is silent, as the worker's places are shared now.
    unresponsive_limit: AtomicUsize,
    outcome_counters: [Counter; Outcome::NAMES.len()],
    durations: Histogram,
    calls_total: AtomicU64,
    call_micros_total: AtomicU64,
}

/// What ties the lanes of this process to those of others.
#[derive(Clone)]
pub struct RuntimeContext {
    /// The truth, which they share.
    pub store: Arc<dyn Store>,
    /// Told when there is something to tell.
    pub health_changed: Arc<Notify>,
    /// When this process read its configuration.
    pub config_loaded_at: Timestamp,
}

/// Why a provider cannot be asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderBusy {
    /// When it is worth asking again.
    pub retry_after: Duration,
    /// So much later is as well, where nobody knows exactly.
    pub jitter_max: Duration,
    /// In words for the operator.
    pub reason: String,
}

/// How a lane stands, for pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRuntimeStatus {
    /// Its health in a word.
    pub state: &'static str,
    /// What the health means now, in words.
    pub detail: String,
    /// Whether it can be asked.
    pub is_available: bool,
    /// Calls in flight.
    pub in_flight: usize,
    /// Whether an operator put it to rest.
    pub is_paused: bool,
}

impl ProviderRuntimeStatus {
    /// Whether to wake it would change anything. A pause that the provider asked for is no rest.
    pub fn can_resume(&self) -> bool {
        self.state != CircuitStatus::Closed.as_str()
    }
}

/// A place among the calls in flight; given back when dropped.
pub struct CallPermit<'a> {
    in_flight: &'a AtomicUsize,
    /// Its call finds out whether the provider is back.
    is_probe: bool,
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ProviderRuntime {
    /// A healthy lane for a provider.
    pub fn new(
        config: &ProviderConfig,
        provider: Arc<dyn Provider>,
        metrics: &Metrics,
        ties: RuntimeContext,
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
            context: ties,
            in_flight: AtomicUsize::new(0),
            response_times: ResponseTimes::default(),
            unresponsive_limit: AtomicUsize::new(usize::MAX),
            outcome_counters: Outcome::NAMES.map(|word| metrics.attempt_counter(name, word)),
            durations: metrics.attempt_duration_histogram(name),
            calls_total: AtomicU64::new(0),
            call_micros_total: AtomicU64::new(0),
        }
    }

    /// How many calls were made so far, and how long they took together.
    pub fn call_totals(&self) -> (u64, Duration) {
        let micros = self.call_micros_total.load(Ordering::Relaxed);
        (
            self.calls_total.load(Ordering::Relaxed),
            Duration::from_micros(micros),
        )
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Whether it has calls in flight and has answered none for a while.
    pub fn is_unresponsive(&self) -> bool {
        self.response_times.is_unresponsive()
    }

    /// Keeps it, while it is silent, from holding so many of the worker's places that others would have to wait for it.
    pub fn set_unresponsive_limit(&self, calls: usize) {
        self.unresponsive_limit.store(calls, Ordering::Release);
    }

    /// Whether it may be worth asking at `now`; [`Lane::enter`] has the last word.
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.circuit().is_available(now)
    }

    /// Whether nobody can say when it may be asked again: somebody is finding out if it is back, and nobody else is to ask
    /// it at `now`, or an operator put it to rest.
    pub fn has_unknown_recovery(&self, now: Timestamp) -> bool {
        let judged = self.circuit();
        let is_probed = !judged.is_available(now) && judged.breaker.status() == CircuitStatus::HalfOpen;
        is_probed || judged.active_pause().is_some()
    }

    /// Takes a place for a call with so many parts, or says why there is none.
    pub async fn acquire(&self, parts: u32, now: Timestamp) -> Result<CallPermit<'_>, ProviderBusy> {
        let most = self.in_flight_max();
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= most {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(self.busy_for(CONCURRENCY_RETRY, "has all its calls in flight"));
        }
        let mut place = CallPermit {
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
            Admission::Allowed => Ok(place),
            Admission::Probe => {
                self.acquire_probe(now).await?;
                place.is_probe = self.circuit().breaker.status() == CircuitStatus::HalfOpen;
                Ok(place)
            }
            // Others came first while the pace was asked for; theirs is the probe.
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

    /// Gives a place back without a call, so that another one may find out whether the provider is back.
    pub fn release(&self, place: CallPermit<'_>, now: Timestamp) {
        let is_probe = place.is_probe;
        drop(place);
        if is_probe {
            self.update_circuit(|judged| judged.reopen(now));
        }
    }

    /// The store counts for all processes, so that together they never exceed the rate. There is no supply of
    /// permits here that could be hoarded or outlive a failure: while the store is away, nobody passes.
    async fn acquire_rate(&self, rate: f64, parts: u32, now: Timestamp) -> Result<(), ProviderBusy> {
        let wish = RateLimitRequest {
            provider: self.name.clone(),
            rate,
            parts: vec![parts],
            cooldown_until: self.circuit().cooldown_until(now),
        };
        let passage = match self.context.store.acquire_rate_permits(wish, now).await {
            Ok(passages) => passages.into_iter().next(),
            Err(error) => {
                log::error!("nothing goes to {}: {}", self.name, error.chain());
                None
            }
        };
        passage.unwrap_or(Err(STORE_ERROR_RETRY)).map_err(|wait| {
            self.rate_limited.inc();
            self.busy_for(wait, "is at its rate limit")
        })
    }

    /// Of all processes, one makes the call that finds out whether the provider is back.
    async fn acquire_probe(&self, now: Timestamp) -> Result<(), ProviderBusy> {
        let Ok(probe) = self.request_probe(now).await else {
            self.circuit().reopen(saturating_add(now, STORE_ERROR_RETRY));
            return Err(self.busy_for(STORE_ERROR_RETRY, REASON_HALF_OPEN));
        };
        match probe {
            ProbeDecision::Granted(known) => self.load_health(&known, now),
            // Nobody else has ever heard of its rest.
            ProbeDecision::Denied(None) => {}
            // What the others know is not about our configuration.
            ProbeDecision::Denied(Some(known)) if !known.applies_to(self.context.config_loaded_at, now) => {}
            ProbeDecision::Denied(Some(known)) => {
                self.load_health(&known, now);
                if self.circuit().breaker.status() != CircuitStatus::Closed {
                    return Err(self.busy_half_open());
                }
            }
        }
        Ok(())
    }

    async fn request_probe(&self, now: Timestamp) -> postrider_core::error::Result<ProbeDecision> {
        let store = &self.context.store;
        // The others have to know of the rest before one of them can end it.
        if let Some(news) = self.unreported_health() {
            for learned in store.report_health(vec![news.clone()], now).await? {
                self.confirm_reported(&news, &learned, now);
            }
        }
        let patience = self.circuit().breaker.probe_timeout();
        store.acquire_probe(&self.name, patience, now).await
    }

    /// What other processes do not know yet.
    pub fn unreported_health(&self) -> Option<HealthReport> {
        self.circuit()
            .unreported_health(&self.name, self.context.config_loaded_at)
    }

    /// What came of telling it. A provider that left the rotation is one line in the log of one process, however many
    /// calls of however many processes were refused.
    pub fn confirm_reported(&self, news: &HealthReport, learned: &ReportedHealth, now: Timestamp) {
        let mut judged = self.circuit();
        if judged.is_worth_logging(news, learned) {
            let code = judged.misconfigured_code.as_deref().unwrap_or("no code");
            log::error!(
                "{} is out of the rotation until the next start, or until an operator wakes it: it refuses our account or \
                 settings ({code}); `console status` has its words",
                self.name,
            );
        }
        judged.confirm_reported(news, &learned.shared, now);
    }

    /// It was told, and no answer came.
    pub fn mark_report_uncertain(&self) {
        self.circuit().mark_report_uncertain();
    }

    /// Takes over what other processes found out.
    pub fn load_health(&self, known: &SharedHealth, now: Timestamp) {
        self.circuit()
            .load_health(known, self.context.config_loaded_at, now);
    }

    /// Takes over what an operator says.
    pub fn apply_control(&self, order: &ProviderControl) {
        self.circuit().apply_control(order, self.context.config_loaded_at);
    }

    /// Why it is not fit at `now`.
    pub fn unavailability(&self, now: Timestamp) -> ProviderBusy {
        let (paused_until, standing) = {
            let judged = self.circuit();
            if judged.active_pause().is_some() {
                let (retry_after, spread) = PAUSED_RETRY;
                return ProviderBusy {
                    jitter_max: spread,
                    ..self.busy_for(retry_after, "was put to rest by an operator")
                };
            }
            (judged.cooldown_until(now), judged.breaker.status())
        };
        if let Some(until) = paused_until {
            let wait = (until - now).to_std().unwrap_or_default();
            return self.busy_for(wait, "asked us to slow down");
        }
        match standing {
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
        let (retry_after, spread) = HALF_OPEN_RETRY;
        ProviderBusy {
            jitter_max: spread,
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

    /// Calls the provider and remembers what came of it. Never takes longer than the provider's time limits.
    pub async fn call(&self, _place: CallPermit<'_>, parcel: &OutboundMessage, clock: &Clock) -> Attempt {
        let (at, watch, _beat) = (
            clock.now(),
            clock.stopwatch(),
            self.response_times.start_call(clock),
        );
        let answer = match tokio::time::timeout(self.call_timeout, self.provider.send(parcel)).await {
            Ok(answer) => answer,
            Err(_) => SendResult::from(Outcome::Unknown {
                reason: "no answer within the time limit".to_owned(),
            }),
        };
        if !matches!(
            answer.outcome,
            Outcome::Unknown { .. } | Outcome::Unavailable { .. }
        ) {
            self.response_times.record_response(clock);
        }
        let duration = watch.elapsed();
        self.complete(&answer, at + duration);
        self.durations.observe(duration.as_secs_f64());
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.call_micros_total.fetch_add(micros, Ordering::Relaxed);
        self.calls_total.fetch_add(1, Ordering::Relaxed);
        Attempt {
            provider: Some(self.name.clone()),
            outcome: answer.outcome,
            code: answer.code,
            at,
            duration,
            address: None,
        }
    }

    /// A provider's own words stay out of the log: many repeat the request, and with it the number and the body.
    pub(crate) fn complete(&self, answer: &SendResult, now: Timestamp) {
        let outcome = &answer.outcome;
        if let Some(counter) = Outcome::NAMES.iter().position(|word| *word == outcome.as_str()) {
            self.outcome_counters[counter].inc();
        }
        match outcome {
            Outcome::Accepted { .. }
            | Outcome::Deferred { .. }
            | Outcome::Rejected { .. }
            | Outcome::InvalidRecipient { .. } => {
                self.update_circuit(|judged| judged.breaker.record_success())
            }
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                self.update_circuit(|judged| judged.breaker.record_failure(now));
            }
            Outcome::Throttled { retry_after } => {
                let until = saturating_add(now, retry_after.unwrap_or(THROTTLED_COOLDOWN).min(COOLDOWN_MAX));
                self.update_circuit(|judged| {
                    judged.start_cooldown(until);
                    // Whoever says "too fast" is back.
                    if matches!(judged.breaker.status(), CircuitStatus::HalfOpen) {
                        judged.breaker.record_success();
                    }
                });
            }
            Outcome::Misconfigured { reason } => {
                self.update_circuit(|judged| judged.record_misconfigured(reason, answer.code.as_deref()));
            }
        }
    }

    /// Counts a receipt that said "not delivered" against the provider.
    pub fn record_bounce(&self, now: Timestamp) {
        self.update_circuit(|judged| judged.breaker.record_failure(now));
    }

    /// Changes the judgement, and has it told when others should know.
    fn update_circuit(&self, change: impl FnOnce(&mut ProviderCircuit)) {
        if self.circuit().update(change) {
            self.context.health_changed.notify_one();
        }
    }

    /// How it stands at `now`.
    pub fn status(&self, now: Timestamp) -> ProviderRuntimeStatus {
        let judged = self.circuit();
        let standing = judged.breaker.status();
        let paused_until = judged
            .cooldown_until(now)
            .filter(|_| standing == CircuitStatus::Closed);
        let (health, detail) = match (judged.active_pause(), paused_until) {
            (Some(order), _) => ("paused", pause_description(order)),
            (None, Some(until)) => {
                let until = until.format("%H:%M:%S UTC");
                (
                    standing.as_str(),
                    format!("asked us to slow down; gets no calls until {until}"),
                )
            }
            (None, None) => (standing.as_str(), standing.description()),
        };
        ProviderRuntimeStatus {
            state: health,
            detail,
            is_available: judged.is_available(now),
            in_flight: self.in_flight(),
            is_paused: judged.active_pause().is_some(),
        }
    }

    fn circuit(&self) -> MutexGuard<'_, ProviderCircuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause_description(order: &ProviderControl) -> String {
    let by = if order.requested_by.is_empty() {
        "an operator"
    } else {
        order.requested_by.as_str()
    };
    let at = order.at.format("%Y-%m-%d %H:%M UTC");
    format!("put to rest by {by} on {at}; gets no calls until it is woken")
}
