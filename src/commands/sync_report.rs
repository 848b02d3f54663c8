//! `console sync:report`: brings the report up to date, for cron and for the impatient.
//!
//! One process does it at a time; who comes second waits and does only what is left.

use super::{bar, counted, gateway, moment, number, say};
use crate::cli::{Cli, SyncReport};
use crate::domain::turn::Owner;
use crate::error::Result;
use crate::flow::sync_report::{Extent, Synced, sync_in_turn};

/// Folds in what changed, or with `--full` everything, and says how much that was.
pub async fn run(cli: &Cli, options: &SyncReport) -> Result<()> {
    let gateway = gateway(cli).await?;
    let bar = bar(None, "changes counted:");
    let progress = |some| bar.inc(number(some));
    let told = |owner: &Owner| {
        log::info!(
            "waiting: another process does it since {}: {}",
            moment(owner.began_at),
            owner.holder
        );
    };
    let extent = if options.full {
        Extent::Everything
    } else {
        Extent::Changes
    };
    let synced = sync_in_turn(&gateway, extent, told, progress).await?;
    bar.finish_and_clear();
    say(sentence(&synced))
}

fn sentence(synced: &Synced) -> String {
    let (as_of, messages) = (
        moment(synced.report.as_of),
        counted(synced.report.messages, "message"),
    );
    if synced.renewed {
        let changes = counted(number(synced.folded), "change");
        format!("report brought up to date as of {as_of}: {changes}, {messages}")
    } else {
        format!("report is up to date as of {as_of}: nothing changed since, {messages}")
    }
}
