//! The state machine of a delivery: one message over one channel to one recipient.
//!
//! States change in this file only: after a round of calls ([`State::after`]), after a receipt
//! ([`State::receive`]), and by an operator ([`State::cancel`], [`State::revive`]). No wildcard arms.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::attempt::Outcome;
use crate::clock::saturating_add;
use crate::name::ConfigName;
use crate::receipt::ReceiptStatus;
use crate::retry::{RetryPolicy, UnknownPolicy};

/// Where a delivery stands, with the facts of that standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not sent yet, or to be sent again.
    Waiting {
        /// From when on a worker may claim it.
        due_at: DateTime<Utc>,
        /// Why it still waits, in words for the operator; none before the first round.
        reason: Option<String>,
    },
    /// A provider has taken it.
    Sent {
        /// Which one.
        provider: ConfigName,
        /// The provider's id, if it gave one.
        reference: Option<String>,
        /// When it was taken.
        at: DateTime<Utc>,
    },
    /// A receipt says that it reached the person.
    Delivered {
        /// When.
        at: DateTime<Utc>,
    },
    /// It will not be sent (again) unless an operator asks.
    Failed {
        /// Of which kind.
        failure: Failure,
        /// In words for the operator.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
}

/// Why a delivery failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A provider refuses this message.
    Rejected,
    /// The address is dead.
    InvalidRecipient,
    /// The recipient was inactive or had opted out when the message came.
    Suppressed,
    /// Every allowed try was used up.
    Exhausted,
    /// It grew too old.
    Expired,
    /// A provider took it and reported later that it did not arrive.
    Bounced,
    /// A client or an operator called it off.
    Cancelled,
    /// A provider went silent and the channel's policy is to hold.
    Unknown,
}

impl Failure {
    /// Every failure, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Rejected,
        Self::InvalidRecipient,
        Self::Suppressed,
        Self::Exhausted,
        Self::Expired,
        Self::Bounced,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// The word that stores and faces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::InvalidRecipient => "invalid_recipient",
            Self::Suppressed => "suppressed",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Bounced => "bounced",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == word)
    }
}

/// The four states without their facts: what totals count and searches ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStateKind {
    /// See [`State::Waiting`].
    Waiting,
    /// See [`State::Sent`].
    Sent,
    /// See [`State::Delivered`].
    Delivered,
    /// See [`State::Failed`].
    Failed,
}

impl DeliveryStateKind {
    /// Every standing, in the order of a delivery's life.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Delivered, Self::Failed];

    /// The word that stores and faces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word)
    }
}

/// What one round over a channel's providers came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundEnd {
    /// A provider said something that ends the round.
    Decided {
        /// Which provider.
        provider: ConfigName,
        /// What it said; never an outcome that asks for the next provider.
        outcome: Outcome,
    },
    /// Every provider was asked or skipped, and at least one of those asked failed.
    AllFailed {
        /// The last failure, in words.
        reason: String,
    },
    /// No provider could be asked now (resting, paused, at its limit): nothing failed, no try is used up.
    NoProviderAvailable {
        /// When one is expected to be free.
        retry_after: Duration,
        /// Why nobody was, in words.
        reason: String,
    },
    /// An earlier round was claimed and never recorded: its worker died, perhaps in mid-call.
    ClaimLost,
    /// It was claimed after the moment at which it expires; nobody was asked.
    Expired,
    /// None of the channel's providers can use an address that the recipient has; nobody was asked.
    NoUsableAddress {
        /// In words for the operator.
        reason: String,
    },
}

/// What is left to a delivery that a provider reports as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemainingAlternatives {
    /// How often a bounce may still send it through another provider.
    pub resends: u32,
    /// How many other addresses of the recipient the channel's providers can use.
    pub addresses: usize,
}

/// What the state machine needs to know of a delivery and its channel.
#[derive(Clone, Debug)]
pub struct DeliveryRules<'a> {
    /// Rounds that used up a try so far.
    pub tries: u32,
    /// After this moment the delivery is not tried again.
    pub expires_at: DateTime<Utc>,
    /// The channel's retry numbers.
    pub retry: &'a RetryPolicy,
    /// The channel's policy for silence.
    pub unknown_policy: UnknownPolicy,
}

