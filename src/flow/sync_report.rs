//! Brings the report up to date: folds what changed into the roll-ups and keeps a snapshot of the result.
//!
//! Pages show the newest snapshot only, so their cost does not depend on the number of messages. One process does it
//! at a time; who comes second does only what is left.

use std::time::Duration;

use super::turn;
use crate::clock::Timestamp;
use crate::domain::report::Report;
use crate::domain::turn::{Owner, Task};
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;
use crate::store::{Snapshot, Store};

/// How many changed deliveries one transaction folds, so that no other writer waits long for it.
pub(super) const FOLDED_AT_ONCE: usize = 1_000;

/// The same where no other writer waits: pages that several messages share are written less often.
const FOLDED_AT_ONCE_ALONE: usize = 32_000;

/// A report of which nothing has changed is made anew when it is older than this.
const FRESH: Duration = Duration::from_secs(60);

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    /// Whether the report was made anew; otherwise the newest one still says it all.
    pub renewed: bool,
    /// Changed deliveries that were folded in.
    pub folded: usize,
    /// The report as it is now.
    pub report: Report,
}

/// Folds what changed since the last run, whoever else does the same. `progress` is told how many after each batch.
pub async fn sync(gateway: &Gateway, progress: impl Fn(usize)) -> Result<Synced> {
    fold_and_keep(gateway, gateway.clock.now(), FOLDED_AT_ONCE, progress).await
}

/// The same on a store that nobody else writes to at the moment: a million messages in half the time.
pub async fn sync_alone(gateway: &Gateway) -> Result<Synced> {
    fold_and_keep(gateway, gateway.clock.now(), FOLDED_AT_ONCE_ALONE, |_| ()).await
}

/// Forgets the roll-ups and builds them again from nothing; comes to exactly the same numbers.
pub async fn sync_from_nothing(gateway: &Gateway, progress: impl Fn(usize)) -> Result<Synced> {
    gateway.store.unfold().await?;
    sync(gateway, progress).await
}

/// What is to be brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What changed since the last run.
    Changes,
    /// Everything, from nothing.
    Everything,
}

/// Brings the report up to date as soon as no other process does it. `told` hears of whom we wait for.
pub async fn sync_in_turn(
    gateway: &Gateway,
    extent: Extent,
    told: impl Fn(&Owner),
    progress: impl Fn(usize),
) -> Result<Synced> {
    let asked_at = gateway.clock.now();
    let work = async {
        match extent {
            Extent::Changes => fold_and_keep(gateway, asked_at, FOLDED_AT_ONCE, progress).await,
            Extent::Everything => sync_from_nothing(gateway, progress).await,
        }
    };
    turn::in_turn(gateway, Task::Report, told, work).await
}

/// The same for the built-in schedule: none when another process does it now, or the newest report is younger than
/// `every`.
pub async fn sync_if_due(gateway: &Gateway, every: Duration) -> Result<Option<Synced>> {
    let work = async {
        let now = gateway.clock.now();
        let is_due = newest(gateway)
            .await?
            .is_none_or(|(_, newest)| newest.as_of + every <= now);
        if is_due {
            fold_and_keep(gateway, now, FOLDED_AT_ONCE, |_| ())
                .await
                .map(Some)
        } else {
            Ok(None)
        }
    };
    match turn::once(gateway, Task::Report, Duration::ZERO, work).await? {
        turn::Done::Here(synced) => Ok(synced),
        turn::Done::Elsewhere(_) => Ok(None),
    }
}

async fn fold_and_keep(
    gateway: &Gateway,
    asked_at: Timestamp,
    at_once: usize,
    progress: impl Fn(usize),
) -> Result<Synced> {
    let folded = fold_all(&*gateway.store, at_once, progress).await?;
    let report = gateway.store.report(gateway.clock.now()).await?;
    if let Some((_, newest)) = newest(gateway).await?
        && says_as_much(&newest, &report, asked_at)
    {
        return Ok(Synced {
            renewed: false,
            folded,
            report: newest,
        });
    }
    keep(gateway, &report).await?;
    Ok(Synced {
        renewed: true,
        folded,
        report,
    })
}

/// Folds all that changed, so many in one transaction; how many. `progress` is told after each.
pub(super) async fn fold_all(store: &dyn Store, at_once: usize, progress: impl Fn(usize)) -> Result<usize> {
    let mut folded = 0;
    loop {
        let some = store.fold(at_once).await?;
        folded += some;
        progress(some);
        if some < at_once {
            return Ok(folded);
        }
    }
}

/// Whether the newest kept report has the same numbers, and is young enough for who asked at that moment.
fn says_as_much(newest: &Report, report: &Report, asked_at: Timestamp) -> bool {
    let is_young = newest.as_of >= asked_at || newest.as_of + FRESH > report.as_of;
    let same = Report {
        as_of: newest.as_of,
        ..report.clone()
    };
    is_young && newest.as_of <= report.as_of && same == *newest
}

/// The newest kept report; none before the first run.
pub async fn newest(gateway: &Gateway) -> Result<Option<(i64, Report)>> {
    let Some(snapshot) = gateway.store.snapshot().await? else {
        return Ok(None);
    };
    let report = serde_json::from_slice(&snapshot.content)
        .map_err(|error| Error::because(Kind::Internal, "read the kept report", error))?;
    Ok(Some((snapshot.generation, report)))
}

/// How long the newest report may be before the next run is due; none when only cron knows.
pub fn interval(gateway: &Gateway) -> Option<Duration> {
    gateway.config.schedule.report
}

async fn keep(gateway: &Gateway, report: &Report) -> Result<()> {
    let content = serde_json::to_vec(report)
        .map_err(|error| Error::because(Kind::Internal, "write the report", error))?;
    let snapshot = Snapshot {
        generation: report.as_of.timestamp_millis(),
        as_of: report.as_of,
        content,
    };
    gateway.store.keep_snapshot(snapshot).await
}
