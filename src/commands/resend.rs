//! `console resend:msg`: enqueues due deliveries again, and requeues waiting or failed deliveries with `--now` and
//! `--failed`.
//!
//! Running the command twice is harmless: the queue holds a delivery at most once, and exactly one worker claims it.

use std::collections::HashSet;
use std::fmt;

use super::progress::ProgressLine;
use super::{flush_queue, format_count, open_gateway, print_line, run_job, to_u64};
use crate::cli::{Cli, ResendArgs};
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, Result};
use postrider_core::id::DeliveryId;
use postrider_core::job::ScheduledJob;
use postrider_core::queue_entry::QueueEntry;
use postrider_engine::gateway::Gateway;
use postrider_engine::resend::{self, ENTRIES_PUSHED_MAX, entries_pushed_max};
use postrider_store::{Backlog, DeliverySelection, SelectableStatus};

/// Enqueues the selected deliveries and prints how many.
pub async fn run(cli: &Cli, options: &ResendArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    if options.now || options.failed {
        requeue(&gateway, options).await
    } else if options.provider.is_some() || options.since.is_some() || options.limit.is_some() {
        enqueue_selected(&gateway, options).await
    } else {
        enqueue_due(&gateway, options).await
    }
}

async fn enqueue_due(gateway: &Gateway, options: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    if options.dry_run {
        let backlog = gateway.store.backlog(now).await?;
        let due_count = backlog.due.min(to_u64(entries_pushed_max(gateway)));
        return print_line(format_resend_result("would requeue", due_count, backlog));
    }
    let Some(resent) = run_job(gateway, ScheduledJob::Resend, resend::enqueue_due(gateway)).await? else {
        return Ok(());
    };
    print_line(format_resend_result("requeued", to_u64(resent.enqueued), resent.backlog))?;
    flush_queue(gateway).await
}

/// Enqueues the due deliveries that the options select.
async fn enqueue_selected(gateway: &Gateway, options: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    let selection = DeliverySelection {
        limit: ENTRIES_PUSHED_MAX,
        ..delivery_selection(options, SelectableStatus::Waiting, now)
    };
    let selected: HashSet<DeliveryId> =
        gateway.store.select_deliveries(selection).await?.into_iter().collect();
    let mut due: Vec<QueueEntry> = gateway.store.due(now, &Capacity::total(ENTRIES_PUSHED_MAX)).await?;
    due.retain(|entry| selected.contains(&entry.id));
    due.truncate(delivery_limit(options).min(entries_pushed_max(gateway)));
    let backlog = gateway.store.backlog(now).await?;
    if options.dry_run {
        return print_line(format_resend_result("would requeue", to_u64(due.len()), backlog));
    }
    gateway.queue.push(&due);
    print_line(format_resend_result("requeued", to_u64(due.len()), backlog))?;
    flush_queue(gateway).await
}

/// Makes retries, scheduled or failed deliveries due at once and enqueues them.
async fn requeue(gateway: &Gateway, options: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    let count_of = async |status| {
        let selection =
            DeliverySelection { limit: ENTRIES_PUSHED_MAX, ..delivery_selection(options, status, now) };
        Ok::<_, Error>(gateway.store.select_deliveries(selection).await?.len())
    };
    let statuses = [
        (options.now, SelectableStatus::Retrying),
        (options.scheduled, SelectableStatus::Scheduled),
        (options.failed, SelectableStatus::Failed),
    ];
    let mut ids = Vec::new();
    for (_, status) in statuses.into_iter().filter(|(is_selected, _)| *is_selected) {
        ids.extend(gateway.store.select_deliveries(delivery_selection(options, status, now)).await?);
    }
    ids.truncate(delivery_limit(options));
    let mut left = LeftDeliveries::default();
    if options.now {
        let (retrying, scheduled) =
            (count_of(SelectableStatus::Retrying).await?, count_of(SelectableStatus::Scheduled).await?);
        left.due = count_of(SelectableStatus::Waiting).await?.saturating_sub(retrying + scheduled);
        left.scheduled = if options.scheduled { 0 } else { scheduled };
    }
    if ids.is_empty() {
        return print_line(format_args!("nothing to requeue: no delivery matches the options{left}"));
    }
    if options.dry_run {
        let deliveries = format_count(to_u64(ids.len()), "delivery");
        return print_line(format_args!("would requeue {deliveries}, due at once{left}"));
    }
    let progress = ProgressLine::new(Some(to_u64(ids.len())), "requeueing");
    let on_requeued = |requeued| progress.add(to_u64(requeued));
    let requeued = resend::requeue(gateway, &ids, now + resend::age_max(gateway), on_requeued).await?;
    progress.clear();
    left.refused = ids.len().saturating_sub(requeued);
    let deliveries = format_count(to_u64(requeued), "delivery");
    print_line(format_args!("requeued {deliveries}, due at once{left}"))?;
    flush_queue(gateway).await
}

/// Numbers of deliveries that `--now` or `--failed` did not change, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeftDeliveries {
    /// Deliveries that were due already. A worker sends them as soon as it has a free slot.
    due: usize,
    /// Scheduled by the client.
    scheduled: usize,
    /// Deliveries that a worker has leased, that have ended in the meantime, or that must not be sent again.
    refused: usize,
}

impl fmt::Display for LeftDeliveries {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.due > 0 {
            write!(out, "; {} due already", self.due)?;
        }
        if self.refused > 0 {
            write!(out, "; skipped {} that are leased by a worker, finished or at_most_once", self.refused)?;
        }
        if self.scheduled > 0 {
            write!(out, "; {} scheduled by send_at stay so (--scheduled includes them)", self.scheduled)?;
        }
        Ok(())
    }
}

fn delivery_selection(options: &ResendArgs, status: SelectableStatus, now: Timestamp) -> DeliverySelection {
    DeliverySelection {
        status,
        now,
        provider: options.provider.clone(),
        since: options.since.map(|since| since.resolve(now)),
        limit: delivery_limit(options),
    }
}

fn delivery_limit(options: &ResendArgs) -> usize {
    options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(ENTRIES_PUSHED_MAX)
}

fn format_resend_result(verb: &str, count: u64, backlog: Backlog) -> String {
    let not_due = backlog.waiting.saturating_sub(backlog.due);
    let remaining = backlog.due.saturating_sub(count);
    let mut line = match (count, remaining) {
        (0, _) => "nothing to requeue: no delivery is due".to_owned(),
        (_, 0) => format!("{verb} {}", format_count(count, "delivery")),
        _ => format!("{verb} {}; {remaining} more due", format_count(count, "delivery")),
    };
    if not_due > 0 {
        line.push_str(&format!("; {not_due} not due yet"));
    }
    line
}

#[cfg(test)]
mod tests;
