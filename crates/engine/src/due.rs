//! Finds due deliveries: in the queue, or in the store when the queue has none.
//!
//! The queue is a hint and may lack entries or hold outdated entries. [`MoreDue`] tells the worker loop whether the next
//! search waits for the queue, or reads the store at once. Nothing is claimed here.

use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::id::DeliveryId;
use std::time::Duration;

use crate::gateway::Gateway;

/// Maximum number of due deliveries that one refill pushes from the store to an empty queue, in addition to the
/// deliveries that are claimed at once.
const QUEUE_REFILL_MAX: usize = 1_000;

/// Maximum time to wait for entries that were pushed to the queue.
const REFILLED_QUEUE_WAIT: Duration = Duration::from_millis(20);

/// Number of reads from the store after most entries of the queue were outdated. Afterwards the queue is read again.
const STORE_POLLS_WHEN_BEHIND: u32 = 64;

/// Result of a search for due deliveries.
#[derive(Debug, Default)]
pub struct DueDeliveries {
    /// Ids to claim, no more than the capacity.
    pub ids: Vec<DeliveryId>,
    /// Further due deliveries.
    pub more: MoreDue,
}

/// Knowledge about due deliveries beyond the ids that a search returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MoreDue {
    /// No further deliveries are known.
    #[default]
    NoneKnown,
    /// The store has more, and they were pushed to the queue.
    PushedToQueue,
    /// Further due deliveries were pushed to the queue, and the queue returns them.
    DeliveredByQueue,
    /// Other workers had claimed most of the entries that the queue returned, so the queue of this process is outdated.
    /// This number of further reads is from the store.
    QueueBehind(u32),
}

impl MoreDue {
    /// Returns the state after a claim of `requested` ids of which this worker won `won`.
    pub fn after_claim(self, won: usize, requested: usize) -> Self {
        let is_overtaken = won < requested && 2 * won <= requested;
        if is_overtaken && !matches!(self, Self::QueueBehind(_)) {
            return Self::QueueBehind(STORE_POLLS_WHEN_BEHIND);
        }
        self
    }
}

/// Returns ids to claim, no more than the capacity: from the queue, or from the store if the queue returns
/// none within `wait`. Dropping the future loses queue entries at most, never a delivery.
pub async fn find_due(
    gateway: &Gateway,
    capacity_source: &dyn CapacitySource,
    wait: Duration,
) -> DueDeliveries {
    let due_ids = gateway.queue.pop(capacity_source, gateway.clock.now(), wait).await;
    if !due_ids.is_empty() {
        return DueDeliveries { ids: due_ids, more: MoreDue::NoneKnown };
    }
    let capacity = capacity_source.capacity();
    let refill_capacity = capacity.clone().increased_by(QUEUE_REFILL_MAX);
    poll_store(gateway, &capacity, &refill_capacity).await
}

/// Returns ids to claim after a search that left due deliveries in the store. If the queue does not return the entries
/// that were pushed, it counts as unavailable: this function then neither waits for the queue nor refills it. If the
/// queue returned them and is empty again, it is refilled.
pub async fn find_more_due(
    gateway: &Gateway,
    capacity_source: &dyn CapacitySource,
    more: MoreDue,
) -> DueDeliveries {
    let (wait, refill_max) = match more {
        MoreDue::QueueBehind(polls) => return find_due_in_store(gateway, capacity_source, polls).await,
        MoreDue::DeliveredByQueue => (Duration::ZERO, QUEUE_REFILL_MAX),
        MoreDue::PushedToQueue | MoreDue::NoneKnown => (REFILLED_QUEUE_WAIT, 0),
    };
    let due_ids = gateway.queue.pop(capacity_source, gateway.clock.now(), wait).await;
    if !due_ids.is_empty() {
        return DueDeliveries { ids: due_ids, more: MoreDue::DeliveredByQueue };
    }
    let capacity = capacity_source.capacity();
    let refill_capacity = capacity.clone().increased_by(refill_max);
    let polled = poll_store(gateway, &capacity, &refill_capacity).await;
    let more = if polled.ids.is_empty() { MoreDue::NoneKnown } else { MoreDue::PushedToQueue };
    DueDeliveries { more, ..polled }
}

/// Returns due deliveries from the store, without the queue, for `polls` more reads or until none is due.
async fn find_due_in_store(
    gateway: &Gateway,
    capacity_source: &dyn CapacitySource,
    polls: u32,
) -> DueDeliveries {
    let capacity = capacity_source.capacity();
    let due = poll_store(gateway, &capacity, &capacity).await;
    let more = match polls.checked_sub(1) {
        Some(polls_left) if !due.ids.is_empty() => MoreDue::QueueBehind(polls_left),
        _ => MoreDue::NoneKnown,
    };
    DueDeliveries { more, ..due }
}

/// Returns `capacity` of the due deliveries in the store, and pushes further due deliveries, up to `refill_capacity`,
/// to the queue.
async fn poll_store(gateway: &Gateway, capacity: &Capacity, refill_capacity: &Capacity) -> DueDeliveries {
    let due = match gateway.store.due(gateway.clock.now(), refill_capacity).await {
        Ok(due) => due,
        Err(error) => {
            let log_message = "deliver: reading due deliveries failed";
            gateway.back_off_after_store_error(log_message, &error).await;
            return DueDeliveries::default();
        }
    };
    let (taken_entries, remaining_entries) = capacity.split(due, |entry| &entry.channel);
    gateway.queue.push(&remaining_entries);
    DueDeliveries {
        ids: taken_entries.into_iter().map(|entry| entry.id).collect(),
        more: if remaining_entries.is_empty() { MoreDue::NoneKnown } else { MoreDue::PushedToQueue },
    }
}

#[cfg(test)]
mod tests;
