//! The simulation: messages pass through the real engine with mock senders, and the result is compared with theory.
//!
//! Every sender is a separate gateway with one mock provider. All gateways share one store and one queue, as processes
//! do. The store is temporary, or an empty store that the caller names; a store with messages or users is refused.
//! System D (single messages) and system E (broadcasts to users) are the references.

mod broadcast_result;
mod broadcast_run;
mod environment;
mod message_run;
mod options;
mod outcome;
mod progress;
mod senders;
mod table;
mod theory;

pub use options::{SimulateOptions, SimulationAudience};
pub use outcome::SimulationOutcome;
pub use progress::SimulationProgress;

use crate::interrupts::Interrupts;
use environment::SimulationEnvironment;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::Config;
use progress::ProgressFn;

/// Runs a simulation with the channel and limits of `configured`, and returns its result.
///
/// The first interrupt ends the run early, the second one aborts it.
///
/// # Errors
///
/// Returns a usage error if the store is not empty, and another error if the store fails or a task stops unexpectedly.
pub async fn simulate(
    configured: Config,
    simulate_options: &SimulateOptions,
    interrupts: &Interrupts,
    on_progress: ProgressFn<'_>,
) -> Result<SimulationOutcome> {
    let simulation = tokio::select! {
        simulation = SimulationEnvironment::open(configured, simulate_options) => simulation?,
        () = interrupts.wait_for_first() => {
            return Err(Error::new(ErrorKind::Unavailable, "interrupted before the start"));
        }
    };
    let mut outcome = match &simulate_options.audience {
        Some(audience) => {
            broadcast_run::run(&simulation, audience, simulate_options.seed, interrupts, on_progress).await?
        }
        None => message_run::run(&simulation, simulate_options, interrupts, on_progress).await?,
    };
    outcome.text.push_str(&simulation.kept_store_hint());
    Ok(outcome)
}
