//! Metrics of `/metrics`: counters, gauges and histograms for Prometheus.
//!
//! Counters are created once and cloned into the parts that count, so that counting costs one atomic
//! addition. Label values are bounded: channels, providers, outcomes and states; never a number, a user or a
//! message.

mod labels;
mod prometheus_text;

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use self::labels::{
    BreakerLabels, ChannelLabel, OutcomeLabels, ProviderLabel, ReasonLabel, ResultLabel, StateLabels,
};

/// Histogram bounds in seconds, from a fast local provider to the longest timeout of a call.
const DURATION_BOUNDS_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Results of a receipt; exported from the start, so that the first one is seen as an increase.
const RECEIPT_RESULTS: [&str; 4] = ["applied", "unchanged", "unmatched", "dropped"];

/// Results of an inbound message.
const INBOUND_MESSAGE_RESULTS: [&str; 4] = ["opted_out", "opted_in", "unchanged", "ignored"];

/// States of an event after an attempt.
const EVENT_ATTEMPT_RESULTS: [&str; 3] = ["waiting", "delivered", "dead"];

/// States of a provider: those of its circuit breaker, and paused by an operator.
const CIRCUIT_STATES: [&str; 5] = ["closed", "open", "half_open", "misconfigured", "paused"];

/// Waiting deliveries of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelBacklog {
    /// Name of the channel.
    pub channel: String,
    /// Waiting deliveries, due or not.
    pub waiting: u64,
    /// Waiting deliveries that are due.
    pub due: u64,
    /// Time for which the oldest due delivery has been due, in seconds.
    pub oldest_due_seconds: i64,
}

