//! `console simulate`: an emergency alert end to end through the real gateway, with senders that only play, and a table
//! of what came of it beside what theory expects.
//!
//! Every sender is a gateway of its own with one provider of kind `mock`; all share one store and one queue, as
//! processes do. The store is a temporary one unless it is to be kept; a store with messages in it is never used.

mod stage;
mod table;
mod theory;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::crew::Crew;
use super::signals::Signals;
use super::{configuration, print, real, say};
use crate::cli::{Cli, Simulate};
use crate::clock;
use crate::dice::Dice;
use crate::domain::delivery::Standing;
use crate::error::{Error, Kind, Result};
use crate::flow::{alert, sync_report};
use stage::{CHANNEL, Stage};
use theory::{Plan, Run};

/// How often the counters are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Plays the alert and says how it went. Fails when it went otherwise than theory expects, and when it was interrupted.
pub async fn run(cli: &Cli, arguments: &Simulate) -> Result<()> {
    let mut signals = Signals::new()?;
    let configured = configuration(cli, &[])?;
    let plan = plan(arguments, stage::tries_max(&configured))?;
    let stage = Stage::set(configured, &plan, arguments).await?;
    let mut crews: Vec<Crew> = Vec::new();
    for sender in &stage.senders {
        let mut crew = Crew::new();
        crew.deliver(sender);
        crews.push(crew);
    }
    // They share a clock, so one of them is enough to follow the store's.
    if let Some(crew) = crews.first_mut() {
        crew.keep_in_step(stage.front());
    }
    let watch = stage.front().clock.stopwatch();
    let interrupted = AtomicBool::new(false);
    let outcome = {
        let play = play(&stage, &plan, arguments, &interrupted);
        tokio::pin!(play);
        tokio::select! {
            played = &mut play => played,
            () = signals.next() => {
                interrupted.store(true, Ordering::Relaxed);
                play.await
            }
        }
    };
    let took = watch.passed();
    signals.unless_again(stop_all(crews)).await?;
    outcome?;
    let report = sync_report::sync_alone(stage.front()).await?.report;
    let run = Run {
        took,
        senders: stage.tallies(),
        accepted: stage.front().metrics.accepted.get(),
        sent: stage.moved_to(Standing::Sent),
        failed: stage.moved_to(Standing::Failed),
        interrupted: interrupted.load(Ordering::Relaxed),
    };
    let waiting = stage
        .front()
        .store
        .backlog(stage.front().clock.now())
        .await?
        .waiting;
    let faults = theory::faults(&plan, &run, &report, waiting);
    print(table::text(&plan, &run, &report, &faults))?;
    if let Some(place) = &stage.kept {
        say(format_args!(
            "the store is kept; look around in it with: POSTRIDER_STORE_URL={place} console serve"
        ))?;
    }
    verdict(&run, &faults)
}

/// Tells all to stop and waits for all, so that it takes no longer than the slowest.
async fn stop_all(crews: Vec<Crew>) -> Result<()> {
    let mut stopping: JoinSet<Result<()>> = crews.into_iter().map(Crew::stop).collect();
    while let Some(stopped) = stopping.join_next().await {
        stopped.map_err(|panic| Error::because(Kind::Internal, "a sender could not stop", panic))??;
    }
    Ok(())
}

fn plan(arguments: &Simulate, tries_max: u32) -> Result<Plan> {
    let senders = arguments
        .cast()
        .map_err(|why| Error::usage(format!("--sender: {why}")))?;
    Ok(Plan {
        messages: arguments.messages,
        senders,
        retry: !arguments.no_retry,
        tries_max,
    })
}

fn verdict(run: &Run, faults: &[String]) -> Result<()> {
    if run.interrupted {
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
    let dice = arguments
        .seed
        .map_or_else(Dice::default, |seed| Dice::seeded(seed.into()));
    let bar = bar(plan.messages);
    let goes_on = || !interrupted.load(Ordering::Relaxed);
    let raised = alert::raise(stage.front(), CHANNEL, plan.messages, &dice, goes_on, |_| ());
    tokio::pin!(raised);
    let mut taken = None;
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
