//! State that processes share: the clock, provider health and controls, job locks, and the store secret.
//!
//! Every write of provider health is serialised by an advisory lock. Rate limiters are in [`super::rate_permits`].

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::pool::{PgTransaction, bind};
use super::{errors::PgError, escape::escape_text, rate_permits::RateOperation, store::PostgresStore};
use crate::rows::SqlRow;
use crate::rows::coordination::{
    CircuitColumns, decode_health, decode_job_lock_owner, decode_provider_control,
};
use crate::{CoordinationStore, ProbeDecision, RatePermit};
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_core::{
    circuit_breaker::ProbeUrgency, clock::Timestamp, error::Result, name::ConfigName,
    rate_limit::RateLimitRequest,
};

static READ_CLOCK: &str = sql!("postgres/coordination/read_clock");
static END_RATE_COOLDOWN: &str = sql!("common/coordination/end_rate_cooldown");
static LIST_HEALTH: &str = sql!("common/coordination/list_provider_health");
static READ_HEALTH: &str = sql!("common/coordination/read_provider_health");
static SAVE_HEALTH: &str = sql!("common/coordination/save_provider_health");
static LIST_CONTROLS: &str = sql!("common/coordination/list_provider_controls");
static SAVE_CONTROL: &str = sql!("common/coordination/save_provider_control");
static READ_JOB_LOCK: &str = sql!("common/coordination/read_job_lock");
static ACQUIRE_JOB_LOCK: &str = sql!("postgres/coordination/acquire_job_lock");
static RENEW_JOB_LOCK: &str = sql!("postgres/coordination/renew_job_lock");
static RELEASE_JOB_LOCK: &str = sql!("postgres/coordination/release_job_lock");
static READ_STORE_SECRET: &str = sql!("postgres/coordination/read_store_secret");
static READ_SESSION_GENERATION: &str = sql!("postgres/coordination/read_session_generation");
static END_SESSIONS: &str = sql!("postgres/coordination/end_sessions");

#[async_trait]
impl CoordinationStore for PostgresStore {
    async fn current_time(&self) -> Result<Timestamp> {
        run_transaction!(self.begin_read, "cannot read the time of the store", |transaction| {
            transaction.query_one(READ_CLOCK, &[]).await?.time("now_ms")
        })
    }

    fn has_own_clock(&self) -> bool {
        true
    }

    async fn acquire_rate_permits(
        &self,
        request: RateLimitRequest,
        now: Timestamp,
    ) -> Result<Vec<RatePermit>> {
        let requested_at = Instant::now();
        self.rate_requests.run(RateOperation { request, now, requested_at }).await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        run_transaction!(self.begin_read, "cannot read provider health", |transaction| {
            transaction.query_all(LIST_HEALTH, &[], decode_health).await
        })
    }

    async fn report_health(&self, reports: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        run_transaction!(self.begin_write, "cannot report provider health", |transaction| {
            report_health(transaction, &reports, now).await
        })
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        urgency: ProbeUrgency,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        run_transaction!(self.begin_write, "cannot acquire the probe", |transaction| {
            lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
            let Some(health) = read_health(transaction, provider).await? else {
                return Ok(ProbeDecision::Denied(None));
            };
            let Some(probing) = health.with_urgent_probe_started(urgency, timeout, now) else {
                return Ok(ProbeDecision::Denied(Some(health)));
            };
            save_health(transaction, &probing).await?;
            Ok(ProbeDecision::Granted(probing))
        })
    }

    async fn save_provider_control(&self, control: ProviderControl) -> Result<()> {
        run_transaction!(self.begin_write, "cannot save the provider control", |transaction| {
            save_provider_control(transaction, &control).await
        })
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        run_transaction!(self.begin_read, "cannot read provider controls", |transaction| {
            transaction.query_all(LIST_CONTROLS, &[], decode_provider_control).await
        })
    }

    async fn acquire_job_lock(
        &self,
        job: ScheduledJob,
        process_name: &str,
        now: Timestamp,
        hold: Duration,
    ) -> Result<JobLockResult> {
        let expires_at = (now + hold).timestamp_millis();
        // A lock that expires later than this was set by a wrong clock.
        let expires_at_max = (now + hold * 2).timestamp_millis();
        run_transaction!(self.begin_write, "cannot acquire the job lock", |transaction| {
            let values =
                bind![job.as_str(), process_name, now.timestamp_millis(), expires_at, expires_at_max];
            if transaction.execute_and_count(ACQUIRE_JOB_LOCK, values).await? > 0 {
                return Ok(JobLockResult::Acquired);
            }
            let owner_row = transaction.query_one(READ_JOB_LOCK, bind![job.as_str()]).await?;
            decode_job_lock_owner(&owner_row).map(JobLockResult::Busy)
        })
    }

