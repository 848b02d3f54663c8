//! Status of a provider for pages and metrics.

use crate::circuit::ProviderCircuit;
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::provider_control::ProviderControl;

/// State of a provider that an operator has paused, shown instead of its circuit breaker's state.
const PAUSED: &str = "paused";

/// Status of a provider, for pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRuntimeStatus {
    /// Circuit state, or `paused`.
    pub state: &'static str,
    /// Description of the state.
    pub detail: String,
    /// True if calls are allowed.
    pub is_available: bool,
    /// Calls in flight.
    pub in_flight: usize,
    /// True if an operator has paused the provider.
    pub is_paused: bool,
}

impl ProviderRuntimeStatus {
    /// Returns whether a resume would change anything. A cooldown is not ended by a resume.
    pub fn can_resume(&self) -> bool {
        self.state != CircuitState::Closed.as_str()
    }

    /// Returns the status of a circuit at `now`.
    pub(super) fn new(circuit: &ProviderCircuit, in_flight: usize, now: Timestamp) -> Self {
        let circuit_state = circuit.breaker.state();
        let cooldown_until = circuit.cooldown_until(now).filter(|_| *circuit_state == CircuitState::Closed);
        let pause = circuit.active_pause();
        let (state, detail) = match (pause, cooldown_until) {
            (Some(control), _) => (PAUSED, pause_description(control)),
            (None, Some(until)) => {
                let until = until.format("%H:%M:%S UTC");
                (circuit_state.as_str(), format!("in cooldown (throttled); gets no calls until {until}"))
            }
            (None, None) => (circuit_state.as_str(), circuit_state.description()),
        };
        Self { state, detail, is_available: circuit.is_available(now), in_flight, is_paused: pause.is_some() }
    }
}

fn pause_description(control: &ProviderControl) -> String {
    let by = if control.requested_by.is_empty() { "an operator" } else { control.requested_by.as_str() };
    let at = control.at.format("%Y-%m-%d %H:%M UTC");
    format!("paused by {by} on {at}; gets no calls until it is resumed")
}
