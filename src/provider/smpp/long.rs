//! Long messages, whose parts get a receipt each: delivered when all are, not delivered when one is not.
//!
//! Kept in memory, and only for a while. After a restart, and in other processes, the last part speaks for the whole
//! message, because its id is the message's reference.

use std::collections::{BTreeMap, HashMap};

use super::receipt::Word;
use crate::domain::receipt::Verdict;

/// The most parts whose receipts are waited for; the oldest messages make room.
const PARTS_MAX: usize = 100_000;

/// The long messages whose receipts are waited for.
#[derive(Debug, Default)]
pub(super) struct Long {
    messages: BTreeMap<u64, Message>,
    /// Which message a part belongs to.
    parts: HashMap<String, u64>,
    next: u64,
}

#[derive(Debug, Default)]
struct Message {
    total: usize,
    accepted: usize,
    delivered: usize,
    failed: Option<Verdict>,
    /// The last part's id, once it is known.
    reference: Option<String>,
    ids: Vec<String>,
}

impl Long {
    /// A message of so many parts is about to be sent; its number.
    pub fn begin(&mut self, total: usize) -> u64 {
        self.next += 1;
        let message = Message {
            total,
            ..Message::default()
        };
        self.messages.insert(self.next, message);
        while self.parts.len() + total > PARTS_MAX {
            let Some((oldest, _)) = self.messages.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            self.forget(oldest);
        }
        self.next
    }

    /// A part was accepted under that id. What comes of the message, when receipts outran this.
    pub fn accepted(&mut self, number: u64, id: &str, is_last: bool) -> Option<Word> {
        let message = self.messages.get_mut(&number)?;
        message.accepted += 1;
        message.ids.push(id.to_owned());
        if is_last {
            message.reference = Some(id.to_owned());
        }
        self.parts.insert(id.to_owned(), number);
        self.judge(number)
    }

    /// The message will have no further parts: it was not sent as a whole.
    pub fn forget(&mut self, number: u64) {
        let message = self.messages.remove(&number);
        for id in message.iter().flat_map(|message| &message.ids) {
            self.parts.remove(id);
        }
    }

    /// What a receipt says of the whole message; a receipt for anything else is handed back as it is.
    pub fn heard(&mut self, word: Word) -> Option<Word> {
        let Some(number) = self.parts.get(&word.id).copied() else {
            return Some(word);
        };
        let message = self.messages.get_mut(&number)?;
        match word.verdict {
            None => return None,
            Some(Verdict::Delivered | Verdict::Opened) => {
                // Receipts repeat.
                self.parts.remove(&word.id);
                message.delivered += 1;
            }
            Some(verdict) => message.failed = Some(verdict),
        }
        self.judge(number)
    }

    fn judge(&mut self, number: u64) -> Option<Word> {
        let message = self.messages.get(&number)?;
        let id = message.reference.clone()?;
        if message.accepted < message.total {
            return None;
        }
        let verdict = match &message.failed {
            Some(failed) => failed.clone(),
            None if message.delivered == message.total => Verdict::Delivered,
            None => return None,
        };
        self.forget(number);
        Some(Word {
            id,
            verdict: Some(verdict),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(id: &str, verdict: Option<Verdict>) -> Word {
        Word {
            id: id.to_owned(),
            verdict,
        }
    }

    fn bounced() -> Option<Verdict> {
        Some(Verdict::Bounced {
            reason: "EXPIRED".to_owned(),
        })
    }

    fn sent(long: &mut Long) {
        let number = long.begin(3);
        for id in ["a", "b", "c"] {
            assert_eq!(long.accepted(number, id, id == "c"), None);
        }
    }

    #[test]
    fn a_long_message_is_delivered_when_all_its_parts_are() {
        let mut long = Long::default();
        sent(&mut long);
        assert_eq!(long.heard(word("c", Some(Verdict::Delivered))), None);
        assert_eq!(long.heard(word("a", Some(Verdict::Delivered))), None);
        assert_eq!(long.heard(word("b", None)), None);
        let whole = long.heard(word("b", Some(Verdict::Delivered)));
        assert_eq!(whole, Some(word("c", Some(Verdict::Delivered))));
        assert!(long.parts.is_empty() && long.messages.is_empty());
    }

    #[test]
    fn one_part_that_is_lost_is_the_whole_message() {
        let mut long = Long::default();
        sent(&mut long);
        assert_eq!(long.heard(word("a", Some(Verdict::Delivered))), None);
        assert_eq!(long.heard(word("b", bounced())), Some(word("c", bounced())));
    }

    #[test]
    fn receipts_that_outrun_the_answers_are_counted() {
        let mut long = Long::default();
        let number = long.begin(2);
        assert_eq!(long.accepted(number, "a", false), None);
        assert_eq!(long.heard(word("a", bounced())), None);
        assert_eq!(long.accepted(number, "b", true), Some(word("b", bounced())));
    }

    #[test]
    fn a_receipt_for_anything_else_is_handed_back_and_the_oldest_make_room() {
        let mut long = Long::default();
        let other = word("z", Some(Verdict::Delivered));
        assert_eq!(long.heard(other.clone()), Some(other));
        for number in 0..60_000 {
            let message = long.begin(2);
            long.accepted(message, &format!("{number}-1"), false);
            long.accepted(message, &format!("{number}-2"), true);
        }
        assert!(long.parts.len() <= PARTS_MAX);
    }
}
