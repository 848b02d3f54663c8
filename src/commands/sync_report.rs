//! `console sync:report`: brings the report up to date, for cron and for the impatient.
//!
//! One process does it at a time; who comes second waits and does only what is left.

use super::{format_count, format_time, open_gateway, print_line, progress_bar, to_u64};
use crate::cli::{Cli, SyncReportArgs};
use postrider_core::error::Result;
use postrider_core::job::JobLockOwner;
use postrider_engine::sync_report::{SyncResult, SyncScope, sync_with_lock};

/// Folds in what changed, or with `--full` everything, and says how much that was.
pub async fn run(cli: &Cli, options: &SyncReportArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let bar = progress_bar(None, "changes counted:");
    let progress = |some| bar.inc(to_u64(some));
    let told = |owner: &JobLockOwner| {
        log::info!(
            "waiting: another process does it since {}: {}",
            format_time(owner.acquired_at),
            owner.process_name
        );
    };
    let extent = if options.full {
        SyncScope::Rebuild
    } else {
        SyncScope::Changes
    };
    let synced = sync_with_lock(&gateway, extent, told, progress).await?;
    bar.finish_and_clear();
    print_line(format_sync_result(&synced))
}

fn format_sync_result(synced: &SyncResult) -> String {
    let (as_of, messages) = (
        format_time(synced.report.as_of),
        format_count(synced.report.messages, "message"),
    );
    if synced.is_new {
        let changes = format_count(to_u64(synced.changes_applied), "change");
        format!("report brought up to date as of {as_of}: {changes}, {messages}")
    } else {
        format!("report is up to date as of {as_of}: nothing changed since, {messages}")
    }
}
