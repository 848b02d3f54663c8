//! `console sync:report`: updates the report.
//!
//! If another process updates the report, the command waits for it and then applies the remaining changes.

use super::progress::ProgressLine;
use super::{format_count, format_time, open_gateway, print_line, to_u64};
use crate::cli::{Cli, SyncReportArgs};
use postrider_core::error::Result;
use postrider_core::job::JobLockOwner;
use postrider_engine::sync_report::{SyncResult, SyncScope, sync_with_lock};

/// Applies changes, or with `--full` rebuilds all counters, and prints how many.
pub async fn run(cli: &Cli, options: &SyncReportArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let progress = ProgressLine::new(None, "changes counted:");
    let on_applied = |changes| progress.add(to_u64(changes));
    let on_wait = |owner: &JobLockOwner| {
        log::info!(
            "waiting for the report lock since={} holder={}",
            format_time(owner.acquired_at),
            owner.process_name
        );
    };
    let scope = if options.full { SyncScope::Rebuild } else { SyncScope::Changes };
    let synced = sync_with_lock(&gateway, scope, on_wait, on_applied).await?;
    progress.clear();
    print_line(format_sync_result(&synced))
}

fn format_sync_result(sync_result: &SyncResult) -> String {
    let as_of = format_time(sync_result.report.as_of);
    let messages = format_count(sync_result.report.messages, "message");
    if sync_result.is_new {
        let changes = format_count(to_u64(sync_result.changes_applied), "change");
        format!("report updated as of {as_of}: {changes}, {messages}")
    } else {
        format!("report unchanged as of {as_of}: {messages}")
    }
}
