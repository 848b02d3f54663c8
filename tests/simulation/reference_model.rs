//! Independent record of a scenario: accepted messages, real sends, claims, recorded rounds and state changes.
//!
//! It is filled from outside the code under test, and a difference between it and the store fails the scenario.

use std::collections::{BTreeMap, BTreeSet};

use postrider_core::attempt::Attempt;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message};
use postrider_core::round::ClaimedDelivery;

use super::coordination_model::CoordinationModel;

/// The expected state of the store.
#[derive(Default)]
pub struct ReferenceModel {
    /// No more faults are injected, so that all waiting deliveries can end.
    pub is_fault_free: bool,
    /// Bodies of the messages that were answered with 2xx.
    pub accepted_bodies: BTreeMap<MessageId, String>,
    /// Messages on disk, with or without an answer to the client.
    pub stored: BTreeSet<MessageId>,
    pub deliveries: BTreeMap<DeliveryId, DeliveryHistory>,
    /// Provider and reference of each send, for receipts.
    pub receipt_references: Vec<(&'static str, String)>,
    /// Pruned messages, as they were when they were deleted.
    pub pruned: Vec<Message>,
    /// Rate limits, probes and job locks.
    pub coordination: CoordinationModel,
    /// Sends of a delivery after its first one; 0 in all scenarios would mean that the faults have no effect.
    pub duplicate_sends: usize,
}

/// The history of one delivery.
pub struct DeliveryHistory {
    pub message: MessageId,
    /// State after the last operation that may change it.
    pub state: DeliveryState,
    /// Latest claimed round.
    pub round: u32,
    /// Latest recorded round.
    pub recorded_round: u32,
    /// Number of recorded rounds.
    pub rounds_recorded: u32,
    /// Number of times a provider really sent it.
    pub sends: u32,
    /// Number of allowed further sends: after bounces and by operators.
    pub allowed_resends: u32,
    /// Outcomes of the attempts of each recorded round.
    pub attempts: BTreeMap<u32, Vec<&'static str>>,
}

/// A store operation that may change the state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOperation {
    Claim,
    Record,
    ApplyReceipt,
    Cancel,
    Requeue,
}

impl ReferenceModel {
    pub fn delivery(&mut self, id: DeliveryId) -> &mut DeliveryHistory {
        self.deliveries.get_mut(&id).unwrap_or_else(|| panic!("unknown delivery {id}"))
    }

    /// Adds a stored message.
    pub fn add_message(&mut self, message: &Message) {
        self.stored.insert(message.id);
        for delivery in &message.deliveries {
            let history = DeliveryHistory {
                message: message.id,
                state: delivery.state.clone(),
                round: 0,
                recorded_round: 0,
                rounds_recorded: 0,
                sends: 0,
                allowed_resends: 0,
                attempts: BTreeMap::new(),
            };
            assert!(
                self.deliveries.insert(delivery.id, history).is_none(),
                "delivery id {} was assigned twice",
                delivery.id
            );
        }
    }

    /// Adds a real send by a provider.
    pub fn add_send(&mut self, id: DeliveryId, round: u32, provider: &'static str) {
        self.receipt_references.push((provider, format!("{provider}/{}/{round}", id.0)));
        let history = self.delivery(id);
        history.sends += 1;
        let is_duplicate = history.sends > 1;
        self.duplicate_sends += usize::from(is_duplicate);
    }

    /// Adds a claim at `now` (the clock of the host). Checks that the delivery was due, so no lease was cut short, that
    /// the round grew by one, and that the store counts the unrecorded rounds correctly.
    pub fn add_claim(&mut self, claimed: &ClaimedDelivery, now: Timestamp) {
        let history = self.delivery(claimed.id);
        let is_due = matches!(history.state, DeliveryState::Waiting { due_at, .. } if due_at <= now);
        assert!(is_due, "{} was claimed at {now} in state {:?}", claimed.id, history.state);
        assert_eq!(claimed.round, history.round + 1, "round of {}", claimed.id);
        assert_eq!(
            claimed.unrecorded_claims,
            history.round - history.recorded_round,
            "unrecorded rounds of {}",
            claimed.id
        );
        history.round = claimed.round;
    }

    /// Returns whether recording this round may change the state: it is the latest round and not recorded yet.
    pub fn is_round_open(&self, id: DeliveryId, round: u32) -> bool {
        self.deliveries.get(&id).is_some_and(|history| {
            history.round == round
                && history.recorded_round < round
                && matches!(history.state, DeliveryState::Waiting { .. })
        })
    }

