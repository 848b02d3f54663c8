//! Takes a message in: checks it, stores it, and nudges the workers.
//!
//! When [`accept`] returns `Ok` the message is on disk. The nudge comes after and may be lost.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::throttle;

mod addressing;
mod batch;

pub use addressing::Missing;
pub use batch::Batch;

use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Acceptance, Idempotency, NewDelivery, NewMessage, Nudge, Priority};
use crate::domain::recipient::{AddressKind, BadAddress};
use crate::domain::text;
use crate::error::Error;
use crate::gateway::Gateway;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 255;

/// What a client asks for, as its face has read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What to say.
    pub body: String,
    /// To whom, over which channels: a channel's name and the address as the client wrote it.
    pub to: Vec<(String, String)>,
    /// Over which other channels: each takes of the `contacts` what its providers can use.
    pub over: Vec<String>,
    /// The person's addresses as the client wrote them, each kind at most once.
    pub contacts: Vec<(AddressKind, String)>,
    /// What becomes of a channel whose address is missing or wrong.
    pub missing: Missing,
    /// Whether the `user` is the address where no contact fits and the channel's providers understand any text.
    pub user_is_address: bool,
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
    pub callback: Option<String>,
    /// The name of the API key it came with; empty where there are no keys.
    pub caller: String,
    /// The client's promise that a repetition is the same request.
    pub key: Option<RequestKey>,
}

/// An idempotency key as a face has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Whose key it is: the same key of two clients is two keys.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// Everything that makes two requests the same request, in the face's own writing.
    pub request: String,
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
    pub channels: Vec<Name>,
    /// Whether the same request had been accepted before under the same key.
    pub replayed: bool,
}

/// Why a message was not taken. Nothing was stored.
#[derive(Debug)]
pub enum Refused {
    /// There is nothing to say.
    EmptyBody,
    /// The body has a character no provider can carry (NUL).
    UnsendableBody,
    /// The body is longer than this many characters.
    LongBody(usize),
    /// There is nobody to say it to, or there are more addresses than a message can have.
    NoRecipient,
    /// No such channel.
    UnknownChannel(String),
    /// The address on this channel is not one.
    BadAddress {
        /// The channel.
        channel: Name,
        /// What is wrong with it.
        why: BadAddress,
    },
    /// One of the contacts is not what it is said to be.
    BadContact {
        /// What it is said to be.
        kind: AddressKind,
        /// What is wrong with it.
        why: BadAddress,
    },
    /// None of the contacts is of a kind that this channel can use.
    NoAddress {
        /// The channel.
        channel: Name,
        /// What it can use, in words.
        wanted: String,
    },
    /// The subject is longer than this many characters, or has a line break or another control character.
    BadSubject(usize),
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
    KeyReused,
    /// The truth cannot be written now.
    Store(Error),
}

impl Refused {
    /// A bounded word for the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::EmptyBody | Self::UnsendableBody | Self::LongBody(_) | Self::BadSubject(_) => "body",
            Self::NoRecipient
            | Self::BadAddress { .. }
            | Self::BadContact { .. }
            | Self::NoAddress { .. } => "address",
            Self::UnknownChannel(_) => "channel",
            Self::ExpiresTooEarly => "time",
            Self::Suppressed => "suppressed",
            Self::Throttled { .. } => "throttled",
            Self::KeyReused => "key_reused",
            Self::Store(_) => "store",
        }
    }
}

/// Takes a message in. Safe to repeat with a key; without one a repetition is another message.
pub async fn accept(gateway: &Gateway, request: Request) -> Result<Accepted, Refused> {
    let watch = gateway.clock.stopwatch();
    let accepted = checked_and_stored(gateway, request).await;
    gateway
        .metrics
        .accept_duration
        .observe(watch.passed().as_secs_f64());
    match &accepted {
        Ok(accepted) if !accepted.replayed => {
            gateway.metrics.accepted.inc();
        }
        Ok(_) => {}
        Err(refused) => {
            if let Refused::Store(error) = refused {
                gateway.metrics.store_errors.inc();
                log::error!("cannot accept: {}", error.chain());
            }
            gateway.metrics.refuse(refused.word());
        }
    }
    accepted
}

async fn checked_and_stored(gateway: &Gateway, request: Request) -> Result<Accepted, Refused> {
    let (message, stub) = checked(gateway, request)?;
    let stored = gateway.store.accept(vec![message]).await;
    let (accepted, nudges) = stub.settled(stored.map_err(Refused::Store)?.first())?;
    gateway.queue.push(&nudges);
    Ok(accepted)
}

/// What is needed of a message once it is stored.
struct Stub {
    id: MessageId,
    parts: u32,
    channels: Vec<Name>,
    /// Without numbers yet.
    nudges: Vec<Nudge>,
}

