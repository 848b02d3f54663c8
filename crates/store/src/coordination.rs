//! Coordination between processes: rate limits, provider health and control, job locks, the clock, the store secret.

use std::time::Duration;

use async_trait::async_trait;

use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_core::{
    circuit_breaker::ProbeUrgency, clock::Timestamp, error::Result, name::ConfigName,
    provider_control::ProviderControl, rate_limit::RateLimitRequest,
};

/// Shares state between the processes that use the store.
#[async_trait]
pub trait CoordinationStore: Send + Sync {
    /// Returns the time of the store, which all processes on the store use.
    async fn current_time(&self) -> Result<Timestamp>;

    /// Returns whether [`current_time`](CoordinationStore::current_time) can differ from the clock of this host.
    fn has_own_clock(&self) -> bool;

    /// Reserves calls to a provider so that all processes together stay within its rate; returns the delay of each call
    /// that has to wait. An unused permit cannot be returned.
    async fn acquire_rate_permits(
        &self,
        request: RateLimitRequest,
        now: Timestamp,
    ) -> Result<Vec<RatePermit>>;

    /// Returns the health of all providers that any process has reported.
    async fn load_health(&self) -> Result<Vec<SharedHealth>>;

    /// Reports the health of providers and returns the shared health of each provider, in the same order. If several
    /// processes report the same change, only one of their results has `is_new`.
    async fn report_health(&self, reports: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>>;

    /// Acquires the probe of a provider whose circuit breaker is open or that is misconfigured. One process gets the probe; if that process reports
    /// no health within `timeout`, another process may acquire the probe.
    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        urgency: ProbeUrgency,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision>;

    /// Stores an operator's control of a provider in place of the earlier one. Resuming also closes the circuit breaker
    /// and ends the provider's cooldown.
    async fn save_provider_control(&self, control: ProviderControl) -> Result<()>;

    /// Returns the control of every provider that an operator ever paused or resumed.
    async fn provider_controls(&self) -> Result<Vec<ProviderControl>>;

    /// Acquires the lock of a scheduled job. The lock expires after `lease`, which is the same for all processes,
    /// unless it is renewed.
    async fn acquire_job_lock(
        &self,
        job: ScheduledJob,
        holder: &str,
        now: Timestamp,
        lease: Duration,
    ) -> Result<JobLockResult>;

    /// Moves the expiry of a job lock. Returns false if `holder` does not hold the lock any more.
    async fn renew_job_lock(&self, job: ScheduledJob, holder: &str, expires_at: Timestamp) -> Result<bool>;

    /// Releases a job lock. No process can acquire the lock before `expires_at`, which may be now.
    async fn release_job_lock(&self, job: ScheduledJob, holder: &str, expires_at: Timestamp) -> Result<()>;

    /// Returns the store secret, which is made once and never changes. Processes on the store sign cookies and cache
    /// entries with the secret.
    async fn store_secret(&self) -> Result<[u8; 32]>;

    /// Returns how often the browser sessions of an API key were ended; 0 if never. A session cookie contains the
    /// number at its sign-in, so a later increase makes the cookie invalid.
    async fn session_generation(&self, api_key_name: &str) -> Result<i64>;

    /// Ends all browser sessions of an API key, for all processes on the store.
    async fn end_sessions(&self, api_key_name: &str) -> Result<()>;
}

/// Permission for one call, or the delay until it may start.
pub type RatePermit = std::result::Result<(), Duration>;

/// Result of acquiring a probe, with the provider's shared health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeDecision {
    /// The caller makes the probe; the provider has this health from now on.
    Granted(SharedHealth),
    /// Another process makes the probe, or the provider needs no probe.
    Denied(Option<SharedHealth>),
}
