//! Delivery receipts: a provider's later report about a message that it accepted.
//!
//! Adapters create receipts; the module `delivery` decides how they change the state of a delivery.

use chrono::{DateTime, Utc};
use strum::{EnumString, IntoStaticStr};

/// The status that a provider reports about a message after the call has ended.
#[derive(Clone, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReceiptStatus {
    /// The message reached the person.
    Delivered,
    /// The message was not delivered; the address may still be valid.
    Bounced {
        /// The reason that the provider gave.
        reason: String,
    },
    /// The message was not delivered because the address does not exist; the recipient becomes inactive.
    Invalid {
        /// The reason that the provider gave.
        reason: String,
    },
    /// The person opened the message, which implies that it was delivered.
    Opened,
}

impl ReceiptStatus {
    /// Returns the name in stores.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Returns the reason of a failed delivery.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Bounced { reason } | Self::Invalid { reason } => Some(reason),
            Self::Delivered | Self::Opened => None,
        }
    }

    /// Returns the status with this name. `reason` is used only for a status that has a reason.
    pub fn from_parts(name: &str, reason: String) -> Option<Self> {
        Some(match name.parse().ok()? {
            Self::Bounced { .. } => Self::Bounced { reason },
            Self::Invalid { .. } => Self::Invalid { reason },
            status @ (Self::Delivered | Self::Opened) => status,
        })
    }
}

/// A receipt as an adapter parses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message, in the same form as in [`Outcome::Accepted`](crate::attempt::Outcome::Accepted).
    pub reference: String,
    /// The status.
    pub status: ReceiptStatus,
    /// The time that the provider states; otherwise the time at which the receipt arrived.
    pub at: DateTime<Utc>,
}
