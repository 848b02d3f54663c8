//! Brings the report up to date: folds what changed into the roll-ups and keeps a snapshot of the result.
//!
//! Pages show the newest snapshot only, so their cost does not depend on the number of messages. Running it
//! twice at once does no harm: each change is folded once.

use std::time::Duration;

use crate::domain::report::Report;
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;
use crate::store::Snapshot;

/// How many changed deliveries one transaction folds, so that no other writer waits long for it.
const FOLDED_AT_ONCE: usize = 1_000;

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    /// Changed deliveries that were folded in.
    pub folded: usize,
    /// The report as it is now.
    pub report: Report,
}

/// Folds what changed since the last run. `progress` is told how many after each batch.
pub async fn sync(gateway: &Gateway, progress: impl Fn(usize)) -> Result<Synced> {
    let mut folded = 0;
    loop {
        let some = gateway.store.fold(FOLDED_AT_ONCE).await?;
        folded += some;
        progress(some);
        if some < FOLDED_AT_ONCE {
            break;
        }
    }
    let report = gateway.store.report(gateway.clock.now()).await?;
    keep(gateway, &report).await?;
    Ok(Synced { folded, report })
}

/// Forgets the roll-ups and builds them again from nothing; comes to exactly the same numbers.
pub async fn sync_from_nothing(gateway: &Gateway, progress: impl Fn(usize)) -> Result<Synced> {
    gateway.store.unfold().await?;
    sync(gateway, progress).await
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
