//! What the processes on one file agree on: how fast providers are asked, how they do, whose turn it is.
//!
//! Runs inside the writer's transaction, which no other process shares, and never begins or ends one.

use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows;
use super::write_transaction::WriteTransaction;
use crate::ProbeDecision;
use crate::coordination::{self, HealthColumns};
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::job::{JobLockOwner, JobLockResult, ScheduledJob};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::rate_limit::{self, RateLimitRequest, RateLimiterState};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};

static RATE_LIMITER: &str = include_str!("../../../../sql/sqlite/coordination/read_rate_limiter.sql");
static SAVE_RATE_LIMITER: &str = include_str!("../../../../sql/sqlite/coordination/save_rate_limiter.sql");
static ALL_HEALTH: &str = include_str!("../../../../sql/sqlite/coordination/list_provider_health.sql");
static PROVIDER_HEALTH: &str = include_str!("../../../../sql/sqlite/coordination/read_provider_health.sql");
static SAVE_HEALTH: &str = include_str!("../../../../sql/sqlite/coordination/save_provider_health.sql");
static PROVIDER_CONTROLS: &str =
    include_str!("../../../../sql/sqlite/coordination/list_provider_controls.sql");
static SAVE_PROVIDER_CONTROL: &str =
    include_str!("../../../../sql/sqlite/coordination/save_provider_control.sql");
static JOB_LOCK: &str = include_str!("../../../../sql/sqlite/coordination/read_job_lock.sql");
static ACQUIRE_JOB_LOCK: &str = include_str!("../../../../sql/sqlite/coordination/acquire_job_lock.sql");
static RENEW_JOB_LOCK: &str = include_str!("../../../../sql/sqlite/coordination/renew_job_lock.sql");
static RELEASE_JOB_LOCK: &str = include_str!("../../../../sql/sqlite/coordination/release_job_lock.sql");

/// See [`crate::Store::pass`].
pub fn acquire_rate_permits(
    desk: &mut WriteTransaction<'_>,
    wish: &RateLimitRequest,
    now: Timestamp,
) -> rusqlite::Result<Vec<Result<(), Duration>>> {
    let provider = wish.provider.as_str();
    let kept = desk
        .statement(RATE_LIMITER)?
        .query_row([provider], decode_rate_limiter)
        .optional()?;
    let (kept, passages) = rate_limit::acquire_permits(kept, wish, now);
    desk.statement(SAVE_RATE_LIMITER)?.execute(params![
        provider,
        kept.tokens_micros,
        kept.counted_at.unwrap_or(now).timestamp_millis(),
        kept.next_slot.map(|slot| slot.timestamp_micros()),
        kept.cooldown_until.map(|until| until.timestamp_millis()),
    ])?;
    Ok(passages)
}

fn decode_rate_limiter(row: &Row<'_>) -> rusqlite::Result<RateLimiterState> {
    Ok(RateLimiterState {
        tokens_micros: row.get(0)?,
        counted_at: rows::optional_time(row, 1)?,
        next_slot: row.get::<_, Option<i64>>(2)?.map(coordination::from_micros),
        cooldown_until: rows::optional_time(row, 3)?,
    })
}

/// See [`crate::Store::standings`].
pub fn load_health(connection: &Connection) -> rusqlite::Result<Vec<SharedHealth>> {
    let mut statement = connection.prepare_cached(ALL_HEALTH)?;
    statement.query_map([], decode_health)?.collect()
}

/// See [`crate::Store::tell`].
pub fn report_health(
    desk: &mut WriteTransaction<'_>,
    news: &[HealthReport],
    now: Timestamp,
) -> rusqlite::Result<Vec<ReportedHealth>> {
    let mut told = Vec::with_capacity(news.len());
    for news in news {
        let before = provider_health(desk, news.provider.as_str())?;
        let after = ReportedHealth::after(before.clone(), news.clone(), now);
        if before.as_ref() != Some(&after.shared) {
            save_health(desk, &after.shared)?;
        }
        told.push(after);
    }
    Ok(told)
}

/// See [`crate::Store::probe`].
pub fn acquire_probe(
    desk: &mut WriteTransaction<'_>,
    provider: &str,
    patience: Duration,
    now: Timestamp,
) -> rusqlite::Result<ProbeDecision> {
    let Some(known) = provider_health(desk, provider)? else {
        return Ok(ProbeDecision::Denied(None));
    };
    let Some(probing) = known.with_probe_started(patience, now) else {
        return Ok(ProbeDecision::Denied(Some(known)));
    };
    save_health(desk, &probing)?;
    Ok(ProbeDecision::Granted(probing))
}

