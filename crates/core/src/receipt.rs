//! A provider's later word about something it accepted.
//!
//! Only an adapter makes one; what follows from it is decided in `delivery`.

use chrono::{DateTime, Utc};

/// What became of an accepted message, in the provider's later word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// It reached the person.
    Delivered,
    /// It did not, and the address may still be good.
    Bounced {
        /// In the provider's words, for the operator.
        reason: String,
    },
    /// It did not, and the address is dead: the recipient becomes inactive.
    Invalid {
        /// In the provider's words, for the operator.
        reason: String,
    },
    /// The person opened it, which also says that it was delivered.
    Opened,
}

impl ReceiptStatus {
    /// The words the stores use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounced { .. } => "bounced",
            Self::Invalid { .. } => "invalid",
            Self::Opened => "opened",
        }
    }

    /// The reason of a bad verdict.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Bounced { reason } | Self::Invalid { reason } => Some(reason),
            Self::Delivered | Self::Opened => None,
        }
    }

    /// Back from a store's word.
    pub fn from_parts(word: &str, reason: String) -> Option<Self> {
        match word {
            "delivered" => Some(Self::Delivered),
            "bounced" => Some(Self::Bounced { reason }),
            "invalid" => Some(Self::Invalid { reason }),
            "opened" => Some(Self::Opened),
            _ => None,
        }
    }
}

/// One receipt, as an adapter reads it from its provider's own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message, in the canonical form its adapter also gives at the send.
    pub reference: String,
    /// What became of it.
    pub status: ReceiptStatus,
    /// When the provider says it happened; else when we heard of it.
    pub at: DateTime<Utc>,
}
