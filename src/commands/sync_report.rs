//! `console sync:report`: brings the report up to date, for cron and for the impatient.
//!
//! Two at once do no harm: each change is counted by one of them.

use super::{bar, counted, gateway, moment, number, say};
use crate::cli::{Cli, SyncReport};
use crate::error::Result;
use crate::flow::sync_report::{sync, sync_from_nothing};

/// Folds in what changed, or with `--full` everything, and says how much that was.
pub async fn run(cli: &Cli, options: &SyncReport) -> Result<()> {
    let gateway = gateway(cli).await?;
    let bar = bar(None, "changes counted:");
    let progress = |some| bar.inc(number(some));
    let synced = if options.full {
        sync_from_nothing(&gateway, progress).await?
    } else {
        sync(&gateway, progress).await?
    };
    bar.finish_and_clear();
    say(format_args!(
        "report brought up to date as of {}: {}, {}",
        moment(synced.report.as_of),
        counted(number(synced.folded), "change"),
        counted(synced.report.messages, "message")
    ))
}
