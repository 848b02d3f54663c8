//! Takes a message in: checks it, stores it, and nudges the workers.
//!
//! When [`accept`] returns `Ok` the message is on disk. The nudge comes after and may be lost.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::user_throttle;

mod addressing;
mod batch;

pub use addressing::MissingAddressPolicy;
pub use batch::AcceptBatch;

use crate::gateway::Gateway;
use postrider_core::address::{AddressError, AddressKind};
use postrider_core::clock::Timestamp;
use postrider_core::error::Error;
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Idempotency, NewDelivery, NewMessage};
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::text_parts;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 255;

/// What a client asks for, as its face has read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptRequest {
    /// What to say.
    pub body: String,
    /// To whom, over which channels: a channel's name and the address as the client wrote it.
    pub addresses: Vec<(String, String)>,
    /// Over which other channels: each takes of the `contacts` what its providers can use.
    pub channels: Vec<String>,
    /// The person's addresses as the client wrote them, each kind at most once.
    pub contacts: Vec<(AddressKind, String)>,
    /// What becomes of a channel whose address is missing or wrong.
    pub on_missing_address: MissingAddressPolicy,
    /// Whether the `user` is the address where no contact fits and the channel's providers understand any text.
    pub can_use_user_as_address: bool,
    /// The line above the body, for providers that have one.
    pub subject: Option<String>,
    /// The client's own name for the person.
    pub user: Option<String>,
    /// Before others; none leaves it to the channel.
    pub priority: Option<Priority>,
    /// Not before this moment.
    pub send_at: Option<Timestamp>,
    /// Not after this moment; the channel's own age limit holds as well.
    pub expires_at: Option<Timestamp>,
    /// Whether the user is expected to answer, so that the message counts for the user's throttle; none leaves it to
    /// each channel.
    pub expects_reply: Option<bool>,
    /// Where to tell what becomes of it; checked by the face that read it.
    pub callback_url: Option<String>,
    /// The name of the API key it came with; empty where there are no keys.
    pub api_key_name: String,
    /// The client's promise that a repetition is the same request.
    pub idempotency_key: Option<RequestIdempotencyKey>,
}

/// An idempotency key as a face has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdempotencyKey {
    /// Whose key it is: the same key of two clients is two keys.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// Everything that makes two requests the same request, in the face's own writing.
    pub fingerprint: String,
}

/// A message that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its public name.
    pub id: MessageId,
    /// Its running number.
    pub number: i64,
    /// Text parts of the body.
    pub parts: u32,
    /// The channels it goes over, in the order of its deliveries.
    pub channels: Vec<ConfigName>,
    /// Whether the same request had been accepted before under the same key.
    pub is_replay: bool,
}

/// Why a message was not taken. Nothing was stored.
#[derive(Debug)]
pub enum AcceptError {
    /// There is nothing to say.
    EmptyBody,
    /// The body has a character no provider can carry (NUL).
    InvalidBody,
    /// The body is longer than this many characters.
    BodyTooLong(usize),
    /// There is nobody to say it to, or there are more addresses than a message can have.
    NoRecipient,
    /// No such channel.
    UnknownChannel(String),
    /// The address on this channel is not one.
    InvalidAddress {
        /// The channel.
        channel: ConfigName,
        /// What is wrong with it.
        cause: AddressError,
    },
    /// One of the contacts is not what it is said to be.
    InvalidContact {
        /// What it is said to be.
        kind: AddressKind,
        /// What is wrong with it.
        cause: AddressError,
    },
    /// None of the contacts is of a kind that this channel can use.
    NoUsableContact {
        /// The channel.
        channel: ConfigName,
        /// What it can use, in words.
        expected: String,
    },
    /// The subject is longer than this many characters, or has a line break or another control character.
    InvalidSubject(usize),
    /// It would expire before it may be sent, or has already.
    ExpiresTooEarly,
    /// Every recipient is inactive or has opted out.
    Suppressed,
    /// A user has had as many messages that expect an answer as the configuration allows.
    Throttled {
        /// After how long one more is taken.
        retry_after: Duration,
    },
    /// The key was used for another request.
    IdempotencyKeyReused,
    /// The truth cannot be written now.
    Store(Error),
}

