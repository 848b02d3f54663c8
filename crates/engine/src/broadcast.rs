//! Publishes one body to many users: checked and stored here, and made into messages by `flow/spread`.
//!
//! When [`publish`] returns `Ok` the broadcast is on disk, with the number of the last user there was.

use crate::accept::{self, AcceptError, RequestIdempotencyKey};
use crate::gateway::Gateway;
use postrider_core::broadcast::{
    BroadcastAcceptance, BroadcastAudience, BroadcastId, LISTED_USERS_MAX, NewBroadcast,
};
use postrider_core::id::MessageId;

/// What a client asks for, as its face has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastRequest {
    /// What to say.
    pub body: String,
    /// Over which channel.
    pub channel: String,
    /// To whom.
    pub audience: BroadcastAudience,
    /// The name of the API key it came with; empty where there are no keys.
    pub api_key_name: String,
    /// The client's promise that a repetition is the same request.
    pub idempotency_key: Option<RequestIdempotencyKey>,
}

/// A broadcast that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedBroadcast {
    /// Its public name.
    pub id: BroadcastId,
    /// Whether the same request had been accepted before under the same key.
    pub is_replay: bool,
}

/// Why a broadcast was not taken. Nothing was stored.
#[derive(Debug)]
pub enum BroadcastError {
    /// As a message would be refused.
    Accept(AcceptError),
    /// It names nobody.
    NoUsers,
    /// It names more users than this.
    TooManyUsers(usize),
    /// Some of those it names have not registered.
    UnknownUsers {
        /// The first of them.
        first: Vec<String>,
        /// How many in all.
        count: usize,
    },
}

/// Takes a broadcast in. Safe to repeat with a key; without one a repetition is another broadcast.
pub async fn publish(
    gateway: &Gateway,
    request: BroadcastRequest,
) -> Result<PublishedBroadcast, BroadcastError> {
    let broadcast = validate(gateway, request)?;
    let id = broadcast.id;
    let announced = gateway.store.create_broadcast(broadcast).await.map_err(|error| {
        gateway.metrics.store_errors.inc();
        log::error!("cannot accept a broadcast: {}", error.chain());
        BroadcastError::Accept(AcceptError::Store(error))
    })?;
    match announced {
        BroadcastAcceptance::Stored { .. } => {
            gateway.fan_out_pending.notify_one();
            Ok(PublishedBroadcast { id, is_replay: false })
        }
        BroadcastAcceptance::Replayed { id } => Ok(PublishedBroadcast { id, is_replay: true }),
        BroadcastAcceptance::KeyReused => Err(BroadcastError::Accept(AcceptError::IdempotencyKeyReused)),
        BroadcastAcceptance::UnknownUsers { first, count } => {
            Err(BroadcastError::UnknownUsers { first, count })
        }
    }
}

fn validate(gateway: &Gateway, request: BroadcastRequest) -> Result<NewBroadcast, BroadcastError> {
    accept::validate_body(gateway, &request.body).map_err(BroadcastError::Accept)?;
    let route = gateway.route(&request.channel);
    let route =
        route.ok_or_else(|| BroadcastError::Accept(AcceptError::UnknownChannel(request.channel.clone())))?;
    match &request.audience {
        BroadcastAudience::Listed(users) if users.is_empty() => return Err(BroadcastError::NoUsers),
        BroadcastAudience::Listed(users) if users.len() > LISTED_USERS_MAX => {
            return Err(BroadcastError::TooManyUsers(LISTED_USERS_MAX));
        }
        BroadcastAudience::Listed(_) | BroadcastAudience::All => {}
    }
    let now = gateway.clock.now();
    let promise = |key: &RequestIdempotencyKey| accept::hash_idempotency_key(gateway, key, now);
    Ok(NewBroadcast {
        id: MessageId::new(now, gateway.random.bytes()),
        channel: route.channel.name.clone(),
        idempotency: request.idempotency_key.as_ref().map(promise),
        body: request.body,
        audience: request.audience,
        caller: request.api_key_name,
        created_at: now,
    })
}
