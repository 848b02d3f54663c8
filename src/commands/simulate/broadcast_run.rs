//! The simulation with users: they register, messages are published to all of them, some are lost, some are opened.
//!
//! Users, broadcasts and receipts go the way they always go; only the users' names and what becomes of a message are
//! invented.

use std::sync::atomic::{AtomicBool, Ordering};

use super::broadcast_result::{self, BroadcastPlan, BroadcastRun};
use super::environment::{SIMULATION_CHANNEL, SimulationEnvironment};
use super::senders::{StallDetector, run_with_senders};
use super::theory::SimulationPlan;
use super::{PROGRESS_POLL_INTERVAL, message_progress_bar, open_environment, to_exit_result};
use crate::cli::SimulateArgs;
use crate::commands::print_text;
use crate::commands::signals::TerminationSignals;
use postrider_core::clock;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::config::Config;
use postrider_engine::config::mock_sender::ReceiptRatios;
use postrider_engine::sync_report;
use postrider_loadgen::users::{self, GeneratedBroadcast};

/// Plays it and says how it went. Fails when it went otherwise than theory expects, and when it was interrupted.
pub async fn run(
    configured: Config,
    plan: &SimulationPlan,
    arguments: &SimulateArgs,
    wanted: (u32, ReceiptRatios),
) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let stage = open_environment(&mut signals, configured, plan, arguments).await?;
    let interrupted = AtomicBool::new(false);
    let mut audience = BroadcastPlan {
        users: wanted.0,
        broadcasts: arguments.messages_per_user,
        receipts: wanted.1,
        registered_users: 0,
    };
    let mut notices = Vec::new();
    let play = async {
        let goes_on = || !interrupted.load(Ordering::Relaxed);
        let dice = Random::from_optional_seed(arguments.seed);
        let front = stage.intake_gateway();
        audience.registered_users = users::register_users(front, audience.users, &dice, goes_on).await?;
        for _ in 0..audience.broadcasts {
            if goes_on() {
                notices.push(users::publish_broadcast(front, SIMULATION_CHANNEL, &dice).await?);
            }
        }
        wait_for_receipts(&stage, plan.messages, goes_on).await
    };
    let took = run_with_senders(&stage, &mut signals, &interrupted, play).await?;
    let report = sync_report::sync_exclusive(stage.intake_gateway()).await?.report;
    let run = BroadcastRun {
        elapsed: took,
        broadcasts: count_broadcasts(&stage, notices).await?,
        accepted: stage.intake_gateway().metrics.accepted.get(),
        state_changes: [
            DeliveryStateKind::Sent,
            DeliveryStateKind::Delivered,
            DeliveryStateKind::Failed,
        ]
        .map(|to| stage.state_change_count(to)),
        interrupted: interrupted.load(Ordering::Relaxed),
    };
    let waiting = stage.waiting_deliveries().await?;
    let faults = broadcast_result::find_broadcast_faults(&audience, &run, &report, waiting);
    print_text(broadcast_result::render_broadcast_result(
        &audience, &run, &report, &faults,
    ))?;
    stage.print_store_location()?;
    to_exit_result(run.interrupted, &faults)
}

/// Waits until every message was sent and every receipt was heard.
async fn wait_for_receipts(
    stage: &SimulationEnvironment,
    messages: u32,
    goes_on: impl Fn() -> bool,
) -> Result<()> {
    let bar = message_progress_bar(messages);
    let front = stage.intake_gateway();
    let mut patience = StallDetector::new(stage);
    loop {
        let accepted = front.metrics.accepted.get();
        let (promised, heard) = stage.receipt_counts();
        let arrived = stage.state_change_count(DeliveryStateKind::Delivered);
        let ended = arrived + stage.state_change_count(DeliveryStateKind::Failed);
        bar.set_position(ended);
        bar.set_message(format!("arrived {arrived}, lost {}", ended - arrived));
        let all_sent = stage.state_change_count(DeliveryStateKind::Sent) == accepted && heard == promised;
        // Nothing is sent before it is accepted, so this is asked at the end only.
        if !goes_on()
            || all_sent
                && front.store.next_unfinished_broadcast(0).await?.is_none()
                && accepted == front.metrics.accepted.get()
        {
            break;
        }
        patience
            .check_progress(accepted + stage.call_count() + heard)
            .await?;
        clock::sleep(PROGRESS_POLL_INTERVAL).await;
    }
    bar.finish_and_clear();
    Ok(())
}

/// What came of each, as everybody can read it at its page.
async fn count_broadcasts(
    stage: &SimulationEnvironment,
    notices: Vec<GeneratedBroadcast>,
) -> Result<Vec<broadcast_result::CountedBroadcast>> {
    let mut counted = Vec::with_capacity(notices.len());
    for notice in notices {
        let found = stage.intake_gateway().store.broadcast(notice.id).await?;
        let (_, tally) =
            found.ok_or_else(|| Error::new(ErrorKind::Internal, "a broadcast is not in the store"))?;
        counted.push(broadcast_result::CountedBroadcast {
            broadcast: notice,
            counts: tally,
        });
    }
    Ok(counted)
}
