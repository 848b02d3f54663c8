//! Synchronises the report: applies changes to the rollups and saves a snapshot of the result.
//!
//! Pages read only the newest snapshot, so that their cost does not depend on the number of messages. Only one process
//! synchronises at a time.

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::job::{JobLockOwner, ScheduledJob};
use postrider_core::{clock::Timestamp, report::Report};
use std::time::Duration;

use crate::{gateway::Gateway, job_lock};
use postrider_store::{ReportSnapshot, ReportStore};

/// Number of changed deliveries applied in one transaction, so that other writers do not wait long.
pub(super) const CHANGES_PER_TRANSACTION: usize = 1_000;

/// Number of changed deliveries applied in one transaction if the store has no other writers. A larger batch writes
/// database pages that several messages share less often.
const CHANGES_PER_TRANSACTION_EXCLUSIVE: usize = 32_000;

/// Age at which a report is saved again although its numbers have not changed.
const REPORT_REUSE_MAX: Duration = Duration::from_secs(60);

/// Interval at which a report without messages is synchronised again, so that the first messages of a new store appear
/// soon.
pub const EMPTY_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Result of a synchronisation of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncResult {
    /// True if a new report was saved; otherwise the newest saved report is still current.
    pub is_new: bool,
    /// Number of changes that were applied.
    pub changes_applied: usize,
    /// The current report.
    pub report: Report,
}

/// Applies all changes since the last run and saves the report. Calls `progress` with the number after each
/// transaction.
pub async fn sync(gateway: &Gateway, progress: impl Fn(usize)) -> Result<SyncResult> {
    apply_and_save(gateway, SaveRule::requested_now(gateway), CHANGES_PER_TRANSACTION, progress).await
}

/// Does the same as [`sync`] on a store without other writers: a million messages take half the time.
pub async fn sync_exclusive(gateway: &Gateway) -> Result<SyncResult> {
    apply_and_save(gateway, SaveRule::requested_now(gateway), CHANGES_PER_TRANSACTION_EXCLUSIVE, |_| ()).await
}

/// Clears the rollups and builds them again from all deliveries; the report has the same numbers.
pub async fn rebuild(gateway: &Gateway, progress: impl Fn(usize)) -> Result<SyncResult> {
    gateway.store.begin_rebuild().await?;
    sync(gateway, progress).await
}

/// Deliveries that a run includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncScope {
    /// Changes since the last run.
    Changes,
    /// All deliveries.
    Rebuild,
}

/// Synchronises the report under the job lock; calls `on_wait` with the owner of the lock if another process holds it.
pub async fn sync_with_lock(
    gateway: &Gateway,
    scope: SyncScope,
    on_wait: impl Fn(&JobLockOwner),
    progress: impl Fn(usize),
) -> Result<SyncResult> {
    let save_rule = SaveRule::requested_now(gateway);
    let job = async {
        match scope {
            SyncScope::Changes => apply_and_save(gateway, save_rule, CHANGES_PER_TRANSACTION, progress).await,
            SyncScope::Rebuild => rebuild(gateway, progress).await,
        }
    };
    job_lock::wait_and_run(gateway, ScheduledJob::Report, on_wait, job).await
}

/// Synchronises the report for the built-in schedule. Returns `None` if another process does so now, or if the newest
/// report is younger than `interval`.
pub async fn sync_if_due(gateway: &Gateway, interval: Duration) -> Result<Option<SyncResult>> {
    let job = async {
        let now = gateway.clock.now();
        let is_due = latest_report(gateway)
            .await?
            .is_none_or(|(_, newest)| newest.messages == 0 || newest.as_of + interval <= now);
        if !is_due {
            return Ok(None);
        }
        // A report that is due is always saved again, even with the same numbers. Otherwise it would be due again at
        // once.
        let save_rule = SaveRule { requested_at: now, reuse_max: interval.min(REPORT_REUSE_MAX) };
        apply_and_save(gateway, save_rule, CHANGES_PER_TRANSACTION, |_| ()).await.map(Some)
    };
    match job_lock::run_unless_locked(gateway, ScheduledJob::Report, Duration::ZERO, job).await? {
        job_lock::JobRun::Ran(sync_result) => Ok(sync_result),
        job_lock::JobRun::Skipped(_) => Ok(None),
    }
}

/// Decides whether an unchanged report is saved again.
#[derive(Clone, Copy)]
struct SaveRule {
    /// Time of the request. A report of this time or later is current.
    requested_at: Timestamp,
    /// Age below which a saved report with the same numbers is current.
    reuse_max: Duration,
}

impl SaveRule {
    fn requested_now(gateway: &Gateway) -> Self {
        Self { requested_at: gateway.clock.now(), reuse_max: REPORT_REUSE_MAX }
    }
}

async fn apply_and_save(
    gateway: &Gateway,
    save_rule: SaveRule,
    batch_size: usize,
    progress: impl Fn(usize),
) -> Result<SyncResult> {
    let changes_applied = apply_all_changes(&*gateway.store, batch_size, progress).await?;
    let report = gateway.store.report(gateway.clock.now()).await?;
    if let Some((_, newest)) = latest_report(gateway).await?
        && is_still_current(&newest, &report, save_rule)
    {
        return Ok(SyncResult { is_new: false, changes_applied, report: newest });
    }
    save_snapshot(gateway, &report).await?;
    Ok(SyncResult { is_new: true, changes_applied, report })
}

/// Applies all changes, `batch_size` in one transaction, and returns their number. Calls `progress` after
/// each transaction.
pub(super) async fn apply_all_changes(
    store: &(impl ReportStore + ?Sized),
    batch_size: usize,
    progress: impl Fn(usize),
) -> Result<usize> {
    let mut changes_applied = 0;
    loop {
        let batch_changes = store.apply_changes(batch_size).await?;
        changes_applied += batch_changes;
        progress(batch_changes);
        if batch_changes < batch_size {
            return Ok(changes_applied);
        }
    }
}

/// Returns whether the newest saved report has the same numbers and is recent enough.
fn is_still_current(newest: &Report, report: &Report, save_rule: SaveRule) -> bool {
    let is_recent =
        newest.as_of >= save_rule.requested_at || newest.as_of + save_rule.reuse_max > report.as_of;
    let unchanged = Report { as_of: newest.as_of, ..report.clone() };
    is_recent && newest.as_of <= report.as_of && unchanged == *newest
}

/// Returns the newest saved report; `None` before the first run.
pub async fn latest_report(gateway: &Gateway) -> Result<Option<(i64, Report)>> {
    let Some(snapshot) = gateway.store.snapshot().await? else {
        return Ok(None);
    };
    let report = serde_json::from_slice(&snapshot.content)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "cannot read the saved report", error))?;
    Ok(Some((snapshot.generation, report)))
}

async fn save_snapshot(gateway: &Gateway, report: &Report) -> Result<()> {
    let content = serde_json::to_vec(report)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "cannot encode the report", error))?;
    let snapshot =
        ReportSnapshot { generation: report.as_of.timestamp_millis(), as_of: report.as_of, content };
    gateway.store.save_snapshot(snapshot).await
}

#[cfg(test)]
mod tests;
