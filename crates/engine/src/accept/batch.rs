//! Many messages taken in at once: one transaction for all of them, one nudge for the queue.
//!
//! For whoever makes messages by the thousand beside the faces. Checking a batch takes time and storing it takes
//! time, so they are two steps: the next batch can be checked while this one is written.

use super::{AcceptError, AcceptRequest, Acceptance, NewMessage, PendingAcceptance, validate};
use crate::gateway::Gateway;
use postrider_core::broadcast::FanOutStep;
use postrider_core::error::Result;

/// Messages that were checked and can be stored together.
#[derive(Default)]
pub struct AcceptBatch {
    messages: Vec<NewMessage>,
    pending: Vec<PendingAcceptance>,
}

impl AcceptBatch {
    /// Checks a message and adds it.
    pub fn add(&mut self, gateway: &Gateway, request: AcceptRequest) -> std::result::Result<(), AcceptError> {
        let (message, stub) = validate(gateway, request)
            .inspect_err(|why| gateway.metrics.count_refused(why.metric_label()))?;
        self.messages.push(message);
        self.pending.push(stub);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Stores them; all are on disk when it returns, or none is. How many were taken: those to recipients that may
    /// not be written to are not.
    pub async fn store(self, gateway: &Gateway) -> Result<u64> {
        if self.is_empty() {
            return Ok(0);
        }
        let stored = gateway.store.accept(self.messages).await;
        let stored = stored.inspect_err(|_| {
            gateway.metrics.store_errors.inc();
        })?;
        Ok(enqueue_accepted(gateway, self.pending, &stored))
    }

    /// Stores them as one step of a broadcast, which happens altogether or not at all. None when another has made that
    /// step; else how many were taken.
    pub async fn store_fan_out_step(self, gateway: &Gateway, reach: FanOutStep) -> Result<Option<u64>> {
        let stored = gateway.store.fan_out(reach, self.messages).await?;
        Ok(stored.map(|stored| enqueue_accepted(gateway, self.pending, &stored)))
    }
}

/// Counts what was taken, and tells the workers of it.
fn enqueue_accepted(gateway: &Gateway, stubs: Vec<PendingAcceptance>, stored: &[Acceptance]) -> u64 {
    let (mut taken, mut nudges) = (0, Vec::with_capacity(stored.len()));
    for (stub, acceptance) in stubs.into_iter().zip(stored) {
        match stub.complete(Some(acceptance)) {
            Ok((_, nudged)) => {
                taken += 1;
                nudges.extend(nudged);
            }
            Err(refused) => gateway.metrics.count_refused(refused.metric_label()),
        }
    }
    gateway.metrics.accepted.inc_by(taken);
    gateway.queue.push(&nudges);
    taken
}
