//! A provider's codes and what they mean, for the answer to a send and for a receipt alike.
//!
//! The tables themselves stand in the adapters. What is not known to be permanent never makes an address inactive.

use std::time::Duration;

use crate::domain::attempt::Outcome;
use crate::domain::receipt::Verdict;
use crate::provider::reading::words;

/// What a code speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum Class {
    /// It is on its way.
    Accepted,
    /// It has arrived.
    Delivered,
    /// The provider's own trouble.
    Transient,
    /// The handset's trouble: off, full, without coverage.
    Absent,
    /// We are too fast.
    Throttled,
    /// This message, everywhere.
    Rejected,
    /// This message or its destination, at this provider only.
    Elsewhere,
    /// This address, for good.
    Invalid,
    /// This address, perhaps: it looks dead, and may be switched off.
    Doubtful,
    /// This person, who wants nothing from us.
    OptedOut,
    /// Our account or settings.
    Misconfigured,
}

/// One line of an adapter's table.
pub(in crate::provider) struct Code {
    /// As the provider writes it.
    pub code: &'static str,
    /// What it speaks of.
    pub class: Class,
    /// What it says, in our words.
    pub words: &'static str,
}

/// Makes a line of a table.
pub(in crate::provider) const fn code(code: &'static str, class: Class, words: &'static str) -> Code {
    Code { code, class, words }
}

/// The line of a code.
pub(in crate::provider) fn find(table: &'static [Code], code: &str) -> Option<&'static Code> {
    table.iter().find(|line| line.code == code)
}

/// A reason in our words, with the provider's own where it has some.
pub(in crate::provider) fn said(ours: &str, theirs: &str) -> String {
    let (ours, theirs) = (words(ours), words(theirs));
    match (ours.is_empty(), theirs.is_empty()) {
        (_, true) => ours,
        (true, false) => theirs,
        (false, false) => words(&format!("{ours}: {theirs}")),
    }
}

impl Class {
    /// What it means in the answer to a send.
    pub fn outcome(self, reason: String, retry_after: Option<Duration>) -> Outcome {
        match self {
            Self::Accepted | Self::Delivered => Outcome::Accepted { reference: None },
            Self::Transient | Self::Elsewhere => Outcome::Unavailable { reason },
            Self::Absent => Outcome::Deferred { reason, retry_after },
            Self::Throttled => Outcome::Throttled { retry_after },
            Self::Rejected | Self::Doubtful | Self::OptedOut => Outcome::Rejected { reason },
            Self::Invalid => Outcome::InvalidRecipient { reason },
            Self::Misconfigured => Outcome::Misconfigured { reason },
        }
    }

    /// What it means in a receipt; what is on its way has no verdict yet.
    pub fn verdict(self, reason: String) -> Option<Verdict> {
        match self {
            Self::Accepted => None,
            Self::Delivered => Some(Verdict::Delivered),
            Self::Invalid
            | Self::Transient
            | Self::Absent
            | Self::Throttled
            | Self::Rejected
            | Self::Elsewhere
            | Self::Doubtful
            | Self::OptedOut
            | Self::Misconfigured => Some(self.loss(reason)),
        }
    }

    /// What it means in a receipt that says the message did not arrive, whatever the code.
    pub fn loss(self, reason: String) -> Verdict {
        match self {
            Self::Invalid => Verdict::Invalid { reason },
            Self::Accepted
            | Self::Delivered
            | Self::Transient
            | Self::Absent
            | Self::Throttled
            | Self::Rejected
            | Self::Elsewhere
            | Self::Doubtful
            | Self::OptedOut
            | Self::Misconfigured => Verdict::Bounced { reason },
        }
    }
}
