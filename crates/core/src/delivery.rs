//! The state machine of a delivery: one message over one channel to one recipient.
//!
//! All changes of state are functions of this file: after a round ([`DeliveryState::after`]), after a receipt
//! ([`DeliveryState::apply_receipt`]), and by a client or an operator ([`DeliveryState::cancel`],
//! [`DeliveryState::requeue`]). Matches have no wildcard arm, so that a new outcome cannot be forgotten. The submodules hold
//! the rules about expiry and about receipts.

mod expiry;
mod failure;
mod receipt;

use std::time::Duration;

use chrono::{DateTime, Utc};
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantArray};

use crate::attempt::{Outcome, THROTTLED_REASON};
use crate::name::ConfigName;
use crate::recipient::RecipientStatus;
use crate::retry::RetryPolicy;
use crate::text_enum::text_enum;

pub use expiry::is_near_expiry;
pub use failure::Failure;
pub use receipt::ReceiptContext;

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
    /// The delivery has failed. It is not sent again unless an operator requeues it.
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
        /// True if a provider asked for this wait (a rate or quota is used up). The wait then does not count as age of
        /// the delivery.
        is_requested_by_provider: bool,
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

/// The facts of a delivery and its channel on which a change of state depends.
#[derive(Clone, Debug)]
pub struct DeliveryRules<'a> {
    /// Rounds so far that used up a try.
    pub tries: u32,
    /// Attempts so far with the outcome `unknown`: each of them may have sent a copy.
    pub unknown_attempts: u32,
    /// Number of `unknown` attempts after which the message is sent again.
    pub unknown_retries: u32,
    /// True if the message must not be sent again as soon as one copy may have been sent.
    pub at_most_once: bool,
    /// The time after which the delivery is not tried again.
    pub expires_at: DateTime<Utc>,
    /// The expiry that the client asked for.
    pub client_expires_at: Option<DateTime<Utc>>,
    /// The channel's retry policy.
    pub retry: &'a RetryPolicy,
}

/// The state after a round, the tries used up so far, and the expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryTransition {
    /// The new state.
    pub state: DeliveryState,
    /// Rounds that used up a try, this one included.
    pub tries: u32,
    /// The time after which the delivery is not tried again; later than before if a provider asked for a wait.
    pub expires_at: DateTime<Utc>,
}

impl DeliveryRules<'_> {
    /// Returns why the message is not sent again after one more `unknown` attempt; none if it is sent again.
    fn reason_against_copy(&self, reason: &str) -> Option<String> {
        let (unknown_attempts, unknown_retries) = (self.unknown_attempts + 1, self.unknown_retries);
        if self.at_most_once {
            return Some(format!("not sent again, the message is at_most_once: {reason}"));
        }
        (unknown_attempts > unknown_retries).then(|| {
            format!(
                "not sent again, attempts without an answer: {unknown_attempts}, unknown_retries = \
                 {unknown_retries}: {reason}"
            )
        })
    }
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
        let transition = |state, tries| DeliveryTransition { state, tries, expires_at: rules.expires_at };
        let end_without_try =
            |failure, reason: String| transition(Self::failed(failure, reason, now), rules.tries);
        let end_try = |state| transition(state, rules.tries + 1);
        let after_unknown = |reason: String| match rules.reason_against_copy(&reason) {
            Some(reason) => end_try(Self::failed(Failure::Unknown, reason, now)),
            None => retry(reason, None),
        };
        match end {
            RoundEnd::AllFailed { reason } => retry(reason, None),
            RoundEnd::NoProviderAvailable { retry_after, reason, is_requested_by_provider } => {
                let requested = is_requested_by_provider.then_some(retry_after);
                Self::wait(retry_after, requested, reason, rules, now)
            }
            RoundEnd::Expired => end_without_try(Failure::Expired, expired_reason(rules.tries)),
            RoundEnd::NoUsableAddress { reason } => end_without_try(Failure::InvalidRecipient, reason),
            RoundEnd::ClaimLost => after_unknown("the worker stopped during the call".to_owned()),
            RoundEnd::Decided { provider, outcome } => match outcome {
                Outcome::Accepted { reference } => end_try(Self::Sent { provider, reference, at: now }),
                Outcome::Rejected { reason } => end_try(Self::failed(Failure::Rejected, reason, now)),
                Outcome::InvalidRecipient { reason } => {
                    end_try(Self::failed(Failure::InvalidRecipient, reason, now))
                }
                Outcome::Deferred { reason, retry_after } => retry(reason, retry_after),
                Outcome::Unavailable { reason } | Outcome::Misconfigured { reason } => retry(reason, None),
                Outcome::Throttled { retry_after } => {
                    let delay = retry_after.unwrap_or(rules.retry.base);
                    Self::wait(delay, Some(delay), THROTTLED_REASON.to_owned(), rules, now)
                }
                Outcome::Unknown { reason } => after_unknown(reason),
            },
        }
    }

    /// Waits for the next try after a failed round, or fails if the tries are used up.
    fn retry_later(
        reason: String,
        retry_after: Option<Duration>,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
        random: f64,
    ) -> DeliveryTransition {
        let tries = rules.tries + 1;
        if rules.retry.is_exhausted(tries) {
            let reason = format!("gave up after {tries} tries: {reason}");
            let state = Self::failed(Failure::Exhausted, reason, now);
            return DeliveryTransition { state, tries, expires_at: rules.expires_at };
        }
        let delay = rules.retry.delay(tries, retry_after, random);
        DeliveryTransition { tries, ..Self::wait(delay, retry_after, reason, rules, now) }
    }

    /// Returns the state after a cancellation; none if the message was already sent, because it then cannot be
    /// cancelled.
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

    /// Returns the state after an operator requeued the delivery; none if that changes nothing. A failed delivery waits
    /// again, unless it was cancelled or suppressed. A waiting delivery becomes due at once.
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

    /// Returns a sentence for operators about the next step of the delivery.
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
            // No receipt may ever arrive, because not every provider sends receipts.
            Self::Sent { provider, .. } => format!("none, unless {provider} sends a receipt"),
            Self::Delivered { .. } => "none: delivered".to_owned(),
            Self::Failed { failure, reason, .. } if reason.contains(failure.description()) => {
                format!("none: {reason}")
            }
            Self::Failed { failure, reason, .. } => format!("none: {} ({reason})", failure.description()),
        }
    }
}

/// Returns the reason of a delivery that has expired after this number of tries.
fn expired_reason(tries: u32) -> String {
    match tries {
        0 => "expired before it could be sent".to_owned(),
        tries => format!("expired, failed tries: {tries}"),
    }
}

#[cfg(test)]
mod tests;
