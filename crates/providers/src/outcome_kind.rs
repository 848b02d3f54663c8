//! An outcome's word before its circumstances are known: what rules and mocks are configured with.
//!
//! Turns into an outcome once there is a reason and a time to wait. Never decides anything by itself.

use std::time::Duration;

use serde::Deserialize;

use postrider_core::attempt::Outcome;

/// Which outcome it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeKind {
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
    /// The outcome, with what is known of its circumstances; parts it has no place for are dropped.
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
}
