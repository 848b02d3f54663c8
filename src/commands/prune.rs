//! `console prune`: deletes old finished messages in small batches while the gateway runs.
//!
//! Messages with a waiting delivery are never deleted, and the counters of the report do not change.

use super::{format_count, format_time, open_gateway, print_line, progress_bar, run_job, to_u64};
use crate::cli::{Cli, PruneArgs};
use postrider_core::error::Result;
use postrider_core::job::ScheduledJob;
use postrider_engine::prune::{PruneOptions, prune};

/// Deletes messages and prints how many.
pub async fn run(cli: &Cli, arguments: &PruneArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let accepted_before = gateway.clock.now() - arguments.older_than;
    let bar = progress_bar(None, "messages deleted:");
    let prune_options =
        PruneOptions { older_than: arguments.older_than, is_by_month: arguments.whole_months };
    let work = prune(&gateway, prune_options, |deleted| bar.inc(to_u64(deleted)));
    let Some(deleted) = run_job(&gateway, ScheduledJob::Prune, work).await? else {
        return Ok(());
    };
    bar.finish_and_clear();
    let messages = format_count(to_u64(deleted), "message");
    print_line(format_args!("deleted {messages} accepted before {}", format_time(accepted_before)))
}
