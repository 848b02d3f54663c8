//! A simulation run with users: registers users and publishes broadcasts to all of them. Some messages are lost, and
//! some of the delivered messages are opened.
//!
//! Users, broadcasts and receipts pass through the real engine; only names, texts and receipts are generated.

use super::broadcast_result::{self, BroadcastRun};
use super::environment::{SIMULATION_CHANNEL, SimulationEnvironment};
use super::progress::{PROGRESS_POLL_INTERVAL, ProgressFn, SimulationProgress};
use super::senders::{StallDetector, run_with_senders};
use super::{options::SimulationAudience, outcome::SimulationOutcome};
use crate::{interrupts::Interrupts, users};
use postrider_core::broadcast::{Broadcast, BroadcastCounts, BroadcastId};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::{clock, delivery::DeliveryStateKind, random::Random};
use postrider_engine::sync_report;

/// Runs a simulation with users.
pub async fn run(
    environment: &SimulationEnvironment,
    audience: &SimulationAudience,
    seed: Option<u32>,
    interrupts: &Interrupts,
    on_progress: ProgressFn<'_>,
) -> Result<SimulationOutcome> {
    let intake = environment.intake_gateway();
    let (mut registered_users, mut broadcast_ids) = (0, Vec::new());
    let sending = async {
        let is_running = || !interrupts.is_requested();
        let random = Random::from_optional_seed(seed);
        registered_users = users::register_users(intake, audience.users, &random, is_running).await?;
        for _ in 0..audience.broadcasts {
            if is_running() {
                broadcast_ids.push(users::publish_broadcast(intake, SIMULATION_CHANNEL, &random).await?);
            }
        }
        wait_for_receipts(environment, is_running, on_progress).await
    };
    let elapsed = run_with_senders(environment, interrupts, sending).await?;
    let is_interrupted = interrupts.is_requested();
    let report = sync_report::sync_exclusive(intake).await?.report;
    let run = BroadcastRun {
        elapsed,
        registered_users,
        broadcasts: count_broadcasts(environment, &broadcast_ids).await?,
        accepted: intake.metrics.accepted.get(),
        state_changes: [DeliveryStateKind::Sent, DeliveryStateKind::Delivered, DeliveryStateKind::Failed]
            .map(|state| environment.state_change_count(state)),
        is_interrupted,
    };
    let waiting = environment.waiting_deliveries().await?;
    let faults = broadcast_result::find_broadcast_faults(audience, &run, &report, waiting);
    Ok(SimulationOutcome {
        text: broadcast_result::render_broadcast_result(audience, &run, &report, &faults),
        faults,
        is_interrupted,
    })
}

/// Waits until every message is sent and every expected receipt is applied.
async fn wait_for_receipts(
    environment: &SimulationEnvironment,
    is_running: impl Fn() -> bool,
    on_progress: ProgressFn<'_>,
) -> Result<()> {
    let intake = environment.intake_gateway();
    let mut stall_detector = StallDetector::new(environment);
    loop {
        let accepted = intake.metrics.accepted.get();
        let (expected, received) = environment.receipt_counts();
        let sent = environment.state_change_count(DeliveryStateKind::Sent);
        let delivered = environment.state_change_count(DeliveryStateKind::Delivered);
        let lost = environment.state_change_count(DeliveryStateKind::Failed);
        on_progress(&SimulationProgress {
            finished: delivered + lost,
            status: format!("delivered {delivered}, lost {lost}"),
        });
        let is_complete = sent == accepted && received == expected;
        // The store is queried only when all accepted messages are sent. The fan-out may have added messages since the
        // last query.
        if !is_running()
            || is_complete
                && intake.store.next_unfinished_broadcast(0).await?.is_none()
                && accepted == intake.metrics.accepted.get()
        {
            return Ok(());
        }
        stall_detector.check_progress(accepted + environment.call_count() + received).await?;
        clock::sleep(PROGRESS_POLL_INTERVAL).await;
    }
}

async fn count_broadcasts(
    environment: &SimulationEnvironment,
    broadcast_ids: &[BroadcastId],
) -> Result<Vec<(Broadcast, BroadcastCounts)>> {
    let mut broadcasts = Vec::with_capacity(broadcast_ids.len());
    for broadcast_id in broadcast_ids {
        let broadcast = environment.intake_gateway().store.broadcast(*broadcast_id).await?;
        let missing = || Error::new(ErrorKind::Internal, "broadcast missing in the store");
        broadcasts.push(broadcast.ok_or_else(missing)?);
    }
    Ok(broadcasts)
}
