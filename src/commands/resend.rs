//! `console resend:msg`: enqueues due deliveries again, and requeues waiting or failed deliveries with `--now` and
//! `--failed`.
//!
//! Running the command twice is harmless: the queue holds a delivery at most once, and exactly one worker claims it.

use std::collections::HashSet;
use std::fmt;

use super::{flush_queue, format_count, open_gateway, print_line, progress_bar, run_job, to_u64};
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
pub async fn run(cli: &Cli, resend_args: &ResendArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    if resend_args.now || resend_args.failed {
        requeue(&gateway, resend_args).await
    } else if resend_args.provider.is_some() || resend_args.since.is_some() || resend_args.limit.is_some() {
        enqueue_selected(&gateway, resend_args).await
    } else {
        enqueue_due(&gateway, resend_args).await
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
async fn enqueue_selected(gateway: &Gateway, resend_args: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    let selection = DeliverySelection {
        limit: ENTRIES_PUSHED_MAX,
        ..delivery_selection(resend_args, SelectableStatus::Waiting, now)
    };
    let selected: HashSet<DeliveryId> =
        gateway.store.select_deliveries(selection).await?.into_iter().collect();
    let mut due: Vec<QueueEntry> = gateway.store.due(now, &Capacity::total(ENTRIES_PUSHED_MAX)).await?;
    due.retain(|entry| selected.contains(&entry.id));
    due.truncate(delivery_limit(resend_args).min(entries_pushed_max(gateway)));
    let backlog = gateway.store.backlog(now).await?;
    if resend_args.dry_run {
        return print_line(format_resend_result("would requeue", to_u64(due.len()), backlog));
    }
    gateway.queue.push(&due);
    print_line(format_resend_result("requeued", to_u64(due.len()), backlog))?;
    flush_queue(gateway).await
}

/// Makes retries, scheduled or failed deliveries due at once and enqueues them.
async fn requeue(gateway: &Gateway, resend_args: &ResendArgs) -> Result<()> {
    let now = gateway.clock.now();
    let count_of = async |status| {
        let selection =
            DeliverySelection { limit: ENTRIES_PUSHED_MAX, ..delivery_selection(resend_args, status, now) };
        Ok::<_, Error>(gateway.store.select_deliveries(selection).await?.len())
    };
    let statuses = [
        (resend_args.now, SelectableStatus::Retrying),
        (resend_args.scheduled, SelectableStatus::Scheduled),
        (resend_args.failed, SelectableStatus::Failed),
    ];
    let mut delivery_ids = Vec::new();
    for (_, status) in statuses.into_iter().filter(|(is_selected, _)| *is_selected) {
        delivery_ids
            .extend(gateway.store.select_deliveries(delivery_selection(resend_args, status, now)).await?);
    }
    delivery_ids.truncate(delivery_limit(resend_args));
    let mut left_deliveries = LeftDeliveries::default();
    if resend_args.now {
        let (retrying, scheduled) =
            (count_of(SelectableStatus::Retrying).await?, count_of(SelectableStatus::Scheduled).await?);
        left_deliveries.due = count_of(SelectableStatus::Waiting).await?.saturating_sub(retrying + scheduled);
        left_deliveries.scheduled = if resend_args.scheduled { 0 } else { scheduled };
    }
    if delivery_ids.is_empty() {
        return print_line(format_args!(
            "nothing to requeue: no delivery matches the options{left_deliveries}"
        ));
    }
    if resend_args.dry_run {
        let deliveries = format_count(to_u64(delivery_ids.len()), "delivery");
        return print_line(format_args!("would requeue {deliveries}, due at once{left_deliveries}"));
    }
    let bar = progress_bar(Some(to_u64(delivery_ids.len())), "requeueing");
    let on_requeued = |requeued| bar.inc(to_u64(requeued));
    let requeued =
        resend::requeue(gateway, &delivery_ids, now + resend::age_max(gateway), on_requeued).await?;
    bar.finish_and_clear();
    left_deliveries.refused = delivery_ids.len().saturating_sub(requeued);
    let deliveries = format_count(to_u64(requeued), "delivery");
    print_line(format_args!("requeued {deliveries}, due at once{left_deliveries}"))?;
    flush_queue(gateway).await
}

/// Numbers of deliveries that `--now` or `--failed` left as they are, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeftDeliveries {
    /// Due already: a worker sends them as soon as it can.
    due: usize,
    /// Scheduled by the client.
    scheduled: usize,
    /// Leased by a worker, ended in the meantime, or not to be sent again.
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

fn delivery_selection(
    resend_args: &ResendArgs,
    status: SelectableStatus,
    now: Timestamp,
) -> DeliverySelection {
    DeliverySelection {
        status,
        now,
        provider: resend_args.provider.clone(),
        since: resend_args.since.map(|since| since.resolve(now)),
        limit: delivery_limit(resend_args),
    }
}

fn delivery_limit(resend_args: &ResendArgs) -> usize {
    resend_args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(ENTRIES_PUSHED_MAX)
}

fn format_resend_result(verb: &str, enqueued_count: u64, backlog: Backlog) -> String {
    let not_due = backlog.waiting.saturating_sub(backlog.due);
    let remaining = backlog.due.saturating_sub(enqueued_count);
    let mut result_line = match (enqueued_count, remaining) {
        (0, _) => "nothing to requeue: no delivery is due".to_owned(),
        (_, 0) => format!("{verb} {}", format_count(enqueued_count, "delivery")),
        _ => format!("{verb} {}; {remaining} more due", format_count(enqueued_count, "delivery")),
    };
    if not_due > 0 {
        result_line.push_str(&format!("; {not_due} not due yet"));
    }
    result_line
}

#[cfg(test)]
mod tests;
