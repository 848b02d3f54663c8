//! Combines the receipts of the parts of a long message into one.
//!
//! A message is delivered when all its parts are delivered, and failed when one part failed. The state is kept in
//! memory for a limited number of parts. After a restart, and in other processes, the receipt of the last part counts
//! for the message, because its id is the message's reference.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::receipts::ReceiptUpdate;
use postrider_core::receipt::ReceiptStatus;

#[cfg(test)]
mod tests;

/// Maximum number of parts that wait for receipts; beyond it the oldest messages are dropped.
const PENDING_PARTS_MAX: usize = 100_000;

/// Messages of several parts that wait for receipts.
#[derive(Debug, Default)]
pub(super) struct MultipartReceipts {
    messages: BTreeMap<u64, MultipartMessage>,
    /// The message of each part, by message id of the part.
    message_of_part: HashMap<String, u64>,
    last_number: u64,
}

#[derive(Debug, Default)]
struct MultipartMessage {
    parts_total: usize,
    /// The recipient, in digits.
    recipient: String,
    /// Number of accepted parts.
    accepted_count: usize,
    /// Message ids of the accepted parts. An SMSC may give no id to a part, or the same id to several.
    part_ids: BTreeMap<usize, String>,
    delivered_ids: HashSet<String>,
    failed_status: Option<ReceiptStatus>,
}

impl MultipartReceipts {
    /// Registers a message that is about to be sent, and returns its number.
    pub fn register(&mut self, parts_total: usize, recipient: &str) -> u64 {
        self.last_number += 1;
        let recipient = recipient.trim_start_matches('+').to_owned();
        let message = MultipartMessage { parts_total, recipient, ..MultipartMessage::default() };
        self.messages.insert(self.last_number, message);
        while self.message_of_part.len() + parts_total > PENDING_PARTS_MAX
            && let Some(oldest_number) = self.messages.keys().next().copied()
        {
            self.discard(oldest_number);
        }
        self.last_number
    }

    /// Records an accepted part and its id, if it has one. Returns the receipt of the message if all receipts arrived before
    /// this.
    pub fn part_accepted(
        &mut self,
        message_number: u64,
        part: usize,
        part_id: Option<String>,
    ) -> Option<ReceiptUpdate> {
        let message = self.messages.get_mut(&message_number)?;
        message.accepted_count += 1;
        if let Some(part_id) = part_id {
            self.message_of_part.insert(part_id.clone(), message_number);
            message.part_ids.insert(part, part_id);
        }
        self.take_final_receipt(message_number)
    }

    /// Drops a message of which not all parts were sent.
    pub fn discard(&mut self, message_number: u64) {
        let message = self.messages.remove(&message_number);
        for part_id in message.iter().flat_map(|message| message.part_ids.values()) {
            self.message_of_part.remove(part_id);
        }
    }

    /// Applies the receipt of a part and returns the receipt of its message, if that receipt is final. A receipt of no
    /// registered message is returned unchanged. `sender` is set if a phone may have written the receipt; the receipt
    /// is then ignored unless the message went to that phone.
    pub fn apply_receipt(&mut self, update: ReceiptUpdate, sender: Option<&str>) -> Option<ReceiptUpdate> {
        let Some(message_number) = self.message_of_part.get(&update.message_id).copied() else {
            return Some(update);
        };
        let message = self.messages.get_mut(&message_number)?;
        if sender.is_some_and(|sender| sender.trim_start_matches('+') != message.recipient) {
            return None;
        }
        match update.status {
            None => return None,
            Some(ReceiptStatus::Delivered | ReceiptStatus::Opened) => {
                message.delivered_ids.insert(update.message_id);
            }
            Some(failed) => message.failed_status = Some(failed),
        }
        self.take_final_receipt(message_number)
    }

    /// Removes a message whose receipts are complete and returns its receipt.
    fn take_final_receipt(&mut self, message_number: u64) -> Option<ReceiptUpdate> {
        let message = self.messages.get(&message_number)?;
        if message.accepted_count < message.parts_total {
            return None;
        }
        let message_id = message.part_ids.values().next_back()?.clone();
        let is_delivered =
            || message.part_ids.values().all(|part_id| message.delivered_ids.contains(part_id));
        let delivered_status = || is_delivered().then_some(ReceiptStatus::Delivered);
        let final_status = message.failed_status.clone().or_else(delivered_status)?;
        self.discard(message_number);
        Some(ReceiptUpdate { message_id, status: Some(final_status) })
    }
}
