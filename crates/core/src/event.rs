//! Events: the changes of a delivery's state that are reported to the client by webhook.
//!
//! The store writes an event in the transaction that changes the state; the engine sends it. Events never contain the
//! body of the message.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantArray};

use crate::callback::Callback;
use crate::delivery::{DeliveryState, Failure};
use crate::id::{DeliveryId, MessageId};
use crate::name::ConfigName;
use crate::text_enum::text_enum;

/// The webhook endpoint to which the events of a message are sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventTarget {
    /// The URL that came with the message.
    Url {
        /// A validated URL.
        url: String,
        /// The API key that the message came with, which may have its own signing secrets; empty without keys.
        api_key: String,
    },
    /// The URL that is configured for this API key at the time of sending.
    ApiKey(String),
    /// The target of the inbound route with this name at the time of sending.
    InboundRoute(String),
    /// The URL that came with the message, called in the form of another gateway. Events are sent in order: an event of a
    /// delivery waits until the earlier ones were confirmed or given up.
    Callback(Callback),
}

/// Stands for the URL in an encoded [`EventTarget::InboundRoute`]; a URL has a colon.
const INBOUND_ROUTE: &str = "inbound";

impl EventTarget {
    /// Encodes the target for the store: the URL, which has no blanks, a blank, and the key.
    pub fn encode(&self) -> String {
        match self {
            Self::Url { url, api_key } => format!("{url} {api_key}"),
            Self::ApiKey(api_key) => format!(" {api_key}"),
            Self::InboundRoute(name) => format!("{INBOUND_ROUTE} {name}"),
            Self::Callback(callback) => callback.encode(),
        }
    }

    /// Decodes what [`EventTarget::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        if text.starts_with('~') {
            return Callback::decode(text).map(Self::Callback);
        }
        let (url, api_key) = text.split_once(' ')?;
        let api_key = api_key.to_owned();
        Some(match url {
            "" => Self::ApiKey(api_key),
            INBOUND_ROUTE => Self::InboundRoute(api_key),
            url => Self::Url { url: url.to_owned(), api_key },
        })
    }

    /// Returns the name of the target's queue of events: a host with its port, an API key, or an inbound route. A slow endpoint delays only
    /// the events of its own queue.
    pub fn queue_name(&self) -> String {
        match self {
            Self::Url { url, .. } | Self::Callback(Callback { url, .. }) => {
                let after_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                after_scheme.split(['/', '?', '#']).next().unwrap_or(after_scheme).to_lowercase()
            }
            Self::ApiKey(api_key) => format!("key {api_key}"),
            Self::InboundRoute(name) => format!("{INBOUND_ROUTE} {name}"),
        }
    }
}

/// A change of a delivery. Its name follows `message.` in the type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum EventType {
    /// The delivery is waiting again, after it had been sent or had failed.
    Waiting,
    /// A provider accepted the message.
    Sent,
    /// The message was delivered.
    Delivered,
    /// The delivery failed.
    Failed,
    /// The person opened the message.
    Opened,
    /// A person sent a text to one of our numbers. The event belongs to an inbound message, not to a delivery.
    Received,
}

text_enum!(EventType, EventStatusKind);

impl EventType {
    /// Returns the event that reports that a delivery has reached `state`.
    pub fn from_state(state: &DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting { .. } => Self::Waiting,
            DeliveryState::Sent { .. } => Self::Sent,
            DeliveryState::Delivered { .. } => Self::Delivered,
            DeliveryState::Failed { .. } => Self::Failed,
        }
    }
}

/// The public id of an event, the same in every delivery attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The message.
    pub message: MessageId,
    /// The index of the delivery in the message, from 0.
    pub delivery_index: u32,
    /// The number of the event within the delivery, from 1.
    pub sequence: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message_id = self.message.to_string().replace('-', "");
        write!(out, "evt_{message_id}_{}_{}", self.delivery_index, self.sequence)
    }
}