fn checked(gateway: &Gateway, mut request: Request) -> Result<(NewMessage, Stub), Refused> {
    let now = gateway.clock.now();
    let parts = check_body(gateway, &request.body)?;
    check_subject(request.subject.as_deref())?;
    let deliveries = addressing::deliveries(gateway, &request, parts, now)?;
    let channels = deliveries.iter().map(|delivery| delivery.channel.clone());
    let channels = channels.collect::<Vec<_>>();
    let too_late = deliveries
        .iter()
        .any(|delivery| delivery.expires_at <= delivery.due_at);
    if too_late && request.key.is_none() {
        return Err(Refused::ExpiresTooEarly);
    }
    let watch = watch(gateway, &mut request);
    let message = NewMessage {
        id: MessageId::new(now, gateway.dice.bytes()),
        replay_only: too_late,
        watch,
        throttles: throttle::of(gateway, &request, &deliveries),
        deliveries,
        idempotency: request.key.as_ref().map(|key| idempotency(gateway, key, now)),
        subject: request.subject,
        body: request.body,
        user: request.user,
        created_at: now,
    };
    let stub = Stub {
        id: message.id,
        parts,
        channels,
        nudges: nudges(&message),
    };
    Ok((message, stub))
}

impl Stub {
    /// What the client is told, and whom the workers are to be told of.
    fn settled(self, acceptance: Option<&Acceptance>) -> Result<(Accepted, Vec<Nudge>), Refused> {
        let accepted = |id, number, replayed| Accepted {
            id,
            number,
            parts: self.parts,
            channels: self.channels,
            replayed,
        };
        match acceptance {
            Some(Acceptance::Stored { number }) => {
                Ok((accepted(self.id, *number, false), numbered(self.nudges, *number)))
            }
            Some(Acceptance::Replayed { id, number }) => Ok((accepted(*id, *number, true), Vec::new())),
            Some(Acceptance::KeyReused) => Err(Refused::KeyReused),
            Some(Acceptance::NoEarlier) => Err(Refused::ExpiresTooEarly),
            Some(Acceptance::Suppressed) => Err(Refused::Suppressed),
            Some(Acceptance::Throttled { retry_after }) => Err(Refused::Throttled {
                retry_after: *retry_after,
            }),
            None => Err(Refused::Store(Error::new(
                crate::error::Kind::Internal,
                "the store gave no answer",
            ))),
        }
    }
}

/// Who wants to hear of it: the address that came with it, else the one that the configuration has for its key.
fn watch(gateway: &Gateway, request: &mut Request) -> Option<Watch> {
    if let Some(url) = request.callback.take() {
        let key = request.caller.clone();
        return Some(Watch::Callback { url, key });
    }
    let mut keys = gateway.config.keys.iter();
    let key = keys.find(|key| key.events.url.is_some() && key.name == request.caller)?;
    Some(Watch::Key(key.name.clone()))
}

pub(super) fn check_body(gateway: &Gateway, body: &str) -> Result<u32, Refused> {
    if body.is_empty() {
        return Err(Refused::EmptyBody);
    }
    let longest = gateway.config.limits.message_chars_max;
    if body.len() > longest && body.chars().count() > longest {
        return Err(Refused::LongBody(longest));
    }
    if body.contains('\0') {
        return Err(Refused::UnsendableBody);
    }
    Ok(text::parts(body).count)
}

fn check_subject(subject: Option<&str>) -> Result<(), Refused> {
    let subject = subject.unwrap_or_default();
    if subject.chars().count() > SUBJECT_CHARS_MAX || subject.contains(char::is_control) {
        return Err(Refused::BadSubject(SUBJECT_CHARS_MAX));
    }
    Ok(())
}

pub(super) fn idempotency(gateway: &Gateway, key: &RequestKey, now: Timestamp) -> Idempotency {
    let mut hash = Sha256::new();
    hash.update(key.scope.len().to_le_bytes());
    hash.update(&key.scope);
    hash.update(&key.key);
    let keep: Duration = gateway.config.limits.idempotency_keep;
    Idempotency {
        key: hash.finalize().into(),
        request: Sha256::digest(&key.request).into(),
        expires_at: now + keep,
    }
}

/// Nudges whose ids hold only the delivery's place, until the message has its number.
fn nudges(message: &NewMessage) -> Vec<Nudge> {
    let place = |(place, delivery): (usize, &NewDelivery)| Nudge {
        id: DeliveryId::of(0, place),
        channel: delivery.channel.clone(),
        due_at: delivery.due_at,
        priority: delivery.priority,
    };
    let places = message.deliveries.iter().enumerate();
    places
        .filter(|(_, delivery)| delivery.refusal.is_none())
        .map(place)
        .collect()
}

fn numbered(mut nudges: Vec<Nudge>, number: i64) -> Vec<Nudge> {
    for nudge in &mut nudges {
        nudge.id = DeliveryId(DeliveryId::of(number, 0).0 + nudge.id.0);
    }
    nudges
}
