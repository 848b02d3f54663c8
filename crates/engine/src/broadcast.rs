//! Publishes one body to many users: validates and stores the broadcast.
//!
//! When [`publish`] returns `Ok`, the broadcast is on disk together with the number of the last user that it
//! includes. [`crate::fan_out`] creates its messages.

use crate::accept::{self, AcceptError, RequestIdempotencyKey};
use crate::gateway::Gateway;
use postrider_core::broadcast::{
    BroadcastAcceptance, BroadcastAudience, BroadcastId, LISTED_USERS_MAX, NewBroadcast,
};
use postrider_core::id::MessageId;

/// A request to publish a broadcast, as an API has parsed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastRequest {
    /// Text of every message.
    pub body: String,
    /// Name of the channel.
    pub channel: String,
    /// Users that receive the broadcast.
    pub audience: BroadcastAudience,
    /// Name of the API key of the request; empty if no API keys are configured.
    pub api_key_name: String,
    /// Idempotency key of the request.
    pub idempotency_key: Option<RequestIdempotencyKey>,
}

/// A broadcast that was accepted and is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedBroadcast {
    /// Public id of the broadcast.
    pub id: BroadcastId,
    /// True if an earlier request with the same idempotency key had been accepted.
    pub is_replay: bool,
}

/// The reason why a broadcast was not accepted. Nothing was stored.
#[derive(Debug)]
pub enum BroadcastError {
    /// An error that a single message would cause as well.
    Accept(AcceptError),
    /// The list of users is empty.
    NoUsers,
    /// The list has more than this number of users.
    TooManyUsers(usize),
    /// Some listed users are not registered.
    UnknownUsers {
        /// The first few unregistered users.
        first: Vec<String>,
        /// Number of unregistered users.
        count: usize,
    },
}

/// Accepts a broadcast. Repeating a request with an idempotency key is safe; without a key a repetition is
/// another broadcast.
///
/// # Errors
///
/// Returns [`BroadcastError`] if the request is invalid or could not be stored.
pub async fn publish(
    gateway: &Gateway,
    request: BroadcastRequest,
) -> Result<PublishedBroadcast, BroadcastError> {
    let broadcast = validate(gateway, request)?;
    let broadcast_id = broadcast.id;
    let acceptance = gateway.store.create_broadcast(broadcast).await.map_err(|error| {
        gateway.record_store_error("broadcast: store error", &error);
        BroadcastError::Accept(AcceptError::Store(error))
    })?;
    match acceptance {
        BroadcastAcceptance::Stored { .. } => {
            gateway.fan_out_pending.notify_one();
            Ok(PublishedBroadcast { id: broadcast_id, is_replay: false })
        }
        BroadcastAcceptance::Replayed { id: broadcast_id } => {
            Ok(PublishedBroadcast { id: broadcast_id, is_replay: true })
        }
        BroadcastAcceptance::KeyReused => Err(BroadcastError::Accept(AcceptError::IdempotencyKeyReused)),
        BroadcastAcceptance::Throttled { retry_after } => {
            Err(BroadcastError::Accept(AcceptError::SpendingLimit { retry_after }))
        }
        BroadcastAcceptance::UnknownUsers { first, count } => {
            Err(BroadcastError::UnknownUsers { first, count })
        }
    }
}

fn validate(gateway: &Gateway, request: BroadcastRequest) -> Result<NewBroadcast, BroadcastError> {
    let parts = accept::validate_body(gateway, &request.body).map_err(BroadcastError::Accept)?;
    let unknown_channel = || BroadcastError::Accept(AcceptError::UnknownChannel(request.channel.clone()));
    let route = gateway.route(&request.channel).ok_or_else(unknown_channel)?;
    match &request.audience {
        BroadcastAudience::Listed(users) if users.is_empty() => return Err(BroadcastError::NoUsers),
        BroadcastAudience::Listed(users) if users.len() > LISTED_USERS_MAX => {
            return Err(BroadcastError::TooManyUsers(LISTED_USERS_MAX));
        }
        BroadcastAudience::Listed(_) | BroadcastAudience::All => {}
    }
    let now = gateway.clock.now();
    let api_key = gateway.api_key(&request.api_key_name);
    Ok(NewBroadcast {
        id: MessageId::new(now, gateway.random.bytes()),
        channel: route.channel.name.clone(),
        idempotency: request.idempotency_key.map(|key| accept::hash_idempotency_key(gateway, &key, now)),
        body: request.body,
        audience: request.audience,
        throttles: api_key.map_or_else(Vec::new, |key| accept::spending_limits(&key, parts)),
        owner: gateway.owner_of_key(&request.api_key_name),
        caller: request.api_key_name,
        created_at: now,
    })
}
