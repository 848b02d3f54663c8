//! Validates a request and builds the message and queue entries from it. Stores nothing.

use postrider_core::callback::{Callback, CallbackFormat};
use postrider_core::error::{Error, ErrorKind};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Idempotency, NewDelivery, NewMessage};
use postrider_core::{clock::Timestamp, event::EventTarget, name::ConfigName, queue_entry::QueueEntry};

use sha2::{Digest, Sha256};

use super::request::{AcceptError, AcceptRequest, Accepted, RequestIdempotencyKey};
use super::{addressing, sender, throttles};
use crate::gateway::Gateway;
use postrider_core::text_parts;
use postrider_core::user_throttle::ThrottleWait;

/// Maximum length of a subject, in characters.
const SUBJECT_CHARS_MAX: usize = 255;

/// Data that completes the acceptance after the message is stored.
pub(super) struct PendingAcceptance {
    id: MessageId,
    parts: u32,
    channels: Vec<ConfigName>,
    /// Entries whose ids hold only the position of the delivery. The message number is added when the store has
    /// assigned it.
    queue_entries: Vec<QueueEntry>,
}

/// Validates a request and builds its message.
pub(super) fn validate(
    gateway: &Gateway,
    mut request: AcceptRequest,
) -> Result<(NewMessage, PendingAcceptance), AcceptError> {
    let now = gateway.clock.now();
    let parts = validate_body(gateway, &request.body)?;
    validate_subject(request.subject.as_deref())?;
    let sender = sender::choose_sender(gateway, &request)?;
    let deliveries = addressing::build_deliveries(gateway, &request, parts, now)?;
    let channels = deliveries.iter().map(|delivery| delivery.channel.clone()).collect();
    let expires_too_early = deliveries.iter().any(|delivery| delivery.expires_at <= delivery.due_at);
    if expires_too_early && request.idempotency_key.is_none() {
        return Err(AcceptError::ExpiresTooEarly);
    }
    throttles::check_rate(gateway, &request, &deliveries, now)?;
    let event_target = find_event_target(gateway, &mut request);
    let message = NewMessage {
        id: MessageId::new(now, gateway.random.bytes()),
        at_most_once: request.at_most_once,
        client_expires_at: request.expires_at,
        replay_only: expires_too_early,
        event_target,
        throttles: throttles::throttles_of(gateway, &request, &deliveries),
        deliveries,
        owner: match request.broadcast_owner {
            Some(owner) => owner,
            None => gateway.owner_of_key(&request.api_key_name),
        },
        idempotency: request.idempotency_key.as_ref().map(|key| hash_idempotency_key(gateway, key, now)),
        subject: request.subject,
        sender,
        body: request.body,
        user: request.user,
        created_at: now,
    };
    let pending =
        PendingAcceptance { id: message.id, parts, channels, queue_entries: build_queue_entries(&message) };
    Ok((message, pending))
}

impl PendingAcceptance {
    /// Returns the answer for the client and the entries to push to the queue.
    pub(super) fn complete(
        self,
        acceptance: Option<&Acceptance>,
    ) -> Result<(Accepted, Vec<QueueEntry>), AcceptError> {
        let accepted = |id, number, is_replay| Accepted {
            id,
            number,
            parts: self.parts,
            channels: self.channels,
            is_replay,
        };
        match acceptance {
            Some(Acceptance::Stored { number }) => {
                Ok((accepted(self.id, *number, false), with_message_number(self.queue_entries, *number)))
            }
            Some(Acceptance::Replayed { id, number }) => Ok((accepted(*id, *number, true), Vec::new())),
            Some(Acceptance::KeyReused) => Err(AcceptError::IdempotencyKeyReused),
            Some(Acceptance::NothingToReplay) => Err(AcceptError::ExpiresTooEarly),
            Some(Acceptance::Suppressed(status)) => Err(AcceptError::Suppressed(*status)),
            Some(Acceptance::Throttled(ThrottleWait { retry_after, is_spending_limit: true })) => {
                Err(AcceptError::SpendingLimit { retry_after: *retry_after })
            }
            Some(Acceptance::Throttled(ThrottleWait { retry_after, is_spending_limit: false })) => {
                Err(AcceptError::Throttled { retry_after: *retry_after })
            }
            None => Err(AcceptError::Store(Error::new(
                ErrorKind::Internal,
                "store returned no acceptance for the message",
            ))),
        }
    }
}

/// Returns the event target: the callback URL of the request, otherwise the `events_url` of its API key.
fn find_event_target(gateway: &Gateway, request: &mut AcceptRequest) -> Option<EventTarget> {
    if let Some(url) = request.callback_url.take() {
        let api_key = request.api_key_name.clone();
        let fields = std::mem::take(&mut request.callback_fields);
        return Some(match request.callback_format {
            CallbackFormat::Webhook => EventTarget::Url { url, api_key },
            format => EventTarget::Callback(Callback { format, url, api_key, fields }),
        });
    }
    let api_key = gateway.api_key(&request.api_key_name)?;
    api_key.events.url.as_ref()?;
    Some(EventTarget::ApiKey(api_key.name.clone()))
}

/// Validates a message body and returns its number of text parts.
pub(crate) fn validate_body(gateway: &Gateway, body: &str) -> Result<u32, AcceptError> {
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

/// Hashes an idempotency key with its scope, and the fingerprint of its request.
pub(crate) fn hash_idempotency_key(
    gateway: &Gateway,
    key: &RequestIdempotencyKey,
    now: Timestamp,
) -> Idempotency {
    let mut hash = Sha256::new();
    hash.update(key.scope.len().to_le_bytes());
    hash.update(&key.scope);
    hash.update(&key.key);
    Idempotency {
        key: hash.finalize().into(),
        request: Sha256::digest(&key.fingerprint).into(),
        expires_at: now + gateway.config.limits.idempotency_keep,
    }
}

/// Builds queue entries with ids that hold only the position of the delivery, until the store has assigned the message
/// number.
fn build_queue_entries(message: &NewMessage) -> Vec<QueueEntry> {
    let to_entry = |(position, delivery): (usize, &NewDelivery)| QueueEntry {
        id: DeliveryId::from_position(0, position),
        channel: delivery.channel.clone(),
        due_at: delivery.due_at,
        priority: delivery.priority,
    };
    let positioned = message.deliveries.iter().enumerate();
    positioned.filter(|(_, delivery)| delivery.rejection_reason.is_none()).map(to_entry).collect()
}

fn with_message_number(mut entries: Vec<QueueEntry>, message_number: i64) -> Vec<QueueEntry> {
    for entry in &mut entries {
        entry.id = DeliveryId(DeliveryId::from_position(message_number, 0).0 + entry.id.0);
    }
    entries
}
