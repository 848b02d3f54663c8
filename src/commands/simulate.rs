//! `console simulate`: an emergency alert end to end through the real gateway, with senders that only play, and a table
//! of what came of it beside what theory expects.
//!
//! Every sender is a gateway of its own with one provider of kind `mock`; all share one store and one queue, as
//! processes do. The store is a temporary one unless it is to be kept; a store with messages in it is never used.

mod crowd;
mod perform;
mod ratios;
mod stage;
mod table;
mod theory;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::signals::Signals;
use super::{configuration, print, real};
use crate::cli::{Cli, Simulate};
use crate::clock;
use crate::config::Config;
use crate::dice::Dice;
use crate::domain::delivery::Standing;
use crate::error::{Error, Kind, Result};
use crate::flow::{alert, sync_report};
use perform::{Patience, perform};
use stage::{CHANNEL, Stage};
use theory::{Plan, Run};

/// How often the counters are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Plays the alert and says how it went. Fails when it went otherwise than theory expects, and when it was interrupted.
pub async fn run(cli: &Cli, arguments: &Simulate) -> Result<()> {
    let configured = configuration(cli, &[])?;
    let plan = plan(arguments, stage::tries_max(&configured))?;
    if let (Some(users), Some(receipts)) = (arguments.users, arguments.receipts()) {
        return crowd::run(configured, &plan, arguments, (users, receipts)).await;
    }
    let mut signals = Signals::new()?;
    let stage = set(&mut signals, configured, &plan, arguments).await?;
    let interrupted = AtomicBool::new(false);
    let play = play(&stage, &plan, arguments, &interrupted);
    let took = perform(&stage, &mut signals, &interrupted, play).await?;
    let report = sync_report::sync_alone(stage.front()).await?.report;
    let run = Run {
        took,
        senders: stage.tallies(),
        accepted: stage.front().metrics.accepted.get(),
        sent: stage.moved_to(Standing::Sent),
        failed: stage.moved_to(Standing::Failed),
        interrupted: interrupted.load(Ordering::Relaxed),
    };
    let waiting = stage.waiting().await?;
    let faults = theory::faults(&plan, &run, &report, waiting);
    print(table::text(&plan, &run, &report, &faults))?;
    stage.say_where()?;
    verdict(run.interrupted, &faults)
}

/// Sets the stage, unless a signal comes first.
async fn set(signals: &mut Signals, configured: Config, plan: &Plan, arguments: &Simulate) -> Result<Stage> {
    tokio::select! {
        stage = Stage::set(configured, plan, arguments) => stage,
        () = signals.next() => Err(Error::new(Kind::Unavailable, "interrupted before it began")),
    }
}

fn plan(arguments: &Simulate, tries_max: u32) -> Result<Plan> {
    let senders = arguments
        .cast()
        .map_err(|why| Error::usage(format!("--sender: {why}")))?;
    Ok(Plan {
        messages: arguments.users.map_or(arguments.messages, |users| {
            users.saturating_mul(arguments.messages_per_user)
        }),
        senders,
        places: arguments.concurrency,
        retry: !arguments.no_retry,
        tries_max,
    })
}

fn verdict(interrupted: bool, faults: &[String]) -> Result<()> {
    if interrupted {
        return Err(Error::new(
            Kind::Unavailable,
            "interrupted; the table shows what there is",
        ));
    }
    match faults {
        [] => Ok(()),
        faults => Err(Error::new(
            Kind::Conflict,
            format!("otherwise than theory expects: {}", faults.join("; ")),
        )),
    }
}

/// Raises the alert and waits until every message of it has ended, or until it is interrupted.
async fn play(stage: &Stage, plan: &Plan, arguments: &Simulate, interrupted: &AtomicBool) -> Result<()> {
    let dice = Dice::for_seed(arguments.seed);
    let bar = bar(plan.messages);
    let goes_on = || !interrupted.load(Ordering::Relaxed);
    let raised = alert::raise(stage.front(), CHANNEL, plan.messages, &dice, goes_on, |_| ());
    tokio::pin!(raised);
    let mut taken = None;
    let mut patience = Patience::new(stage);
    let watch = stage.front().clock.stopwatch();
    loop {
        if taken.is_none() {
            tokio::select! {
                done = &mut raised => taken = Some(done?),
                () = clock::pause(LOOK_EVERY) => {}
            }
        } else {
            clock::pause(LOOK_EVERY).await;
        }
        let (sent, failed) = (stage.moved_to(Standing::Sent), stage.moved_to(Standing::Failed));
        draw(&bar, stage, [sent, failed], watch.passed());
        patience
            .look(stage.front().metrics.accepted.get() + stage.calls())
            .await?;
        if taken.is_some_and(|taken| sent + failed >= taken || !goes_on()) {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn bar(messages: u32) -> ProgressBar {
    let bar = ProgressBar::new(messages.into());
    match ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn draw(bar: &ProgressBar, stage: &Stage, [sent, failed]: [u64; 2], passed: Duration) {
    let ended = sent + failed;
    bar.set_position(ended);
    if bar.is_hidden() {
        return;
    }
    let mean = theory::mean_seconds(&stage.tallies()).unwrap_or(0.0);
    let rate = real(ended) / passed.as_secs_f64().max(0.001);
    bar.set_message(format!(
        "sent {sent}, failed {failed}, {mean:.3} s each, {rate:.0} a second"
    ));
}
