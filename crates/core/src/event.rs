//! Events: what clients who asked for it are told when one of their deliveries moves on.
//!
//! Facts and their words only: the store keeps events in the transaction that changes a state, `flow/events` sends
//! them. Never the text of the message: who wants it asks for it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::delivery::{DeliveryState, Failure};
use crate::id::{DeliveryId, MessageId};
use crate::name::ConfigName;

/// Who wants to hear of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventTarget {
    /// This address, which the client named with the message.
    Url {
        /// A checked URL.
        url: String,
        /// The API key it came with, which may have signing secrets of its own; empty where there are no keys.
        api_key: String,
    },
    /// The address that the configuration has for this API key, as it is when the event is sent.
    ApiKey(String),
}

impl EventTarget {
    /// As a store keeps it: the address, which has no blanks, and the key behind a blank.
    pub fn encode(&self) -> String {
        match self {
            Self::Url { url, api_key: key } => format!("{url} {key}"),
            Self::ApiKey(key) => format!(" {key}"),
        }
    }

    /// Back from what a store keeps.
    pub fn decode(text: &str) -> Option<Self> {
        let (url, key) = text.split_once(' ')?;
        let key = key.to_owned();
        Some(if url.is_empty() {
            Self::ApiKey(key)
        } else {
            let url = url.to_owned();
            Self::Url { url, api_key: key }
        })
    }

    /// Whose queue its events stand in, so that one receiver holds up nobody else: a host with its port, or a key.
    pub fn queue_name(&self) -> String {
        match self {
            Self::Url { url, .. } => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                rest.split(['/', '?', '#']).next().unwrap_or(rest).to_lowercase()
            }
            Self::ApiKey(key) => format!("key {key}"),
        }
    }
}

/// What happened to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// It waits again, after it was sent or had failed.
    Waiting,
    /// A provider took it.
    Sent,
    /// It arrived.
    Delivered,
    /// It will not arrive.
    Failed,
    /// The person opened it.
    Opened,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Opened,
    ];

    /// The word in stores, and behind `message.` in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Opened => "opened",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// That a delivery has come to this state.
    pub fn from_state(state: &DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting { .. } => Self::Waiting,
            DeliveryState::Sent { .. } => Self::Sent,
            DeliveryState::Delivered { .. } => Self::Delivered,
            DeliveryState::Failed { .. } => Self::Failed,
        }
    }
}

/// An event's public name, the same however often it is sent: the message's, the delivery's place in the message, and
/// which event of the delivery it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The message.
    pub message: MessageId,
    /// Which delivery of the message, from 0.
    pub delivery_index: u32,
    /// Which event of the delivery, from 1.
    pub sequence: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.to_string().replace('-', "");
        write!(out, "evt_{message}_{}_{}", self.delivery_index, self.sequence)
    }
}

/// The text is not an event's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let mut parts = text.strip_prefix("evt_").ok_or(InvalidEventId)?.split('_');
        let mut part = || parts.next().ok_or(InvalidEventId);
        let id = Self {
            message: part()?.parse().map_err(|_| InvalidEventId)?,
            delivery_index: part()?.parse().map_err(|_| InvalidEventId)?,
            sequence: part()?.parse().map_err(|_| InvalidEventId)?,
        };
        parts.next().is_none().then_some(id).ok_or(InvalidEventId)
    }
}

/// Which event, inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// The delivery it speaks of.
    pub delivery: DeliveryId,
    /// Which event of the delivery, from 1.
    pub sequence: u32,
}

/// Something that happened, and how far its receiver knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub key: EventKey,
    /// The message it speaks of.
    pub message: MessageId,
    /// Who wants to hear of it.
    pub target: EventTarget,
    /// Over which channel the delivery goes.
    pub channel: ConfigName,
    /// The address as the client wrote it.
    pub spelling: String,
    /// What happened.
    pub event_type: EventType,
    /// What kind of failure it was.
    pub failure: Option<Failure>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Who carried it.
    pub provider: Option<ConfigName>,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Where the event itself stands.
    pub status: EventStatus,
    /// How many calls its receiver did not take it in.
    pub tries: u32,
    /// What came of the last call, in words.
    pub last_result: Option<String>,
}

impl Event {
    /// Its public name.
    pub fn id(&self) -> EventId {
        let place = self.key.delivery.0.rem_euclid(DeliveryId::PER_MESSAGE);
        EventId {
            message: self.message,
            delivery_index: u32::try_from(place).unwrap_or_default(),
            sequence: self.key.sequence,
        }
    }
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStatus {
    /// To be sent from then on.
    Waiting {
        /// From when on.
        due_at: DateTime<Utc>,
    },
    /// Its receiver has it.
    Delivered {
        /// Since when.
        at: DateTime<Utc>,
    },
    /// Given up; an operator can have it sent again.
    Dead {
        /// Since when.
        at: DateTime<Utc>,
    },
}

/// The words for [`EventStanding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStatusKind {
    /// To be sent.
    Waiting,
    /// Its receiver has it.
    Delivered,
    /// Given up.
    Dead,
}

impl EventStatusKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The word in stores and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl EventStatus {
    /// Which it is.
    pub fn kind(self) -> EventStatusKind {
        match self {
            Self::Waiting { .. } => EventStatusKind::Waiting,
            Self::Delivered { .. } => EventStatusKind::Delivered,
            Self::Dead { .. } => EventStatusKind::Dead,
        }
    }

    /// The moment it carries.
    pub fn time(self) -> DateTime<Utc> {
        match self {
            Self::Waiting { due_at } => due_at,
            Self::Delivered { at } | Self::Dead { at } => at,
        }
    }

    /// From its word and its moment.
    pub fn from_parts(state: EventStatusKind, moment: DateTime<Utc>) -> Self {
        match state {
            EventStatusKind::Waiting => Self::Waiting { due_at: moment },
            EventStatusKind::Delivered => Self::Delivered { at: moment },
            EventStatusKind::Dead => Self::Dead { at: moment },
        }
    }
}

/// An event a sender has won, and the fencing token of the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedEvent {
    /// What to tell.
    pub event: Event,
    /// How often it was claimed.
    pub claims: u32,
}

/// What came of a claimed event, kept only while nobody has claimed it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAttemptResult {
    /// Which event.
    pub key: EventKey,
    /// The fencing token of the claim.
    pub claims: u32,
    /// Where it stands now.
    pub status: EventStatus,
    /// How many calls its receiver did not take it in, the last one included.
    pub tries: u32,
    /// What came of the call, in words.
    pub result: String,
}

#[cfg(test)]
mod tests;
