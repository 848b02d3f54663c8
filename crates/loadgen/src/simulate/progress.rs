//! Progress of a simulation, for a progress bar of the caller.

use std::time::Duration;

/// Interval at which counters are read.
pub const PROGRESS_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Progress of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulationProgress {
    /// Number of messages that have reached their final state.
    pub finished: u64,
    /// Counters as text.
    pub status: String,
}

/// Function that is called with the progress every [`PROGRESS_POLL_INTERVAL`].
pub type ProgressFn<'f> = &'f dyn Fn(&SimulationProgress);
