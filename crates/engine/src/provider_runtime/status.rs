//! Status of a provider for pages and metrics.

use crate::circuit::{PAUSED, ProviderCircuit};
use postrider_core::shared_health::describe_health;
use postrider_core::{circuit_breaker::CircuitState, clock::Timestamp, provider_control::ProviderControl};

/// Status of a provider, for pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRuntimeStatus {
    /// Circuit state, `cooldown` or `paused`.
    pub state: &'static str,
    /// Description of the state.
    pub detail: String,
    /// End of the cooldown that the provider asked for, while it lasts.
    pub cooldown_until: Option<Timestamp>,
    /// True if calls are allowed.
    pub is_available: bool,
    /// Calls in flight.
    pub in_flight: usize,
    /// True if an operator has paused the provider.
    pub is_paused: bool,
}

impl ProviderRuntimeStatus {
    /// Returns whether a resume would change anything.
    pub fn can_resume(&self) -> bool {
        self.state != CircuitState::Closed.as_str()
    }

    /// Returns the status of a circuit at `now`.
    pub(super) fn new(circuit: &ProviderCircuit, in_flight: usize, now: Timestamp) -> Self {
        let cooldown_until = circuit.cooldown_until(now);
        let pause = circuit.active_pause();
        let (state, detail) = match pause {
            Some(control) => (PAUSED, pause_description(control)),
            None => describe_health(circuit.breaker.state(), cooldown_until, now),
        };
        Self {
            state,
            detail,
            cooldown_until,
            is_available: circuit.is_available(now),
            in_flight,
            is_paused: pause.is_some(),
        }
    }
}

fn pause_description(control: &ProviderControl) -> String {
    let operator = if control.requested_by.is_empty() { "an operator" } else { &control.requested_by };
    let paused_at = control.at.format("%Y-%m-%d %H:%M UTC");
    format!("paused by {operator} on {paused_at}; gets no calls until it is resumed")
}
