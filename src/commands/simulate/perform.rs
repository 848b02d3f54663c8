//! A simulation under way: the senders at work, somebody who may interrupt it, and a store that may fail.
//!
//! Whatever ends it, the senders are told to stop and waited for, so that nothing goes on behind the table.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;

use super::stage::Stage;
use crate::clock::{Clock, Stopwatch};
use crate::commands::crew::Crew;
use crate::commands::signals::Signals;
use crate::error::{Error, Kind, Result};

/// For how long nothing may happen before the store is asked whether it works at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the store has to answer that.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Has the senders work while `play` lasts; how long that was. The first signal tells the play to end, the next one ends
/// it at once.
pub async fn perform(
    stage: &Stage,
    signals: &mut Signals,
    interrupted: &AtomicBool,
    play: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let mut crews = crews(stage);
    let watch = stage.front().clock.stopwatch();
    let outcome = {
        let mut play = pin!(play);
        tokio::select! {
            played = &mut play => played,
            fallen = first_fallen(&mut crews) => Err(fallen),
            () = signals.next() => {
                interrupted.store(true, Ordering::Relaxed);
                signals.unless_again(play).await
            }
        }
    };
    let took = watch.passed();
    let stopped = signals.unless_again(stop_all(crews)).await;
    outcome?;
    stopped?;
    Ok(took)
}

/// One for each sender. They share a clock, so one of them is enough to follow the store's, and one makes broadcasts into
/// messages.
fn crews(stage: &Stage) -> Vec<Crew> {
    let mut crews = Vec::with_capacity(stage.senders.len());
    for (place, sender) in stage.senders.iter().enumerate() {
        let mut crew = Crew::new();
        if place == 0 {
            crew.keep_in_step(sender);
            crew.spread(sender);
        }
        crew.deliver(sender);
        crews.push(crew);
    }
    crews
}

/// Waits until somebody of any crew ends without having been told.
async fn first_fallen(crews: &mut [Crew]) -> Error {
    let mut falling: Vec<_> = crews.iter_mut().map(|crew| Box::pin(crew.fallen())).collect();
    poll_fn(|context| {
        let mut polled = falling.iter_mut().map(|one| one.as_mut().poll(context));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Tells all to stop and waits for all, so that it takes no longer than the slowest.
async fn stop_all(crews: Vec<Crew>) -> Result<()> {
    let mut stopping: JoinSet<Result<()>> = crews.into_iter().map(Crew::stop).collect();
    while let Some(stopped) = stopping.join_next().await {
        stopped.map_err(|panic| Error::because(Kind::Internal, "a sender could not stop", panic))??;
    }
    Ok(())
}

/// Waits long for things to happen, but not for ever: senders cannot go on without the store.
pub struct Patience<'s> {
    stage: &'s Stage,
    seen: u64,
    since: Stopwatch,
}

impl<'s> Patience<'s> {
    /// From now on.
    pub fn new(stage: &'s Stage) -> Self {
        Self {
            stage,
            seen: 0,
            since: Clock::System.stopwatch(),
        }
    }

    /// `happened` is a number that grows with whatever happens. An error when it has not grown for long, and the store
    /// is why.
    pub async fn look(&mut self, happened: u64) -> Result<()> {
        if happened == self.seen && self.since.passed() < PATIENCE {
            return Ok(());
        }
        let stands_still = happened == self.seen;
        self.seen = happened;
        self.since = Clock::System.stopwatch();
        if !stands_still {
            return Ok(());
        }
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.stage.front().store.ping()).await;
        let answer =
            answer.unwrap_or_else(|_| Err(Error::new(Kind::Unavailable, "the store does not answer")));
        answer.map_err(|error| {
            let act = format!("given up, because the senders cannot go on: {error}");
            Error::because(Kind::Unavailable, act, error)
        })
    }
}
