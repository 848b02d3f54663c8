//! The words for the state of a message in receipts.
//!
//! A word that is not in the table has no known meaning and counts as not final.

/// The meaning of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateMeaning {
    /// The message reached the phone.
    Delivered,
    /// The message will not reach the phone.
    Failed,
    /// Another receipt follows.
    NotFinal,
}

/// The words of SMPP 3.4 and 5.0, and those that SMSCs use instead.
const RECEIPT_STATES: [(&str, StateMeaning); 31] = [
    ("DELIVRD", StateMeaning::Delivered),
    ("DELIVERED", StateMeaning::Delivered),
    ("EXPIRED", StateMeaning::Failed),
    ("EXPIRD", StateMeaning::Failed),
    ("DELETED", StateMeaning::Failed),
    ("UNDELIV", StateMeaning::Failed),
    ("UNDELIVERED", StateMeaning::Failed),
    ("UNDELIVERABLE", StateMeaning::Failed),
    ("UNDELIVRD", StateMeaning::Failed),
    ("UNKNOWN", StateMeaning::Failed),
    ("REJECTD", StateMeaning::Failed),
    ("REJECTED", StateMeaning::Failed),
    ("FAILED", StateMeaning::Failed),
    ("SKIPPED", StateMeaning::Failed),
    ("SCHEDLD", StateMeaning::NotFinal),
    ("SCHEDULED", StateMeaning::NotFinal),
    ("ENROUTE", StateMeaning::NotFinal),
    ("ACCEPTD", StateMeaning::NotFinal),
    ("ACCEPTED", StateMeaning::NotFinal),
    ("ACKED", StateMeaning::NotFinal),
    ("BUFFRED", StateMeaning::NotFinal),
    ("BUFFERD", StateMeaning::NotFinal),
    ("BUFFERED", StateMeaning::NotFinal),
    ("QUEUED", StateMeaning::NotFinal),
    ("PENDING", StateMeaning::NotFinal),
    ("SENT", StateMeaning::NotFinal),
    ("SUBMITD", StateMeaning::NotFinal),
    ("SUBMITTED", StateMeaning::NotFinal),
    ("RETRY", StateMeaning::NotFinal),
    ("RETRYING", StateMeaning::NotFinal),
    ("PROCESSING", StateMeaning::NotFinal),
];

/// Returns the meaning of a word in upper case.
pub fn state_meaning(state: &str) -> Option<StateMeaning> {
    RECEIPT_STATES.iter().find(|(word, _)| *word == state).map(|(_, meaning)| *meaning)
}
