//! Makes broadcasts into messages, about a thousand users at a time.
//!
//! Each step stores its messages and moves the broadcast's bookmark in one transaction. So a process that dies leaves
//! nothing half done, another goes on where it was, and two who try the same step do it once. The turn only saves them
//! the trouble.

use std::sync::Arc;
use std::time::Duration;

use super::accept::{Batch, Refused, Request};
use super::turn;
use super::work::Stop;
use crate::domain::broadcast::{Broadcast, Reach, User};
use crate::domain::turn::Task;
use crate::error::Result;
use crate::gateway::Gateway;

/// Users looked at in one transaction.
const BATCH: usize = 1_000;

/// How often it is looked for broadcasts that others have accepted and left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Spreads whatever there is, until told to stop.
pub async fn run(gateway: Arc<Gateway>, mut stop: Stop) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = gateway.spreading.notified() => {}
            () = gateway.clock.pause(LOOK_EVERY) => {}
        }
        let goes_on = || !*stop.borrow();
        if let Err(error) = look(&gateway, goes_on).await {
            gateway.metrics.store_errors.inc();
            log::error!("broadcasts have to wait: {}", error.chain());
        }
    }
}

/// Nobody takes the turn where there is nothing to do.
async fn look(gateway: &Gateway, goes_on: impl Fn() -> bool) -> Result<()> {
    if gateway.store.unspread().await?.is_some() {
        let work = spread_all(gateway, goes_on);
        turn::once(gateway, Task::Spread, Duration::ZERO, work).await?;
    }
    Ok(())
}

/// Makes all broadcasts there are into messages, the oldest first; how many messages were stored. Ends early, between
/// two steps, when `goes_on` says no.
pub async fn spread_all(gateway: &Gateway, goes_on: impl Fn() -> bool) -> Result<u64> {
    let mut stored = 0;
    while goes_on()
        && let Some(broadcast) = gateway.store.unspread().await?
    {
        stored += step(gateway, &broadcast).await?;
    }
    Ok(stored)
}

/// The next step of one broadcast.
async fn step(gateway: &Gateway, broadcast: &Broadcast) -> Result<u64> {
    let users = gateway.store.addressees(broadcast, BATCH).await?;
    let mut reach = Reach {
        broadcast: broadcast.number,
        from: broadcast.reached,
        to: users.last().map_or(broadcast.reached, |user| user.number),
        unreachable: 0,
        is_last: users.len() < BATCH,
    };
    let mut batch = Batch::default();
    for user in users {
        if let Err(why) = batch.add(gateway, request(broadcast, user)) {
            reach.unreachable += 1;
            if let Refused::UnknownChannel(channel) = why {
                log::error!(
                    "nobody is reached by broadcast {}: there is no channel {channel} any more",
                    broadcast.id
                );
            }
        }
    }
    // None: another has made the same step, and the next look finds where it stands.
    Ok(batch.spread(gateway, reach).await?.unwrap_or_default())
}

/// The message to one user.
fn request(broadcast: &Broadcast, user: User) -> Request {
    let contacts = user.contacts.into_iter();
    Request {
        body: broadcast.body.clone(),
        over: vec![broadcast.channel.to_string()],
        contacts: contacts.map(|contact| (contact.kind, contact.spelling)).collect(),
        user: Some(user.id),
        user_is_address: true,
        caller: broadcast.caller.clone(),
        ..Request::default()
    }
}
