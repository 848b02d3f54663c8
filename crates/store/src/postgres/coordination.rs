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
pub async fn current_time(desk: &PgTransaction) -> Result<Timestamp, PgError> {
    rows::decode_time(&desk.query_one(CURRENT_TIME, &[]).await?, 0)
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
        desk: &PgTransaction,
        seen: &mut HashSet<ConfigName>,
        pieces: &[Self],
    ) -> Result<Vec<Self::Output>, PgError> {
        if pieces.iter().any(|piece| !seen.contains(&piece.request.provider)) {
            // Before any row: who waits for this lock must hold nothing that its holder may want.
            desk.query(LOCK_COORDINATION, bind![COORDINATION_LOCK]).await?;
        }
        let mut answers = vec![Vec::new(); pieces.len()];
        let mut order = (0..pieces.len()).collect::<Vec<_>>();
        // In one order of providers on all hosts, so that none waits for another in a circle.
        order.sort_by_key(|index| pieces[*index].request.provider.as_str());
        for same in
            order.chunk_by(|one, other| pieces[*one].request.provider == pieces[*other].request.provider)
        {
            let mut kept = load_rate_limiter(desk, pieces[same[0]].request.provider.as_str()).await?;
            for index in same {
                let piece = &pieces[*index];
                let (after, passages) =
                    rate_limit::acquire_permits(kept, &piece.request, piece.effective_now());
                kept = Some(after);
                answers[*index] = passages;
            }
            if let Some(kept) = kept {
                save_rate_limiter(desk, &pieces[same[0]], kept).await?;
            }
            seen.insert(pieces[same[0]].request.provider.clone());
        }
        Ok(answers)
    }
}

/// What is kept of a provider's pace, locked until the transaction ends.
async fn load_rate_limiter(
    desk: &PgTransaction,
    provider: &str,
) -> Result<Option<RateLimiterState>, PgError> {
    let mut found = desk.query_optional(RATE_LIMITER, bind![provider]).await?;
    if found.is_none() {
        desk.query(LOCK_COORDINATION, bind![COORDINATION_LOCK]).await?;
        found = desk.query_optional(RATE_LIMITER, bind![provider]).await?;
    }
    found.map(|row| decode_rate_limiter(&row)).transpose()
}

