//! The reasons why a provider cannot be called now, and when to try it again.

use postrider_core::{circuit_breaker::CircuitState, clock::Timestamp, name::ConfigName};
use std::time::Duration;

use crate::circuit::ProviderCircuit;

/// Delay before a provider with `concurrency` calls in flight is tried again.
const CONCURRENCY_RETRY: Duration = Duration::from_millis(250);

/// Maximum delay before a misconfigured provider is tried again, because an operator may resume it at any time.
const MISCONFIGURED_RETRY: Duration = Duration::from_secs(60);

/// Delay before a provider with a probe in flight is tried again: 1 s plus up to 1 s of jitter, so that
/// waiting deliveries do not all become due at once.
const HALF_OPEN_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1));

/// Delay before a provider is tried again after a store error.
pub(super) const STORE_ERROR_RETRY: Duration = Duration::from_secs(1);

/// Delay before a paused provider is tried again: 30 s plus up to 10 s of jitter.
const PAUSED_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Minimum delay before a busy provider is tried again. Delays of the rate limiter may be shorter, because each message
/// has its own slot.
pub const BUSY_RETRY_MIN: Duration = Duration::from_millis(250);

/// The reason why a provider cannot be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderBusy {
    /// Delay before the provider should be tried again.
    pub retry_after: Duration,
    /// Maximum jitter to add to `retry_after`.
    pub jitter_max: Duration,
    /// True if the provider asked for this delay, so that it does not count as age of a delivery.
    pub is_requested_by_provider: bool,
    /// Reason for the operator.
    pub reason: String,
}

impl ProviderBusy {
    /// `concurrency` calls are in flight.
    pub(super) fn at_concurrency_limit(provider: &ConfigName) -> Self {
        Self::new(provider, CONCURRENCY_RETRY, "has reached its concurrency limit")
    }

    /// The rate limiter allows no call before `retry_after`.
    pub(super) fn at_rate_limit(provider: &ConfigName, retry_after: Duration) -> Self {
        Self { retry_after, ..Self::new(provider, retry_after, "has reached its rate limit") }
    }

    /// The store was unavailable when the right to probe was requested.
    pub(super) fn probe_unavailable(provider: &ConfigName) -> Self {
        Self::new(provider, STORE_ERROR_RETRY, "is being probed")
    }

    /// A probe is in flight.
    pub(super) fn half_open(provider: &ConfigName) -> Self {
        let (retry_after, jitter_max) = HALF_OPEN_RETRY;
        Self { jitter_max, ..Self::new(provider, retry_after, "is being probed") }
    }

    /// Returns why the circuit allows no call at `now`.
    pub(super) fn from_circuit(provider: &ConfigName, circuit: &ProviderCircuit, now: Timestamp) -> Self {
        if circuit.active_pause().is_some() {
            let (retry_after, jitter_max) = PAUSED_RETRY;
            return Self { jitter_max, ..Self::new(provider, retry_after, "was paused by an operator") };
        }
        if let Some(blocked_until) = circuit.cooldown_until(now) {
            let reason = format!("is in cooldown until {} (throttled)", blocked_until.format("%H:%M:%S UTC"));
            let busy = Self::new(provider, time_until(blocked_until, now), &reason);
            return Self { is_requested_by_provider: true, ..busy };
        }
        match circuit.breaker.state() {
            CircuitState::Open { until: blocked_until, .. } => Self::new(
                provider,
                time_until(*blocked_until, now),
                "has an open circuit breaker after failures",
            ),
            CircuitState::Closed => Self::new(provider, CONCURRENCY_RETRY, "is being probed"),
            CircuitState::HalfOpen { .. } => Self::half_open(provider),
            CircuitState::Misconfigured { until: blocked_until, .. } => Self::new(
                provider,
                time_until(*blocked_until, now).min(MISCONFIGURED_RETRY),
                "is misconfigured: its account or settings are wrong",
            ),
        }
    }

    fn new(provider: &ConfigName, retry_after: Duration, reason: &str) -> Self {
        Self {
            retry_after: retry_after.max(BUSY_RETRY_MIN),
            jitter_max: Duration::ZERO,
            is_requested_by_provider: false,
            reason: format!("{provider} {reason}"),
        }
    }
}

fn time_until(until: Timestamp, now: Timestamp) -> Duration {
    (until - now).to_std().unwrap_or_default()
}