/// The new state and how many tries are used up with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryTransition {
    /// The new state.
    pub state: DeliveryState,
    /// Rounds that used up a try, this one included.
    pub tries: u32,
}

impl DeliveryState {
    /// The state without its facts.
    pub fn kind(&self) -> DeliveryStateKind {
        match self {
            Self::Waiting { .. } => DeliveryStateKind::Waiting,
            Self::Sent { .. } => DeliveryStateKind::Sent,
            Self::Delivered { .. } => DeliveryStateKind::Delivered,
            Self::Failed { .. } => DeliveryStateKind::Failed,
        }
    }

    /// A failed state.
    pub fn failed(failure: Failure, reason: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self::Failed {
            failure,
            reason: reason.into(),
            at,
        }
    }

    /// The state that follows a round: the only change after a send.
    pub fn after(
        end: RoundEnd,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
        luck: f64,
    ) -> DeliveryTransition {
        let again = |reason: String, retry_after| Self::retry_later(reason, retry_after, rules, now, luck);
        let done = |state| DeliveryTransition {
            state,
            tries: rules.tries + 1,
        };
        match end {
            RoundEnd::AllFailed { reason } => again(reason, None),
            RoundEnd::NoProviderAvailable { retry_after, reason } => {
                Self::postpone(retry_after, reason, rules, now)
            }
            RoundEnd::Expired => DeliveryTransition {
                state: Self::failed(Failure::Expired, "too old before it could be sent", now),
                tries: rules.tries,
            },
            RoundEnd::NoUsableAddress { reason } => DeliveryTransition {
                state: Self::failed(Failure::InvalidRecipient, reason, now),
                tries: rules.tries,
            },
            RoundEnd::ClaimLost => match rules.unknown_policy {
                UnknownPolicy::Resend => again("a worker died while sending".to_owned(), None),
                UnknownPolicy::Hold => {
                    done(Self::failed(Failure::Unknown, "a worker died while sending", now))
                }
            },
            RoundEnd::Decided { provider, outcome } => match outcome {
                Outcome::Accepted { reference } => done(Self::Sent {
                    provider,
                    reference,
                    at: now,
                }),
                Outcome::Rejected { reason } => done(Self::failed(Failure::Rejected, reason, now)),
                Outcome::InvalidRecipient { reason } => {
                    done(Self::failed(Failure::InvalidRecipient, reason, now))
                }
                Outcome::Deferred { reason, retry_after } => again(reason, retry_after),
                Outcome::Unavailable { reason } | Outcome::Misconfigured { reason } => again(reason, None),
                Outcome::Throttled { retry_after } => Self::postpone(
                    retry_after.unwrap_or(rules.retry.base),
                    "too fast for the provider".to_owned(),
                    rules,
                    now,
                ),
                Outcome::Unknown { reason } => match rules.unknown_policy {
                    UnknownPolicy::Resend => again(reason, None),
                    UnknownPolicy::Hold => done(Self::failed(Failure::Unknown, reason, now)),
                },
            },
        }
    }

    /// Later again after a failed round, unless the tries or the time are used up.
    fn retry_later(
        reason: String,
        retry_after: Option<Duration>,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
        luck: f64,
    ) -> DeliveryTransition {
        let tries = rules.tries + 1;
        let due_at = saturating_add(now, rules.retry.delay(tries, retry_after, luck));
        let state = if rules.retry.is_exhausted(tries) {
            Self::failed(
                Failure::Exhausted,
                format!("gave up after {tries} tries: {reason}"),
                now,
            )
        } else if due_at >= rules.expires_at {
            Self::failed(
                Failure::Expired,
                format!("would be too late at the next try: {reason}"),
                now,
            )
        } else {
            Self::Waiting {
                due_at,
                reason: Some(reason),
            }
        };
        DeliveryTransition { state, tries }
    }

    /// Later again although nothing failed; no try is used up.
    fn postpone(
        retry_after: Duration,
        reason: String,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
    ) -> DeliveryTransition {
        let due_at = saturating_add(now, retry_after);
        let state = if due_at >= rules.expires_at {
            Self::failed(
                Failure::Expired,
                format!("would be too late at the next try: {reason}"),
                now,
            )
        } else {
            Self::Waiting {
                due_at,
                reason: Some(reason),
            }
        };
        DeliveryTransition {
            state,
            tries: rules.tries,
        }
    }

