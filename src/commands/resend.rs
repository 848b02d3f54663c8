//! `console resend:msg`: queues unsent messages again, and failed ones when an operator says so.
//!
//! Running it twice does no harm: a delivery stands in the queue at most once, and one worker wins it.

use std::collections::HashSet;

use super::{flush_queue, format_count, job_skipped_message, open_gateway, print_line, progress_bar, to_u64};
use crate::cli::{Cli, ResendArgs};
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::job::ScheduledJob;
use postrider_core::queue_entry::QueueEntry;
use postrider_engine::gateway::Gateway;
use postrider_engine::job_lock::{self, JobRun, SAME_RUN_WINDOW};
use postrider_engine::resend::{self, ENTRIES_PUSHED_MAX, entries_pushed_max};
use postrider_store::{Backlog, DeliverySelection, SelectableStatus};

/// Queues what the options name and says how much that was.
pub async fn run(cli: &Cli, options: &ResendArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    if options.now || options.failed {
        requeue(&gateway, options).await
    } else if options.provider.is_some() || options.since.is_some() || options.limit.is_some() {
        queue_selected(&gateway, options).await
    } else {
        queue_due(&gateway, options).await
    }
}

async fn queue_due(gateway: &Gateway, options: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    if options.dry_run {
        let backlog = gateway.store.backlog(now).await?;
        let queued = backlog.due.min(to_u64(entries_pushed_max(gateway)));
        return print_line(format_resend_result("would queue", queued, backlog));
    }
    let resent = match job_lock::run_unless_locked(
        gateway,
        ScheduledJob::Resend,
        SAME_RUN_WINDOW,
        resend::enqueue_due(gateway),
    )
    .await?
    {
        JobRun::Ran(resent) => resent,
        JobRun::Skipped(owner) => return print_line(job_skipped_message("the queueing", &owner)),
    };
    print_line(format_resend_result(
        "queued",
        to_u64(resent.enqueued),
        resent.backlog,
    ))?;
    flush_queue(gateway).await
}

/// Queues those due deliveries that the options pick.
async fn queue_selected(gateway: &Gateway, options: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    let any = DeliverySelection {
        limit: ENTRIES_PUSHED_MAX,
        ..selection(options, SelectableStatus::Waiting, now)
    };
    let picked: HashSet<DeliveryId> = resend::select_deliveries(gateway, any)
        .await?
        .into_iter()
        .collect();
    let mut due: Vec<QueueEntry> = gateway
        .store
        .due(now, &Capacity::total(ENTRIES_PUSHED_MAX))
        .await?;
    due.retain(|nudge| picked.contains(&nudge.id));
    due.truncate(limit(options).min(entries_pushed_max(gateway)));
    let backlog = gateway.store.backlog(now).await?;
    if options.dry_run {
        return print_line(format_resend_result("would queue", to_u64(due.len()), backlog));
    }
    gateway.queue.push(&due);
    print_line(format_resend_result("queued", to_u64(due.len()), backlog))?;
    flush_queue(gateway).await
}

/// Makes waiting or failed deliveries due at once and queues them.
async fn requeue(gateway: &Gateway, options: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    let picks = [
        (options.now, SelectableStatus::Waiting),
        (options.failed, SelectableStatus::Failed),
    ];
    let mut ids = Vec::new();
    for (_, pick) in picks.into_iter().filter(|(wanted, _)| *wanted) {
        ids.extend(resend::select_deliveries(gateway, selection(options, pick, now)).await?);
    }
    ids.truncate(limit(options));
    if ids.is_empty() {
        return print_line("nothing to queue: no message is as described");
    }
    if options.dry_run {
        return print_line(format_args!(
            "would queue {} again, to be sent at once",
            format_count(to_u64(ids.len()), "message")
        ));
    }
    let bar = progress_bar(Some(to_u64(ids.len())), "queueing");
    let revived = resend::requeue(gateway, &ids, now + resend::age_max(gateway), |some| {
        bar.inc(to_u64(some));
    })
    .await?;
    bar.finish_and_clear();
    let left_alone = to_u64(ids.len().saturating_sub(revived));
    let queued = format_count(to_u64(revived), "message");
    if left_alone == 0 {
        print_line(format_args!("queued {queued} again, to be sent at once"))?;
    } else {
        print_line(format_args!(
            "queued {queued} again, to be sent at once; left {left_alone} alone that a worker has in hand or that have ended"
        ))?;
    }
    flush_queue(gateway).await
}

fn selection(options: &ResendArgs, pick: SelectableStatus, now: Timestamp) -> DeliverySelection {
    DeliverySelection {
        status: pick,
        provider: options.provider.clone(),
        since: options.since.map(|since| since.resolve(now)),
        limit: limit(options),
    }
}

fn limit(options: &ResendArgs) -> usize {
    options
        .limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(ENTRIES_PUSHED_MAX)
}

fn format_resend_result(verb: &str, queued: u64, backlog: Backlog) -> String {
    let later = backlog.waiting.saturating_sub(backlog.due);
    let unqueued = backlog.due.saturating_sub(queued);
    if queued == 0 && later == 0 {
        return "nothing to queue: no message is due".to_owned();
    }
    let mut sentence = if queued == 0 {
        "nothing to queue: no message is due".to_owned()
    } else {
        format!("{verb} {} again", format_count(queued, "message"))
    };
    if queued > 0 && unqueued > 0 {
        sentence.push_str(&format!("; {unqueued} more are due"));
    }
    match later {
        0 => {}
        1 => sentence.push_str("; 1 more waits for its time"),
        _ => sentence.push_str(&format!("; {later} more wait for their time")),
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(waiting: u64, due: u64) -> Backlog {
        Backlog {
            waiting,
            due,
            oldest_due_at: None,
        }
    }

    #[test]
    fn the_sentence_says_what_was_queued_and_what_was_not() {
        for (queued, backlog, words) in [
            (0, backlog(0, 0), "nothing to queue: no message is due"),
            (
                0,
                backlog(1, 0),
                "nothing to queue: no message is due; 1 more waits for its time",
            ),
            (1, backlog(1, 1), "queued 1 message again"),
            (
                12,
                backlog(15, 12),
                "queued 12 messages again; 3 more wait for their time",
            ),
            (
                5,
                backlog(15, 12),
                "queued 5 messages again; 7 more are due; 3 more wait for their time",
            ),
        ] {
            assert_eq!(format_resend_result("queued", queued, backlog), words);
        }
    }
}
