//! Counters and durations of the calls to one provider.

use postrider_core::attempt::Outcome;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::{metrics::counter::Counter, metrics::histogram::Histogram};

use crate::metrics::Metrics;

/// Counters of the calls to one provider.
pub(super) struct CallMetrics {
    /// Calls that the rate limiter postponed.
    pub rate_limited: Counter,
    outcomes: [Counter; Outcome::NAMES.len()],
    durations: Histogram,
    calls_total: AtomicU64,
    call_micros_total: AtomicU64,
}

impl CallMetrics {
    /// Creates the counters of a provider and registers them.
    pub fn new(provider: &str, metrics: &Metrics) -> Self {
        Self {
            rate_limited: metrics.rate_limited_counter(provider),
            outcomes: Outcome::NAMES.map(|outcome| metrics.attempt_counter(provider, outcome)),
            durations: metrics.attempt_duration_histogram(provider),
            calls_total: AtomicU64::new(0),
            call_micros_total: AtomicU64::new(0),
        }
    }

    /// Counts the outcome of a call.
    pub fn count_outcome(&self, outcome: &Outcome) {
        if let Some(index) = Outcome::NAMES.iter().position(|name| *name == outcome.as_str()) {
            self.outcomes[index].inc();
        }
    }

    /// Records the duration of a call.
    pub fn record_duration(&self, duration: Duration) {
        self.durations.observe(duration.as_secs_f64());
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.call_micros_total.fetch_add(micros, Ordering::Relaxed);
        self.calls_total.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of calls so far and their total duration.
    pub fn totals(&self) -> (u64, Duration) {
        let micros = self.call_micros_total.load(Ordering::Relaxed);
        (self.calls_total.load(Ordering::Relaxed), Duration::from_micros(micros))
    }
}
