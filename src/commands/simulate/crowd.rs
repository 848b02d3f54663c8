//! The simulation with users: they register, messages are published to all of them, some are lost, some are opened.
//!
//! Users, broadcasts and receipts go the way they always go; only the users' names and what becomes of a message are
//! invented.

use std::sync::atomic::{AtomicBool, Ordering};

use super::perform::{Patience, perform};
use super::ratios::{self, Audience, Notices};
use super::stage::{CHANNEL, Stage};
use super::theory::Plan;
use super::{LOOK_EVERY, bar, set, verdict};
use crate::cli::Simulate;
use crate::clock;
use crate::commands::print;
use crate::commands::signals::Signals;
use crate::config::Config;
use crate::config::simulation::Receipts;
use crate::dice::Dice;
use crate::domain::delivery::Standing;
use crate::error::{Error, Kind, Result};
use crate::flow::crowd::{self, Notice};
use crate::flow::sync_report;

/// Plays it and says how it went. Fails when it went otherwise than theory expects, and when it was interrupted.
pub async fn run(
    configured: Config,
    plan: &Plan,
    arguments: &Simulate,
    wanted: (u32, Receipts),
) -> Result<()> {
    let mut signals = Signals::new()?;
    let stage = set(&mut signals, configured, plan, arguments).await?;
    let interrupted = AtomicBool::new(false);
    let mut audience = Audience {
        users: wanted.0,
        published: arguments.messages_per_user,
        receipts: wanted.1,
        registered: 0,
    };
    let mut notices = Vec::new();
    let play = async {
        let goes_on = || !interrupted.load(Ordering::Relaxed);
        let dice = Dice::for_seed(arguments.seed);
        let front = stage.front();
        audience.registered = crowd::register(front, audience.users, &dice, goes_on).await?;
        for _ in 0..audience.published {
            if goes_on() {
                notices.push(crowd::publish(front, CHANNEL, &dice).await?);
            }
        }
        watch(&stage, plan.messages, goes_on).await
    };
    let took = perform(&stage, &mut signals, &interrupted, play).await?;
    let report = sync_report::sync_alone(stage.front()).await?.report;
    let run = Notices {
        took,
        notices: counted(&stage, notices).await?,
        accepted: stage.front().metrics.accepted.get(),
        moved: [Standing::Sent, Standing::Delivered, Standing::Failed].map(|to| stage.moved_to(to)),
        interrupted: interrupted.load(Ordering::Relaxed),
    };
    let waiting = stage.waiting().await?;
    let faults = ratios::faults(&audience, &run, &report, waiting);
    print(ratios::text(&audience, &run, &report, &faults))?;
    stage.say_where()?;
    verdict(run.interrupted, &faults)
}

/// Waits until every message was sent and every receipt was heard.
async fn watch(stage: &Stage, messages: u32, goes_on: impl Fn() -> bool) -> Result<()> {
    let bar = bar(messages);
    let front = stage.front();
    let mut patience = Patience::new(stage);
    loop {
        let accepted = front.metrics.accepted.get();
        let (promised, heard) = stage.receipts();
        let arrived = stage.moved_to(Standing::Delivered);
        let ended = arrived + stage.moved_to(Standing::Failed);
        bar.set_position(ended);
        bar.set_message(format!("arrived {arrived}, lost {}", ended - arrived));
        let all_sent = stage.moved_to(Standing::Sent) == accepted && heard == promised;
        // Nothing is sent before it is accepted, so this is asked at the end only.
        if !goes_on()
            || all_sent
                && front.store.unspread(0).await?.is_none()
                && accepted == front.metrics.accepted.get()
        {
            break;
        }
        patience.look(accepted + stage.calls() + heard).await?;
        clock::pause(LOOK_EVERY).await;
    }
    bar.finish_and_clear();
    Ok(())
}

/// What came of each, as everybody can read it at its page.
async fn counted(stage: &Stage, notices: Vec<Notice>) -> Result<Vec<ratios::Counted>> {
    let mut counted = Vec::with_capacity(notices.len());
    for notice in notices {
        let found = stage.front().store.broadcast(notice.id).await?;
        let (_, tally) =
            found.ok_or_else(|| Error::new(Kind::Internal, "a broadcast is not in the store"))?;
        counted.push(ratios::Counted { notice, tally });
    }
    Ok(counted)
}
