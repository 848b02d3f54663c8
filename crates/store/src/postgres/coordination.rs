//! What the hosts on one database agree on: the time, how fast providers are asked, how they do, whose turn it is.
//!
//! Never begins or ends a transaction. Whoever counts or judges holds a lock until the transaction ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::errors::PgError;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use super::rows::{self, escape_text as written};
use crate::coordination::{self, HealthColumns};
use crate::{ProbeDecision, RatePermit};
use postrider_core::channel::ConfigName;
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::job::{JobLockOwner, JobLockResult, ScheduledJob};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::rate_limit::{self, RateLimitRequest, RateLimiterState};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};

static CURRENT_TIME: &str = sql!("postgres/coordination/read_clock");
static LOCK_COORDINATION: &str = sql!("postgres/coordination/lock_coordination");
static RATE_LIMITER: &str = sql!("postgres/coordination/read_rate_limiter");
static SAVE_RATE_LIMITER: &str = sql!("postgres/coordination/save_rate_limiter");
static ALL_HEALTH: &str = sql!("postgres/coordination/list_provider_health");
static PROVIDER_HEALTH: &str = sql!("postgres/coordination/read_provider_health");
static SAVE_HEALTH: &str = sql!("postgres/coordination/save_provider_health");
static PROVIDER_CONTROLS: &str = sql!("postgres/coordination/list_provider_controls");
static SAVE_PROVIDER_CONTROL: &str = sql!("postgres/coordination/save_provider_control");
static JOB_LOCK: &str = sql!("postgres/coordination/read_job_lock");
static ACQUIRE_JOB_LOCK: &str = sql!("postgres/coordination/acquire_job_lock");
static RENEW_JOB_LOCK: &str = sql!("postgres/coordination/renew_job_lock");
static RELEASE_JOB_LOCK: &str = sql!("postgres/coordination/release_job_lock");

/// The lock whoever writes standings, or the first pace of a provider, holds.
const COORDINATION_LOCK: i64 = 0x506F_7374_0010;

/// See [`crate::Store::time`].
pub async fn current_time(transaction: &PgTransaction) -> Result<Timestamp, PgError> {
    rows::decode_time(&transaction.query_one(CURRENT_TIME, &[]).await?, 0)
}

/// See [`crate::Store::pass`]. Whoever asks for the same provider at the same time is counted together, in the
/// order they came.
pub struct RateOperation {
    pub request: RateLimitRequest,
    pub now: Timestamp,
    /// When it asked: it goes when it is counted, which can be later.
    pub requested_at: Instant,
}

impl RateOperation {
    /// The present as whoever asks sees it.
    fn effective_now(&self) -> Timestamp {
        self.now + Duration::from_secs(self.requested_at.elapsed().as_secs())
    }
}

impl BatchOperation for RateOperation {
    type Output = Vec<RatePermit>;
    /// Providers whose row was seen: it stays.
    type BatchCache = HashSet<ConfigName>;

    const ERROR_CONTEXT: &'static str = "cannot count what goes to a provider";

    async fn run(
        transaction: &PgTransaction,
        seen: &mut HashSet<ConfigName>,
        operations: &[Self],
    ) -> Result<Vec<Self::Output>, PgError> {
        if operations
            .iter()
            .any(|operation| !seen.contains(&operation.request.provider))
        {
            // Before any row: who waits for this lock must hold nothing that its holder may want.
            transaction
                .query(LOCK_COORDINATION, bind![COORDINATION_LOCK])
                .await?;
        }
        let mut answers = vec![Vec::new(); operations.len()];
        let mut control = (0..operations.len()).collect::<Vec<_>>();
        // In one order of providers on all hosts, so that none waits for another in a circle.
        control.sort_by_key(|index| operations[*index].request.provider.as_str());
        for same in control
            .chunk_by(|one, other| operations[*one].request.provider == operations[*other].request.provider)
        {
            let mut state =
                load_rate_limiter(transaction, operations[same[0]].request.provider.as_str()).await?;
            for index in same {
                let operation = &operations[*index];
                let (after, permits) =
                    rate_limit::acquire_permits(state, &operation.request, operation.effective_now());
                state = Some(after);
                answers[*index] = permits;
            }
            if let Some(state) = state {
                save_rate_limiter(transaction, &operations[same[0]], state).await?;
            }
            seen.insert(operations[same[0]].request.provider.clone());
        }
        Ok(answers)
    }
}

