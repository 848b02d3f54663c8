//! `console resend:msg`: queues unsent messages again, and failed ones when an operator says so.
//!
//! Running it twice does no harm: a delivery stands in the queue at most once, and one worker wins it.

use std::collections::HashSet;

use super::{bar, counted, elsewhere, flush, gateway, number, say};
use crate::cli::{Cli, Resend};
use crate::clock::Timestamp;
use crate::domain::id::DeliveryId;
use crate::domain::message::Nudge;
use crate::domain::turn::Task;
use crate::domain::wish::Wish;
use crate::error::Result;
use crate::flow::resend::{self, QUEUED_MAX, queued_max};
use crate::flow::turn::{self, Done, TOGETHER};
use crate::gateway::Gateway;
use crate::store::{Backlog, Pick, Selection};

/// Queues what the options name and says how much that was.
pub async fn run(cli: &Cli, options: &Resend) -> Result<()> {
    let gateway = gateway(cli).await?;
    if options.now || options.failed {
        revive(&gateway, options).await
    } else if options.provider.is_some() || options.since.is_some() || options.limit.is_some() {
        queue_some(&gateway, options).await
    } else {
        queue_due(&gateway, options).await
    }
}

async fn queue_due(gateway: &Gateway, options: &Resend) -> Result<()> {
    let now = gateway.clock.now();
    if options.dry_run {
        let backlog = gateway.store.backlog(now).await?;
        let queued = backlog.due.min(number(queued_max(gateway)));
        return say(sentence("would queue", queued, backlog));
    }
    let resent = match turn::once(gateway, Task::Resend, TOGETHER, resend::due(gateway)).await? {
        Done::Here(resent) => resent,
        Done::Elsewhere(owner) => return say(elsewhere("the queueing", &owner)),
    };
    say(sentence("queued", number(resent.queued), resent.backlog))?;
    flush(gateway).await
}

/// Queues those due deliveries that the options pick.
async fn queue_some(gateway: &Gateway, options: &Resend) -> Result<()> {
    let now = gateway.clock.now();
    let any = Selection {
        limit: QUEUED_MAX,
        ..selection(options, Pick::Waiting, now)
    };
    let picked: HashSet<DeliveryId> = resend::selected(gateway, any).await?.into_iter().collect();
    let mut due: Vec<Nudge> = gateway.store.due(now, &Wish::up_to(QUEUED_MAX)).await?;
    due.retain(|nudge| picked.contains(&nudge.id));
    due.truncate(limit(options).min(queued_max(gateway)));
    let backlog = gateway.store.backlog(now).await?;
    if options.dry_run {
        return say(sentence("would queue", number(due.len()), backlog));
    }
    gateway.queue.push(&due);
    say(sentence("queued", number(due.len()), backlog))?;
    flush(gateway).await
}

/// Makes waiting or failed deliveries due at once and queues them.
async fn revive(gateway: &Gateway, options: &Resend) -> Result<()> {
    let now = gateway.clock.now();
    let picks = [(options.now, Pick::Waiting), (options.failed, Pick::Failed)];
    let mut ids = Vec::new();
    for (_, pick) in picks.into_iter().filter(|(wanted, _)| *wanted) {
        ids.extend(resend::selected(gateway, selection(options, pick, now)).await?);
    }
    ids.truncate(limit(options));
    if ids.is_empty() {
        return say("nothing to queue: no message is as described");
    }
    if options.dry_run {
        return say(format_args!(
            "would queue {} again, to be sent at once",
            counted(number(ids.len()), "message")
        ));
    }
    let bar = bar(Some(number(ids.len())), "queueing");
    let revived = resend::revive(gateway, &ids, now + resend::longest_age(gateway), |some| {
        bar.inc(number(some));
    })
    .await?;
    bar.finish_and_clear();
    let left_alone = number(ids.len().saturating_sub(revived));
    let queued = counted(number(revived), "message");
    if left_alone == 0 {
        say(format_args!("queued {queued} again, to be sent at once"))?;
    } else {
        say(format_args!(
            "queued {queued} again, to be sent at once; left {left_alone} alone that a worker has in hand or that have ended"
        ))?;
    }
    flush(gateway).await
}

fn selection(options: &Resend, pick: Pick, now: Timestamp) -> Selection {
    Selection {
        pick,
        provider: options.provider.clone(),
        since: options.since.map(|since| since.moment(now)),
        limit: limit(options),
    }
}

fn limit(options: &Resend) -> usize {
    options
        .limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(QUEUED_MAX)
}

fn sentence(verb: &str, queued: u64, backlog: Backlog) -> String {
    let later = backlog.waiting.saturating_sub(backlog.due);
    let unqueued = backlog.due.saturating_sub(queued);
    if queued == 0 && later == 0 {
        return "nothing to queue: no message is due".to_owned();
    }
    let mut sentence = if queued == 0 {
        "nothing to queue: no message is due".to_owned()
    } else {
        format!("{verb} {} again", counted(queued, "message"))
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
            assert_eq!(sentence("queued", queued, backlog), words);
        }
    }
}
