//! The state machine of a delivery: one message over one channel to one recipient.
//!
//! All changes of state are functions of this file: after a round ([`DeliveryState::after`]), after a receipt
//! ([`DeliveryState::apply_receipt`]), and by a client or an operator ([`DeliveryState::cancel`],
//! [`DeliveryState::requeue`]). Matches have no wildcard arm, so that a new outcome cannot be forgotten.

mod failure;

use std::time::Duration;

use chrono::{DateTime, Utc};
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantArray};

use crate::attempt::{Outcome, THROTTLED_REASON};
use crate::clock::saturating_add;
use crate::name::ConfigName;
use crate::receipt::ReceiptStatus;
use crate::recipient::RecipientStatus;
use crate::retry::{RetryPolicy, UnknownPolicy};
use crate::text_enum::text_enum;

pub use failure::Failure;

/// The state of a delivery with its facts.
#[derive(Clone, Debug, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(DeliveryStateKind),
    derive(Hash, EnumString, IntoStaticStr, VariantArray),
    strum(serialize_all = "snake_case"),
    doc = "A [`DeliveryState`] without its facts, for counters and searches."
)]
pub enum DeliveryState {
    /// Not sent yet, or to be sent again.
    Waiting {
        /// The time from which a worker may claim the delivery.
        due_at: DateTime<Utc>,
        /// Why the delivery still waits, for operators; none before the first round.
        reason: Option<String>,
    },
    /// A provider has accepted the message.
    Sent {
        /// The provider.
        provider: ConfigName,
        /// The provider's id of the message.
        reference: Option<String>,
        /// The time of acceptance.
        at: DateTime<Utc>,
    },
    /// A receipt reports that the message reached the person.
    Delivered {
        /// The time that the receipt states.
        at: DateTime<Utc>,
    },
    /// The delivery is not sent (again) unless an operator requeues it.
    Failed {
        /// The kind of failure.
        failure: Failure,
        /// The details, for operators.
        reason: String,
        /// The time of the failure.
        at: DateTime<Utc>,
    },
}

text_enum!(DeliveryStateKind);

/// The end of a round over a channel's providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundEnd {
    /// The outcome of a provider ended the round.
    Decided {
        /// The provider.
        provider: ConfigName,
        /// The outcome; never one that leads to the next provider.
        outcome: Outcome,
    },
    /// Every provider was tried or skipped, and at least one call failed.
    AllFailed {
        /// The last failure.
        reason: String,
    },
    /// No provider could be called (circuit open, paused, at its limit). Uses up no try.
    NoProviderAvailable {
        /// The time after which a provider is expected to be available.
        retry_after: Duration,
        /// Why no provider was available.
        reason: String,
    },
    /// An earlier claim was never recorded: its worker stopped, possibly during a call.
    ClaimLost,
    /// The delivery was claimed after its expiry; no provider was called.
    Expired,
    /// No provider of the channel can use an address of the recipient; no provider was called.
    NoUsableAddress {
        /// The details, for operators.
        reason: String,
    },
}

/// Alternatives that remain after a provider reported that a message was not delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemainingAlternatives {
    /// Number of times that a bounce may still be sent again through another provider.
    pub resends: u32,
    /// Number of other addresses of the recipient that the channel's providers can use.
    pub addresses: usize,
}

/// The facts of a delivery and its channel on which a change of state depends.
#[derive(Clone, Debug)]
pub struct DeliveryRules<'a> {
    /// Rounds so far that used up a try.
    pub tries: u32,
    /// The time after which the delivery is not tried again.
    pub expires_at: DateTime<Utc>,
    /// The channel's retry policy.
    pub retry: &'a RetryPolicy,
    /// The channel's policy for missing answers.
    pub unknown_policy: UnknownPolicy,
}

/// The state after a round and the tries used up so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryTransition {
    /// The new state.
    pub state: DeliveryState,
    /// Rounds that used up a try, this one included.
    pub tries: u32,
}

impl DeliveryState {
    /// Returns the state without its facts.
    pub fn kind(&self) -> DeliveryStateKind {
        self.into()
    }

    /// Returns a failed state.
    pub fn failed(failure: Failure, reason: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self::Failed { failure, reason: reason.into(), at }
    }

    /// Returns the state after a round, the only change after a send. `random` is a number from 0 to 1.
    pub fn after(
        end: RoundEnd,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
        random: f64,
    ) -> DeliveryTransition {
        let retry = |reason: String, retry_after| Self::retry_later(reason, retry_after, rules, now, random);
        let postpone = |reason: String, delay| DeliveryTransition {
            state: Self::waiting_after(delay, reason, rules, now),
            tries: rules.tries,
        };
        let end_without_try = |failure, reason: String| DeliveryTransition {
            state: Self::failed(failure, reason, now),
            tries: rules.tries,
        };
        let end_try = |state| DeliveryTransition { state, tries: rules.tries + 1 };
        let apply_unknown_policy = |reason: String| match rules.unknown_policy {
            UnknownPolicy::Resend => retry(reason, None),
            UnknownPolicy::Hold => end_try(Self::failed(Failure::Unknown, reason, now)),
        };
        match end {
            RoundEnd::AllFailed { reason } => retry(reason, None),
            RoundEnd::NoProviderAvailable { retry_after, reason } => postpone(reason, retry_after),
            RoundEnd::Expired => {
                end_without_try(Failure::Expired, "expired before it could be sent".to_owned())
            }
            RoundEnd::NoUsableAddress { reason } => end_without_try(Failure::InvalidRecipient, reason),
            RoundEnd::ClaimLost => apply_unknown_policy("the worker stopped during the call".to_owned()),
            RoundEnd::Decided { provider, outcome } => match outcome {
                Outcome::Accepted { reference } => end_try(Self::Sent { provider, reference, at: now }),
                Outcome::Rejected { reason } => end_try(Self::failed(Failure::Rejected, reason, now)),
                Outcome::InvalidRecipient { reason } => {
                    end_try(Self::failed(Failure::InvalidRecipient, reason, now))
                }
                Outcome::Deferred { reason, retry_after } => retry(reason, retry_after),
                Outcome::Unavailable { reason } | Outcome::Misconfigured { reason } => retry(reason, None),
                Outcome::Throttled { retry_after } => {
                    postpone(THROTTLED_REASON.to_owned(), retry_after.unwrap_or(rules.retry.base))
                }
                Outcome::Unknown { reason } => apply_unknown_policy(reason),
            },
        }
    }

