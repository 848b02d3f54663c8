//! One call to one provider, and what it came to.
//!
//! Only an adapter makes an outcome; everything else reads it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::name::ConfigName;

/// What a call to a provider came to. Failure is ordinary data here, never an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has taken the message; `reference` is its own id for it, if it gave one.
    Accepted {
        /// The provider's id, which its receipts will carry.
        reference: Option<String>,
    },
    /// Not now for this recipient (handset off, mailbox full, greylisted).
    Deferred {
        /// In the provider's words, for the operator.
        reason: String,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Not now for this provider; the next one is tried at once.
    Unavailable {
        /// What went wrong.
        reason: String,
    },
    /// We go too fast for this provider; it is paused, and no try is used up.
    Throttled {
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Never for this message.
    Rejected {
        /// In the provider's words, for the operator.
        reason: String,
    },
    /// Never for this address; the recipient becomes inactive.
    InvalidRecipient {
        /// In the provider's words, for the operator.
        reason: String,
    },
    /// Our account or settings are wrong; the provider leaves the rotation until the next start.
    Misconfigured {
        /// What the provider objects to.
        reason: String,
    },
    /// Silence after the request had left: it may or may not have been sent.
    Unknown {
        /// What is known about the silence.
        reason: String,
    },
}

impl Outcome {
    /// The words the stores, the faces and the metrics use, in the order of the enum.
    pub const NAMES: [&'static str; 8] = [
        "accepted",
        "deferred",
        "unavailable",
        "throttled",
        "rejected",
        "invalid_recipient",
        "misconfigured",
        "unknown",
    ];

    /// The outcome's word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Deferred { .. } => "deferred",
            Self::Unavailable { .. } => "unavailable",
            Self::Throttled { .. } => "throttled",
            Self::Rejected { .. } => "rejected",
            Self::InvalidRecipient { .. } => "invalid_recipient",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Whether this outcome speaks of the provider only, so that the next one should be asked at once.
    pub fn is_about_provider(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Throttled { .. } | Self::Misconfigured { .. } => true,
            Self::Accepted { .. }
            | Self::Deferred { .. }
            | Self::Rejected { .. }
            | Self::InvalidRecipient { .. }
            | Self::Unknown { .. } => false,
        }
    }

    /// The reason, where there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted { .. } => None,
            Self::Throttled { .. } => Some("too fast for the provider"),
            Self::Deferred { reason, .. }
            | Self::Unavailable { reason }
            | Self::Rejected { reason }
            | Self::InvalidRecipient { reason }
            | Self::Misconfigured { reason }
            | Self::Unknown { reason } => Some(reason),
        }
    }
}

/// A finished call: who was asked, what it came to, how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The provider that was asked; none when a worker died and nobody knows whom it was asking.
    pub provider: Option<ConfigName>,
    /// What it came to.
    pub outcome: Outcome,
    /// The provider's own code (`30003`, `HTTP 503`), for the operator.
    pub code: Option<String>,
    /// When the call began.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub duration: Duration,
    /// The address that was used, where the delivery had several.
    pub address: Option<String>,
}

/// What a provider's adapter hands back: the outcome and the raw code behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// What the call came to.
    pub outcome: Outcome,
    /// The provider's own code, kept beside the outcome so that nothing is lost in translation.
    pub code: Option<String>,
}

impl From<Outcome> for SendResult {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, code: None }
    }
}
