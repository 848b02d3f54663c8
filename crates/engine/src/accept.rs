//! Accepts messages: validates a request, stores the message, and pushes its deliveries to the queue.
//!
//! When [`accept`] returns `Ok`, the message is on disk. The push to the queue happens afterwards and may be
//! lost.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::user_throttle;

mod addressing;
mod batch;

pub use addressing::MissingAddressPolicy;
pub use batch::AcceptBatch;

use crate::gateway::Gateway;
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::error::Error;
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Idempotency, NewDelivery, NewMessage, Priority, QueueEntry};
use postrider_core::recipient::{AddressError, AddressKind};
use postrider_core::text_parts;

/// Maximum length of a subject, in characters.
const SUBJECT_CHARS_MAX: usize = 255;

/// A request to send one message, as an API has parsed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptRequest {
    /// Text of the message.
    pub body: String,
    /// Explicit addresses: a channel name and the address as the client wrote it.
    pub addresses: Vec<(String, String)>,
    /// Further channels; the address of each is chosen from `contacts`.
    pub channels: Vec<String>,
    /// Contacts of the recipient as the client wrote them, at most one of each kind.
    pub contacts: Vec<(AddressKind, String)>,
    /// Policy for a channel whose address is missing or invalid.
    pub on_missing_address: MissingAddressPolicy,
    /// Uses `user` as the address if no contact is usable and the channel's providers take any text as an
    /// address.
    pub can_use_user_as_address: bool,
    /// Subject, for providers that support one.
    pub subject: Option<String>,
    /// The client's own id of the recipient.
    pub user: Option<String>,
    /// Priority; `None` uses the channel's.
    pub priority: Option<Priority>,
    /// Earliest time to send.
    pub send_at: Option<Timestamp>,
    /// Time after which the message is not sent any more; the age limit of the channel also applies.
    pub expires_at: Option<Timestamp>,
    /// Whether the message expects an answer and therefore counts for the user throttle; `None` uses the
    /// channel's setting.
    pub expects_reply: Option<bool>,
    /// Webhook URL for the events of this message; validated by the API that parsed it.
    pub callback_url: Option<String>,
    /// Name of the API key of the request; empty if no API keys are configured.
    pub api_key_name: String,
    /// Idempotency key of the request.
    pub idempotency_key: Option<RequestIdempotencyKey>,
}

/// An idempotency key as an API has parsed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdempotencyKey {
    /// Namespace of the key: equal keys of two clients are different keys.
    pub scope: String,
    /// The key sent by the client.
    pub key: String,
    /// Canonical form of the request; two requests with equal fingerprints are the same request.
    pub fingerprint: String,
}

/// A message that was accepted and is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Public id.
    pub id: MessageId,
    /// Running number.
    pub number: i64,
    /// Number of text parts of the body.
    pub parts: u32,
    /// Channels of the message, in the order of its deliveries.
    pub channels: Vec<ConfigName>,
    /// Whether an earlier request with the same idempotency key had been accepted.
    pub is_replay: bool,
}

/// The reason why a message was not accepted. Nothing was stored.
#[derive(Debug)]
pub enum AcceptError {
    /// The body is empty.
    EmptyBody,
    /// The body contains a NUL character, which no provider can send.
    InvalidBody,
    /// The body is longer than this number of characters.
    BodyTooLong(usize),
    /// The request has no recipient, or more addresses than a message can have.
    NoRecipient,
    /// No channel has this name.
    UnknownChannel(String),
    /// An address is not valid on its channel.
    InvalidAddress {
        /// The channel.
        channel: ConfigName,
        /// The validation error.
        cause: AddressError,
    },
    /// A contact is not valid for its kind.
    InvalidContact {
        /// Kind that the client stated.
        kind: AddressKind,
        /// The validation error.
        cause: AddressError,
    },
    /// The channel cannot use any of the contacts.
    NoUsableContact {
        /// The channel.
        channel: ConfigName,
        /// Kinds of address that the channel can use, for people.
        expected: String,
    },
    /// The subject is longer than this number of characters or contains a control character.
    InvalidSubject(usize),
    /// The message expires in the past, or before its `send_at`.
    ExpiresTooEarly,
    /// Every recipient is inactive or opted out.
    Suppressed,
    /// The user throttle is exhausted.
    Throttled {
        /// Time until the next message is accepted.
        retry_after: Duration,
    },
    /// The idempotency key was used for a different request.
    IdempotencyKeyReused,
    /// The store failed.
    Store(Error),
}