/// See [`crate::Store::order`].
pub fn save_provider_control(
    desk: &mut WriteTransaction<'_>,
    order: &ProviderControl,
) -> rusqlite::Result<()> {
    let (provider, at) = (order.provider.as_str(), order.at.timestamp_millis());
    desk.statement(SAVE_PROVIDER_CONTROL)?.execute(params![
        provider,
        order.action.as_str(),
        order.requested_by,
        at
    ])?;
    if order.action == ControlAction::Resume
        && let Some(known) = provider_health(desk, provider)?
        && known.circuit != CircuitState::Closed
    {
        save_health(desk, &known.resumed(order.at))?;
    }
    Ok(())
}

/// See [`crate::Store::orders`].
pub fn provider_controls(connection: &Connection) -> rusqlite::Result<Vec<ProviderControl>> {
    let mut statement = connection.prepare_cached(PROVIDER_CONTROLS)?;
    let order = |row: &Row<'_>| {
        Ok(ProviderControl {
            provider: rows::decode_name(row, 0)?,
            action: rows::decode_word(row, 1, ControlAction::parse)?,
            requested_by: row.get(2)?,
            at: rows::decode_time(row, 3)?,
        })
    };
    statement.query_map([], order)?.collect()
}

fn provider_health(
    desk: &mut WriteTransaction<'_>,
    provider: &str,
) -> rusqlite::Result<Option<SharedHealth>> {
    desk.statement(PROVIDER_HEALTH)?
        .query_row([provider], decode_health)
        .optional()
}

fn save_health(desk: &mut WriteTransaction<'_>, known: &SharedHealth) -> rusqlite::Result<()> {
    let columns = HealthColumns::from_health(known);
    desk.statement(SAVE_HEALTH)?.execute(params![
        known.provider.as_str(),
        columns.state,
        columns.open_until,
        columns.backoff_factor,
        columns.reason,
        known.cooldown_until.map(|until| until.timestamp_millis()),
        known.since.timestamp_millis(),
        known.version,
    ])?;
    Ok(())
}

fn decode_health(row: &Row<'_>) -> rusqlite::Result<SharedHealth> {
    let since = rows::decode_time(row, 6)?;
    let standing = row.get::<_, String>(1)?;
    let told = coordination::decode_circuit(&standing, row.get(2)?, row.get(3)?, row.get(4)?, since);
    let impossible = || {
        let cause = format!("{standing:?} is no standing of a provider");
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, cause.into())
    };
    Ok(SharedHealth {
        provider: rows::decode_name(row, 0)?,
        circuit: told.ok_or_else(impossible)?,
        cooldown_until: rows::optional_time(row, 5)?,
        since,
        version: row.get(7)?,
    })
}

/// See [`crate::Store::take_turn`].
pub fn acquire_job_lock(
    desk: &mut WriteTransaction<'_>,
    task: ScheduledJob,
    holder: &str,
    now: Timestamp,
    hold: Duration,
) -> rusqlite::Result<JobLockResult> {
    let (ends_at, too_late) = (now + hold, now + hold * 2);
    let taken = desk.statement(ACQUIRE_JOB_LOCK)?.execute(params![
        task.as_str(),
        holder,
        now.timestamp_millis(),
        ends_at.timestamp_millis(),
        too_late.timestamp_millis(),
    ])?;
    if taken > 0 {
        return Ok(JobLockResult::Acquired);
    }
    desk.statement(JOB_LOCK)?.query_row([task.as_str()], |row| {
        Ok(JobLockResult::Busy(JobLockOwner {
            process_name: row.get(0)?,
            acquired_at: rows::decode_time(row, 1)?,
            expires_at: rows::decode_time(row, 2)?,
            is_done: row.get(3)?,
        }))
    })
}

/// See [`crate::Store::renew_turn`].
pub fn renew_job_lock(
    desk: &mut WriteTransaction<'_>,
    task: ScheduledJob,
    holder: &str,
    ends_at: Timestamp,
) -> rusqlite::Result<bool> {
    let values = params![task.as_str(), holder, ends_at.timestamp_millis()];
    Ok(desk.statement(RENEW_JOB_LOCK)?.execute(values)? > 0)
}

/// See [`crate::Store::end_turn`].
pub fn release_job_lock(
    desk: &mut WriteTransaction<'_>,
    task: ScheduledJob,
    holder: &str,
    ends_at: Timestamp,
) -> rusqlite::Result<()> {
    let values = params![task.as_str(), holder, ends_at.timestamp_millis()];
    desk.statement(RELEASE_JOB_LOCK)?.execute(values).map(drop)
}
