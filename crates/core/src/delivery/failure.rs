//! Reasons for which a delivery fails.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::text_enum::text_enum;

/// The reason for which a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Failure {
    /// A provider rejected the message.
    Rejected,
    /// The address does not exist.
    InvalidRecipient,
    /// The recipient was inactive or had opted out.
    Suppressed,
    /// Every allowed try was used up.
    Exhausted,
    /// The delivery reached its expiry.
    Expired,
    /// A provider accepted the message and reported later that it was not delivered.
    Bounced,
    /// A client or an operator cancelled the delivery.
    Cancelled,
    /// A provider did not answer, and another copy must not be sent.
    Unknown,
}

text_enum!(Failure);

impl Failure {
    /// Returns the failure in words for people.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Rejected => "the provider rejects this message",
            Self::InvalidRecipient => "the address does not exist",
            Self::Suppressed => "the recipient is inactive or has opted out",
            Self::Exhausted => "no tries left",
            Self::Expired => "expired",
            Self::Bounced => "the provider could not deliver it",
            Self::Cancelled => "cancelled",
            Self::Unknown => "no provider answer after the request was sent; no further copy is sent",
        }
    }
}