    /// The state that follows a receipt for what `Sent` describes, or none when the receipt changes nothing.
    ///
    /// A receipt never moves a state backwards: what has ended stays as it ended. What failed for one address goes
    /// out to another one that is `left`.
    pub fn apply_receipt(
        &self,
        verdict: &ReceiptStatus,
        at: DateTime<Utc>,
        left: RemainingAlternatives,
    ) -> Option<Self> {
        match self {
            Self::Waiting { .. } | Self::Delivered { .. } | Self::Failed { .. } => None,
            Self::Sent { .. } => Some(match verdict {
                ReceiptStatus::Delivered | ReceiptStatus::Opened => Self::Delivered { at },
                ReceiptStatus::Invalid { reason } if left.addresses > 0 => Self::Waiting {
                    due_at: at,
                    reason: Some(format!("sent again to another address: {reason}")),
                },
                ReceiptStatus::Invalid { reason } => Self::failed(Failure::InvalidRecipient, reason, at),
                ReceiptStatus::Bounced { reason } if left.resends > 0 => Self::Waiting {
                    due_at: at,
                    reason: Some(format!("sent again elsewhere: {reason}")),
                },
                ReceiptStatus::Bounced { reason } => Self::failed(Failure::Bounced, reason, at),
            }),
        }
    }

    /// The state after a client calls the delivery off, or none when it is too late for that.
    pub fn cancel(&self, now: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Waiting { .. } => Some(Self::failed(
                Failure::Cancelled,
                "called off before it was sent",
                now,
            )),
            Self::Sent { .. } | Self::Delivered { .. } | Self::Failed { .. } => None,
        }
    }

    /// The state after its recipient opted out or was called inactive, or none when it is too late for that.
    pub fn suppress(&self, now: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Waiting { .. } => Some(Self::failed(
                Failure::Suppressed,
                "the recipient became inactive or opted out",
                now,
            )),
            Self::Sent { .. } | Self::Delivered { .. } | Self::Failed { .. } => None,
        }
    }

    /// The state after an operator asks to send the delivery at once: what failed waits again, unless it was called off
    /// or must not be written to; what waits for later waits no longer. None when that changes nothing.
    pub fn requeue(&self, now: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Failed { failure, .. } => match failure {
                Failure::Cancelled | Failure::Suppressed => None,
                Failure::Rejected
                | Failure::InvalidRecipient
                | Failure::Exhausted
                | Failure::Expired
                | Failure::Bounced
                | Failure::Unknown => Some(Self::Waiting {
                    due_at: now,
                    reason: Some("sent again by an operator".to_owned()),
                }),
            },
            Self::Waiting { due_at, reason } => (*due_at > now).then(|| Self::Waiting {
                due_at: now,
                reason: reason.clone(),
            }),
            Self::Sent { .. } | Self::Delivered { .. } => None,
        }
    }

    /// What happens next, in words for a person.
    pub fn describe_next_step(&self, now: DateTime<Utc>) -> String {
        match self {
            Self::Waiting { due_at, reason } => {
                let when = if *due_at <= now {
                    "it is due now and goes out as soon as a worker is free".to_owned()
                } else {
                    format!("it is tried again at {}", due_at.format("%Y-%m-%d %H:%M:%S UTC"))
                };
                match reason {
                    Some(reason) => format!("{when}; it waits because: {reason}"),
                    None => when,
                }
            }
            Self::Sent { provider, .. } => format!("{provider} has it; its receipt is awaited"),
            Self::Delivered { .. } => "nothing more: it has arrived".to_owned(),
            Self::Failed { failure, reason, .. } => {
                format!("nothing more: {} ({reason})", failure.description())
            }
        }
    }
}

impl Failure {
    /// The failure in words for a person.
    fn description(self) -> &'static str {
        match self {
            Self::Rejected => "the provider refuses this message",
            Self::InvalidRecipient => "the address does not exist",
            Self::Suppressed => "the recipient is not to be written to",
            Self::Exhausted => "every try was used up",
            Self::Expired => "it grew too old",
            Self::Bounced => "the provider could not deliver it",
            Self::Cancelled => "it was called off",
            Self::Unknown => "nobody knows whether it was sent, and this channel does not risk a second one",
        }
    }
}

#[cfg(test)]
mod tests;
