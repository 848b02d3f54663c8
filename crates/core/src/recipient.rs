//! Recipients: addresses on a channel, and whether messages may be sent to them.

use chrono::{DateTime, Utc};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::name::ConfigName;
use crate::text_enum::text_enum;

/// The permission to send messages to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RecipientStatus {
    /// Messages are sent.
    #[default]
    Active,
    /// A provider reported that the address does not exist.
    Inactive,
    /// The person has opted out.
    OptedOut,
}

text_enum!(RecipientStatus);

impl RecipientStatus {
    /// Returns why no message is sent to a recipient with this status.
    pub fn refusal_reason(self) -> &'static str {
        match self {
            Self::Active => "the recipient is active",
            Self::Inactive => "the recipient is inactive",
            Self::OptedOut => "the recipient has opted out",
        }
    }

    /// Returns the status that explains why none of several recipients is sent to: an opt-out, if there is one.
    #[must_use]
    pub fn or_opted_out(self, other: Self) -> Self {
        if other == Self::OptedOut { other } else { self }
    }
}

/// An address on a channel with its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// The status.
    pub status: RecipientStatus,
    /// The reason of the status.
    pub reason: String,
    /// The provider or the operator that set the status.
    pub changed_by: String,
    /// The time at which the status was set.
    pub changed_at: DateTime<Utc>,
}
