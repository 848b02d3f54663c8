//! Joins the parts of a received text, because a single part has no meaning.
//!
//! A received part is acknowledged at once, because an SMSC with a window of 1 sends the next part only after that. The
//! parts of one message are therefore kept in memory, limited in number, size and time. A restart loses them.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;

use crate::alphabet::join_parts;
use crate::pdu::ShortMessage;
use crate::udh::{Concatenation, ReferenceKind};
use postrider_core::clock::Timestamp;

#[cfg(test)]
mod tests;

/// Maximum number of messages whose parts are incomplete; beyond it the oldest are dropped.
const MESSAGES_MAX: usize = 1_000;

/// Maximum size of all kept parts, in bytes; beyond it the oldest messages are dropped.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum time between the first and the last part of a message. A phone that loses its network sends the rest within
/// minutes.
const ASSEMBLY_TIME_MAX: TimeDelta = TimeDelta::minutes(10);

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
    /// Received parts by number.
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
}

impl PartAssembler {
    /// Adds a part. Returns the octets of the whole text when it was the last one missing.
    pub fn add(&mut self, message: &ShortMessage, place: Concatenation, now: Timestamp) -> Option<Vec<u8>> {
        let key = MessageKey {
            from: message.source_addr.to_vec(),
            to: message.destination_addr.to_vec(),
            kind: place.kind,
            reference: place.reference,
            total: place.total,
        };
        let number = self.numbers.get(&key).copied().unwrap_or_else(|| self.begin(key, now));
        let incomplete = self.messages.get_mut(&number)?;
        let octets = message.text_octets().to_vec();
        self.bytes += octets.len();
        // A repeated part replaces the earlier one.
        let replaced = incomplete.parts.insert(place.number, octets);
        self.bytes -= replaced.map_or(0, |octets| octets.len());
        if incomplete.parts.len() < usize::from(place.total) {
            return None;
        }
        let parts: Vec<_> = self.remove(number)?.parts.into_values().collect();
        Some(join_parts(message.data_coding, &parts))
    }

    /// Drops messages that are too old or beyond the limits, and returns their number.
    pub fn drop_incomplete(&mut self, now: Timestamp) -> usize {
        let mut dropped_count = 0;
        while let Some((number, oldest)) = self.messages.first_key_value()
            && (now - oldest.first_at > ASSEMBLY_TIME_MAX
                || self.messages.len() > MESSAGES_MAX
                || self.bytes > BYTES_MAX)
        {
            let number = *number;
            self.remove(number);
            dropped_count += 1;
        }
        dropped_count
    }

    fn begin(&mut self, key: MessageKey, now: Timestamp) -> u64 {
        self.last_number += 1;
        self.numbers.insert(key.clone(), self.last_number);
        let message = IncompleteMessage { key, first_at: now, parts: BTreeMap::new() };
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
