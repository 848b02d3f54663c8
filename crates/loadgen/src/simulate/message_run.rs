//! A simulation run with single messages: generates them and waits until every one is sent or failed.

use std::time::Duration;

use super::environment::{SIMULATION_CHANNEL, SimulationEnvironment};
use super::progress::{PROGRESS_POLL_INTERVAL, ProgressFn, SimulationProgress};
use super::senders::{StallDetector, run_with_senders};
use super::theory::{self, SimulationRun};
use super::{options::SimulateOptions, outcome::SimulationOutcome, table};
use crate::{interrupts::Interrupts, messages, rate::to_f64};
use postrider_core::{clock, delivery::DeliveryStateKind, error::Result, random::Random};
use postrider_engine::sync_report;

/// Runs the simulation and returns its text and faults.
pub async fn run(
    environment: &SimulationEnvironment,
    simulate_options: &SimulateOptions,
    interrupts: &Interrupts,
    on_progress: ProgressFn<'_>,
) -> Result<SimulationOutcome> {
    let sending = send_all(environment, simulate_options, interrupts, on_progress);
    let elapsed = run_with_senders(environment, interrupts, sending).await?;
    let is_interrupted = interrupts.is_requested();
    let intake = environment.intake_gateway();
    let report = sync_report::sync_exclusive(intake).await?.report;
    let run = SimulationRun {
        elapsed,
        senders: environment.sender_stats(),
        tries_max: environment.tries_max(),
        accepted: intake.metrics.accepted.get(),
        sent: environment.state_change_count(DeliveryStateKind::Sent),
        failed: environment.state_change_count(DeliveryStateKind::Failed),
        is_interrupted,
    };
    let waiting = environment.waiting_deliveries().await?;
    let faults = theory::find_faults(simulate_options, &run, &report, waiting);
    Ok(SimulationOutcome {
        text: table::render_result(simulate_options, &run, &report, &faults),
        faults,
        is_interrupted,
    })
}

/// Generates the messages and waits until every one is sent or failed, or the run is interrupted.
async fn send_all(
    environment: &SimulationEnvironment,
    simulate_options: &SimulateOptions,
    interrupts: &Interrupts,
    on_progress: ProgressFn<'_>,
) -> Result<()> {
    let random = Random::from_optional_seed(simulate_options.seed);
    let is_running = || !interrupts.is_requested();
    let intake = environment.intake_gateway();
    let generating = messages::generate_messages(
        intake,
        SIMULATION_CHANNEL,
        simulate_options.messages,
        &random,
        is_running,
        |_| (),
    );
    tokio::pin!(generating);
    let mut stored_count = None;
    let mut stall_detector = StallDetector::new(environment);
    let stopwatch = intake.clock.stopwatch();
    loop {
        if stored_count.is_none() {
            tokio::select! {
                generated = &mut generating => stored_count = Some(generated?),
                () = clock::sleep(PROGRESS_POLL_INTERVAL) => {}
            }
        } else {
            clock::sleep(PROGRESS_POLL_INTERVAL).await;
        }
        let sent = environment.state_change_count(DeliveryStateKind::Sent);
        let failed = environment.state_change_count(DeliveryStateKind::Failed);
        on_progress(&progress(environment, [sent, failed], stopwatch.elapsed()));
        stall_detector.check_progress(intake.metrics.accepted.get() + environment.call_count()).await?;
        if stored_count.is_some_and(|stored_count| sent + failed >= stored_count || !is_running()) {
            return Ok(());
        }
    }
}

fn progress(
    environment: &SimulationEnvironment,
    [sent, failed]: [u64; 2],
    elapsed: Duration,
) -> SimulationProgress {
    let finished = sent + failed;
    let mean_seconds = theory::mean_seconds(&environment.sender_stats()).unwrap_or(0.0);
    let rate = to_f64(finished) / elapsed.as_secs_f64().max(0.001);
    SimulationProgress {
        finished,
        status: format!("sent {sent}, failed {failed}, mean call time {mean_seconds:.3} s, {rate:.0}/s"),
    }
}
