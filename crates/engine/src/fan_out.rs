//! Fans out broadcasts: creates their messages, about a thousand users at a time.
//!
//! Each step stores its messages and advances the position of the broadcast in one transaction. If a process stops,
//! another one continues at the position, and nothing is half done. If two processes try the same step, one of them
//! does it and the other stores nothing. The job lock only avoids duplicate effort.

use postrider_core::broadcast::{Broadcast, FanOutStep, User};
use postrider_core::{error::Result, job::ScheduledJob, priority::Priority};
use std::{sync::Arc, time::Duration};

use crate::accept::{AcceptBatch, AcceptRequest};
use crate::{gateway::Gateway, job_lock, stop::StopSignal};

/// Maximum number of users in one transaction.
const USERS_PER_STEP: usize = 1_000;

/// Interval at which the store is polled for broadcasts that another process accepted.
const BROADCAST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Fans out pending broadcasts until the stop signal.
pub async fn run(gateway: Arc<Gateway>, mut stop: StopSignal) {
    let mut last_logged = 0;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = gateway.fan_out_pending.notified() => {}
            () = gateway.clock.sleep(BROADCAST_POLL_INTERVAL) => {}
        }
        let is_running = || !*stop.borrow();
        if let Err(error) = fan_out_pending(&gateway, &mut last_logged, is_running).await {
            gateway.record_store_error("fan-out: store error, retrying", &error);
        }
    }
}

/// Fans out pending broadcasts; takes the job lock only if a broadcast is pending. `last_logged` is the number of the
/// newest broadcast that was logged because its channel is not configured.
async fn fan_out_pending(
    gateway: &Gateway,
    last_logged: &mut i64,
    is_running: impl Fn() -> bool,
) -> Result<()> {
    if next_broadcast(gateway, last_logged).await?.is_some() {
        let job = fan_out_all(gateway, is_running);
        job_lock::run_unless_locked(gateway, ScheduledJob::FanOut, Duration::ZERO, job).await?;
    }
    Ok(())
}

/// Fans out all pending broadcasts, oldest first, and returns how many messages were stored. Ends early,
/// between two steps, when `is_running` returns false.
pub async fn fan_out_all(gateway: &Gateway, is_running: impl Fn() -> bool) -> Result<u64> {
    let (mut stored_messages, mut last_logged) = (0, i64::MAX);
    while is_running()
        && let Some(broadcast) = next_broadcast(gateway, &mut last_logged).await?
    {
        stored_messages += fan_out_step(gateway, &broadcast).await?;
    }
    Ok(stored_messages)
}

/// Returns the oldest unfinished broadcast over a configured channel. A process whose configuration lacks the channel
/// skips the broadcast; another process, or the next configuration, may have the channel.
async fn next_broadcast(gateway: &Gateway, last_logged: &mut i64) -> Result<Option<Broadcast>> {
    let mut last_read = 0;
    while let Some(broadcast) = gateway.store.next_unfinished_broadcast(last_read).await? {
        if gateway.route(broadcast.channel.as_str()).is_some() {
            return Ok(Some(broadcast));
        }
        last_read = broadcast.number;
        if last_read > *last_logged {
            let (id, channel) = (broadcast.id, broadcast.channel);
            log::error!(
                "fan-out: broadcast postponed, its channel is not configured; broadcast={id} channel={channel}"
            );
            *last_logged = last_read;
        }
    }
    Ok(None)
}

/// Performs the next step of one broadcast and returns the number of stored messages.
async fn fan_out_step(gateway: &Gateway, broadcast: &Broadcast) -> Result<u64> {
    let users = gateway.store.next_broadcast_users(broadcast, USERS_PER_STEP).await?;
    let mut step = FanOutStep {
        broadcast: broadcast.number,
        from: broadcast.fan_out_position,
        to: users.last().map_or(broadcast.fan_out_position, |user| user.number),
        unreachable: 0,
        is_last: users.len() < USERS_PER_STEP,
    };
    let mut batch = AcceptBatch::default();
    for user in users {
        if batch.add(gateway, request_for_user(broadcast, user)).is_err() {
            step.unreachable += 1;
        }
    }
    // `None`: another process has done the same step; the next read returns the new position.
    Ok(batch.store_fan_out_step(gateway, step).await?.unwrap_or_default())
}

/// Returns the request for one user. A broadcast always has normal priority, so that it never delays one-time
/// codes.
fn request_for_user(broadcast: &Broadcast, user: User) -> AcceptRequest {
    AcceptRequest {
        body: broadcast.body.clone(),
        channels: vec![broadcast.channel.to_string()],
        contacts: user.contacts.into_iter().map(|contact| (contact.kind, contact.spelling)).collect(),
        user: Some(user.id),
        can_use_user_as_address: true,
        priority: Some(Priority::Normal),
        api_key_name: broadcast.caller.clone(),
        broadcast_owner: Some(broadcast.owner.clone()),
        ..AcceptRequest::default()
    }
}
