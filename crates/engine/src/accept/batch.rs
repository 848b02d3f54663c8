//! Accepts many messages in one transaction, with one push to the queue.
//!
//! For callers that create messages by the thousand. Validation and storing are separate steps, so that a caller can
//! validate the next batch while the store writes this batch.

use super::request::{AcceptError, AcceptRequest};
use super::validate::{PendingAcceptance, validate};
use crate::gateway::Gateway;
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::{broadcast::FanOutStep, error::Result};

/// Validated messages that can be stored together.
#[derive(Default)]
pub struct AcceptBatch {
    messages: Vec<NewMessage>,
    pending: Vec<PendingAcceptance>,
}

impl AcceptBatch {
    /// Validates a message and adds it to the batch.
    pub fn add(&mut self, gateway: &Gateway, request: AcceptRequest) -> std::result::Result<(), AcceptError> {
        let (message, pending) = validate(gateway, request)
            .inspect_err(|error| gateway.metrics.count_refused(error.metric_label()))?;
        self.messages.push(message);
        self.pending.push(pending);
        Ok(())
    }

    /// Returns the number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether the batch has no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Stores all messages or none, and returns how many were accepted. Messages to inactive or opted-out
    /// recipients are not counted.
    pub async fn store(self, gateway: &Gateway) -> Result<u64> {
        if self.is_empty() {
            return Ok(0);
        }
        let acceptances = gateway.store.accept(self.messages).await.inspect_err(|_| {
            gateway.metrics.store_errors.inc();
        })?;
        Ok(enqueue_accepted(gateway, self.pending, &acceptances))
    }

    /// Stores the messages as one step of a broadcast, all or none. Returns the number of accepted messages, or `None` if
    /// another process has done this step.
    pub async fn store_fan_out_step(self, gateway: &Gateway, step: FanOutStep) -> Result<Option<u64>> {
        let acceptances = gateway.store.fan_out(step, self.messages).await?;
        Ok(acceptances.map(|acceptances| enqueue_accepted(gateway, self.pending, &acceptances)))
    }
}

/// Counts accepted messages, pushes their deliveries to the queue, and returns the number of accepted messages.
fn enqueue_accepted(gateway: &Gateway, pending: Vec<PendingAcceptance>, acceptances: &[Acceptance]) -> u64 {
    let (mut accepted_count, mut queue_entries) = (0, Vec::with_capacity(acceptances.len()));
    for (pending, acceptance) in pending.into_iter().zip(acceptances) {
        match pending.complete(Some(acceptance)) {
            Ok((_, message_entries)) => {
                accepted_count += 1;
                queue_entries.extend(message_entries);
            }
            Err(error) => gateway.metrics.count_refused(error.metric_label()),
        }
    }
    gateway.metrics.accepted.inc_by(accepted_count);
    gateway.queue.push(&queue_entries);
    accepted_count
}
