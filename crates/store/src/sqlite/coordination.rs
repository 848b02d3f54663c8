//! Coordination of the processes that share a SQLite file.
//!
//! Write transactions are exclusive, so a row that a transaction reads cannot change before the transaction writes.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::query::{query_all, query_one, query_optional};
use super::{store::SqliteStore, write_transaction::WriteTransaction};
use crate::coordination::{CoordinationStore, ProbeDecision, RatePermit};
use crate::rows::SqlRow;
use crate::rows::coordination::{
    CircuitColumns, decode_health, decode_job_lock_owner, decode_provider_control, decode_rate_limiter,
};
use postrider_core::circuit_breaker::ProbeUrgency;
use postrider_core::clock::{Clock, Timestamp};
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::rate_limit::{self, RateLimitRequest};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_core::{error::Result, name::ConfigName};

static RATE_LIMITER: &str = sql!("sqlite/coordination/read_rate_limiter");
static SAVE_RATE_LIMITER: &str = sql!("common/coordination/save_rate_limiter");
static END_RATE_COOLDOWN: &str = sql!("common/coordination/end_rate_cooldown");
static ALL_HEALTH: &str = sql!("common/coordination/list_provider_health");
static PROVIDER_HEALTH: &str = sql!("common/coordination/read_provider_health");
static SAVE_HEALTH: &str = sql!("common/coordination/save_provider_health");
static PROVIDER_CONTROLS: &str = sql!("common/coordination/list_provider_controls");
static SAVE_PROVIDER_CONTROL: &str = sql!("common/coordination/save_provider_control");
static JOB_LOCK: &str = sql!("common/coordination/read_job_lock");
static ACQUIRE_JOB_LOCK: &str = sql!("sqlite/coordination/acquire_job_lock");
static RENEW_JOB_LOCK: &str = sql!("sqlite/coordination/renew_job_lock");
static RELEASE_JOB_LOCK: &str = sql!("sqlite/coordination/release_job_lock");
static NEWEST_MESSAGE_TIME: &str = sql!("sqlite/coordination/read_newest_message_time");
static STORE_SECRET: &str = sql!("sqlite/coordination/read_store_secret");
static SESSION_GENERATION: &str = sql!("sqlite/coordination/read_session_generation");
static END_SESSIONS: &str = sql!("sqlite/coordination/end_sessions");

#[async_trait]
impl CoordinationStore for SqliteStore {
    async fn current_time(&self) -> Result<Timestamp> {
        let newest = self.read("cannot read the newest message", |connection| {
            connection.query_row(NEWEST_MESSAGE_TIME, [], |row| row.time("created_at")).optional()
        });
        Ok(newest.await?.map_or_else(|| Clock::System.now(), |newest| Clock::steady(newest).now()))
    }

    fn has_own_clock(&self) -> bool {
        false
    }

    async fn acquire_rate_permits(
        &self,
        request: RateLimitRequest,
        now: Timestamp,
    ) -> Result<Vec<RatePermit>> {
        let requested_at = Instant::now();
        // A permit is valid from its commit. A lock of another process can delay that.
        self.write("cannot acquire rate permits", move |transaction| {
            let waited = Duration::from_secs(requested_at.elapsed().as_secs());
            acquire_rate_permits(transaction, &request, now + waited)
        })
        .await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        self.read("cannot load provider health", |connection| {
            query_all(connection, ALL_HEALTH, [], |row| decode_health(row))
        })
        .await
    }

    async fn report_health(&self, reports: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        self.write("cannot report provider health", move |transaction| {
            reports.iter().map(|report| report_health(transaction, report, now)).collect()
        })
        .await
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        urgency: ProbeUrgency,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        let provider = provider.clone();
        self.write("cannot acquire a probe", move |transaction| {
            acquire_probe(transaction, provider.as_str(), urgency, timeout, now)
        })
        .await
    }

    async fn save_provider_control(&self, control: ProviderControl) -> Result<()> {
        self.write("cannot save a provider control", move |transaction| {
            save_provider_control(transaction, &control)
        })
        .await
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        self.read("cannot read provider controls", |connection| {
            query_all(connection, PROVIDER_CONTROLS, [], |row| decode_provider_control(row))
        })
        .await
    }

    async fn acquire_job_lock(
        &self,
        job: ScheduledJob,
        holder: &str,
        now: Timestamp,
        lease: Duration,
    ) -> Result<JobLockResult> {
        let holder = holder.to_owned();
        self.write("cannot acquire a job lock", move |transaction| {
            acquire_job_lock(transaction, job, &holder, now, lease)
        })
        .await
    }

    async fn renew_job_lock(&self, job: ScheduledJob, holder: &str, expires_at: Timestamp) -> Result<bool> {
        let holder = holder.to_owned();
        self.write("cannot renew a job lock", move |transaction| {
            let lock_values = params![job.as_str(), holder, expires_at.timestamp_millis()];
            Ok(transaction.execute(RENEW_JOB_LOCK, lock_values)? > 0)
        })
        .await
    }

    async fn release_job_lock(&self, job: ScheduledJob, holder: &str, expires_at: Timestamp) -> Result<()> {
        let holder = holder.to_owned();
        self.write("cannot release a job lock", move |transaction| {
            let lock_values = params![job.as_str(), holder, expires_at.timestamp_millis()];
            transaction.execute(RELEASE_JOB_LOCK, lock_values).map(drop)
        })
        .await
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        self.read("cannot read the store secret", |connection| {
            query_one(connection, STORE_SECRET, [], |row| row.bytes("value"))
        })
        .await
    }

