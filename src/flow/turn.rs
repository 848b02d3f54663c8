//! Work that only one process on a store does at a time: cron on every host may start it at the same second.
//!
//! The owner's turn is renewed while it works and ends by itself soon after it died. The work itself may be run twice
//! without harm; turns only save the trouble.

use std::time::Duration;

use crate::clock;
use crate::domain::turn::{Owner, Task, Turn};
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;

/// How long a turn lasts unless it is renewed, and so how long the work waits for one who died.
const HOLD: Duration = Duration::from_secs(10);

/// How often a turn is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// How often one who waits looks whether the turn has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The longest one waits for a turn.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// Machines whose cron starts the same work do so within this time; who comes so much later wants it done again.
pub const TOGETHER: Duration = Duration::from_secs(5);

/// Who did the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done<T> {
    /// We did.
    Here(T),
    /// Another does, or has just done.
    Elsewhere(Owner),
}

/// Does the work unless another does it now, or began to less than `together` ago.
pub async fn once<T>(
    gateway: &Gateway,
    task: Task,
    together: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<Done<T>> {
    match take(gateway, task).await? {
        Turn::Taken(owner) => Ok(Done::Elsewhere(owner)),
        Turn::Yours => {
            let next_at = gateway.clock.now() + together;
            let outcome = holding(gateway, task, work).await;
            let next_at = next_at.max(gateway.clock.now());
            let ends_at = if outcome.is_ok() {
                next_at
            } else {
                gateway.clock.now()
            };
            end(gateway, task, ends_at).await;
            outcome.map(Done::Here)
        }
    }
}

/// Does the work when it is our turn; `told` hears of whom we wait for.
pub async fn in_turn<T>(
    gateway: &Gateway,
    task: Task,
    told: impl Fn(&Owner),
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut waited = Duration::ZERO;
    while let Turn::Taken(owner) = take(gateway, task).await? {
        if waited.is_zero() {
            told(&owner);
        }
        if waited >= WAIT_MAX {
            let act = format!("another process has not finished yet: {}", owner.holder);
            return Err(Error::new(Kind::Unavailable, act));
        }
        clock::pause(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
    let outcome = holding(gateway, task, work).await;
    end(gateway, task, gateway.clock.now()).await;
    outcome
}

async fn take(gateway: &Gateway, task: Task) -> Result<Turn> {
    let now = gateway.clock.now();
    gateway.store.take_turn(task, &gateway.holder, now, HOLD).await
}

/// Works, and renews the turn meanwhile.
async fn holding<T>(gateway: &Gateway, task: Task, work: impl Future<Output = Result<T>>) -> Result<T> {
    let renewing = async {
        loop {
            clock::pause(RENEW_EVERY).await;
            let ends_at = gateway.clock.now() + HOLD;
            match gateway.store.renew_turn(task, &gateway.holder, ends_at).await {
                Ok(true) => {}
                Ok(false) => log::warn!("another process has begun the work \"{}\" as well", task.word()),
                Err(error) => log::error!("{}", error.chain()),
            }
        }
    };
    tokio::select! {
        outcome = work => outcome,
        () = renewing => Err(Error::new(Kind::Internal, "the turn was renewed to the end of time")),
    }
}

/// A turn whose end cannot be told ends by itself.
async fn end(gateway: &Gateway, task: Task, ends_at: clock::Timestamp) {
    if let Err(error) = gateway.store.end_turn(task, &gateway.holder, ends_at).await {
        log::error!("{}", error.chain());
    }
}

#[cfg(test)]
mod tests;
