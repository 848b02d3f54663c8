//! Label sets of the metrics.
//!
//! The field names are the label names. Values are bounded by the configuration or by enums of the domain.

use prometheus_client::encoding::EncodeLabelSet;

/// Label set of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProviderLabel {
    pub(super) provider: String,
}

/// Label set of one provider and the outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) provider: String,
    pub(super) outcome: &'static str,
}

/// Label set of one provider and a state of its circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BreakerLabels {
    pub(super) provider: String,
    pub(super) state: &'static str,
}

/// Label set of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ChannelLabel {
    pub(super) channel: String,
}

/// Label set of one channel and a delivery state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) channel: String,
    pub(super) state: &'static str,
}

/// Label set of the reason why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

/// Label set of the result of a receipt, an inbound message or an event attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabel {
    pub(super) result: &'static str,
}
