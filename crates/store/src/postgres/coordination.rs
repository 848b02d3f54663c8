//! State that processes share: the clock, rate limiters, provider health and controls, and job locks.
//!
//! Every write of provider health, and the first row of a rate limiter, is serialised by an advisory lock.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::errors::PgError;
use super::escape::escape_text;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use crate::rows::SqlRow;
use crate::rows::coordination::{
    CircuitColumns, decode_health, decode_job_lock_owner, decode_provider_control, decode_rate_limiter,
};
use crate::{ProbeDecision, RatePermit};
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::name::ConfigName;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::rate_limit::{self, RateLimitRequest, RateLimiterState};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};

static CURRENT_TIME: &str = sql!("postgres/coordination/read_clock");
static RATE_LIMITER: &str = sql!("postgres/coordination/read_rate_limiter");
static SAVE_RATE_LIMITER: &str = sql!("common/coordination/save_rate_limiter");
static ALL_HEALTH: &str = sql!("common/coordination/list_provider_health");
static PROVIDER_HEALTH: &str = sql!("common/coordination/read_provider_health");
static SAVE_HEALTH: &str = sql!("common/coordination/save_provider_health");
static PROVIDER_CONTROLS: &str = sql!("common/coordination/list_provider_controls");
static SAVE_PROVIDER_CONTROL: &str = sql!("common/coordination/save_provider_control");
static JOB_LOCK: &str = sql!("common/coordination/read_job_lock");
static ACQUIRE_JOB_LOCK: &str = sql!("postgres/coordination/acquire_job_lock");
static RENEW_JOB_LOCK: &str = sql!("postgres/coordination/renew_job_lock");
static RELEASE_JOB_LOCK: &str = sql!("postgres/coordination/release_job_lock");
static STORE_SECRET: &str = sql!("postgres/coordination/read_store_secret");

/// Returns the server's time.
pub async fn current_time(transaction: &PgTransaction) -> Result<Timestamp, PgError> {
    transaction.query_one(CURRENT_TIME, &[]).await?.time("now_ms")
}

/// Returns the store secret.
pub async fn store_secret(transaction: &PgTransaction) -> Result<[u8; 32], PgError> {
    transaction.query_one(STORE_SECRET, &[]).await?.bytes("bytes")
}

/// A request for rate permits. Requests for one provider are served together, in their order.
pub struct RateOperation {
    pub request: RateLimitRequest,
    pub now: Timestamp,
    /// Time of the call. Permits count from the transaction, which may begin later.
    pub requested_at: Instant,
}

impl RateOperation {
    fn provider(&self) -> &ConfigName {
        &self.request.provider
    }

    /// Returns the caller's time, advanced by how long the request has waited, in whole seconds.
    fn effective_now(&self) -> Timestamp {
        self.now + Duration::from_secs(self.requested_at.elapsed().as_secs())
    }
}

impl BatchOperation for RateOperation {
    type Output = Vec<RatePermit>;
    /// Providers whose row exists. Rows are never deleted.
    type BatchCache = HashSet<ConfigName>;
    const ERROR_CONTEXT: &'static str = "cannot acquire rate permits";

    async fn run(
        transaction: &PgTransaction,
        known: &mut HashSet<ConfigName>,
        operations: &[Self],
    ) -> Result<Vec<Self::Output>, PgError> {
        if operations.iter().any(|operation| !known.contains(operation.provider())) {
            // Taken before any row is locked: a transaction that waits for this lock holds no row that the holder needs.
            lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
        }
        let mut permits = vec![Vec::new(); operations.len()];
        // Sorted by provider, so that two processes do not deadlock.
        let mut order = (0..operations.len()).collect::<Vec<_>>();
        order.sort_by_key(|index| operations[*index].provider().as_str());
        for same_provider in order.chunk_by(|a, b| operations[*a].provider() == operations[*b].provider()) {
            let first = &operations[same_provider[0]];
            let mut state = load_rate_limiter(transaction, first.provider().as_str()).await?;
            for index in same_provider {
                let operation = &operations[*index];
                let (next, acquired) =
                    rate_limit::acquire_permits(state, &operation.request, operation.effective_now());
                state = Some(next);
                permits[*index] = acquired;
            }
            if let Some(state) = state {
                save_rate_limiter(transaction, first, state).await?;
            }
            known.insert(first.provider().clone());
        }
        Ok(permits)
    }
}

/// Returns a rate limiter, locked until the transaction ends.
async fn load_rate_limiter(
    transaction: &PgTransaction,
    provider: &str,
) -> Result<Option<RateLimiterState>, PgError> {
    let mut row = transaction.query_optional(RATE_LIMITER, bind![provider]).await?;
    if row.is_none() {
        lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
        row = transaction.query_optional(RATE_LIMITER, bind![provider]).await?;
    }
    row.map(|row| decode_rate_limiter(&row)).transpose()
}

async fn save_rate_limiter(
    transaction: &PgTransaction,
    operation: &RateOperation,
    state: RateLimiterState,
) -> Result<(), PgError> {
    let counted_at = state.counted_at.unwrap_or(operation.now);
    let next_slot = state.next_slot.map(|slot| slot.timestamp_micros());
    let cooldown_until = state.cooldown_until.map(|until| until.timestamp_millis());
    transaction
        .execute(
            SAVE_RATE_LIMITER,
            bind![
                operation.provider().as_str(),
                state.tokens_micros,
                counted_at.timestamp_millis(),
                next_slot,
                cooldown_until,
            ],
        )
        .await?;
    Ok(())
}

