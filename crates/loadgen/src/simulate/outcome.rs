//! The result of a simulation and its check against the expected values.

use postrider_core::error::{Error, ErrorKind, Result};

/// Result of a simulation.
#[derive(Clone, Debug)]
pub struct SimulationOutcome {
    /// The text to print.
    pub text: String,
    /// Values outside their range and counts that disagree.
    pub faults: Vec<String>,
    /// True if an interrupt ended the run early.
    pub is_interrupted: bool,
}

impl SimulationOutcome {
    /// Returns an error when the run was interrupted or its result is not the expected one.
    pub fn check(&self) -> Result<()> {
        if self.is_interrupted {
            return Err(Error::new(ErrorKind::Unavailable, "interrupted; the table shows partial results"));
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        let faults = self.faults.join("; ");
        Err(Error::new(
            ErrorKind::Conflict,
            format!("simulation result outside the expected range: {faults}"),
        ))
    }
}