    async fn renew_job_lock(
        &self,
        job: ScheduledJob,
        process_name: &str,
        expires_at: Timestamp,
    ) -> Result<bool> {
        run_transaction!(self.begin_write, "cannot renew the job lock", |transaction| {
            let values = bind![job.as_str(), process_name, expires_at.timestamp_millis()];
            Ok(transaction.execute_and_count(RENEW_JOB_LOCK, values).await? > 0)
        })
    }

    async fn release_job_lock(
        &self,
        job: ScheduledJob,
        process_name: &str,
        expires_at: Timestamp,
    ) -> Result<()> {
        run_transaction!(self.begin_write, "cannot release the job lock", |transaction| {
            let values = bind![job.as_str(), process_name, expires_at.timestamp_millis()];
            transaction.execute(RELEASE_JOB_LOCK, values).await
        })
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        run_transaction!(self.begin_read, "cannot read the store secret", |transaction| {
            transaction.query_one(READ_STORE_SECRET, &[]).await?.bytes("bytes")
        })
    }

    async fn session_generation(&self, api_key_name: &str) -> Result<i64> {
        run_transaction!(self.begin_read, "cannot read the session generation", |transaction| {
            let generation = transaction
                .query_optional(READ_SESSION_GENERATION, bind![api_key_name], |row| row.integer("number"))
                .await?;
            Ok(generation.unwrap_or_default())
        })
    }

    async fn end_sessions(&self, api_key_name: &str) -> Result<()> {
        run_transaction!(self.begin_write, "cannot end the sessions", |transaction| {
            transaction.execute(END_SESSIONS, bind![api_key_name]).await
        })
    }
}

/// Merges reports into the shared health and returns the results.
async fn report_health(
    transaction: &PgTransaction,
    reports: &[HealthReport],
    now: Timestamp,
) -> Result<Vec<ReportedHealth>, PgError> {
    lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
    let mut reported = Vec::with_capacity(reports.len());
    for report in reports {
        let health_before = read_health(transaction, &report.provider).await?;
        let health_after = ReportedHealth::after(health_before.clone(), report.clone(), now);
        if health_before.as_ref() != Some(&health_after.shared) {
            save_health(transaction, &health_after.shared).await?;
        }
        reported.push(health_after);
    }
    Ok(reported)
}

/// Saves an operator's command. Resuming a provider also closes its circuit breaker and ends its cooldown.
async fn save_provider_control(
    transaction: &PgTransaction,
    control: &ProviderControl,
) -> Result<(), PgError> {
    lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
    let values = bind![
        control.provider.as_str(),
        control.action.as_str(),
        escape_text(&control.requested_by),
        control.at.timestamp_millis(),
    ];
    transaction.execute(SAVE_CONTROL, values).await?;
    if control.action == ControlAction::Pause {
        return Ok(());
    }
    let values = bind![control.at.timestamp_millis(), control.provider.as_str()];
    transaction.execute(END_RATE_COOLDOWN, values).await?;
    let health = read_health(transaction, &control.provider).await?;
    match health.and_then(|health| health.resumed(control.at)) {
        Some(resumed_health) => save_health(transaction, &resumed_health).await,
        None => Ok(()),
    }
}

async fn read_health(
    transaction: &PgTransaction,
    provider: &ConfigName,
) -> Result<Option<SharedHealth>, PgError> {
    transaction.query_optional(READ_HEALTH, bind![provider.as_str()], decode_health).await
}

async fn save_health(transaction: &PgTransaction, health: &SharedHealth) -> Result<(), PgError> {
    let circuit = CircuitColumns::from_circuit(&health.circuit);
    let values = bind![
        health.provider.as_str(),
        circuit.circuit,
        circuit.open_until,
        circuit.backoff_factor,
        circuit.reason.map(escape_text),
        health.cooldown_until.map(|until| until.timestamp_millis()),
        health.since.timestamp_millis(),
        health.version,
    ];
    transaction.execute(SAVE_HEALTH, values).await
}