/// Returns the shared health of all providers.
pub async fn load_health(transaction: &PgTransaction) -> Result<Vec<SharedHealth>, PgError> {
    let rows = transaction.query(ALL_HEALTH, &[]).await?;
    rows.iter().map(decode_health).collect()
}

/// Merges reports into the shared health and returns the results.
pub async fn report_health(
    transaction: &PgTransaction,
    reports: &[HealthReport],
    now: Timestamp,
) -> Result<Vec<ReportedHealth>, PgError> {
    lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
    let mut results = Vec::with_capacity(reports.len());
    for report in reports {
        let before = provider_health(transaction, report.provider.as_str()).await?;
        let after = ReportedHealth::after(before.clone(), report.clone(), now);
        if before.as_ref() != Some(&after.shared) {
            save_health(transaction, &after.shared).await?;
        }
        results.push(after);
    }
    Ok(results)
}

/// Decides whether the caller may probe a provider.
pub async fn acquire_probe(
    transaction: &PgTransaction,
    provider: &str,
    timeout: Duration,
    now: Timestamp,
) -> Result<ProbeDecision, PgError> {
    lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
    let Some(health) = provider_health(transaction, provider).await? else {
        return Ok(ProbeDecision::Denied(None));
    };
    let Some(probing) = health.with_probe_started(timeout, now) else {
        return Ok(ProbeDecision::Denied(Some(health)));
    };
    save_health(transaction, &probing).await?;
    Ok(ProbeDecision::Granted(probing))
}

/// Saves an operator's command. Resuming a provider also closes its circuit breaker.
pub async fn save_provider_control(
    transaction: &PgTransaction,
    control: &ProviderControl,
) -> Result<(), PgError> {
    lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
    let provider = control.provider.as_str();
    transaction
        .execute(
            SAVE_PROVIDER_CONTROL,
            bind![
                provider,
                control.action.as_str(),
                escape_text(&control.requested_by),
                control.at.timestamp_millis(),
            ],
        )
        .await?;
    if control.action == ControlAction::Resume
        && let Some(health) = provider_health(transaction, provider).await?
        && health.circuit != CircuitState::Closed
    {
        save_health(transaction, &health.resumed(control.at)).await?;
    }
    Ok(())
}

/// Returns the last command for each provider.
pub async fn provider_controls(transaction: &PgTransaction) -> Result<Vec<ProviderControl>, PgError> {
    let rows = transaction.query(PROVIDER_CONTROLS, &[]).await?;
    rows.iter().map(decode_provider_control).collect()
}

async fn provider_health(
    transaction: &PgTransaction,
    provider: &str,
) -> Result<Option<SharedHealth>, PgError> {
    let row = transaction.query_optional(PROVIDER_HEALTH, bind![provider]).await?;
    row.map(|row| decode_health(&row)).transpose()
}

async fn save_health(transaction: &PgTransaction, health: &SharedHealth) -> Result<(), PgError> {
    let circuit = CircuitColumns::from_circuit(&health.circuit);
    transaction
        .execute(
            SAVE_HEALTH,
            bind![
                health.provider.as_str(),
                circuit.circuit,
                circuit.open_until,
                circuit.backoff_factor,
                circuit.reason.map(escape_text),
                health.cooldown_until.map(|until| until.timestamp_millis()),
                health.since.timestamp_millis(),
                health.version,
            ],
        )
        .await?;
    Ok(())
}

/// Acquires a job lock for `hold`, or returns its owner.
pub async fn acquire_job_lock(
    transaction: &PgTransaction,
    job: ScheduledJob,
    process_name: &str,
    now: Timestamp,
    hold: Duration,
) -> Result<JobLockResult, PgError> {
    let acquired = transaction
        .execute(
            ACQUIRE_JOB_LOCK,
            bind![
                job.as_str(),
                process_name,
                now.timestamp_millis(),
                (now + hold).timestamp_millis(),
                // A lock that expires later than this was set by a wrong clock.
                (now + hold * 2).timestamp_millis(),
            ],
        )
        .await?;
    if acquired > 0 {
        return Ok(JobLockResult::Acquired);
    }
    let row = transaction.query_one(JOB_LOCK, bind![job.as_str()]).await?;
    decode_job_lock_owner(&row).map(JobLockResult::Busy)
}

/// Renews a job lock; returns false if the process does not hold it.
pub async fn renew_job_lock(
    transaction: &PgTransaction,
    job: ScheduledJob,
    process_name: &str,
    expires_at: Timestamp,
) -> Result<bool, PgError> {
    let expires_at = expires_at.timestamp_millis();
    let renewed = transaction.execute(RENEW_JOB_LOCK, bind![job.as_str(), process_name, expires_at]).await?;
    Ok(renewed > 0)
}

/// Marks the job as done and keeps its lock until `expires_at`, so that it does not run again earlier.
pub async fn release_job_lock(
    transaction: &PgTransaction,
    job: ScheduledJob,
    process_name: &str,
    expires_at: Timestamp,
) -> Result<(), PgError> {
    let expires_at = expires_at.timestamp_millis();
    transaction.execute(RELEASE_JOB_LOCK, bind![job.as_str(), process_name, expires_at]).await?;
    Ok(())
}
