//! Detects that the receipts of an SMSC contain message ids in a number format other than the configured one.
//!
//! A wrong `message_id_format` loses every receipt without an error. The ids of the last messages are kept until a receipt
//! matches one of them in the configured format.

use std::collections::VecDeque;

use postrider_smpp::message_id::MessageIdFormat;

#[cfg(test)]
mod tests;

/// Number of submitted messages whose ids are compared.
const DIAGNOSED_IDS_MAX: usize = 1_000;

/// Number of receipts that must match in another format before that format is reported, because a single one can match
/// by chance.
const MATCHES_MIN: usize = 3;

/// The evidence about the format of the ids of one account.
#[derive(Debug, Default)]
pub(super) struct IdFormatDiagnosis {
    /// Ids of the last messages as the SMSC wrote them.
    submitted_ids: VecDeque<Vec<u8>>,
    match_counts: [usize; MessageIdFormat::ALL.len()],
    is_decided: bool,
}

impl IdFormatDiagnosis {
    /// Records the id of an accepted part.
    pub fn record_submitted(&mut self, id: &[u8]) {
        if self.is_decided {
            return;
        }
        self.submitted_ids.push_back(id.to_owned());
        if self.submitted_ids.len() > DIAGNOSED_IDS_MAX {
            self.submitted_ids.pop_front();
        }
    }

    /// Records the id of a receipt. Returns a format in which ids would match; returns it only once.
    pub fn record_receipt(&mut self, id: &[u8], configured: MessageIdFormat) -> Option<MessageIdFormat> {
        if self.is_decided {
            return None;
        }
        if self.matches(id, configured) {
            self.decide();
            return None;
        }
        for (index, format) in MessageIdFormat::ALL.into_iter().enumerate() {
            if format == configured || !self.matches(id, format) {
                continue;
            }
            self.match_counts[index] += 1;
            if self.match_counts[index] == MATCHES_MIN {
                self.decide();
                return Some(format);
            }
        }
        None
    }

    fn matches(&self, id: &[u8], format: MessageIdFormat) -> bool {
        let receipted = format.normalize_receipted(id);
        receipted.is_some()
            && self.submitted_ids.iter().any(|submitted| format.normalize_submitted(submitted) == receipted)
    }

    fn decide(&mut self) {
        self.is_decided = true;
        self.submitted_ids = VecDeque::new();
    }
}
