//! `console simulate`: an emergency alert end to end through the real gateway, with senders that only play, and a table
//! of what came of it beside what theory expects.
//!
//! Every sender is a gateway of its own with one provider of kind `mock`; all share one store and one queue, as
//! processes do. The store is a temporary one unless it is to be kept; a store with messages in it is never used.

mod broadcast_result;
mod broadcast_run;
mod environment;
mod senders;
mod table;
mod theory;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::signals::TerminationSignals;
use super::{load_config, print_text, to_f64};
use crate::cli::{Cli, SimulateArgs};
use environment::{SIMULATION_CHANNEL, SimulationEnvironment};
use postrider_core::clock;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::config::Config;
use postrider_engine::sync_report;
use postrider_loadgen::messages;
use senders::{StallDetector, run_with_senders};
use theory::{SimulationPlan, SimulationRun};

/// How often the counters are looked at.
const PROGRESS_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Plays the alert and says how it went. Fails when it went otherwise than theory expects, and when it was interrupted.
pub async fn run(cli: &Cli, arguments: &SimulateArgs) -> Result<()> {
    let configured = load_config(cli, &[])?;
    let plan = build_plan(arguments, environment::tries_max(&configured))?;
    if let (Some(users), Some(receipts)) = (arguments.users, arguments.receipt_ratios()) {
        return broadcast_run::run(configured, &plan, arguments, (users, receipts)).await;
    }
    let mut signals = TerminationSignals::new()?;
    let stage = open_environment(&mut signals, configured, &plan, arguments).await?;
    let interrupted = AtomicBool::new(false);
    let play = run_messages(&stage, &plan, arguments, &interrupted);
    let took = run_with_senders(&stage, &mut signals, &interrupted, play).await?;
    let report = sync_report::sync_exclusive(stage.intake_gateway()).await?.report;
    let run = SimulationRun {
        elapsed: took,
        senders: stage.sender_stats(),
        accepted: stage.intake_gateway().metrics.accepted.get(),
        sent: stage.state_change_count(DeliveryStateKind::Sent),
        failed: stage.state_change_count(DeliveryStateKind::Failed),
        interrupted: interrupted.load(Ordering::Relaxed),
    };
    let waiting = stage.waiting_deliveries().await?;
    let faults = theory::find_faults(&plan, &run, &report, waiting);
    print_text(table::render_result(&plan, &run, &report, &faults))?;
    stage.print_store_location()?;
    to_exit_result(run.interrupted, &faults)
}

/// Sets the stage, unless a signal comes first.
async fn open_environment(
    signals: &mut TerminationSignals,
    configured: Config,
    plan: &SimulationPlan,
    arguments: &SimulateArgs,
) -> Result<SimulationEnvironment> {
    tokio::select! {
        stage = SimulationEnvironment::open(configured, plan, arguments) => stage,
        () = signals.recv() => Err(Error::new(ErrorKind::Unavailable, "interrupted before it began")),
    }
}

fn build_plan(arguments: &SimulateArgs, tries_max: u32) -> Result<SimulationPlan> {
    let senders = arguments
        .mock_senders()
        .map_err(|why| Error::usage(format!("--sender: {why}")))?;
    Ok(SimulationPlan {
        messages: arguments.users.map_or(arguments.messages, |users| {
            users.saturating_mul(arguments.messages_per_user)
        }),
        senders,
        concurrency: arguments.concurrency,
        has_retries: !arguments.no_retry,
        tries_max,
    })
}

fn to_exit_result(interrupted: bool, faults: &[String]) -> Result<()> {
    if interrupted {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "interrupted; the table shows what there is",
        ));
    }
    match faults {
        [] => Ok(()),
        faults => Err(Error::new(
            ErrorKind::Conflict,
            format!("otherwise than theory expects: {}", faults.join("; ")),
        )),
    }
}

/// Raises the alert and waits until every message of it has ended, or until it is interrupted.
async fn run_messages(
    stage: &SimulationEnvironment,
    plan: &SimulationPlan,
    arguments: &SimulateArgs,
    interrupted: &AtomicBool,
) -> Result<()> {
    let dice = Random::from_optional_seed(arguments.seed);
    let bar = message_progress_bar(plan.messages);
    let goes_on = || !interrupted.load(Ordering::Relaxed);
    let raised = messages::generate_messages(
        stage.intake_gateway(),
        SIMULATION_CHANNEL,
        plan.messages,
        &dice,
        goes_on,
        |_| (),
    );
    tokio::pin!(raised);
    let mut taken = None;
    let mut patience = StallDetector::new(stage);
    let watch = stage.intake_gateway().clock.stopwatch();
    loop {
        if taken.is_none() {
            tokio::select! {
                done = &mut raised => taken = Some(done?),
                () = clock::sleep(PROGRESS_POLL_INTERVAL) => {}
            }
        } else {
            clock::sleep(PROGRESS_POLL_INTERVAL).await;
        }
        let (sent, failed) = (
            stage.state_change_count(DeliveryStateKind::Sent),
            stage.state_change_count(DeliveryStateKind::Failed),
        );
        update_progress(&bar, stage, [sent, failed], watch.elapsed());
        patience
            .check_progress(stage.intake_gateway().metrics.accepted.get() + stage.call_count())
            .await?;
        if taken.is_some_and(|taken| sent + failed >= taken || !goes_on()) {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn message_progress_bar(messages: u32) -> ProgressBar {
    let bar = ProgressBar::new(messages.into());
    match ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn update_progress(
    bar: &ProgressBar,
    stage: &SimulationEnvironment,
    [sent, failed]: [u64; 2],
    passed: Duration,
) {
    let ended = sent + failed;
    bar.set_position(ended);
    if bar.is_hidden() {
        return;
    }
    let mean = theory::mean_seconds(&stage.sender_stats()).unwrap_or(0.0);
    let rate = to_f64(ended) / passed.as_secs_f64().max(0.001);
    bar.set_message(format!(
        "sent {sent}, failed {failed}, {mean:.3} s each, {rate:.0} a second"
    ));
}
