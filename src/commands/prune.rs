//! `console prune`: deletes old finished messages in small batches while the gateway runs.
//!
//! Messages with a waiting delivery are never deleted, and the counters of the report do not change.

use super::{format_count, format_time, job_skipped_message, open_gateway, print_line, progress_bar, to_u64};
use crate::cli::{Cli, PruneArgs};
use postrider_core::error::Result;
use postrider_core::job::ScheduledJob;
use postrider_engine::job_lock::{self, JobRun, SAME_RUN_WINDOW};
use postrider_engine::prune::{PruneOptions, prune};

/// Deletes messages and prints how many.
pub async fn run(cli: &Cli, arguments: &PruneArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let before = gateway.clock.now() - arguments.older_than;
    let bar = progress_bar(None, "messages deleted:");
    let options = PruneOptions { older_than: arguments.older_than, is_by_month: arguments.whole_months };
    let work = prune(&gateway, options, |deleted| bar.inc(to_u64(deleted)));
    let pruned =
        match job_lock::run_unless_locked(&gateway, ScheduledJob::Prune, SAME_RUN_WINDOW, work).await? {
            JobRun::Ran(pruned) => pruned,
            JobRun::Skipped(owner) => return print_line(job_skipped_message("prune", &owner)),
        };
    bar.finish_and_clear();
    print_line(format_args!(
        "deleted {} accepted before {}",
        format_count(to_u64(pruned), "message"),
        format_time(before)
    ))
}
