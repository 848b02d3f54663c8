//! Metrics of `/metrics`: counters, gauges and histograms for Prometheus.
//!
//! Counters are created once and cloned into the parts that count, so that counting costs one atomic
//! addition. Label values are bounded: channels, providers, outcomes and states; never a number, a user or a
//! message.

mod prometheus_text;

use std::{borrow::Cow, sync::atomic::AtomicU64};

use parking_lot::Mutex;
use prometheus_client::registry::{Metric, Registry, Unit};
use prometheus_client::{
    encoding::text::encode, metrics::counter::Counter, metrics::family::Family, metrics::gauge::Gauge,
    metrics::histogram::Histogram,
};

use crate::circuit::PAUSED;
use postrider_core::shared_health::COOLDOWN;

/// Names and values of the labels of a metric. Values are bounded by the configuration or by enums of the domain.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// Histogram bounds in seconds, from a fast local provider to the longest timeout of a call.
const DURATION_BOUNDS_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Results of a receipt.
const RECEIPT_RESULTS: [&str; 5] = ["applied", "unchanged", "unmatched", "dropped", "unreadable"];

/// Results of an inbound message.
const INBOUND_MESSAGE_RESULTS: [&str; 10] = [
    "opted_out",
    "opted_in",
    "unchanged",
    "help",
    "routed",
    "kept",
    "repeated",
    "incomplete",
    "ignored",
    "unreadable",
];

/// Reasons for which a request is denied.
const DENIAL_REASONS: [&str; 8] = [
    "missing_key",
    "unknown_key",
    "insufficient_scope",
    "cross_site",
    "foreign_host",
    "too_many_wrong_keys",
    "callback_unauthenticated",
    "callback_unverified",
];

/// States of an event after an attempt.
const EVENT_ATTEMPT_RESULTS: [&str; 3] = ["waiting", "delivered", "dead"];

/// States of a provider: the states of its circuit breaker, and paused by an operator.
const PROVIDER_STATES: [&str; 6] = ["closed", "open", "half_open", "misconfigured", COOLDOWN, PAUSED];

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
    attempts: Family<Labels<2>, Counter>,
    attempt_durations: Family<Labels<1>, Histogram>,
    state_changes: Family<Labels<2>, Counter>,
    refused: Family<Labels<1>, Counter>,
    denied: Family<Labels<1>, Counter>,
    closed_connections: Family<Labels<1>, Counter>,
    receipts: Family<Labels<1>, Counter>,
    inbound_messages: Family<Labels<1>, Counter>,
    event_attempts: Family<Labels<1>, Counter>,
    provider_available: Family<Labels<1>, Gauge>,
    breaker_states: Family<Labels<2>, Gauge>,
    calls_in_flight: Family<Labels<1>, Gauge>,
    providers_available: Family<Labels<1>, Gauge>,
    waiting: Family<Labels<1>, Gauge>,
    due: Family<Labels<1>, Gauge>,
    oldest_waiting: Family<Labels<1>, Gauge>,
    rate_limited: Family<Labels<1>, Counter>,
    /// Stored messages.
    pub accepted: Counter,
    /// Failed store operations.
    pub store_errors: Counter,
    /// Duration of accepting a message in seconds, including refusals.
    pub accept_duration: Histogram,
    /// Age of the newest report when it was last read.
    pub report_age_seconds: Gauge,
    /// Size of SQLite's write-ahead log in bytes; 0 for PostgreSQL.
    pub wal_bytes: Gauge,
    /// Store clock minus local clock, in seconds.
    pub clock_offset_seconds: Gauge<f64, AtomicU64>,
}

/// Creates a metric and registers it.
fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a metric in seconds: its name gets the suffix `_seconds`.
fn register_seconds<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

/// Registers a gauge in bytes: its name gets the suffix `_bytes`.
fn register_bytes(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
    gauge
}

