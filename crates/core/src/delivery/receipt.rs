//! The effect of a receipt on the state of a delivery.
//!
//! A receipt belongs to one attempt, found by its reference. `delivered` counts in every state. A failure counts only
//! for the copy that the state describes. A receipt that corrects an earlier receipt must not be older, so that a
//! repeated receipt never moves a state back.

use chrono::{DateTime, Utc};

use super::{DeliveryState, Failure};
use crate::name::ConfigName;
use crate::receipt::ReceiptStatus;

/// The facts of a delivery and of the attempt with the receipt's reference on which the effect of the receipt depends.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptContext<'a> {
    /// The provider of the attempt.
    pub provider: &'a ConfigName,
    /// The provider's id of the copy; none for a receipt that names the delivery and not the copy.
    pub reference: Option<&'a str>,
    /// True if the state describes this attempt; false if it describes an earlier or later copy.
    pub is_current_attempt: bool,
    /// True if the person has opened the message.
    pub is_opened: bool,
    /// Number of times that the message may still be sent again through another provider after a bounce.
    pub resends_left: u32,
    /// Number of other addresses of the recipient that the channel's providers can use.
    pub other_addresses_left: usize,
}

impl DeliveryState {
    /// Returns the state after a receipt; none if the receipt changes nothing.
    pub fn apply_receipt(
        &self,
        status: &ReceiptStatus,
        reported_at: DateTime<Utc>,
        context: ReceiptContext<'_>,
    ) -> Option<Self> {
        match status {
            ReceiptStatus::Delivered | ReceiptStatus::Opened => self.after_delivery(reported_at),
            ReceiptStatus::Bounced { reason } => self.after_bounce(reason, reported_at, context),
            ReceiptStatus::Invalid { reason } => self.after_invalid_address(reason, reported_at, context),
        }
    }

    /// Returns the state after a late acceptance: the provider answered after the call had ended that it accepted the
    /// message. None if the answer changes nothing. The answer settles a delivery that would be sent again, or that
    /// failed because the answer was missing or its time was over.
    pub fn accept_late(&self, at: DateTime<Utc>, context: ReceiptContext<'_>) -> Option<Self> {
        let sent = Self::Sent {
            provider: context.provider.clone(),
            reference: context.reference.map(str::to_owned),
            at,
        };
        match self {
            Self::Waiting { .. } => Some(sent),
            Self::Failed { failure, .. } => match failure {
                Failure::Unknown | Failure::Expired | Failure::Exhausted => Some(sent),
                Failure::Rejected
                | Failure::InvalidRecipient
                | Failure::Suppressed
                | Failure::Bounced
                | Failure::Cancelled => None,
            },
            Self::Sent { .. } | Self::Delivered { .. } => None,
        }
    }

    /// A copy has arrived, so that none is sent any more. Corrects a failure, unless a newer receipt has reported it.
    fn after_delivery(&self, reported_at: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Waiting { .. } | Self::Sent { .. } => Some(Self::Delivered { at: reported_at }),
            Self::Delivered { .. } => None,
            Self::Failed { failure, at: failed_at, .. } => match failure {
                Failure::Bounced | Failure::InvalidRecipient => {
                    is_not_older(reported_at, *failed_at).then_some(Self::Delivered { at: reported_at })
                }
                Failure::Rejected
                | Failure::Suppressed
                | Failure::Exhausted
                | Failure::Expired
                | Failure::Cancelled
                | Failure::Unknown => Some(Self::Delivered { at: reported_at }),
            },
        }
    }

    /// A copy was not delivered. A delivery that waits for its next try goes on waiting; a mail server may bounce a
    /// message after it has reported its delivery.
    fn after_bounce(
        &self,
        reason: &str,
        bounced_at: DateTime<Utc>,
        context: ReceiptContext<'_>,
    ) -> Option<Self> {
        match self {
            Self::Waiting { .. } | Self::Failed { .. } => None,
            Self::Sent { .. } if !context.is_current_attempt => None,
            Self::Sent { .. } if context.resends_left > 0 => {
                Some(wait_for_resend(format!("sent again through another provider: {reason}"), bounced_at))
            }
            Self::Sent { .. } => Some(Self::failed(Failure::Bounced, reason, bounced_at)),
            Self::Delivered { at: delivered_at } => is_correction(*delivered_at, bounced_at, context)
                .then(|| Self::failed(Failure::Bounced, reason, bounced_at)),
        }
    }

    /// Returns the state after a receipt reported that the address does not exist. No further copy is sent to that
    /// address.
    fn after_invalid_address(
        &self,
        reason: &str,
        reported_at: DateTime<Utc>,
        context: ReceiptContext<'_>,
    ) -> Option<Self> {
        match self {
            Self::Waiting { .. } if context.other_addresses_left > 0 => None,
            Self::Waiting { .. } => Some(Self::failed(Failure::InvalidRecipient, reason, reported_at)),
            Self::Sent { .. } if !context.is_current_attempt => None,
            Self::Sent { .. } if context.other_addresses_left > 0 => {
                Some(wait_for_resend(format!("sent again to another address: {reason}"), reported_at))
            }
            Self::Sent { .. } => Some(Self::failed(Failure::InvalidRecipient, reason, reported_at)),
            Self::Delivered { at: delivered_at } => is_correction(*delivered_at, reported_at, context)
                .then(|| Self::failed(Failure::Bounced, reason, reported_at)),
            Self::Failed { .. } => None,
        }
    }
}

fn wait_for_resend(reason: String, at: DateTime<Utc>) -> DeliveryState {
    DeliveryState::Waiting { due_at: at, reason: Some(reason) }
}

/// Returns whether the failure corrects an earlier `delivered`: it concerns the same copy, and the person has not
/// opened that copy.
fn is_correction(delivered_at: DateTime<Utc>, at: DateTime<Utc>, context: ReceiptContext<'_>) -> bool {
    context.is_current_attempt && !context.is_opened && is_not_older(at, delivered_at)
}

/// Returns whether a receipt is not older than another one. Compares whole seconds, because some providers send no
/// fractions.
fn is_not_older(at: DateTime<Utc>, than: DateTime<Utc>) -> bool {
    at.timestamp() >= than.timestamp()
}