async fn save_rate_limiter(
    desk: &PgTransaction,
    of: &RateOperation,
    kept: RateLimiterState,
) -> Result<(), PgError> {
    let provider = of.request.provider.as_str();
    let counted_at = kept.counted_at.unwrap_or(of.now).timestamp_millis();
    let next_slot = kept.next_slot.map(|slot| slot.timestamp_micros());
    let paused_until = kept.cooldown_until.map(|until| until.timestamp_millis());
    let values = bind![provider, kept.tokens_micros, counted_at, next_slot, paused_until];
    desk.execute(SAVE_RATE_LIMITER, values).await?;
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
pub async fn load_health(desk: &PgTransaction) -> Result<Vec<SharedHealth>, PgError> {
    desk.query(ALL_HEALTH, &[])
        .await?
        .iter()
        .map(decode_health)
        .collect()
}

/// See [`crate::Store::tell`].
pub async fn report_health(
    desk: &PgTransaction,
    news: &[HealthReport],
    now: Timestamp,
) -> Result<Vec<ReportedHealth>, PgError> {
    desk.query(LOCK_COORDINATION, bind![COORDINATION_LOCK]).await?;
    let mut told = Vec::with_capacity(news.len());
    for news in news {
        let before = provider_health(desk, news.provider.as_str()).await?;
        let after = ReportedHealth::after(before.clone(), news.clone(), now);
        if before.as_ref() != Some(&after.shared) {
            save_health(desk, &after.shared).await?;
        }
        told.push(after);
    }
    Ok(told)
}

/// See [`crate::Store::probe`].
pub async fn acquire_probe(
    desk: &PgTransaction,
    provider: &str,
    patience: Duration,
    now: Timestamp,
) -> Result<ProbeDecision, PgError> {
    desk.query(LOCK_COORDINATION, bind![COORDINATION_LOCK]).await?;
    let Some(known) = provider_health(desk, provider).await? else {
        return Ok(ProbeDecision::Denied(None));
    };
    let Some(probing) = known.with_probe_started(patience, now) else {
        return Ok(ProbeDecision::Denied(Some(known)));
    };
    save_health(desk, &probing).await?;
    Ok(ProbeDecision::Granted(probing))
}

/// See [`crate::Store::order`].
pub async fn save_provider_control(desk: &PgTransaction, order: &ProviderControl) -> Result<(), PgError> {
    desk.query(LOCK_COORDINATION, bind![COORDINATION_LOCK]).await?;
    let (provider, at) = (order.provider.as_str(), order.at.timestamp_millis());
    desk.execute(
        SAVE_PROVIDER_CONTROL,
        bind![provider, order.action.as_str(), written(&order.requested_by), at],
    )
    .await?;
    if order.action == ControlAction::Resume
        && let Some(known) = provider_health(desk, provider).await?
        && known.circuit != CircuitState::Closed
    {
        save_health(desk, &known.resumed(order.at)).await?;
    }
    Ok(())
}

/// See [`crate::Store::orders`].
pub async fn provider_controls(desk: &PgTransaction) -> Result<Vec<ProviderControl>, PgError> {
    let order = |row: &Row| {
        Ok(ProviderControl {
            provider: rows::decode_name(row, 0)?,
            action: rows::decode_word(row, 1, ControlAction::parse)?,
            requested_by: rows::decode_text(row, 2)?,
            at: rows::decode_time(row, 3)?,
        })
    };
    desk.query(PROVIDER_CONTROLS, &[])
        .await?
        .iter()
        .map(order)
        .collect()
}

async fn provider_health(desk: &PgTransaction, provider: &str) -> Result<Option<SharedHealth>, PgError> {
    let found = desk.query_optional(PROVIDER_HEALTH, bind![provider]).await?;
    found.map(|row| decode_health(&row)).transpose()
}

async fn save_health(desk: &PgTransaction, known: &SharedHealth) -> Result<(), PgError> {
    let columns = HealthColumns::from_health(known);
    desk.execute(
        SAVE_HEALTH,
        bind![
            known.provider.as_str(),
            columns.state,
            columns.open_until,
            columns.backoff_factor,
            columns.reason.map(written),
            known.cooldown_until.map(|until| until.timestamp_millis()),
            known.since.timestamp_millis(),
            known.version,
        ],
    )
    .await
    .map(drop)
}

fn decode_health(row: &Row) -> Result<SharedHealth, PgError> {
    let since = rows::decode_time(row, 6)?;
    let (till, times, reason) = (
        rows::get(row, 2)?,
        rows::get(row, 3)?,
        rows::optional_text(row, 4)?,
    );
    Ok(SharedHealth {
        provider: rows::decode_name(row, 0)?,
        circuit: rows::decode_word(row, 1, |word| {
            coordination::decode_circuit(word, till, times, reason, since)
        })?,
        cooldown_until: rows::optional_time(row, 5)?,
        since,
        version: rows::get(row, 7)?,
    })
}

/// See [`crate::Store::take_turn`].
pub async fn acquire_job_lock(
    desk: &PgTransaction,
    task: ScheduledJob,
    holder: &str,
    now: Timestamp,
    hold: Duration,
) -> Result<JobLockResult, PgError> {
    let (ends_at, too_late) = (now + hold, now + hold * 2);
    let values = (
        now.timestamp_millis(),
        ends_at.timestamp_millis(),
        too_late.timestamp_millis(),
    );
    let taken = desk
        .execute(
            ACQUIRE_JOB_LOCK,
            bind![task.as_str(), holder, values.0, values.1, values.2],
        )
        .await?;
    if taken > 0 {
        return Ok(JobLockResult::Acquired);
    }
    let row = desk.query_one(JOB_LOCK, bind![task.as_str()]).await?;
    Ok(JobLockResult::Busy(JobLockOwner {
        process_name: rows::get(&row, 0)?,
        acquired_at: rows::decode_time(&row, 1)?,
        expires_at: rows::decode_time(&row, 2)?,
        is_done: rows::get(&row, 3)?,
    }))
}

/// See [`crate::Store::renew_turn`].
pub async fn renew_job_lock(
    desk: &PgTransaction,
    task: ScheduledJob,
    holder: &str,
    ends_at: Timestamp,
) -> Result<bool, PgError> {
    let ends_at = ends_at.timestamp_millis();
    let renewed = desk
        .execute(RENEW_JOB_LOCK, bind![task.as_str(), holder, ends_at])
        .await?;
    Ok(renewed > 0)
}

/// See [`crate::Store::end_turn`].
pub async fn release_job_lock(
    desk: &PgTransaction,
    task: ScheduledJob,
    holder: &str,
    ends_at: Timestamp,
) -> Result<(), PgError> {
    let ends_at = ends_at.timestamp_millis();
    desk.execute(RELEASE_JOB_LOCK, bind![task.as_str(), holder, ends_at])
        .await?;
    Ok(())
}