impl AcceptError {
    /// Returns the value of the metric label `reason`.
    fn metric_label(&self) -> &'static str {
        match self {
            Self::EmptyBody | Self::InvalidBody | Self::BodyTooLong(_) | Self::InvalidSubject(_) => "body",
            Self::NoRecipient
            | Self::InvalidAddress { .. }
            | Self::InvalidContact { .. }
            | Self::NoUsableContact { .. } => "address",
            Self::UnknownChannel(_) => "channel",
            Self::ExpiresTooEarly => "time",
            Self::Suppressed => "suppressed",
            Self::Throttled { .. } => "throttled",
            Self::IdempotencyKeyReused => "key_reused",
            Self::Store(_) => "store",
        }
    }
}

/// Accepts a message. Repeating a request with an idempotency key is safe; without a key a repetition is
/// another message.
///
/// # Errors
///
/// Returns [`AcceptError`] if the request is invalid, refused by a limit, or could not be stored.
pub async fn accept(gateway: &Gateway, request: AcceptRequest) -> Result<Accepted, AcceptError> {
    let stopwatch = gateway.clock.stopwatch();
    let accepted = validate_and_store(gateway, request).await;
    gateway
        .metrics
        .accept_duration
        .observe(stopwatch.elapsed().as_secs_f64());
    match &accepted {
        Ok(accepted) if !accepted.is_replay => {
            gateway.metrics.accepted.inc();
        }
        Ok(_) => {}
        Err(error) => {
            if let AcceptError::Store(error) = error {
                gateway.metrics.store_errors.inc();
                log::error!("cannot accept: {}", error.chain());
            }
            gateway.metrics.count_refused(error.metric_label());
        }
    }
    accepted
}

async fn validate_and_store(gateway: &Gateway, request: AcceptRequest) -> Result<Accepted, AcceptError> {
    let (message, pending) = validate(gateway, request)?;
    let stored = gateway.store.accept(vec![message]).await;
    let (accepted, entries) = pending.complete(stored.map_err(AcceptError::Store)?.first())?;
    gateway.queue.push(&entries);
    Ok(accepted)
}

/// Data needed to complete the acceptance after the message is stored.
struct PendingAcceptance {
    id: MessageId,
    parts: u32,
    channels: Vec<ConfigName>,
    /// Entries whose ids lack the message number, which is not known yet.
    queue_entries: Vec<QueueEntry>,
}

fn validate(
    gateway: &Gateway,
    mut request: AcceptRequest,
) -> Result<(NewMessage, PendingAcceptance), AcceptError> {
    let now = gateway.clock.now();
    let parts = validate_body(gateway, &request.body)?;
    validate_subject(request.subject.as_deref())?;
    let deliveries = addressing::build_deliveries(gateway, &request, parts, now)?;
    let channels = deliveries.iter().map(|delivery| delivery.channel.clone());
    let channels = channels.collect::<Vec<_>>();
    let expires_too_early = deliveries
        .iter()
        .any(|delivery| delivery.expires_at <= delivery.due_at);
    if expires_too_early && request.idempotency_key.is_none() {
        return Err(AcceptError::ExpiresTooEarly);
    }
    let event_target = find_event_target(gateway, &mut request);
    let message = NewMessage {
        id: MessageId::new(now, gateway.random.bytes()),
        replay_only: expires_too_early,
        event_target,
        throttles: user_throttle::user_throttles(gateway, &request, &deliveries),
        deliveries,
        idempotency: request
            .idempotency_key
            .as_ref()
            .map(|key| hash_idempotency_key(gateway, key, now)),
        subject: request.subject,
        body: request.body,
        user: request.user,
        created_at: now,
    };
    let pending = PendingAcceptance {
        id: message.id,
        parts,
        channels,
        queue_entries: build_queue_entries(&message),
    };
    Ok((message, pending))
}

