//! Coordination through the faulty connection. The model checks each result.

use std::time::Duration;

use async_trait::async_trait;
use postrider_core::circuit_breaker::ProbeUrgency;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::name::ConfigName;
use postrider_core::provider_control::ProviderControl;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_store::{CoordinationStore, ProbeDecision, RatePermit};

use super::FaultyStore;

#[async_trait]
impl CoordinationStore for FaultyStore {
    async fn current_time(&self) -> Result<Timestamp> {
        self.store.current_time().await
    }

    async fn acquire_rate_permits(
        &self,
        request: RateLimitRequest,
        now: Timestamp,
    ) -> Result<Vec<RatePermit>> {
        let work = async {
            let permits = self.store.acquire_rate_permits(request.clone(), now).await?;
            self.context.model().coordination.check_rate_grants(&request, &permits, now);
            Ok(permits)
        };
        self.call("acquire_rate_permits", work).await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        self.call("load_health", self.store.load_health()).await
    }

    async fn save_provider_control(&self, control: ProviderControl) -> Result<()> {
        self.call("save_provider_control", self.store.save_provider_control(control)).await
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        self.call("provider_controls", self.store.provider_controls()).await
    }

    async fn report_health(&self, reports: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        let work = async {
            let reported = self.store.report_health(reports, now).await?;
            let known = reported.iter().map(|reported| reported.shared.clone());
            self.context.model().coordination.end_probes(&known.collect::<Vec<_>>());
            Ok(reported)
        };
        self.call("report_health", work).await
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        urgency: ProbeUrgency,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        let work = async {
            let probe = self.store.acquire_probe(provider, urgency, timeout, now).await?;
            let name = provider.as_str();
            self.context.model().coordination.check_probe(name, &probe, timeout, now);
            Ok(probe)
        };
        self.call("acquire_probe", work).await
    }

    async fn acquire_job_lock(
        &self,
        job: ScheduledJob,
        holder: &str,
        now: Timestamp,
        lease: Duration,
    ) -> Result<JobLockResult> {
        let work = async {
            let result = self.store.acquire_job_lock(job, holder, now, lease).await?;
            let mut model = self.context.model();
            model.coordination.check_lock_acquired(job.as_str(), holder, &result, now, lease);
            Ok(result)
        };
        self.call("acquire_job_lock", work).await
    }

    async fn renew_job_lock(&self, job: ScheduledJob, holder: &str, expires_at: Timestamp) -> Result<bool> {
        let work = async {
            let renewed = self.store.renew_job_lock(job, holder, expires_at).await?;
            self.context.model().coordination.check_lock_renewed(job.as_str(), holder, expires_at, renewed);
            Ok(renewed)
        };
        self.call("renew_job_lock", work).await
    }

    async fn release_job_lock(&self, job: ScheduledJob, holder: &str, expires_at: Timestamp) -> Result<()> {
        let work = async {
            self.store.release_job_lock(job, holder, expires_at).await?;
            self.context.model().coordination.check_lock_released(job.as_str(), holder, expires_at);
            Ok(())
        };
        self.call("release_job_lock", work).await
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        self.store.store_secret().await
    }

    async fn session_generation(&self, api_key_name: &str) -> Result<i64> {
        self.call("session_generation", self.store.session_generation(api_key_name)).await
    }

    async fn end_sessions(&self, api_key_name: &str) -> Result<()> {
        self.call("end_sessions", self.store.end_sessions(api_key_name)).await
    }

    fn has_own_clock(&self) -> bool {
        self.store.has_own_clock()
    }
}
