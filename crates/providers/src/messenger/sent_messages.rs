//! Recently sent messages by recipient, for events that name a time instead of messages.
//!
//! The log is in memory and limited. So an event with a time does not apply to messages that another process sent, nor
//! to messages that are no longer in the log.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use postrider_core::clock::Timestamp;

/// Maximum number of recorded messages.
const SENT_MESSAGES_MAX: usize = 50_000;

/// A bounded log of sent messages.
#[derive(Default)]
pub(super) struct SentMessages(Mutex<SentMessageLog>);

#[derive(Default)]
struct SentMessageLog {
    by_recipient: HashMap<String, VecDeque<(Timestamp, String)>>,
    /// Recipients in the order of their messages, the oldest first.
    by_age: VecDeque<String>,
}

impl SentMessages {
    /// Records a message, and removes the oldest message at the limit.
    pub fn record(&self, recipient: &str, message_id: &str, sent_at: Timestamp) {
        let mut log = self.0.lock();
        log.by_age.push_back(recipient.to_owned());
        log.by_recipient.entry(recipient.to_owned()).or_default().push_back((sent_at, message_id.to_owned()));
        if log.by_age.len() > SENT_MESSAGES_MAX {
            log.remove_oldest();
        }
    }

    /// Returns the ids of the messages that were sent to the recipient until this time.
    pub fn sent_until(&self, recipient: &str, end: Timestamp) -> Vec<String> {
        let log = self.0.lock();
        let messages = log.by_recipient.get(recipient).into_iter().flatten();
        messages.filter(|(sent_at, _)| *sent_at <= end).map(|(_, message_id)| message_id.clone()).collect()
    }
}

impl SentMessageLog {
    fn remove_oldest(&mut self) {
        let Some(recipient) = self.by_age.pop_front() else {
            return;
        };
        if let Some(messages) = self.by_recipient.get_mut(&recipient) {
            messages.pop_front();
            if messages.is_empty() {
                self.by_recipient.remove(&recipient);
            }
        }
    }
}