impl PendingAcceptance {
    /// Returns the answer for the client and the entries to push to the queue.
    fn complete(self, acceptance: Option<&Acceptance>) -> Result<(Accepted, Vec<QueueEntry>), AcceptError> {
        let accepted = |id, number, is_replay| Accepted {
            id,
            number,
            parts: self.parts,
            channels: self.channels,
            is_replay,
        };
        match acceptance {
            Some(Acceptance::Stored { number }) => Ok((
                accepted(self.id, *number, false),
                with_message_number(self.queue_entries, *number),
            )),
            Some(Acceptance::Replayed { id, number }) => Ok((accepted(*id, *number, true), Vec::new())),
            Some(Acceptance::KeyReused) => Err(AcceptError::IdempotencyKeyReused),
            Some(Acceptance::NothingToReplay) => Err(AcceptError::ExpiresTooEarly),
            Some(Acceptance::Suppressed) => Err(AcceptError::Suppressed),
            Some(Acceptance::Throttled { retry_after }) => Err(AcceptError::Throttled {
                retry_after: *retry_after,
            }),
            None => Err(AcceptError::Store(Error::new(
                postrider_core::error::ErrorKind::Internal,
                "the store gave no answer",
            ))),
        }
    }
}

/// Returns the event target: the callback URL of the request, otherwise the `events_url` of its API key.
fn find_event_target(gateway: &Gateway, request: &mut AcceptRequest) -> Option<EventTarget> {
    if let Some(url) = request.callback_url.take() {
        let key = request.api_key_name.clone();
        return Some(EventTarget::Url { url, api_key: key });
    }
    let mut keys = gateway.config.keys.iter();
    let key = keys.find(|key| key.events.url.is_some() && key.name == request.api_key_name)?;
    Some(EventTarget::ApiKey(key.name.clone()))
}

pub(super) fn validate_body(gateway: &Gateway, body: &str) -> Result<u32, AcceptError> {
    if body.is_empty() {
        return Err(AcceptError::EmptyBody);
    }
    let chars_max = gateway.config.limits.message_chars_max;
    if body.len() > chars_max && body.chars().count() > chars_max {
        return Err(AcceptError::BodyTooLong(chars_max));
    }
    if body.contains('\0') {
        return Err(AcceptError::InvalidBody);
    }
    Ok(text_parts::count_parts(body).count)
}

fn validate_subject(subject: Option<&str>) -> Result<(), AcceptError> {
    let subject = subject.unwrap_or_default();
    if subject.chars().count() > SUBJECT_CHARS_MAX || subject.contains(char::is_control) {
        return Err(AcceptError::InvalidSubject(SUBJECT_CHARS_MAX));
    }
    Ok(())
}

pub(super) fn hash_idempotency_key(
    gateway: &Gateway,
    key: &RequestIdempotencyKey,
    now: Timestamp,
) -> Idempotency {
    let mut hash = Sha256::new();
    hash.update(key.scope.len().to_le_bytes());
    hash.update(&key.scope);
    hash.update(&key.key);
    let ttl: Duration = gateway.config.limits.idempotency_keep;
    Idempotency {
        key: hash.finalize().into(),
        request: Sha256::digest(&key.fingerprint).into(),
        expires_at: now + ttl,
    }
}

/// Builds queue entries whose ids hold only the position of the delivery, until the message has its number.
fn build_queue_entries(message: &NewMessage) -> Vec<QueueEntry> {
    let to_entry = |(position, delivery): (usize, &NewDelivery)| QueueEntry {
        id: DeliveryId::from_position(0, position),
        channel: delivery.channel.clone(),
        due_at: delivery.due_at,
        priority: delivery.priority,
    };
    let deliveries = message.deliveries.iter().enumerate();
    deliveries
        .filter(|(_, delivery)| delivery.rejection_reason.is_none())
        .map(to_entry)
        .collect()
}

fn with_message_number(mut entries: Vec<QueueEntry>, number: i64) -> Vec<QueueEntry> {
    for entry in &mut entries {
        entry.id = DeliveryId(DeliveryId::from_position(number, 0).0 + entry.id.0);
    }
    entries
}
