//! Makes broadcasts into messages, about a thousand users at a time.
//!
//! Each step stores its messages and moves the broadcast's bookmark in one transaction. So a process that dies leaves
//! nothing half done, another goes on where it was, and two who try the same step do it once. The turn only saves them
//! the trouble.

use std::sync::Arc;
use std::time::Duration;

use super::accept::{AcceptBatch, AcceptRequest};
use super::job_lock;
use super::worker::StopSignal;
use crate::gateway::Gateway;
use postrider_core::broadcast::{Broadcast, FanOutStep, User};
use postrider_core::error::Result;
use postrider_core::job::ScheduledJob;
use postrider_core::priority::Priority;

/// Users looked at in one transaction.
const USERS_PER_STEP: usize = 1_000;

/// How often it is looked for broadcasts that others have accepted and left.
const BROADCAST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Spreads whatever there is, until told to stop.
pub async fn run(gateway: Arc<Gateway>, mut stop: StopSignal) {
    let mut told = 0;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = gateway.fan_out_pending.notified() => {}
            () = gateway.clock.sleep(BROADCAST_POLL_INTERVAL) => {}
        }
        let goes_on = || !*stop.borrow();
        if let Err(error) = fan_out_pending(&gateway, &mut told, goes_on).await {
            gateway.metrics.store_errors.inc();
            log::error!("broadcasts have to wait: {}", error.chain());
        }
    }
}

/// Nobody takes the turn where there is nothing to do. `told` is the last broadcast that was said to wait.
async fn fan_out_pending(gateway: &Gateway, told: &mut i64, goes_on: impl Fn() -> bool) -> Result<()> {
    if next_broadcast(gateway, told).await?.is_some() {
        let work = fan_out_all(gateway, goes_on);
        job_lock::run_unless_locked(gateway, ScheduledJob::FanOut, Duration::ZERO, work).await?;
    }
    Ok(())
}

/// Makes the broadcasts there are into messages, the oldest first; how many messages were stored. Ends early, between
/// two steps, when `goes_on` says no.
pub async fn fan_out_all(gateway: &Gateway, goes_on: impl Fn() -> bool) -> Result<u64> {
    let (mut stored, mut told) = (0, i64::MAX);
    while goes_on()
        && let Some(broadcast) = next_broadcast(gateway, &mut told).await?
    {
        stored += fan_out_step(gateway, &broadcast).await?;
    }
    Ok(stored)
}

/// The oldest broadcast that can be spread here. One over a channel that this process does not know waits, as
/// deliveries do: another process, or the next configuration, may know it.
async fn next_broadcast(gateway: &Gateway, told: &mut i64) -> Result<Option<Broadcast>> {
    let mut after = 0;
    while let Some(broadcast) = gateway.store.next_unfinished_broadcast(after).await? {
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
async fn fan_out_step(gateway: &Gateway, broadcast: &Broadcast) -> Result<u64> {
    let users = gateway
        .store
        .next_broadcast_users(broadcast, USERS_PER_STEP)
        .await?;
    let mut reach = FanOutStep {
        broadcast: broadcast.number,
        from: broadcast.fan_out_position,
        to: users
            .last()
            .map_or(broadcast.fan_out_position, |user| user.number),
        unreachable: 0,
        is_last: users.len() < USERS_PER_STEP,
    };
    let mut batch = AcceptBatch::default();
    for user in users {
        if batch.add(gateway, request_for_user(broadcast, user)).is_err() {
            reach.unreachable += 1;
        }
    }
    // None: another has made the same step, and the next look finds where it stands.
    Ok(batch
        .store_fan_out_step(gateway, reach)
        .await?
        .unwrap_or_default())
}

/// The message to one user. Many never go before a one-time code, whatever the channel's own priority.
fn request_for_user(broadcast: &Broadcast, user: User) -> AcceptRequest {
    let contacts = user.contacts.into_iter();
    AcceptRequest {
        body: broadcast.body.clone(),
        channels: vec![broadcast.channel.to_string()],
        contacts: contacts.map(|contact| (contact.kind, contact.spelling)).collect(),
        user: Some(user.id),
        can_use_user_as_address: true,
        priority: Some(Priority::Normal),
        api_key_name: broadcast.caller.clone(),
        ..AcceptRequest::default()
    }
}
