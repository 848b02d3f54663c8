//! Names of things: messages are known to clients by UUID, deliveries inside by number.
//!
//! Nothing here knows where names are stored.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A message's public name, a UUID of version 7: it grows with time, so the index that holds it stays warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A name for a message made at `now`; `luck` keeps two of the same millisecond apart.
    pub fn new(now: DateTime<Utc>, luck: [u8; 10]) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &luck).into_uuid())
    }

    /// The 16 bytes a store keeps.
    pub fn bytes(&self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// Back from the 16 bytes a store keeps.
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

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMessageId;

/// A delivery's number: the message's running number times [`DeliveryId::PER_MESSAGE`], plus its place in
/// the message. So the deliveries of one message lie side by side and need no index of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub i64);

impl DeliveryId {
    /// The most deliveries one message can have.
    pub const PER_MESSAGE: i64 = 64;

    /// The delivery at `place` (from 0) of the message with that running number.
    pub fn from_position(message_number: i64, place: usize) -> Self {
        Self(message_number * Self::PER_MESSAGE + i64::try_from(place).unwrap_or(0) % Self::PER_MESSAGE)
    }

    /// The running number of the message this delivery belongs to.
    pub fn message_number(self) -> i64 {
        self.0.div_euclid(Self::PER_MESSAGE)
    }

    /// Whether it is its message's first, which every message has.
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
