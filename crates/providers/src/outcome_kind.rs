//! The kinds of outcome, without reason, reference and delay: the values of code tables, rules and mock settings.
//!
//! A kind becomes an outcome when reason, reference and delay are known.

use std::time::Duration;

use serde::Deserialize;

use postrider_core::attempt::Outcome;
use postrider_core::receipt::ReceiptStatus;

/// A kind of [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeKind {
    Accepted,
    Deferred,
    Unavailable,
    Throttled,
    Rejected,
    InvalidRecipient,
    Misconfigured,
    Unknown,
}

impl OutcomeKind {
    /// Returns the outcome of this kind. Ignores the arguments for which this kind has no field.
    pub fn into_outcome(
        self,
        reference: Option<String>,
        reason: String,
        retry_after: Option<Duration>,
    ) -> Outcome {
        match self {
            Self::Accepted => Outcome::Accepted { reference },
            Self::Deferred => Outcome::Deferred { reason, retry_after },
            Self::Unavailable => Outcome::Unavailable { reason },
            Self::Throttled => Outcome::Throttled { retry_after },
            Self::Rejected => Outcome::Rejected { reason },
            Self::InvalidRecipient => Outcome::InvalidRecipient { reason },
            Self::Misconfigured => Outcome::Misconfigured { reason },
            Self::Unknown => Outcome::Unknown { reason },
        }
    }

    /// Returns the status of a receipt that reports a failure with a code of this kind. Only a code that is known to be
    /// permanent for the address makes it `Invalid`.
    pub fn failed_receipt_status(self, reason: String) -> ReceiptStatus {
        match self {
            Self::InvalidRecipient => ReceiptStatus::Invalid { reason },
            Self::Accepted
            | Self::Deferred
            | Self::Unavailable
            | Self::Throttled
            | Self::Rejected
            | Self::Misconfigured
            | Self::Unknown => ReceiptStatus::Bounced { reason },
        }
    }
}
