//! The options of a simulation, parsed and checked by the caller.

use crate::mock_sender::{MockSender, ReceiptRatios};

/// Calls in flight of a sender whose calls take no time, unless an option sets it.
const INSTANT_SENDER_CONCURRENCY: u32 = 1_024;

/// Options of one simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulateOptions {
    /// Number of single messages; ignored with an audience.
    pub messages: u32,
    /// The senders, at least one.
    pub senders: Vec<MockSender>,
    /// Calls of each sender in flight.
    pub concurrency: Option<u32>,
    /// True if failed calls are retried.
    pub has_retries: bool,
    /// Random seed: repeats messages and results.
    pub seed: Option<u32>,
    /// URL of an empty store to use and keep; a temporary store without it.
    pub store_url: Option<String>,
    /// Users and their broadcasts, instead of single messages.
    pub audience: Option<SimulationAudience>,
}

/// Users of a simulation and the broadcasts they get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulationAudience {
    /// Number of users to register.
    pub users: u32,
    /// Number of broadcasts to all of them.
    pub broadcasts: u32,
    /// Receipts of the messages.
    pub receipt_ratios: ReceiptRatios,
}

impl SimulateOptions {
    /// Returns the number of messages that a whole run accepts.
    pub fn message_count(&self) -> u32 {
        self.audience.map_or(self.messages, |audience| audience.users.saturating_mul(audience.broadcasts))
    }

    /// Returns the number of calls that a sender has in flight.
    pub fn concurrency_of(&self, sender: MockSender) -> u32 {
        let default = if sender.mean_time.is_zero() { INSTANT_SENDER_CONCURRENCY } else { 1 };
        self.concurrency.unwrap_or(default)
    }
}