/// What is kept of a provider's pace, locked until the transaction ends.
async fn load_rate_limiter(
    transaction: &PgTransaction,
    provider: &str,
) -> Result<Option<RateLimiterState>, PgError> {
    let mut found = transaction.query_optional(RATE_LIMITER, bind![provider]).await?;
    if found.is_none() {
        transaction
            .query(LOCK_COORDINATION, bind![COORDINATION_LOCK])
            .await?;
        found = transaction.query_optional(RATE_LIMITER, bind![provider]).await?;
    }
    found.map(|row| decode_rate_limiter(&row)).transpose()
}

async fn save_rate_limiter(
    transaction: &PgTransaction,
    operation: &RateOperation,
    state: RateLimiterState,
) -> Result<(), PgError> {
    let provider = operation.request.provider.as_str();
    let counted_at = state.counted_at.unwrap_or(operation.now).timestamp_millis();
    let next_slot = state.next_slot.map(|slot| slot.timestamp_micros());
    let cooldown_until = state.cooldown_until.map(|until| until.timestamp_millis());
    let values = bind![
        provider,
        state.tokens_micros,
        counted_at,
        next_slot,
        cooldown_until
    ];
    transaction.execute(SAVE_RATE_LIMITER, values).await?;
    Ok(())
}

fn decode_rate_limiter(row: &Row) -> Result<RateLimiterState, PgError> {
    Ok(RateLimiterState {
        tokens_micros: rows::get(row, 0)?,
        counted_at: rows::optional_time(row, 1)?,
        next_slot: rows::get::<Option<i64>>(row, 2)?.map(coordination::from_micros),
        cooldown_until: rows::optional_time(row, 3)?,
    })
}

/// See [`crate::Store::standings`].
pub async fn load_health(transaction: &PgTransaction) -> Result<Vec<SharedHealth>, PgError> {
    transaction
        .query(ALL_HEALTH, &[])
        .await?
        .iter()
        .map(decode_health)
        .collect()
}

/// See [`crate::Store::tell`].
pub async fn report_health(
    transaction: &PgTransaction,
    reports: &[HealthReport],
    now: Timestamp,
) -> Result<Vec<ReportedHealth>, PgError> {
    transaction
        .query(LOCK_COORDINATION, bind![COORDINATION_LOCK])
        .await?;
    let mut reported = Vec::with_capacity(reports.len());
    for report in reports {
        let before = provider_health(transaction, report.provider.as_str()).await?;
        let after = ReportedHealth::after(before.clone(), report.clone(), now);
        if before.as_ref() != Some(&after.shared) {
            save_health(transaction, &after.shared).await?;
        }
        reported.push(after);
    }
    Ok(reported)
}

/// See [`crate::Store::probe`].
pub async fn acquire_probe(
    transaction: &PgTransaction,
    provider: &str,
    timeout: Duration,
    now: Timestamp,
) -> Result<ProbeDecision, PgError> {
    transaction
        .query(LOCK_COORDINATION, bind![COORDINATION_LOCK])
        .await?;
    let Some(health) = provider_health(transaction, provider).await? else {
        return Ok(ProbeDecision::Denied(None));
    };
    let Some(probing) = health.with_probe_started(timeout, now) else {
        return Ok(ProbeDecision::Denied(Some(health)));
    };
    save_health(transaction, &probing).await?;
    Ok(ProbeDecision::Granted(probing))
}