impl Default for Metrics {
    fn default() -> Self {
        let mut new_registry = Registry::with_prefix("postrider");
        let registry = &mut new_registry;
        let histogram = || Histogram::new(DURATION_BOUNDS_SECONDS);
        let oldest_help = "Time for which the oldest due delivery has been due";
        let wal_help = "Size of the write-ahead log of SQLite, 0 for PostgreSQL";
        let age_help = "Age of the newest report, or of this process while there is none";
        let breaker_help = "1 for the current circuit breaker state of a provider, 0 for the others";
        let available_help = "1 when calls to a provider are allowed, 0 otherwise";
        let attempt_durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let metrics = Self {
            accepted: register(registry, "accepted", "Messages stored"),
            attempts: register(registry, "attempts", "Attempts by provider and outcome"),
            state_changes: register(
                registry,
                "state_changes",
                "Delivery state changes by channel and new state",
            ),
            refused: register(registry, "refused", "Messages that were not accepted, by reason"),
            closed_connections: register(
                registry,
                "closed_connections",
                "Connections closed because all places were taken: idle ones, and refused new ones",
            ),
            denied: register(registry, "denied", "Requests without sufficient credentials, by reason"),
            receipts: register(registry, "receipts", "Receipts by result"),
            inbound_messages: register(registry, "inbound_messages", "Inbound messages by result"),
            event_attempts: register(
                registry,
                "event_attempts",
                "Webhook delivery attempts by resulting event state",
            ),
            store_errors: register(registry, "store_errors", "Store operations that failed"),
            rate_limited: register(registry, "rate_limited", "Calls postponed by the provider rate limiter"),
            wal_bytes: register_bytes(registry, "wal", wal_help),
            clock_offset_seconds: register_seconds(
                registry,
                "clock_offset",
                "Store clock minus local clock",
                Gauge::default(),
            ),
            breaker_states: register(registry, "provider_circuit", breaker_help),
            provider_available: register(registry, "provider_available", available_help),
            calls_in_flight: register(registry, "calls_in_flight", "Calls to a provider in flight"),
            waiting: register(registry, "waiting", "Waiting deliveries, due or not"),
            due: register(registry, "due", "Waiting deliveries that are due"),
            providers_available: register(
                registry,
                "providers_available",
                "Providers of a channel to which calls are allowed",
            ),
            oldest_waiting: register_seconds(registry, "oldest_waiting", oldest_help, Family::default()),
            report_age_seconds: register_seconds(registry, "report_age", age_help, Gauge::default()),
            attempt_durations: register_seconds(
                registry,
                "attempt_duration",
                "Duration of an attempt",
                attempt_durations,
            ),
            accept_duration: register_seconds(
                registry,
                "accept_duration",
                "Duration of accepting a message, including refusals",
                histogram(),
            ),
            registry: Mutex::new(new_registry),
        };
        metrics.create_result_counters();
        metrics
    }
}

impl Metrics {
    /// Creates the counters of all results with the value 0, so that Prometheus sees the first event as an increase.
    fn create_result_counters(&self) {
        for (family, results) in [
            (&self.receipts, &RECEIPT_RESULTS[..]),
            (&self.inbound_messages, &INBOUND_MESSAGE_RESULTS[..]),
            (&self.event_attempts, &EVENT_ATTEMPT_RESULTS[..]),
        ] {
            for result in results {
                drop(family.get_or_create_owned(&[("result", (*result).into())]));
            }
        }
        for reason in ["idle", "refused"] {
            drop(self.closed_connections.get_or_create_owned(&[("reason", reason.into())]));
        }
        for reason in DENIAL_REASONS {
            drop(self.denied.get_or_create_owned(&[("reason", reason.into())]));
        }
    }

    /// Registers the error counters of queue and cache.
    pub fn register_backend_errors(&self, queue_errors: Counter, cache_errors: Counter) {
        let mut registry = self.registry.lock();
        registry.register("queue_errors", "Queue operations that failed", queue_errors);
        registry.register("cache_errors", "Cache operations that failed", cache_errors);
    }

    /// Registers the group commit histograms of the store.
    pub fn register_commits(&self, sizes: Histogram, seconds: Histogram) {
        let mut registry = self.registry.lock();
        registry.register("commit_size", "Operations in a group commit", sizes);
        let help = "Duration of a group commit, from its first operation to the end of the fsync";
        registry.register_with_unit("commit_duration", help, Unit::Seconds, seconds);
    }

