//! Brings the report up to date: folds what changed into the roll-ups and keeps a snapshot of the result.
//!
//! Pages show the newest snapshot only, so their cost does not depend on the number of messages. One process does it
//! at a time; who comes second does only what is left.

use std::time::Duration;

use super::job_lock;
use crate::gateway::Gateway;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::job::{JobLockOwner, ScheduledJob};
use postrider_core::report::Report;
use postrider_store::{ReportSnapshot, Store};

/// How many changed deliveries one transaction folds, so that no other writer waits long for it.
pub(super) const CHANGES_PER_TRANSACTION: usize = 1_000;

/// The same where no other writer waits: pages that several messages share are written less often.
const CHANGES_PER_TRANSACTION_EXCLUSIVE: usize = 32_000;

/// A report of which nothing has changed is made anew when it is older than this.
const REPORT_REUSE_MAX: Duration = Duration::from_secs(60);

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncResult {
    /// Whether the report was made anew; otherwise the newest one still says it all.
    pub is_new: bool,
    /// Changed deliveries that were folded in.
    pub changes_applied: usize,
    /// The report as it is now.
    pub report: Report,
}

/// Folds what changed since the last run, whoever else does the same. `progress` is told how many after each batch.
pub async fn sync(gateway: &Gateway, progress: impl Fn(usize)) -> Result<SyncResult> {
    apply_and_save(gateway, gateway.clock.now(), CHANGES_PER_TRANSACTION, progress).await
}

/// The same on a store that nobody else writes to at the moment: a million messages in half the time.
pub async fn sync_exclusive(gateway: &Gateway) -> Result<SyncResult> {
    apply_and_save(
        gateway,
        gateway.clock.now(),
        CHANGES_PER_TRANSACTION_EXCLUSIVE,
        |_| (),
    )
    .await
}

/// Forgets the roll-ups and builds them again from nothing; comes to exactly the same numbers.
pub async fn rebuild(gateway: &Gateway, progress: impl Fn(usize)) -> Result<SyncResult> {
    gateway.store.begin_rebuild().await?;
    sync(gateway, progress).await
}

/// What is to be brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncScope {
    /// What changed since the last run.
    Changes,
    /// Everything, from nothing.
    Rebuild,
}

/// Brings the report up to date as soon as no other process does it. `told` hears of whom we wait for.
pub async fn sync_with_lock(
    gateway: &Gateway,
    extent: SyncScope,
    told: impl Fn(&JobLockOwner),
    progress: impl Fn(usize),
) -> Result<SyncResult> {
    let asked_at = gateway.clock.now();
    let work = async {
        match extent {
            SyncScope::Changes => apply_and_save(gateway, asked_at, CHANGES_PER_TRANSACTION, progress).await,
            SyncScope::Rebuild => rebuild(gateway, progress).await,
        }
    };
    job_lock::wait_and_run(gateway, ScheduledJob::Report, told, work).await
}

/// The same for the built-in schedule: none when another process does it now, or the newest report is younger than
/// `every`.
pub async fn sync_if_due(gateway: &Gateway, every: Duration) -> Result<Option<SyncResult>> {
    let work = async {
        let now = gateway.clock.now();
        let is_due = latest_report(gateway)
            .await?
            .is_none_or(|(_, newest)| newest.as_of + every <= now);
        if is_due {
            apply_and_save(gateway, now, CHANGES_PER_TRANSACTION, |_| ())
                .await
                .map(Some)
        } else {
            Ok(None)
        }
    };
    match job_lock::run_unless_locked(gateway, ScheduledJob::Report, Duration::ZERO, work).await? {
        job_lock::JobRun::Ran(synced) => Ok(synced),
        job_lock::JobRun::Skipped(_) => Ok(None),
    }
}

async fn apply_and_save(
    gateway: &Gateway,
    asked_at: Timestamp,
    at_once: usize,
    progress: impl Fn(usize),
) -> Result<SyncResult> {
    let folded = apply_all_changes(&*gateway.store, at_once, progress).await?;
    let report = gateway.store.report(gateway.clock.now()).await?;
    if let Some((_, newest)) = latest_report(gateway).await?
        && is_still_current(&newest, &report, asked_at)
    {
        return Ok(SyncResult {
            is_new: false,
            changes_applied: folded,
            report: newest,
        });
    }
    save_snapshot(gateway, &report).await?;
    Ok(SyncResult {
        is_new: true,
        changes_applied: folded,
        report,
    })
}

/// Folds all that changed, so many in one transaction; how many. `progress` is told after each.
pub(super) async fn apply_all_changes(
    store: &dyn Store,
    at_once: usize,
    progress: impl Fn(usize),
) -> Result<usize> {
    let mut folded = 0;
    loop {
        let some = store.apply_changes(at_once).await?;
        folded += some;
        progress(some);
        if some < at_once {
            return Ok(folded);
        }
    }
}

/// Whether the newest kept report has the same numbers, and is young enough for who asked at that moment.
fn is_still_current(newest: &Report, report: &Report, asked_at: Timestamp) -> bool {
    let is_young = newest.as_of >= asked_at || newest.as_of + REPORT_REUSE_MAX > report.as_of;
    let same = Report {
        as_of: newest.as_of,
        ..report.clone()
    };
    is_young && newest.as_of <= report.as_of && same == *newest
}

/// The newest kept report; none before the first run.
pub async fn latest_report(gateway: &Gateway) -> Result<Option<(i64, Report)>> {
    let Some(snapshot) = gateway.store.snapshot().await? else {
        return Ok(None);
    };
    let report = serde_json::from_slice(&snapshot.content)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "read the kept report", error))?;
    Ok(Some((snapshot.generation, report)))
}

/// How long the newest report may be before the next run is due; none when only cron knows.
pub fn sync_interval(gateway: &Gateway) -> Option<Duration> {
    gateway.config.schedule.report
}

async fn save_snapshot(gateway: &Gateway, report: &Report) -> Result<()> {
    let content = serde_json::to_vec(report)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "write the report", error))?;
    let snapshot = ReportSnapshot {
        generation: report.as_of.timestamp_millis(),
        as_of: report.as_of,
        content,
    };
    gateway.store.save_snapshot(snapshot).await
}
