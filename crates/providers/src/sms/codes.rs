//! A provider's codes and what they mean, for the answer to a send and for a receipt alike.
//!
//! The tables themselves stand in the adapters. What is not known to be permanent never makes an address inactive.

use std::time::Duration;

use crate::settings_reader::sanitize_text;
use postrider_core::attempt::Outcome;
use postrider_core::receipt::ReceiptStatus;

/// What a code speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SmsCodeClass {
    /// It is on its way.
    Accepted,
    /// It has arrived.
    Delivered,
    /// The provider's own trouble.
    Transient,
    /// The handset's trouble: off, full, without coverage.
    AbsentSubscriber,
    /// We are too fast.
    Throttled,
    /// This message, everywhere.
    Rejected,
    /// This message or its destination, at this provider only.
    DestinationUnavailable,
    /// This address, for good.
    InvalidRecipient,
    /// This address, perhaps: it looks dead, and may be switched off.
    PossiblyInvalid,
    /// This person, who wants nothing from us.
    OptedOut,
    /// Our account or settings.
    Misconfigured,
}

/// One line of an adapter's table.
pub(crate) struct SmsCode {
    /// As the provider writes it.
    pub code: &'static str,
    /// What it speaks of.
    pub class: SmsCodeClass,
    /// What it says, in our words.
    pub description: &'static str,
}

/// Makes a line of a table.
pub(crate) const fn sms_code(code: &'static str, class: SmsCodeClass, words: &'static str) -> SmsCode {
    SmsCode {
        code,
        class,
        description: words,
    }
}

/// The line of a code.
pub(crate) fn find_sms_code(table: &'static [SmsCode], code: &str) -> Option<&'static SmsCode> {
    table.iter().find(|line| line.code == code)
}

/// A reason in our words, with the provider's own where it has some.
pub(crate) fn join_reasons(ours: &str, theirs: &str) -> String {
    let (ours, theirs) = (sanitize_text(ours), sanitize_text(theirs));
    match (ours.is_empty(), theirs.is_empty()) {
        (_, true) => ours,
        (true, false) => theirs,
        (false, false) => sanitize_text(&format!("{ours}: {theirs}")),
    }
}

impl SmsCodeClass {
    /// What it means in the answer to a send.
    pub fn outcome(self, reason: String, retry_after: Option<Duration>) -> Outcome {
        match self {
            Self::Accepted | Self::Delivered => Outcome::Accepted { reference: None },
            Self::Transient | Self::DestinationUnavailable => Outcome::Unavailable { reason },
            Self::AbsentSubscriber => Outcome::Deferred { reason, retry_after },
            Self::Throttled => Outcome::Throttled { retry_after },
            Self::Rejected | Self::PossiblyInvalid | Self::OptedOut => Outcome::Rejected { reason },
            Self::InvalidRecipient => Outcome::InvalidRecipient { reason },
            Self::Misconfigured => Outcome::Misconfigured { reason },
        }
    }

    /// What it means in a receipt; what is on its way has no verdict yet.
    pub fn receipt_status(self, reason: String) -> Option<ReceiptStatus> {
        match self {
            Self::Accepted => None,
            Self::Delivered => Some(ReceiptStatus::Delivered),
            Self::InvalidRecipient
            | Self::Transient
            | Self::AbsentSubscriber
            | Self::Throttled
            | Self::Rejected
            | Self::DestinationUnavailable
            | Self::PossiblyInvalid
            | Self::OptedOut
            | Self::Misconfigured => Some(self.failed_receipt_status(reason)),
        }
    }

    /// What it means in a receipt that says the message did not arrive, whatever the code.
    pub fn failed_receipt_status(self, reason: String) -> ReceiptStatus {
        match self {
            Self::InvalidRecipient => ReceiptStatus::Invalid { reason },
            Self::Accepted
            | Self::Delivered
            | Self::Transient
            | Self::AbsentSubscriber
            | Self::Throttled
            | Self::Rejected
            | Self::DestinationUnavailable
            | Self::PossiblyInvalid
            | Self::OptedOut
            | Self::Misconfigured => ReceiptStatus::Bounced { reason },
        }
    }
}
