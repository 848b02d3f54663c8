//! Generated users with names and phone numbers, and broadcasts to all of them.
//!
//! Calls `engine::users` and `engine::broadcast`, without an HTTP API. Sends nothing.

use crate::random_data::{random_name, random_phone_number, random_text};
use postrider_core::broadcast::{
    BroadcastAudience, BroadcastId, NewUser, USERS_PER_REQUEST_MAX, UserRegistration,
};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::{address::AddressKind, random::Random};
use postrider_engine::broadcast::{self, BroadcastError, BroadcastRequest};
use postrider_engine::{accept::AcceptError, gateway::Gateway, users};

/// Registers `user_count` generated users and returns how many were new. Ends early when `is_running` returns false.
pub async fn register_users(
    gateway: &Gateway,
    user_count: u32,
    random: &Random,
    is_running: impl Fn() -> bool,
) -> Result<u64> {
    let batch_size_max = u32::try_from(USERS_PER_REQUEST_MAX).unwrap_or(u32::MAX);
    let (mut next_index, mut added_count) = (0, 0);
    while next_index < user_count && is_running() {
        let end_index = user_count.min(next_index.saturating_add(batch_size_max));
        let batch = (next_index..end_index).map(|index| random_user(gateway, index, random));
        let registrations = users::register(gateway, batch.collect::<Result<_>>()?).await?;
        let added = registrations.iter().filter(|registration| **registration == UserRegistration::Added);
        added_count += u64::try_from(added.count()).unwrap_or(u64::MAX);
        next_index = end_index;
    }
    Ok(added_count)
}

/// Publishes a generated text to all users registered now, and returns the id of the broadcast.
pub async fn publish_broadcast(gateway: &Gateway, channel: &str, random: &Random) -> Result<BroadcastId> {
    let request = BroadcastRequest {
        body: random_text(random),
        channel: channel.to_owned(),
        audience: BroadcastAudience::All,
        api_key_name: String::new(),
        idempotency_key: None,
    };
    match broadcast::publish(gateway, request).await {
        Ok(published) => Ok(published.id),
        Err(BroadcastError::Accept(AcceptError::Store(error))) => Err(error),
        Err(other) => {
            Err(Error::new(ErrorKind::Internal, format!("generated broadcast was not accepted: {other:?}")))
        }
    }
}

fn random_user(gateway: &Gateway, index: u32, random: &Random) -> Result<NewUser> {
    let user_id = format!("user-{}", index + 1);
    let contacts = vec![(AddressKind::Phone, random_phone_number(random))];
    let now = gateway.clock.now();
    let phone_rules = &gateway.config.phone;
    let (owner, user_name) = (String::new(), random_name(random));
    users::validate(phone_rules, owner, user_id, Some(user_name), Some(contacts), now).map_err(|error| {
        Error::usage(format!("generated user cannot be registered ({error:?}): set numbers = \"possible\""))
    })
}
