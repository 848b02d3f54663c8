//! Joins the parts of a received text, because a single part has no meaning.
//!
//! A received part is acknowledged at once, because an SMSC with a window of 1 sends the next part only after that. The
//! parts of one message are therefore kept in memory, limited in number, size and time. A restart loses them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::TimeDelta;

use crate::alphabet::join_parts;
use crate::pdu::ShortMessage;
use crate::udh::{Concatenation, ReferenceKind};
use postrider_core::clock::Timestamp;

#[cfg(test)]
mod tests;

/// Maximum number of messages whose parts are incomplete; beyond it the oldest are given up.
const MESSAGES_MAX: usize = 1_000;

/// Maximum size of all kept parts, in bytes; beyond it the oldest messages are given up.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum time between the first and the last part of a message. A phone that loses its network sends the rest within
/// minutes.
const ASSEMBLY_TIME_MAX: TimeDelta = TimeDelta::minutes(10);

/// Time for which a whole message is remembered, so that a part that the SMSC sends again begins no other message. An SMSC
/// repeats a `deliver_sm` that was not answered within seconds.
const REPEAT_TIME_MAX: TimeDelta = TimeDelta::minutes(2);

/// The fields that the parts of one message have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct MessageKey {
    from: Vec<u8>,
    to: Vec<u8>,
    kind: ReferenceKind,
    reference: u16,
    total: u8,
}

struct IncompleteMessage {
    key: MessageKey,
    first_at: Timestamp,
    source_addr_ton: u8,
    data_coding: u8,
    /// Received parts by number.
    parts: BTreeMap<u8, Vec<u8>>,
}

/// A message that was given up, with the parts that have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialMessage {
    /// Type of number of the sender.
    pub source_addr_ton: u8,
    /// Sender.
    pub source_addr: Vec<u8>,
    /// Recipient.
    pub destination_addr: Vec<u8>,
    /// Alphabet.
    pub data_coding: u8,
    /// The octets of the parts, in their order.
    pub octets: Vec<u8>,
}

/// A whole message that is remembered.
struct CompletedMessage {
    completed_at: Timestamp,
    parts: BTreeMap<u8, Vec<u8>>,
}

/// The received parts of incomplete messages.
#[derive(Default)]
pub struct PartAssembler {
    /// Messages in the order of their first parts.
    messages: BTreeMap<u64, IncompleteMessage>,
    numbers: HashMap<MessageKey, u64>,
    last_number: u64,
    bytes: usize,
    completed: HashMap<MessageKey, CompletedMessage>,
    /// Keys of the remembered messages in the order of their completion.
    completed_keys: VecDeque<(Timestamp, MessageKey)>,
}

impl PartAssembler {
    /// Adds a part. Returns the octets of the whole text when it was the last one missing. A part that repeats one of a whole
    /// message changes nothing.
    pub fn add(&mut self, message: &ShortMessage, place: Concatenation, now: Timestamp) -> Option<Vec<u8>> {
        let key = MessageKey {
            from: message.source_addr.to_vec(),
            to: message.destination_addr.to_vec(),
            kind: place.kind,
            reference: place.reference,
            total: place.total,
        };
        let octets = message.text_octets().to_vec();
        if self.is_repeated(&key, place.number, &octets) {
            return None;
        }
        let number = self.numbers.get(&key).copied().unwrap_or_else(|| self.begin(key, message, now));
        let incomplete = self.messages.get_mut(&number)?;
        self.bytes += octets.len();
        // A repeated part replaces the earlier one.
        let replaced = incomplete.parts.insert(place.number, octets);
        self.bytes -= replaced.map_or(0, |octets| octets.len());
        if incomplete.parts.len() < usize::from(place.total) {
            return None;
        }
        let completed = self.remove(number)?;
        let parts: Vec<_> = completed.parts.values().cloned().collect();
        self.remember(completed, now);
        Some(join_parts(message.data_coding, &parts))
    }

    /// Removes messages that are too old or beyond the limits, and returns what has arrived of them, oldest first.
    pub fn take_incomplete(&mut self, now: Timestamp) -> Vec<PartialMessage> {
        self.forget_completed(now);
        let mut given_up = Vec::new();
        while let Some((number, oldest)) = self.messages.first_key_value()
            && (now - oldest.first_at > ASSEMBLY_TIME_MAX
                || self.messages.len() > MESSAGES_MAX
                || self.bytes > BYTES_MAX)
        {
            let number = *number;
            given_up.extend(self.remove(number).map(PartialMessage::from));
        }
        given_up
    }

    fn is_repeated(&self, key: &MessageKey, number: u8, octets: &[u8]) -> bool {
        let completed = self.completed.get(key);
        completed.and_then(|message| message.parts.get(&number)).is_some_and(|part| part == octets)
    }

    fn remember(&mut self, message: IncompleteMessage, now: Timestamp) {
        self.completed_keys.push_back((now, message.key.clone()));
        self.completed.insert(message.key, CompletedMessage { completed_at: now, parts: message.parts });
    }

    fn forget_completed(&mut self, now: Timestamp) {
        while let Some((completed_at, _)) = self.completed_keys.front()
            && (now - *completed_at > REPEAT_TIME_MAX || self.completed_keys.len() > MESSAGES_MAX)
        {
            let Some((completed_at, key)) = self.completed_keys.pop_front() else {
                return;
            };
            // A later message with the same key has its own entry.
            if self.completed.get(&key).is_some_and(|message| message.completed_at == completed_at) {
                self.completed.remove(&key);
            }
        }
    }

    fn begin(&mut self, key: MessageKey, message: &ShortMessage, now: Timestamp) -> u64 {
        self.last_number += 1;
        self.numbers.insert(key.clone(), self.last_number);
        let message = IncompleteMessage {
            key,
            first_at: now,
            source_addr_ton: message.source_addr_ton,
            data_coding: message.data_coding,
            parts: BTreeMap::new(),
        };
        self.messages.insert(self.last_number, message);
        self.last_number
    }

    fn remove(&mut self, number: u64) -> Option<IncompleteMessage> {
        let message = self.messages.remove(&number)?;
        self.numbers.remove(&message.key);
        self.bytes -= message.parts.values().map(Vec::len).sum::<usize>();
        Some(message)
    }
}

impl From<IncompleteMessage> for PartialMessage {
    fn from(message: IncompleteMessage) -> Self {
        let parts: Vec<_> = message.parts.into_values().collect();
        Self {
            source_addr_ton: message.source_addr_ton,
            source_addr: message.key.from,
            destination_addr: message.key.to,
            data_coding: message.data_coding,
            octets: join_parts(message.data_coding, &parts),
        }
    }
}