    /// Registers `build_info`. This gauge is always 1; its labels name the version of the program.
    pub fn register_build_info(&self, version: &str, commit: &str, commit_date: &str) {
        let labels = [("version", version), ("commit", commit), ("commit_date", commit_date)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let build_info = Family::<Vec<(String, String)>, Gauge>::default();
        build_info.get_or_create(&labels).set(1);
        self.registry.lock().register("build_info", "Version and commit of the program", build_info);
    }

    /// Returns the counter of attempts for one provider and outcome.
    pub fn attempt_counter(&self, provider: &str, outcome: &'static str) -> Counter {
        self.attempts.get_or_create_owned(&[provider_label(provider), ("outcome", outcome.into())])
    }

    /// Returns the histogram of one provider's call durations, in seconds.
    pub fn attempt_duration_histogram(&self, provider: &str) -> Histogram {
        self.attempt_durations.get_or_create_owned(&[provider_label(provider)])
    }

    /// Returns the counter of calls that the rate limiter of a provider postponed.
    pub fn rate_limited_counter(&self, provider: &str) -> Counter {
        self.rate_limited.get_or_create_owned(&[provider_label(provider)])
    }

    /// Returns the counter of state changes for one channel and new state.
    pub fn state_change_counter(&self, channel: &str, state: &'static str) -> Counter {
        self.state_changes.get_or_create_owned(&[channel_label(channel), ("state", state.into())])
    }

    /// Counts a message that was not accepted.
    pub fn count_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason.into())]).inc();
    }

    /// Counts a request without sufficient credentials.
    pub fn count_denied(&self, reason: &'static str) {
        self.denied.get_or_create(&[("reason", reason.into())]).inc();
    }

    /// Counts a connection that was closed because the maximum number of connections was reached.
    pub fn count_closed_connection(&self, reason: &'static str) {
        self.closed_connections.get_or_create(&[("reason", reason.into())]).inc();
    }

    /// Counts a receipt.
    pub fn count_receipt(&self, result: &'static str) {
        self.receipts.get_or_create(&[("result", result.into())]).inc();
    }

    /// Returns the number of receipts of all results.
    pub fn receipt_count(&self) -> u64 {
        let count_of = |result: &'static str| self.receipts.get_or_create(&[("result", result.into())]).get();
        RECEIPT_RESULTS.into_iter().map(count_of).sum()
    }

    /// Counts an inbound message.
    pub fn count_inbound_message(&self, result: &'static str) {
        self.inbound_messages.get_or_create(&[("result", result.into())]).inc();
    }

    /// Counts an attempt to send an event, under the state of the event after the attempt.
    pub fn count_event_attempt(&self, event_state: &'static str) {
        self.event_attempts.get_or_create(&[("result", event_state.into())]).inc();
    }

    /// Sets whether calls to a provider are allowed, and its calls in flight.
    pub fn set_provider_available(&self, provider: &str, is_available: bool, in_flight: usize) {
        let labels = [provider_label(provider)];
        self.provider_available.get_or_create(&labels).set(i64::from(is_available));
        self.calls_in_flight.get_or_create(&labels).set(gauge_value(in_flight));
    }

    /// Sets the gauge of the current circuit state to 1 and those of the other states to 0.
    pub fn set_breaker_state(&self, provider: &str, current_state: &str) {
        for breaker_state in PROVIDER_STATES {
            let gauge = self
                .breaker_states
                .get_or_create(&[provider_label(provider), ("state", breaker_state.into())]);
            gauge.set(i64::from(breaker_state == current_state));
        }
    }

    /// Sets the number of a channel's providers to which calls are allowed.
    pub fn set_providers_available(&self, channel: &str, provider_count: usize) {
        self.providers_available.get_or_create(&[channel_label(channel)]).set(gauge_value(provider_count));
    }

    /// Sets the backlog of each channel and removes the channels that are not listed. Holds the lock of the registry,
    /// so that a scrape never sees a partial update.
    pub fn set_channel_backlogs(&self, backlogs: &[ChannelBacklog]) {
        let _registry = self.registry.lock();
        for family in [&self.waiting, &self.due, &self.oldest_waiting] {
            family.clear();
        }
        for backlog in backlogs {
            let labels = [channel_label(&backlog.channel)];
            self.waiting.get_or_create(&labels).set(gauge_value(backlog.waiting));
            self.due.get_or_create(&labels).set(gauge_value(backlog.due));
            self.oldest_waiting.get_or_create(&labels).set(backlog.oldest_due_seconds);
        }
    }

    /// Returns the metrics in the older Prometheus text format, in which the family of a counter ends with
    /// `_total` too.
    pub fn prometheus_text(&self) -> String {
        prometheus_text::to_prometheus_text(&self.openmetrics_text())
    }

    /// Returns the metrics in the OpenMetrics text format.
    pub fn openmetrics_text(&self) -> String {
        let mut metrics_text = String::new();
        if encode(&mut metrics_text, &self.registry.lock()).is_err() {
            log::error!("metrics: encoding failed");
        }
        metrics_text
    }
}

fn provider_label(provider: &str) -> (&'static str, Cow<'static, str>) {
    ("provider", provider.to_owned().into())
}

fn channel_label(channel: &str) -> (&'static str, Cow<'static, str>) {
    ("channel", channel.to_owned().into())
}

fn gauge_value<N>(count: N) -> i64
where
    i64: TryFrom<N>,
{
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
