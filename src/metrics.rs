//! What the machines are told at `/metrics`: counters and histograms in Prometheus' own terms.
//!
//! Counters are made once and cloned into the parts that count, so that counting costs one atomic addition.
//! Labels are bounded: channels, providers, outcomes and states; never a number, a user or a message.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds, from a fast local peer to the longest time limit of a call.
const DURATION_BOUNDS_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProviderLabel {
    provider: String,
}

/// A provider and what a call to it came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    provider: String,
    outcome: &'static str,
}

/// A channel and a state a delivery moved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabels {
    channel: String,
    state: &'static str,
}

/// Why a message was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    reason: &'static str,
}

/// What became of a receipt, or of a text that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReceiptLabel {
    fate: &'static str,
}

/// Every series. Cloning one of its families clones a handle, not the numbers.
pub struct Metrics {
    registry: Mutex<Registry>,
    attempts: Family<OutcomeLabels, Counter>,
    durations: Family<ProviderLabel, Histogram>,
    states: Family<StateLabels, Counter>,
    refused: Family<ReasonLabel, Counter>,
    receipts: Family<ReceiptLabel, Counter>,
    texts: Family<ReceiptLabel, Counter>,
    events: Family<ReceiptLabel, Counter>,
    provider_open: Family<ProviderLabel, Gauge>,
    held_back: Family<ProviderLabel, Counter>,
    /// Messages stored.
    pub accepted: Counter,
    /// Verbs of the store that failed.
    pub store_errors: Counter,
    /// Deliveries that wait, due or not, at the last look.
    pub waiting: Gauge,
    /// For how many seconds the longest waiting due delivery has been due, at the last look.
    pub oldest_waiting_seconds: Gauge,
    /// How old the newest report is, at the last look.
    pub report_age_seconds: Gauge,
    /// How far the store's clock is ahead of this machine's.
    pub clock_ahead_seconds: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(DURATION_BOUNDS_SECONDS);
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("postrider")),
            attempts: Family::default(),
            durations: Family::new_with_constructor(histogram),
            states: Family::default(),
            refused: Family::default(),
            receipts: Family::default(),
            texts: Family::default(),
            events: Family::default(),
            provider_open: Family::default(),
            held_back: Family::default(),
            accepted: Counter::default(),
            store_errors: Counter::default(),
            waiting: Gauge::default(),
            oldest_waiting_seconds: Gauge::default(),
            report_age_seconds: Gauge::default(),
            clock_ahead_seconds: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = lock(&self.registry);
        registry.register("accepted", "Messages stored", self.accepted.clone());
        registry.register("attempts", "Calls to providers by outcome", self.attempts.clone());
        registry.register(
            "state_changes",
            "Deliveries that moved to a state",
            self.states.clone(),
        );
        registry.register(
            "refused",
            "Messages turned away at the door",
            self.refused.clone(),
        );
        registry.register(
            "receipts",
            "Receipts by what became of them",
            self.receipts.clone(),
        );
        registry.register(
            "inbound_texts",
            "Texts that people sent, by what became of them",
            self.texts.clone(),
        );
        registry.register(
            "events",
            "Calls that told clients of state changes, by where the event stands afterwards",
            self.events.clone(),
        );
        registry.register(
            "store_errors",
            "Verbs of the store that failed",
            self.store_errors.clone(),
        );
        registry.register(
            "waiting",
            "Deliveries that wait, due or not",
            self.waiting.clone(),
        );
        registry.register(
            "provider_open",
            "1 when a provider can be asked",
            self.provider_open.clone(),
        );
        registry.register(
            "held_back",
            "Deliveries that a provider's rate made wait",
            self.held_back.clone(),
        );
        let ahead = self.clock_ahead_seconds.clone();
        registry.register_with_unit(
            "clock_ahead",
            "How far the store's clock is ahead of ours",
            Unit::Seconds,
            ahead,
        );
        let seconds = [
            (
                "oldest_waiting",
                "Age of the longest waiting due delivery",
                &self.oldest_waiting_seconds,
            ),
            ("report_age", "Age of the newest report", &self.report_age_seconds),
        ];
        for (name, help, gauge) in seconds {
            registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        }
        let durations = self.durations.clone();
        registry.register_with_unit("attempt_duration", "Time of a call", Unit::Seconds, durations);
    }

    /// The counter for one provider and one outcome, to be kept by whoever counts.
    pub fn attempts(&self, provider: &str, outcome: &'static str) -> Counter {
        let labels = OutcomeLabels {
            provider: provider.to_owned(),
            outcome,
        };
        self.attempts.get_or_create(&labels).clone()
    }

    /// The histogram of one provider's call times in seconds.
    pub fn durations(&self, provider: &str) -> Histogram {
        self.durations
            .get_or_create(&ProviderLabel {
                provider: provider.to_owned(),
            })
            .clone()
    }

    /// The counter for deliveries that a provider's rate made wait.
    pub fn held_back(&self, provider: &str) -> Counter {
        self.held_back
            .get_or_create(&ProviderLabel {
                provider: provider.to_owned(),
            })
            .clone()
    }

    /// The counter for deliveries of one channel that move to one state.
    pub fn states(&self, channel: &str, state: &'static str) -> Counter {
        self.states
            .get_or_create(&StateLabels {
                channel: channel.to_owned(),
                state,
            })
            .clone()
    }

    /// Counts a message turned away.
    pub fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a receipt.
    pub fn receipt(&self, fate: &'static str) {
        self.receipts.get_or_create(&ReceiptLabel { fate }).inc();
    }

    /// Counts a text that somebody sent us.
    pub fn text_heard(&self, fate: &'static str) {
        self.texts.get_or_create(&ReceiptLabel { fate }).inc();
    }

    /// Counts a call that told a client of something, by where the event stands afterwards.
    pub fn event(&self, fate: &'static str) {
        self.events.get_or_create(&ReceiptLabel { fate }).inc();
    }

    /// Says whether a provider can be asked.
    pub fn provider_open(&self, provider: &str, open: bool) {
        let label = ProviderLabel {
            provider: provider.to_owned(),
        };
        self.provider_open.get_or_create(&label).set(i64::from(open));
    }

    /// The text of `/metrics` in the OpenMetrics format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &lock(&self.registry)).is_err() {
            log::error!("metrics could not be written");
        }
        text
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
