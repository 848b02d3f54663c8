//! A simulation run with users: they register, broadcasts are published to all of them, some messages are lost, some of
//! the others are opened.
//!
//! Users, broadcasts and receipts pass through the real engine; only names, texts and receipts are generated.

use super::broadcast_result::{self, BroadcastRun, CountedBroadcast};
use super::environment::{SIMULATION_CHANNEL, SimulationEnvironment};
use super::options::SimulationAudience;
use super::outcome::SimulationOutcome;
use super::progress::{PROGRESS_POLL_INTERVAL, ProgressFn, SimulationProgress};
use super::senders::{StallDetector, run_with_senders};
use crate::interrupts::Interrupts;
use crate::users::{self, GeneratedBroadcast};
use postrider_core::clock;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::sync_report;

/// Runs the simulation and returns its text and faults.
pub async fn run(
    environment: &SimulationEnvironment,
    audience: &SimulationAudience,
    seed: Option<u32>,
    interrupts: &Interrupts,
    on_progress: ProgressFn<'_>,
) -> Result<SimulationOutcome> {
    let intake = environment.intake_gateway();
    let (mut registered_users, mut broadcasts) = (0, Vec::new());
    let sending = async {
        let is_running = || !interrupts.is_requested();
        let random = Random::from_optional_seed(seed);
        registered_users = users::register_users(intake, audience.users, &random, is_running).await?;
        for _ in 0..audience.broadcasts {
            if is_running() {
                broadcasts.push(users::publish_broadcast(intake, SIMULATION_CHANNEL, &random).await?);
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
        broadcasts: count_broadcasts(environment, broadcasts).await?,
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
        let delivered = environment.state_change_count(DeliveryStateKind::Delivered);
        let lost = environment.state_change_count(DeliveryStateKind::Failed);
        on_progress(&SimulationProgress {
            finished: delivered + lost,
            status: format!("delivered {delivered}, lost {lost}"),
        });
        let all_sent =
            environment.state_change_count(DeliveryStateKind::Sent) == accepted && received == expected;
        // The store is queried only when all accepted messages are sent; a fan-out may have added more since.
        if !is_running()
            || all_sent
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
    broadcasts: Vec<GeneratedBroadcast>,
) -> Result<Vec<CountedBroadcast>> {
    let mut counted = Vec::with_capacity(broadcasts.len());
    for broadcast in broadcasts {
        let stored_broadcast = environment.intake_gateway().store.broadcast(broadcast.id).await?;
        let (_, counts) = stored_broadcast
            .ok_or_else(|| Error::new(ErrorKind::Internal, "broadcast missing in the store"))?;
        counted.push(CountedBroadcast { broadcast, counts });
    }
    Ok(counted)
}
