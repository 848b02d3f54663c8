//! Makes broadcasts into messages, about a thousand users at a time.
//!
//! Each step stores its messages and moves the broadcast's bookmark in one transaction. So a process that dies leaves
//! nothing half done, another goes on where it was, and two who try the same step do it once. The turn only saves them
//! the trouble.

use std::sync::Arc;
use std::time::Duration;

use super::accept::{Batch, Request};
use super::turn;
use super::work::Stop;
use crate::domain::broadcast::{Broadcast, Reach, User};
use crate::domain::message::Priority;
use crate::domain::turn::Task;
use crate::error::Result;
use crate::gateway::Gateway;

/// Users looked at in one transaction.
const BATCH: usize = 1_000;

/// How often it is looked for broadcasts that others have accepted and left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Spreads whatever there is, until told to stop.
pub async fn run(gateway: Arc<Gateway>, mut stop: Stop) {
    let mut told = 0;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = gateway.spreading.notified() => {}
            () = gateway.clock.pause(LOOK_EVERY) => {}
        }
        let goes_on = || !*stop.borrow();
        if let Err(error) = look(&gateway, &mut told, goes_on).await {
            gateway.metrics.store_errors.inc();
            log::error!("broadcasts have to wait: {}", error.chain());
        }
    }
}

/// Nobody takes the turn where there is nothing to do. `told` is the last broadcast that was said to wait.
async fn look(gateway: &Gateway, told: &mut i64, goes_on: impl Fn() -> bool) -> Result<()> {
    if oldest(gateway, told).await?.is_some() {
        let work = spread_all(gateway, goes_on);
        turn::once(gateway, Task::Spread, Duration::ZERO, work).await?;
    }
    Ok(())
}

/// Makes the broadcasts there are into messages, the oldest first; how many messages were stored. Ends early, between
/// two steps, when `goes_on` says no.
pub async fn spread_all(gateway: &Gateway, goes_on: impl Fn() -> bool) -> Result<u64> {
    let (mut stored, mut told) = (0, i64::MAX);
    while goes_on()
        && let Some(broadcast) = oldest(gateway, &mut told).await?
    {
        stored += step(gateway, &broadcast).await?;
    }
    Ok(stored)
}

/// The oldest broadcast that can be spread here. One over a channel that this process does not know waits, as
/// deliveries do: another process, or the next configuration, may know it.
async fn oldest(gateway: &Gateway, told: &mut i64) -> Result<Option<Broadcast>> {
    let mut after = 0;
    while let Some(broadcast) = gateway.store.unspread(after).await? {
        if gateway.route(broadcast.channel.as_str()).is_some() {
            return Ok(Some(broadcast));
        }
        after = broadcast.number;
        if after > *told {
            let (id, channel) = (broadcast.id, broadcast.channel);
            log::error!("broadcast {id} has to wait: the configuration has no channel {channel}");
            *told = after;
        }
    }
    Ok(None)
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
        if batch.add(gateway, request(broadcast, user)).is_err() {
            reach.unreachable += 1;
        }
    }
    // None: another has made the same step, and the next look finds where it stands.
    Ok(batch.spread(gateway, reach).await?.unwrap_or_default())
}

/// The message to one user. Many never go before a one-time code, whatever the channel's own priority.
fn request(broadcast: &Broadcast, user: User) -> Request {
    let contacts = user.contacts.into_iter();
    Request {
        body: broadcast.body.clone(),
        over: vec![broadcast.channel.to_string()],
        contacts: contacts.map(|contact| (contact.kind, contact.spelling)).collect(),
        user: Some(user.id),
        user_is_address: true,
        priority: Some(Priority::Normal),
        caller: broadcast.caller.clone(),
        ..Request::default()
    }
}
