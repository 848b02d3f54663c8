//! State that an account keeps between the messages that its sessions receive.

use std::collections::BTreeSet;

use postrider_core::clock::Timestamp;
use postrider_smpp::assembly::PartAssembler;

/// The state between two received messages.
#[derive(Default)]
pub(super) struct InboundState {
    /// Parts of texts that are not complete.
    pub parts: PartAssembler,
    /// Unknown states that were logged.
    pub unknown_states: BTreeSet<String>,
    /// Time of the last log line about an unreadable message.
    pub logged_at: Option<Timestamp>,
}
