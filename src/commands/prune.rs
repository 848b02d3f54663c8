//! `console prune`: deletes old messages that have ended, a few at a time, beside a running gateway.
//!
//! What waits is never deleted, and what the report counted stays counted.

use super::{format_count, format_time, job_skipped_message, open_gateway, print_line, progress_bar, to_u64};
use crate::cli::{Cli, PruneArgs};
use postrider_core::error::Result;
use postrider_core::job::ScheduledJob;
use postrider_engine::job_lock::{self, JobRun, SAME_RUN_WINDOW};
use postrider_engine::prune::{PruneOptions, prune};

/// Deletes and says how many.
pub async fn run(cli: &Cli, arguments: &PruneArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let before = gateway.clock.now() - arguments.older_than;
    let bar = progress_bar(None, "messages deleted:");
    let age = PruneOptions {
        older_than: arguments.older_than,
        is_by_month: arguments.whole_months,
    };
    let work = prune(&gateway, age, |some| bar.inc(to_u64(some)));
    let pruned =
        match job_lock::run_unless_locked(&gateway, ScheduledJob::Prune, SAME_RUN_WINDOW, work).await? {
            JobRun::Ran(pruned) => pruned,
            JobRun::Skipped(owner) => return print_line(job_skipped_message("the pruning", &owner)),
        };
    bar.finish_and_clear();
    print_line(format_args!(
        "deleted {} accepted before {}",
        format_count(to_u64(pruned), "message"),
        format_time(before)
    ))
}
