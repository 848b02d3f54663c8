//! Pausing and resuming of providers by operators.
//!
//! The store keeps the last action for each provider, which holds for every process until the next action. A pause
//! takes precedence over the circuit breaker: a paused provider gets no calls even if its circuit is closed.

use chrono::{DateTime, Utc};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::name::ConfigName;
use crate::text_enum::text_enum;

/// The last action of an operator on a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderControl {
    /// The provider.
    pub provider: ConfigName,
    /// The action.
    pub action: ControlAction,
    /// The name of the API key of the operator; empty without keys.
    pub requested_by: String,
    /// The time of the action.
    pub at: DateTime<Utc>,
}

/// An action of an operator on a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ControlAction {
    /// The provider gets no calls until it is resumed.
    Pause,
    /// The provider gets calls at once; its circuit is closed.
    Resume,
}

text_enum!(ControlAction);
