//! Publishes one body to many users: checked and stored here, and made into messages by `flow/spread`.
//!
//! When [`publish`] returns `Ok` the broadcast is on disk, with the number of the last user there was.

use crate::domain::broadcast::{Announced, Audience, BroadcastId, LISTED_MAX, NewBroadcast};
use crate::domain::id::MessageId;
use crate::flow::accept::{self, Refused, RequestKey};
use crate::gateway::Gateway;

/// What a client asks for, as its face has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to say.
    pub body: String,
    /// Over which channel.
    pub channel: String,
    /// To whom.
    pub audience: Audience,
    /// The name of the API key it came with; empty where there are no keys.
    pub caller: String,
    /// The client's promise that a repetition is the same request.
    pub key: Option<RequestKey>,
}

/// A broadcast that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its public name.
    pub id: BroadcastId,
    /// Whether the same request had been accepted before under the same key.
    pub replayed: bool,
}

/// Why a broadcast was not taken. Nothing was stored.
#[derive(Debug)]
pub enum Unpublished {
    /// As a message would be refused.
    Refused(Refused),
    /// It names nobody.
    Nobody,
    /// It names more users than this.
    TooMany(usize),
    /// Some of those it names have not registered.
    Unknown {
        /// The first of them.
        first: Vec<String>,
        /// How many in all.
        count: usize,
    },
}

/// Takes a broadcast in. Safe to repeat with a key; without one a repetition is another broadcast.
pub async fn publish(gateway: &Gateway, request: Request) -> Result<Published, Unpublished> {
    let broadcast = checked(gateway, request)?;
    let id = broadcast.id;
    let announced = gateway.store.announce(broadcast).await.map_err(|error| {
        gateway.metrics.store_errors.inc();
        log::error!("cannot accept a broadcast: {}", error.chain());
        Unpublished::Refused(Refused::Store(error))
    })?;
    match announced {
        Announced::Stored { .. } => {
            gateway.spreading.notify_one();
            Ok(Published { id, replayed: false })
        }
        Announced::Replayed { id } => Ok(Published { id, replayed: true }),
        Announced::KeyReused => Err(Unpublished::Refused(Refused::KeyReused)),
        Announced::Unknown { first, count } => Err(Unpublished::Unknown { first, count }),
    }
}

fn checked(gateway: &Gateway, request: Request) -> Result<NewBroadcast, Unpublished> {
    accept::check_body(gateway, &request.body).map_err(Unpublished::Refused)?;
    let route = gateway.route(&request.channel);
    let route =
        route.ok_or_else(|| Unpublished::Refused(Refused::UnknownChannel(request.channel.clone())))?;
    match &request.audience {
        Audience::Listed(users) if users.is_empty() => return Err(Unpublished::Nobody),
        Audience::Listed(users) if users.len() > LISTED_MAX => return Err(Unpublished::TooMany(LISTED_MAX)),
        Audience::Listed(_) | Audience::All => {}
    }
    let now = gateway.clock.now();
    let promise = |key: &RequestKey| accept::idempotency(gateway, key, now);
    Ok(NewBroadcast {
        id: MessageId::new(now, gateway.dice.bytes()),
        channel: route.channel.name.clone(),
        idempotency: request.key.as_ref().map(promise),
        body: request.body,
        audience: request.audience,
        caller: request.caller,
        created_at: now,
    })
}