    /// Waits for the next try after a failed round, or fails if tries or time are used up.
    fn retry_later(
        reason: String,
        retry_after: Option<Duration>,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
        random: f64,
    ) -> DeliveryTransition {
        let tries = rules.tries + 1;
        let state = if rules.retry.is_exhausted(tries) {
            let reason = format!("gave up after {tries} tries: {reason}");
            Self::failed(Failure::Exhausted, reason, now)
        } else {
            Self::waiting_after(rules.retry.delay(tries, retry_after, random), reason, rules, now)
        };
        DeliveryTransition { state, tries }
    }

    /// Waits for `delay`, or fails if the delivery expires before.
    fn waiting_after(delay: Duration, reason: String, rules: &DeliveryRules<'_>, now: DateTime<Utc>) -> Self {
        let due_at = saturating_add(now, delay);
        if due_at >= rules.expires_at {
            return Self::failed(Failure::Expired, format!("expires before the next try: {reason}"), now);
        }
        Self::Waiting { due_at, reason: Some(reason) }
    }

    /// Returns the state after a receipt; none if the receipt changes nothing.
    ///
    /// Only a sent message changes: a receipt never moves a state backwards. `remaining` decides whether a message that
    /// was not delivered is sent again, to another address or through another provider.
    pub fn apply_receipt(
        &self,
        status: &ReceiptStatus,
        at: DateTime<Utc>,
        remaining: RemainingAlternatives,
    ) -> Option<Self> {
        let wait_for_resend = |reason| Self::Waiting { due_at: at, reason: Some(reason) };
        match self {
            Self::Waiting { .. } | Self::Delivered { .. } | Self::Failed { .. } => None,
            Self::Sent { .. } => Some(match status {
                ReceiptStatus::Delivered | ReceiptStatus::Opened => Self::Delivered { at },
                ReceiptStatus::Invalid { reason } if remaining.addresses > 0 => {
                    wait_for_resend(format!("sent again to another address: {reason}"))
                }
                ReceiptStatus::Invalid { reason } => Self::failed(Failure::InvalidRecipient, reason, at),
                ReceiptStatus::Bounced { reason } if remaining.resends > 0 => {
                    wait_for_resend(format!("sent again through another provider: {reason}"))
                }
                ReceiptStatus::Bounced { reason } => Self::failed(Failure::Bounced, reason, at),
            }),
        }
    }

    /// Returns the state after a cancellation; none if the message was sent already.
    pub fn cancel(&self, now: DateTime<Utc>) -> Option<Self> {
        self.fail_if_waiting(Failure::Cancelled, "cancelled before it was sent", now)
    }

    /// Returns the state after the recipient got a status other than active; none if the message was sent already.
    pub fn suppress(&self, status: RecipientStatus, now: DateTime<Utc>) -> Option<Self> {
        self.fail_if_waiting(Failure::Suppressed, status.refusal_reason(), now)
    }

    fn fail_if_waiting(&self, failure: Failure, reason: &str, now: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Waiting { .. } => Some(Self::failed(failure, reason, now)),
            Self::Sent { .. } | Self::Delivered { .. } | Self::Failed { .. } => None,
        }
    }

    /// Returns the state after an operator requeues the delivery: a failed one waits again unless it was cancelled or
    /// suppressed, and one that waits becomes due. None if that changes nothing.
    pub fn requeue(&self, now: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Failed { failure, .. } => match failure {
                Failure::Cancelled | Failure::Suppressed => None,
                Failure::Rejected
                | Failure::InvalidRecipient
                | Failure::Exhausted
                | Failure::Expired
                | Failure::Bounced
                | Failure::Unknown => {
                    Some(Self::Waiting { due_at: now, reason: Some("requeued by an operator".to_owned()) })
                }
            },
            Self::Waiting { due_at, reason } => {
                (*due_at > now).then(|| Self::Waiting { due_at: now, reason: reason.clone() })
            }
            Self::Sent { .. } | Self::Delivered { .. } => None,
        }
    }

    /// Returns the next step of the delivery, in words for people.
    pub fn describe_next_step(&self, now: DateTime<Utc>) -> String {
        match self {
            Self::Waiting { due_at, reason } => {
                let next_try = if *due_at <= now {
                    "due now; sent as soon as a worker is free".to_owned()
                } else {
                    format!("tried at {}", due_at.format("%Y-%m-%d %H:%M:%S UTC"))
                };
                match reason {
                    Some(reason) => format!("{next_try}; waits because: {reason}"),
                    None => next_try,
                }
            }
            Self::Sent { provider, .. } => format!("waits for the receipt of {provider}"),
            Self::Delivered { .. } => "none: delivered".to_owned(),
            Self::Failed { failure, reason, .. } => format!("none: {} ({reason})", failure.description()),
        }
    }
}

#[cfg(test)]
mod tests;
