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