/// See [`crate::Store::order`].
pub async fn save_provider_control(
    transaction: &PgTransaction,
    control: &ProviderControl,
) -> Result<(), PgError> {
    transaction
        .query(LOCK_COORDINATION, bind![COORDINATION_LOCK])
        .await?;
    let (provider, at) = (control.provider.as_str(), control.at.timestamp_millis());
    transaction
        .execute(
            SAVE_PROVIDER_CONTROL,
            bind![
                provider,
                control.action.as_str(),
                written(&control.requested_by),
                at
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

/// See [`crate::Store::orders`].
pub async fn provider_controls(transaction: &PgTransaction) -> Result<Vec<ProviderControl>, PgError> {
    let control = |row: &Row| {
        Ok(ProviderControl {
            provider: rows::decode_name(row, 0)?,
            action: rows::decode_word(row, 1, ControlAction::parse)?,
            requested_by: rows::decode_text(row, 2)?,
            at: rows::decode_time(row, 3)?,
        })
    };
    transaction
        .query(PROVIDER_CONTROLS, &[])
        .await?
        .iter()
        .map(control)
        .collect()
}

async fn provider_health(
    transaction: &PgTransaction,
    provider: &str,
) -> Result<Option<SharedHealth>, PgError> {
    let found = transaction
        .query_optional(PROVIDER_HEALTH, bind![provider])
        .await?;
    found.map(|row| decode_health(&row)).transpose()
}

async fn save_health(transaction: &PgTransaction, health: &SharedHealth) -> Result<(), PgError> {
    let columns = HealthColumns::from_health(health);
    transaction
        .execute(
            SAVE_HEALTH,
            bind![
                health.provider.as_str(),
                columns.state,
                columns.open_until,
                columns.backoff_factor,
                columns.reason.map(written),
                health.cooldown_until.map(|until| until.timestamp_millis()),
                health.since.timestamp_millis(),
                health.version,
            ],
        )
        .await
        .map(drop)
}

fn decode_health(row: &Row) -> Result<SharedHealth, PgError> {
    let since = rows::decode_time(row, 6)?;
    let (open_until, backoff_factor, reason) = (
        rows::get(row, 2)?,
        rows::get(row, 3)?,
        rows::optional_text(row, 4)?,
    );
    Ok(SharedHealth {
        provider: rows::decode_name(row, 0)?,
        circuit: rows::decode_word(row, 1, |word| {
            coordination::decode_circuit(word, open_until, backoff_factor, reason, since)
        })?,
        cooldown_until: rows::optional_time(row, 5)?,
        since,
        version: rows::get(row, 7)?,
    })
}

/// See [`crate::Store::take_turn`].
pub async fn acquire_job_lock(
    transaction: &PgTransaction,
    job: ScheduledJob,
    process_name: &str,
    now: Timestamp,
    hold: Duration,
) -> Result<JobLockResult, PgError> {
    let (expires_at, stale_at) = (now + hold, now + hold * 2);
    let values = (
        now.timestamp_millis(),
        expires_at.timestamp_millis(),
        stale_at.timestamp_millis(),
    );
    let acquired = transaction
        .execute(
            ACQUIRE_JOB_LOCK,
            bind![job.as_str(), process_name, values.0, values.1, values.2],
        )
        .await?;
    if acquired > 0 {
        return Ok(JobLockResult::Acquired);
    }
    let row = transaction.query_one(JOB_LOCK, bind![job.as_str()]).await?;
    Ok(JobLockResult::Busy(JobLockOwner {
        process_name: rows::get(&row, 0)?,
        acquired_at: rows::decode_time(&row, 1)?,
        expires_at: rows::decode_time(&row, 2)?,
        is_done: rows::get(&row, 3)?,
    }))
}

/// See [`crate::Store::renew_turn`].
pub async fn renew_job_lock(
    transaction: &PgTransaction,
    job: ScheduledJob,
    process_name: &str,
    expires_at: Timestamp,
) -> Result<bool, PgError> {
    let expires_at = expires_at.timestamp_millis();
    let renewed = transaction
        .execute(RENEW_JOB_LOCK, bind![job.as_str(), process_name, expires_at])
        .await?;
    Ok(renewed > 0)
}

/// See [`crate::Store::end_turn`].
pub async fn release_job_lock(
    transaction: &PgTransaction,
    job: ScheduledJob,
    process_name: &str,
    expires_at: Timestamp,
) -> Result<(), PgError> {
    let expires_at = expires_at.timestamp_millis();
    transaction
        .execute(RELEASE_JOB_LOCK, bind![job.as_str(), process_name, expires_at])
        .await?;
    Ok(())
}