/// The error for a text that is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let mut id_fields = text.strip_prefix("evt_").ok_or(InvalidEventId)?.split('_');
        let mut next_field = || id_fields.next().ok_or(InvalidEventId);
        let event_id = Self {
            message: next_field()?.parse().map_err(|_| InvalidEventId)?,
            delivery_index: next_field()?.parse().map_err(|_| InvalidEventId)?,
            sequence: next_field()?.parse().map_err(|_| InvalidEventId)?,
        };
        id_fields.next().is_none().then_some(event_id).ok_or(InvalidEventId)
    }
}

/// The key of an event in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The number of the event within the delivery, from 1.
    pub sequence: u32,
}

/// An event and the progress of its own delivery to the webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: EventKey,
    /// The message.
    pub message: MessageId,
    /// The endpoint to which the event is sent.
    pub target: EventTarget,
    /// The channel of the delivery.
    pub channel: ConfigName,
    /// The address as the client wrote it.
    pub spelling: String,
    /// The change of the delivery.
    pub event_type: EventType,
    /// The kind of failure of a failed delivery.
    pub failure: Option<Failure>,
    /// The reason, for people.
    pub reason: Option<String>,
    /// The provider that accepted the message.
    pub provider: Option<ConfigName>,
    /// The time of the change.
    pub at: DateTime<Utc>,
    /// The status of the event itself.
    pub status: EventStatus,
    /// Number of failed calls to the endpoint.
    pub tries: u32,
    /// The result of the last call, for people.
    pub last_result: Option<String>,
}

impl Event {
    /// Returns the public id.
    pub fn id(&self) -> EventId {
        let delivery_index = self.key.delivery.0.rem_euclid(DeliveryId::PER_MESSAGE);
        EventId {
            message: self.message,
            delivery_index: u32::try_from(delivery_index).unwrap_or_default(),
            sequence: self.key.sequence,
        }
    }
}

/// The progress of an event to its webhook endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(EventStatusKind),
    derive(EnumString, IntoStaticStr, VariantArray),
    strum(serialize_all = "snake_case"),
    doc = "An [`EventStatus`] without its time."
)]
pub enum EventStatus {
    /// The endpoint has not confirmed the event yet.
    Waiting {
        /// The time of the next call.
        due_at: DateTime<Utc>,
    },
    /// The endpoint has confirmed the event.
    Delivered {
        /// The time of the confirmation.
        at: DateTime<Utc>,
    },
    /// The event is a dead letter: it is not sent again unless an operator replays it.
    Dead {
        /// The time at which the event became a dead letter.
        at: DateTime<Utc>,
    },
}

impl EventStatus {
    /// Returns the status without its time.
    pub fn kind(self) -> EventStatusKind {
        self.into()
    }

    /// Returns the time of the status.
    pub fn time(self) -> DateTime<Utc> {
        match self {
            Self::Waiting { due_at } => due_at,
            Self::Delivered { at } | Self::Dead { at } => at,
        }
    }

    /// Returns the status of this kind and time.
    pub fn from_parts(kind: EventStatusKind, time: DateTime<Utc>) -> Self {
        match kind {
            EventStatusKind::Waiting => Self::Waiting { due_at: time },
            EventStatusKind::Delivered => Self::Delivered { at: time },
            EventStatusKind::Dead => Self::Dead { at: time },
        }
    }
}

/// An event that a sender has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedEvent {
    /// The event.
    pub event: Event,
    /// Number of claims so far: the fencing token of this claim.
    pub claims: u32,
}

/// The result of sending a claimed event. The store keeps it only if the event was not claimed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAttemptResult {
    /// The event.
    pub key: EventKey,
    /// The fencing token of the claim.
    pub claims: u32,
    /// The new status.
    pub status: EventStatus,
    /// Number of failed calls to the endpoint, the last one included.
    pub tries: u32,
    /// The result of the call, for people.
    pub result: String,
}

#[cfg(test)]
mod tests;
