//! One call to one provider and its outcome.
//!
//! Adapters create outcomes; everything else reads them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use strum::{IntoStaticStr, VariantNames};

use crate::name::ConfigName;
use crate::text_enum::to_array;

/// The outcome of a call to a provider. A failure is data, not an error.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The provider has accepted the message.
    Accepted {
        /// The provider's id of the message, which its receipts carry.
        reference: Option<String>,
    },
    /// The provider cannot deliver to this recipient now (handset off, mailbox full, greylisting). The delivery is
    /// retried later.
    Deferred {
        /// The reason that the provider gave.
        reason: String,
        /// The delay that the provider requested.
        retry_after: Option<Duration>,
    },
    /// The provider cannot take the message now. The next provider is tried at once.
    Unavailable {
        /// The cause.
        reason: String,
    },
    /// The provider refused the call because the rate is too high. A cooldown of the provider begins; no try is used up.
    Throttled {
        /// The delay that the provider requested.
        retry_after: Option<Duration>,
    },
    /// The provider will never accept this message.
    Rejected {
        /// The reason that the provider gave.
        reason: String,
    },
    /// The address does not exist; the recipient becomes inactive.
    InvalidRecipient {
        /// The reason that the provider gave.
        reason: String,
    },
    /// Our account or settings seem to be wrong. When several messages in a row have this outcome, the provider is
    /// misconfigured: it gets only probes until one of them succeeds.
    Misconfigured {
        /// The reason that the provider gave.
        reason: String,
    },
    /// No answer after the request had left: the message may or may not have been sent.
    Unknown {
        /// Why there was no answer.
        reason: String,
    },
}

/// Reason of an attempt that stands for a round without a recorded end.
pub const LOST_ROUND_REASON: &str = "the worker stopped during the call";

impl Outcome {
    /// The names in stores, APIs and metrics, in the order of the enum.
    pub const NAMES: [&'static str; Self::VARIANTS.len()] = to_array(Self::VARIANTS);

    /// Returns the name in stores, APIs and metrics.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Returns whether the outcome concerns only the provider, so that the next provider is tried at once.
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

    /// Returns the provider's id of the message; none if the provider did not accept it or gave no id.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Accepted { reference } => reference.as_deref(),
            Self::Deferred { .. }
            | Self::Unavailable { .. }
            | Self::Throttled { .. }
            | Self::Rejected { .. }
            | Self::InvalidRecipient { .. }
            | Self::Misconfigured { .. }
            | Self::Unknown { .. } => None,
        }
    }

    /// Returns the reason; none if the message was accepted.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted { .. } => None,
            Self::Throttled { .. } => Some(THROTTLED_REASON),
            Self::Deferred { reason, .. }
            | Self::Unavailable { reason }
            | Self::Rejected { reason }
            | Self::InvalidRecipient { reason }
            | Self::Misconfigured { reason }
            | Self::Unknown { reason } => Some(reason),
        }
    }
}

/// The reason of [`Outcome::Throttled`], for operators.
pub(crate) const THROTTLED_REASON: &str = "the provider throttled the request";

/// A finished call to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The provider; none when the worker stopped during the call and it is unknown which provider it called.
    pub provider: Option<ConfigName>,
    /// The outcome.
    pub outcome: Outcome,
    /// The provider's own code (`30003`, `HTTP 503`).
    pub code: Option<String>,
    /// The start of the call.
    pub at: DateTime<Utc>,
    /// The duration of the call.
    pub duration: Duration,
    /// The address that was used, if the delivery had several.
    pub address: Option<String>,
}

/// The result of an adapter's send: the outcome and the provider code behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// The outcome.
    pub outcome: Outcome,
    /// The provider's own code, for operators.
    pub code: Option<String>,
}

impl From<Outcome> for SendResult {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, code: None }
    }
}
