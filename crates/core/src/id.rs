//! Ids: clients know messages by UUID; the store numbers deliveries.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The public id of a message: a UUID of version 7. Later ids are greater, so that the ids of new messages share a few
/// pages of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Returns the id of a message made at `now`. The random bytes distinguish messages of the same millisecond.
    pub fn new(now: DateTime<Utc>, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Returns the 16 bytes that a store keeps.
    pub fn bytes(&self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// Returns the id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(out)
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidMessageId)
    }
}

/// The error for a text that is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMessageId;

/// The id of a delivery: the serial number of its message times [`DeliveryId::PER_MESSAGE`], plus its index in the
/// message. The deliveries of a message are therefore adjacent and need no index of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub i64);

impl DeliveryId {
    /// Maximum number of deliveries of one message.
    pub const PER_MESSAGE: i64 = 64;

    /// Returns the id of the delivery at `index` (from 0) of a message.
    pub fn from_position(message_number: i64, index: usize) -> Self {
        Self(message_number * Self::PER_MESSAGE + i64::try_from(index).unwrap_or(0) % Self::PER_MESSAGE)
    }

    /// Returns the serial number of the message.
    pub fn message_number(self) -> i64 {
        self.0.div_euclid(Self::PER_MESSAGE)
    }

    /// Returns whether this is the first delivery of its message. Every message has a first delivery.
    pub fn is_first(self) -> bool {
        self.0.rem_euclid(Self::PER_MESSAGE) == 0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests;