impl AcceptError {
    /// A bounded word for the metrics.
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

/// Takes a message in. Safe to repeat with a key; without one a repetition is another message.
pub async fn accept(gateway: &Gateway, request: AcceptRequest) -> Result<Accepted, AcceptError> {
    let watch = gateway.clock.stopwatch();
    let accepted = validate_and_store(gateway, request).await;
    gateway
        .metrics
        .accept_duration
        .observe(watch.elapsed().as_secs_f64());
    match &accepted {
        Ok(accepted) if !accepted.is_replay => {
            gateway.metrics.accepted.inc();
        }
        Ok(_) => {}
        Err(refused) => {
            if let AcceptError::Store(error) = refused {
                gateway.metrics.store_errors.inc();
                log::error!("cannot accept: {}", error.chain());
            }
            gateway.metrics.count_refused(refused.metric_label());
        }
    }
    accepted
}

async fn validate_and_store(gateway: &Gateway, request: AcceptRequest) -> Result<Accepted, AcceptError> {
    let (message, stub) = validate(gateway, request)?;
    let stored = gateway.store.accept(vec![message]).await;
    let (accepted, nudges) = stub.complete(stored.map_err(AcceptError::Store)?.first())?;
    gateway.queue.push(&nudges);
    Ok(accepted)
}

/// What is needed of a message once it is stored.
struct PendingAcceptance {
    id: MessageId,
    parts: u32,
    channels: Vec<ConfigName>,
    /// Without numbers yet.
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
    let too_late = deliveries
        .iter()
        .any(|delivery| delivery.expires_at <= delivery.due_at);
    if too_late && request.idempotency_key.is_none() {
        return Err(AcceptError::ExpiresTooEarly);
    }
    let watch = find_event_target(gateway, &mut request);
    let message = NewMessage {
        id: MessageId::new(now, gateway.random.bytes()),
        replay_only: too_late,
        event_target: watch,
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
    let stub = PendingAcceptance {
        id: message.id,
        parts,
        channels,
        queue_entries: build_queue_entries(&message),
    };
    Ok((message, stub))
}

impl PendingAcceptance {
    /// What the client is told, and whom the workers are to be told of.
    fn complete(self, acceptance: Option<&Acceptance>) -> Result<(Accepted, Vec<QueueEntry>), AcceptError> {
        let accepted = |id, number, replayed| Accepted {
            id,
            number,
            parts: self.parts,
            channels: self.channels,
            is_replay: replayed,
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

/// Who wants to hear of it: the address that came with it, else the one that the configuration has for its key.
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
    let longest = gateway.config.limits.message_chars_max;
    if body.len() > longest && body.chars().count() > longest {
        return Err(AcceptError::BodyTooLong(longest));
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
    let keep: Duration = gateway.config.limits.idempotency_keep;
    Idempotency {
        key: hash.finalize().into(),
        request: Sha256::digest(&key.fingerprint).into(),
        expires_at: now + keep,
    }
}

/// Nudges whose ids hold only the delivery's place, until the message has its number.
fn build_queue_entries(message: &NewMessage) -> Vec<QueueEntry> {
    let place = |(place, delivery): (usize, &NewDelivery)| QueueEntry {
        id: DeliveryId::from_position(0, place),
        channel: delivery.channel.clone(),
        due_at: delivery.due_at,
        priority: delivery.priority,
    };
    let places = message.deliveries.iter().enumerate();
    places
        .filter(|(_, delivery)| delivery.rejection_reason.is_none())
        .map(place)
        .collect()
}

fn with_message_number(mut nudges: Vec<QueueEntry>, number: i64) -> Vec<QueueEntry> {
    for nudge in &mut nudges {
        nudge.id = DeliveryId(DeliveryId::from_position(number, 0).0 + nudge.id.0);
    }
    nudges
}
