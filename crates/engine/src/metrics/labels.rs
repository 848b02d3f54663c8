//! What tells series of one name apart.
//!
//! Every label is bounded by the configuration or by the words of the domain; never a number, a user or a message.

use prometheus_client::encoding::EncodeLabelSet;

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProviderLabel {
    pub(super) provider: String,
}

/// A provider and what a call to it came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) provider: String,
    pub(super) outcome: &'static str,
}

/// A provider and how its health is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BreakerLabels {
    pub(super) provider: String,
    pub(super) state: &'static str,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ChannelLabel {
    pub(super) channel: String,
}

/// A channel and a state a delivery moved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) channel: String,
    pub(super) state: &'static str,
}

/// Why a message was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

/// What became of a receipt, or of a text that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabel {
    pub(super) result: &'static str,
}
