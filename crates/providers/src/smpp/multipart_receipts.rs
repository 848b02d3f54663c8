//! Long messages, whose parts get a receipt each: delivered when all are, not delivered when one is not.
//!
//! Kept in memory, and only for a while. After a restart, and in other processes, the last part speaks for the whole
//! message, because its id is the message's reference.

use std::collections::{BTreeMap, HashMap};

use super::receipt::DeliveryReceipt;
use postrider_core::receipt::ReceiptStatus;

/// The most parts whose receipts are waited for; the oldest messages make room.
const PENDING_PARTS_MAX: usize = 100_000;

/// The long messages whose receipts are waited for.
#[derive(Debug, Default)]
pub(super) struct MultipartReceipts {
    messages: BTreeMap<u64, MultipartMessage>,
    /// Which message a part belongs to.
    message_of_part: HashMap<String, u64>,
    last_number: u64,
}

#[derive(Debug, Default)]
struct MultipartMessage {
    parts_total: usize,
    parts_accepted: usize,
    parts_delivered: usize,
    failed_verdict: Option<ReceiptStatus>,
    /// The last part's id, once it is known.
    reference: Option<String>,
    part_ids: Vec<String>,
}

impl MultipartReceipts {
    /// A message of so many parts is about to be sent; its number.
    pub fn register(&mut self, total: usize) -> u64 {
        self.last_number += 1;
        let message = MultipartMessage {
            parts_total: total,
            ..MultipartMessage::default()
        };
        self.messages.insert(self.last_number, message);
        while self.message_of_part.len() + total > PENDING_PARTS_MAX {
            let Some((oldest, _)) = self.messages.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            self.discard(oldest);
        }
        self.last_number
    }

    /// A part was accepted under that id. What comes of the message, when receipts outran this.
    pub fn part_accepted(&mut self, number: u64, id: &str, is_last: bool) -> Option<DeliveryReceipt> {
        let message = self.messages.get_mut(&number)?;
        message.parts_accepted += 1;
        message.part_ids.push(id.to_owned());
        if is_last {
            message.reference = Some(id.to_owned());
        }
        self.message_of_part.insert(id.to_owned(), number);
        self.resolve(number)
    }

    /// The message will have no further parts: it was not sent as a whole.
    pub fn discard(&mut self, number: u64) {
        let message = self.messages.remove(&number);
        for id in message.iter().flat_map(|message| &message.part_ids) {
            self.message_of_part.remove(id);
        }
    }

    /// What a receipt says of the whole message; a receipt for anything else is handed back as it is.
    pub fn apply_receipt(&mut self, word: DeliveryReceipt) -> Option<DeliveryReceipt> {
        let Some(number) = self.message_of_part.get(&word.message_id).copied() else {
            return Some(word);
        };
        let message = self.messages.get_mut(&number)?;
        match word.verdict {
            None => return None,
            Some(ReceiptStatus::Delivered | ReceiptStatus::Opened) => {
                // Receipts repeat.
                self.message_of_part.remove(&word.message_id);
                message.parts_delivered += 1;
            }
            Some(verdict) => message.failed_verdict = Some(verdict),
        }
        self.resolve(number)
    }

    fn resolve(&mut self, number: u64) -> Option<DeliveryReceipt> {
        let message = self.messages.get(&number)?;
        let id = message.reference.clone()?;
        if message.parts_accepted < message.parts_total {
            return None;
        }
        let verdict = match &message.failed_verdict {
            Some(failed) => failed.clone(),
            None if message.parts_delivered == message.parts_total => ReceiptStatus::Delivered,
            None => return None,
        };
        self.discard(number);
        Some(DeliveryReceipt {
            message_id: id,
            verdict: Some(verdict),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(id: &str, verdict: Option<ReceiptStatus>) -> DeliveryReceipt {
        DeliveryReceipt {
            message_id: id.to_owned(),
            verdict,
        }
    }

    fn bounced() -> Option<ReceiptStatus> {
        Some(ReceiptStatus::Bounced {
            reason: "EXPIRED".to_owned(),
        })
    }

    fn send_three_parts(long: &mut MultipartReceipts) {
        let number = long.register(3);
        for id in ["a", "b", "c"] {
            assert_eq!(long.part_accepted(number, id, id == "c"), None);
        }
    }

    #[test]
    fn a_long_message_is_delivered_when_all_its_parts_are() {
        let mut long = MultipartReceipts::default();
        send_three_parts(&mut long);
        assert_eq!(
            long.apply_receipt(receipt("c", Some(ReceiptStatus::Delivered))),
            None
        );
        assert_eq!(
            long.apply_receipt(receipt("a", Some(ReceiptStatus::Delivered))),
            None
        );
        assert_eq!(long.apply_receipt(receipt("b", None)), None);
        let whole = long.apply_receipt(receipt("b", Some(ReceiptStatus::Delivered)));
        assert_eq!(whole, Some(receipt("c", Some(ReceiptStatus::Delivered))));
        assert!(long.message_of_part.is_empty() && long.messages.is_empty());
    }

    #[test]
    fn one_part_that_is_lost_is_the_whole_message() {
        let mut long = MultipartReceipts::default();
        send_three_parts(&mut long);
        assert_eq!(
            long.apply_receipt(receipt("a", Some(ReceiptStatus::Delivered))),
            None
        );
        assert_eq!(
            long.apply_receipt(receipt("b", bounced())),
            Some(receipt("c", bounced()))
        );
    }

    #[test]
    fn receipts_that_outrun_the_answers_are_counted() {
        let mut long = MultipartReceipts::default();
        let number = long.register(2);
        assert_eq!(long.part_accepted(number, "a", false), None);
        assert_eq!(long.apply_receipt(receipt("a", bounced())), None);
        assert_eq!(
            long.part_accepted(number, "b", true),
            Some(receipt("b", bounced()))
        );
    }

    #[test]
    fn a_receipt_for_anything_else_is_handed_back_and_the_oldest_make_room() {
        let mut long = MultipartReceipts::default();
        let other = receipt("z", Some(ReceiptStatus::Delivered));
        assert_eq!(long.apply_receipt(other.clone()), Some(other));
        for number in 0..60_000 {
            let message = long.register(2);
            long.part_accepted(message, &format!("{number}-1"), false);
            long.part_accepted(message, &format!("{number}-2"), true);
        }
        assert!(long.message_of_part.len() <= PENDING_PARTS_MAX);
    }
}