    /// Returns whether a receipt has settled the delivery during this round, which is the latest and not recorded yet.
    pub fn is_round_settled(&self, id: DeliveryId, round: u32) -> bool {
        self.deliveries.get(&id).is_some_and(|history| {
            history.round == round
                && history.recorded_round < round
                && !matches!(history.state, DeliveryState::Waiting { .. })
        })
    }

    /// Adds a recorded round; the attempts of a repeated record are ignored.
    pub fn add_round(&mut self, id: DeliveryId, round: u32, attempts: &[Attempt], is_open: bool) {
        let history = self.delivery(id);
        if is_open {
            history.recorded_round = round;
            history.rounds_recorded += 1;
        }
        let outcomes = attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
        history.attempts.entry(round).or_insert(outcomes);
    }

    /// Adds the round that names the unrecorded rounds of a settled delivery.
    pub fn close_lost_rounds(&mut self, id: DeliveryId) {
        let history = self.delivery(id);
        assert!(!matches!(history.state, DeliveryState::Waiting { .. }), "{id} waits");
        let lost_rounds = history.round - history.recorded_round;
        assert!(lost_rounds > 0, "{id} has no unrecorded round");
        history.round += 1;
        history.recorded_round = history.round;
        history.rounds_recorded += 1;
        history.attempts.insert(history.round, vec!["unknown"; lost_rounds as usize]);
    }

    /// Removes a deleted message. Checks that it was old and had no waiting delivery.
    pub fn prune(&mut self, message: Message, before: Timestamp) {
        let is_old = message.created_at < before;
        let is_waiting = |delivery: &Delivery| matches!(delivery.state, DeliveryState::Waiting { .. });
        assert!(is_old && !message.deliveries.iter().any(is_waiting), "{} was deleted too early", message.id);
        self.stored.remove(&message.id);
        self.pruned.push(message);
    }

    /// Checks and stores the state of a delivery after an operation that may have changed it.
    pub fn check_state(&mut self, operation: StoreOperation, delivery: &Delivery) {
        let id = delivery.id;
        let history = self.delivery(id);
        assert!(
            history.state == delivery.state
                || is_allowed_transition(operation, &history.state, &delivery.state),
            "{operation:?} changed {id} from {:?} to {:?}",
            history.state,
            delivery.state
        );
        let is_waiting_again = matches!(delivery.state, DeliveryState::Waiting { .. });
        let had_ended = !matches!(history.state, DeliveryState::Waiting { .. });
        if is_waiting_again && had_ended {
            history.allowed_resends += 1;
        }
        history.state = delivery.state.clone();
        assert_eq!(delivery.round, history.round, "round of {id} after {operation:?}");
    }
}

/// Returns whether an operation may change a state from `from` to `to`.
fn is_allowed_transition(operation: StoreOperation, from: &DeliveryState, to: &DeliveryState) -> bool {
    match (operation, from, to) {
        (
            StoreOperation::Claim,
            DeliveryState::Waiting { reason: before, .. },
            DeliveryState::Waiting { reason, .. },
        ) => before == reason,
        (StoreOperation::Record, DeliveryState::Waiting { .. }, _) => true,
        // A provider accepted a superseded round.
        (StoreOperation::Record, DeliveryState::Failed { failure, .. }, DeliveryState::Sent { .. }) => {
            matches!(failure, Failure::Unknown | Failure::Expired | Failure::Exhausted)
        }
        (StoreOperation::ApplyReceipt, DeliveryState::Sent { .. }, DeliveryState::Waiting { .. }) => true,
        (
            StoreOperation::ApplyReceipt,
            DeliveryState::Sent { .. } | DeliveryState::Waiting { .. } | DeliveryState::Failed { .. },
            DeliveryState::Delivered { .. },
        ) => true,
        (
            StoreOperation::ApplyReceipt,
            DeliveryState::Sent { .. }
            | DeliveryState::Waiting { .. }
            | DeliveryState::Delivered { .. }
            | DeliveryState::Failed { .. },
            DeliveryState::Failed { failure, .. },
        ) => matches!(failure, Failure::Bounced | Failure::InvalidRecipient),
        (StoreOperation::Cancel, DeliveryState::Waiting { .. }, DeliveryState::Failed { failure, .. }) => {
            *failure == Failure::Cancelled
        }
        (StoreOperation::Requeue, DeliveryState::Failed { failure, .. }, DeliveryState::Waiting { .. }) => {
            !matches!(failure, Failure::Cancelled | Failure::Suppressed)
        }
        (StoreOperation::Requeue, DeliveryState::Waiting { .. }, DeliveryState::Waiting { .. }) => true,
        // One call applies several receipts: a failure and a newer delivery, or the reverse.
        (StoreOperation::ApplyReceipt, DeliveryState::Delivered { .. }, DeliveryState::Delivered { .. }) => {
            true
        }
        _ => false,
    }
}
