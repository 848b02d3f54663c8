//! A simulation under way: the senders at work, somebody who may interrupt it, and a store that may fail.
//!
//! Whatever ends it, the senders are told to stop and waited for, so that nothing goes on behind the table.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;

use super::environment::SimulationEnvironment;
use crate::commands::background::BackgroundTasks;
use crate::commands::signals::TerminationSignals;
use postrider_core::clock::{Clock, Stopwatch};
use postrider_core::error::{Error, ErrorKind, Result};

/// For how long nothing may happen before the store is asked whether it works at all.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the store has to answer that.
const STORE_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Has the senders work while `play` lasts; how long that was. The first signal tells the play to end, the next one ends
/// it at once.
pub async fn run_with_senders(
    stage: &SimulationEnvironment,
    signals: &mut TerminationSignals,
    interrupted: &AtomicBool,
    play: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let mut crews = start_senders(stage);
    let watch = stage.intake_gateway().clock.stopwatch();
    let outcome = {
        let mut play = pin!(play);
        tokio::select! {
            played = &mut play => played,
            fallen = first_sender_failure(&mut crews) => Err(fallen),
            () = signals.recv() => {
                interrupted.store(true, Ordering::Relaxed);
                signals.abort_on_next(play).await
            }
        }
    };
    let took = watch.elapsed();
    let stopped = signals.abort_on_next(stop_senders(crews)).await;
    outcome?;
    stopped?;
    Ok(took)
}

/// One for each sender. They share a clock, so one of them is enough to follow the store's, and one makes broadcasts into
/// messages.
fn start_senders(stage: &SimulationEnvironment) -> Vec<BackgroundTasks> {
    let mut crews = Vec::with_capacity(stage.senders.len());
    for (place, sender) in stage.senders.iter().enumerate() {
        let mut crew = BackgroundTasks::new();
        if place == 0 {
            crew.start_health_sync(sender);
            crew.start_fan_out(sender);
        }
        crew.start_delivery(sender);
        crews.push(crew);
    }
    crews
}

/// Waits until somebody of any crew ends without having been told.
async fn first_sender_failure(crews: &mut [BackgroundTasks]) -> Error {
    let mut falling: Vec<_> = crews
        .iter_mut()
        .map(|crew| Box::pin(crew.wait_for_failure()))
        .collect();
    poll_fn(|context| {
        let mut polled = falling.iter_mut().map(|one| one.as_mut().poll(context));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Tells all to stop and waits for all, so that it takes no longer than the slowest.
async fn stop_senders(crews: Vec<BackgroundTasks>) -> Result<()> {
    let mut stopping: JoinSet<Result<()>> = crews.into_iter().map(BackgroundTasks::stop).collect();
    while let Some(stopped) = stopping.join_next().await {
        stopped
            .map_err(|panic| Error::with_source(ErrorKind::Internal, "a sender could not stop", panic))??;
    }
    Ok(())
}

/// Waits long for things to happen, but not for ever: senders cannot go on without the store.
pub struct StallDetector<'s> {
    stage: &'s SimulationEnvironment,
    last_progress: u64,
    stalled_since: Stopwatch,
}

impl<'s> StallDetector<'s> {
    /// From now on.
    pub fn new(stage: &'s SimulationEnvironment) -> Self {
        Self {
            stage,
            last_progress: 0,
            stalled_since: Clock::System.stopwatch(),
        }
    }

    /// `happened` is a number that grows with whatever happens. An error when it has not grown for long, and the store
    /// is why.
    pub async fn check_progress(&mut self, happened: u64) -> Result<()> {
        if happened == self.last_progress && self.stalled_since.elapsed() < STALL_TIMEOUT {
            return Ok(());
        }
        let stands_still = happened == self.last_progress;
        self.last_progress = happened;
        self.stalled_since = Clock::System.stopwatch();
        if !stands_still {
            return Ok(());
        }
        let answer = tokio::time::timeout(STORE_PING_TIMEOUT, self.stage.intake_gateway().store.ping()).await;
        let answer =
            answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the store does not answer")));
        answer.map_err(|error| {
            let act = format!("given up, because the senders cannot go on: {error}");
            Error::with_source(ErrorKind::Unavailable, act, error)
        })
    }
}