    async fn session_generation(&self, api_key_name: &str) -> Result<i64> {
        let api_key_name = api_key_name.to_owned();
        self.read("cannot read the session generation", move |connection| {
            let generation =
                query_optional(connection, SESSION_GENERATION, [api_key_name], |row| row.integer("value"));
            generation.map(Option::unwrap_or_default)
        })
        .await
    }

    async fn end_sessions(&self, api_key_name: &str) -> Result<()> {
        let api_key_name = api_key_name.to_owned();
        self.write("cannot end the sessions", move |transaction| {
            transaction.execute(END_SESSIONS, [&api_key_name]).map(drop)
        })
        .await
    }
}

fn acquire_rate_permits(
    transaction: &mut WriteTransaction<'_>,
    request: &RateLimitRequest,
    now: Timestamp,
) -> rusqlite::Result<Vec<RatePermit>> {
    let provider = request.provider.as_str();
    let limiter = transaction.query_optional(RATE_LIMITER, [provider], |row| decode_rate_limiter(row))?;
    let (limiter, permits) = rate_limit::acquire_permits(limiter, request, now);
    let limiter_values = params![
        provider,
        limiter.tokens_micros,
        limiter.counted_at.unwrap_or(now).timestamp_millis(),
        limiter.next_slot.map(|slot| slot.timestamp_micros()),
        limiter.cooldown_until.map(|until| until.timestamp_millis()),
    ];
    transaction.execute(SAVE_RATE_LIMITER, limiter_values)?;
    Ok(permits)
}

fn report_health(
    transaction: &mut WriteTransaction<'_>,
    report: &HealthReport,
    now: Timestamp,
) -> rusqlite::Result<ReportedHealth> {
    let old_health = load_health(transaction, report.provider.as_str())?;
    let reported_health = ReportedHealth::after(old_health.clone(), report.clone(), now);
    if old_health.as_ref() != Some(&reported_health.shared) {
        save_health(transaction, &reported_health.shared)?;
    }
    Ok(reported_health)
}

fn acquire_probe(
    transaction: &mut WriteTransaction<'_>,
    provider: &str,
    urgency: ProbeUrgency,
    timeout: Duration,
    now: Timestamp,
) -> rusqlite::Result<ProbeDecision> {
    let Some(health) = load_health(transaction, provider)? else {
        return Ok(ProbeDecision::Denied(None));
    };
    let Some(health_of_probe) = health.with_urgent_probe_started(urgency, timeout, now) else {
        return Ok(ProbeDecision::Denied(Some(health)));
    };
    save_health(transaction, &health_of_probe)?;
    Ok(ProbeDecision::Granted(health_of_probe))
}

fn save_provider_control(
    transaction: &mut WriteTransaction<'_>,
    control: &ProviderControl,
) -> rusqlite::Result<()> {
    let provider = control.provider.as_str();
    let requested_at = control.at.timestamp_millis();
    let control_values = params![provider, control.action.as_str(), control.requested_by, requested_at];
    transaction.execute(SAVE_PROVIDER_CONTROL, control_values)?;
    if control.action == ControlAction::Pause {
        return Ok(());
    }
    transaction.execute(END_RATE_COOLDOWN, params![requested_at, provider])?;
    let health = load_health(transaction, provider)?;
    match health.and_then(|health| health.resumed(control.at)) {
        Some(resumed_health) => save_health(transaction, &resumed_health),
        None => Ok(()),
    }
}

fn load_health(
    transaction: &mut WriteTransaction<'_>,
    provider: &str,
) -> rusqlite::Result<Option<SharedHealth>> {
    transaction.query_optional(PROVIDER_HEALTH, [provider], |row| decode_health(row))
}

fn save_health(transaction: &mut WriteTransaction<'_>, health: &SharedHealth) -> rusqlite::Result<()> {
    let columns = CircuitColumns::from_circuit(&health.circuit);
    let health_values = params![
        health.provider.as_str(),
        columns.circuit,
        columns.open_until,
        columns.backoff_factor,
        columns.reason,
        health.cooldown_until.map(|until| until.timestamp_millis()),
        health.since.timestamp_millis(),
        health.version,
    ];
    transaction.execute(SAVE_HEALTH, health_values).map(drop)
}

fn acquire_job_lock(
    transaction: &mut WriteTransaction<'_>,
    job: ScheduledJob,
    holder: &str,
    now: Timestamp,
    lease: Duration,
) -> rusqlite::Result<JobLockResult> {
    // A lock that expires later than this was set by a wrong clock.
    let latest_expiry = now + lease * 2;
    let lock_values = params![
        job.as_str(),
        holder,
        now.timestamp_millis(),
        (now + lease).timestamp_millis(),
        latest_expiry.timestamp_millis(),
    ];
    if transaction.execute(ACQUIRE_JOB_LOCK, lock_values)? > 0 {
        return Ok(JobLockResult::Acquired);
    }
    transaction.query_one(JOB_LOCK, [job.as_str()], |row| decode_job_lock_owner(row).map(JobLockResult::Busy))
}