/// All metrics. Cloning a family clones a handle, not the values.
pub struct Metrics {
    registry: Mutex<Registry>,
    attempts: Family<OutcomeLabels, Counter>,
    attempt_durations: Family<ProviderLabel, Histogram>,
    state_changes: Family<StateLabels, Counter>,
    refused: Family<ReasonLabel, Counter>,
    receipts: Family<ResultLabel, Counter>,
    inbound_messages: Family<ResultLabel, Counter>,
    event_attempts: Family<ResultLabel, Counter>,
    provider_available: Family<ProviderLabel, Gauge>,
    breaker_states: Family<BreakerLabels, Gauge>,
    calls_in_flight: Family<ProviderLabel, Gauge>,
    providers_available: Family<ChannelLabel, Gauge>,
    waiting: Family<ChannelLabel, Gauge>,
    due: Family<ChannelLabel, Gauge>,
    oldest_waiting: Family<ChannelLabel, Gauge>,
    rate_limited: Family<ProviderLabel, Counter>,
    /// Stored messages.
    pub accepted: Counter,
    /// Failed store operations.
    pub store_errors: Counter,
    /// Duration of accepting a message in seconds, including refusals.
    pub accept_duration: Histogram,
    /// Age of the newest report when it was last read.
    pub report_age_seconds: Gauge,
    /// Store clock minus local clock, in seconds.
    pub clock_offset_seconds: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(DURATION_BOUNDS_SECONDS);
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("postrider")),
            attempts: Family::default(),
            attempt_durations: Family::new_with_constructor(histogram),
            state_changes: Family::default(),
            refused: Family::default(),
            receipts: Family::default(),
            inbound_messages: Family::default(),
            event_attempts: Family::default(),
            provider_available: Family::default(),
            breaker_states: Family::default(),
            calls_in_flight: Family::default(),
            providers_available: Family::default(),
            waiting: Family::default(),
            due: Family::default(),
            oldest_waiting: Family::default(),
            rate_limited: Family::default(),
            accepted: Counter::default(),
            store_errors: Counter::default(),
            accept_duration: histogram(),
            report_age_seconds: Gauge::default(),
            clock_offset_seconds: Gauge::default(),
        };
        for (family, results) in [
            (&metrics.receipts, &RECEIPT_RESULTS[..]),
            (&metrics.inbound_messages, &INBOUND_MESSAGE_RESULTS[..]),
            (&metrics.event_attempts, &EVENT_ATTEMPT_RESULTS[..]),
        ] {
            for result in results {
                drop(family.get_or_create(&ResultLabel { result }));
            }
        }
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = lock(&self.registry);
        registry.register("accepted", "Messages stored", self.accepted.clone());
        registry.register("attempts", "Attempts by provider and outcome", self.attempts.clone());
        registry.register(
            "state_changes",
            "Delivery state changes by channel and new state",
            self.state_changes.clone(),
        );
        registry.register("refused", "Messages that were not accepted, by reason", self.refused.clone());
        registry.register("receipts", "Receipts by result", self.receipts.clone());
        registry.register("inbound_messages", "Inbound messages by result", self.inbound_messages.clone());
        registry.register(
            "event_attempts",
            "Webhook delivery attempts by resulting event state",
            self.event_attempts.clone(),
        );
        registry.register("store_errors", "Store operations that failed", self.store_errors.clone());
        registry.register(
            "rate_limited",
            "Calls postponed by the provider rate limiter",
            self.rate_limited.clone(),
        );
        let clock_offset = self.clock_offset_seconds.clone();
        registry.register_with_unit(
            "clock_offset",
            "Store clock minus local clock",
            Unit::Seconds,
            clock_offset,
        );
        drop(registry);
        self.register_gauges();
        self.register_seconds();
    }

    fn register_gauges(&self) {
        let mut registry = lock(&self.registry);
        let help = "1 for the current circuit breaker state of a provider, 0 for the others";
        registry.register("provider_circuit", help, self.breaker_states.clone());
        let gauges = [
            (
                "provider_available",
                "1 when calls to a provider are allowed, 0 otherwise",
                &self.provider_available,
            ),
            ("calls_in_flight", "Calls to a provider in flight", &self.calls_in_flight),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let channels = [
            ("waiting", "Waiting deliveries, due or not", &self.waiting),
            ("due", "Waiting deliveries that are due", &self.due),
            (
                "providers_available",
                "Providers of a channel to which calls are allowed",
                &self.providers_available,
            ),
        ];
        for (name, help, gauge) in channels {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_seconds(&self) {
        let mut registry = lock(&self.registry);
        let oldest_help = "Time for which the oldest due delivery has been due";
        let oldest_waiting = self.oldest_waiting.clone();
        registry.register_with_unit("oldest_waiting", oldest_help, Unit::Seconds, oldest_waiting);
        let age_help = "Age of the newest report, or of this process while there is none";
        let report_age = self.report_age_seconds.clone();
        registry.register_with_unit("report_age", age_help, Unit::Seconds, report_age);
        let durations = self.attempt_durations.clone();
        registry.register_with_unit("attempt_duration", "Duration of an attempt", Unit::Seconds, durations);
        let accept_help = "Duration of accepting a message, including refusals";
        let accept = self.accept_duration.clone();
        registry.register_with_unit("accept_duration", accept_help, Unit::Seconds, accept);
    }

    /// Registers the error counters of queue and cache.
    pub fn register_backend_errors(&self, queue_errors: Counter, cache_errors: Counter) {
        let mut registry = lock(&self.registry);
        let help = "Queue operations that failed";
        registry.register("queue_errors", help, queue_errors);
        let help = "Cache operations that failed";
        registry.register("cache_errors", help, cache_errors);
    }

    /// Registers the group commit histograms of the store.
    pub fn register_commits(&self, sizes: Histogram, seconds: Histogram) {
        let mut registry = lock(&self.registry);
        registry.register("commit_size", "Operations in a group commit", sizes);
        let help = "Duration of a group commit, from its first operation to the end of the fsync";
        registry.register_with_unit("commit_duration", help, Unit::Seconds, seconds);
    }

    /// Registers `build_info`, a gauge that is always 1: its labels name the program that runs.
    pub fn register_build_info(&self, version: &str, commit: &str, commit_date: &str) {
        let labels = [("version", version), ("commit", commit), ("commit_date", commit_date)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let build_info = Family::<Vec<(String, String)>, Gauge>::default();
        build_info.get_or_create(&labels).set(1);
        lock(&self.registry).register("build_info", "Version and commit of the program", build_info);
    }

    /// Returns the counter of attempts for one provider and outcome.
    pub fn attempt_counter(&self, provider: &str, outcome: &'static str) -> Counter {
        let labels = OutcomeLabels { provider: provider.to_owned(), outcome };
        self.attempts.get_or_create(&labels).clone()
    }

    /// Returns the histogram of one provider's call durations, in seconds.
    pub fn attempt_duration_histogram(&self, provider: &str) -> Histogram {
        self.attempt_durations.get_or_create(&ProviderLabel { provider: provider.to_owned() }).clone()
    }

    /// Returns the counter of calls that the rate limiter of a provider postponed.
    pub fn rate_limited_counter(&self, provider: &str) -> Counter {
        self.rate_limited.get_or_create(&ProviderLabel { provider: provider.to_owned() }).clone()
    }

    /// Returns the counter of state changes for one channel and new state.
    pub fn state_change_counter(&self, channel: &str, state: &'static str) -> Counter {
        self.state_changes.get_or_create(&StateLabels { channel: channel.to_owned(), state }).clone()
    }

    /// Counts a message that was not accepted.
    pub fn count_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a receipt.
    pub fn count_receipt(&self, result: &'static str) {
        self.receipts.get_or_create(&ResultLabel { result }).inc();
    }

    /// Returns the number of receipts of all results.
    pub fn receipt_count(&self) -> u64 {
        let count = |result| self.receipts.get_or_create(&ResultLabel { result }).get();
        RECEIPT_RESULTS.into_iter().map(count).sum()
    }

    /// Counts an inbound message.
    pub fn count_inbound_message(&self, result: &'static str) {
        self.inbound_messages.get_or_create(&ResultLabel { result }).inc();
    }

    /// Counts an attempt to send an event, by the resulting state.
    pub fn count_event_attempt(&self, result: &'static str) {
        self.event_attempts.get_or_create(&ResultLabel { result }).inc();
    }

    /// Sets whether calls to a provider are allowed, and its calls in flight.
    pub fn set_provider_available(&self, provider: &str, available: bool, in_flight: usize) {
        let label = ProviderLabel { provider: provider.to_owned() };
        self.provider_available.get_or_create(&label).set(i64::from(available));
        let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
        self.calls_in_flight.get_or_create(&label).set(in_flight);
    }

    /// Sets the gauge of the current circuit state to 1 and those of the other states to 0.
    pub fn set_breaker_state(&self, provider: &str, current: &str) {
        for state in CIRCUIT_STATES {
            let labels = BreakerLabels { provider: provider.to_owned(), state };
            let gauge = self.breaker_states.get_or_create(&labels);
            gauge.set(i64::from(state == current));
        }
    }

    /// Sets the number of a channel's providers to which calls are allowed.
    pub fn set_providers_available(&self, channel: &str, available: usize) {
        let label = ChannelLabel { channel: channel.to_owned() };
        let available = i64::try_from(available).unwrap_or(i64::MAX);
        self.providers_available.get_or_create(&label).set(available);
    }

    /// Sets the backlog of each channel and removes channels that are not listed. Holds the registry lock, so
    /// that no scrape sees a partial update.
    pub fn set_channel_backlogs(&self, channels: &[ChannelBacklog]) {
        let _guard = lock(&self.registry);
        for family in [&self.waiting, &self.due, &self.oldest_waiting] {
            family.clear();
        }
        let gauge = |count| i64::try_from(count).unwrap_or(i64::MAX);
        for backlog in channels {
            let label = ChannelLabel { channel: backlog.channel.clone() };
            self.waiting.get_or_create(&label).set(gauge(backlog.waiting));
            self.due.get_or_create(&label).set(gauge(backlog.due));
            self.oldest_waiting.get_or_create(&label).set(backlog.oldest_due_seconds);
        }
    }

    /// Returns the metrics in the older Prometheus text format, in which the family of a counter ends with
    /// `_total` too.
    pub fn prometheus_text(&self) -> String {
        prometheus_text::to_prometheus_text(&self.openmetrics_text())
    }

    /// Returns the metrics in the OpenMetrics text format.
    pub fn openmetrics_text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &lock(&self.registry)).is_err() {
            log::error!("metrics: encoding failed");
        }
        text
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
