//! What really happened: which promises were given, who was really written to, which claims and rounds were written
//! down, and by whose word a delivery changed its state.
//!
//! Everything here is learnt from outside the code under test, and disagreeing with it ends the storm.

use std::collections::{BTreeMap, BTreeSet};

use postrider_core::attempt::Attempt;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message};
use postrider_core::round::ClaimedDelivery;

use super::coordination_model::CoordinationModel;

/// All that is known.
#[derive(Default)]
pub struct ReferenceModel {
    /// From now on everybody behaves, so that what waits can end.
    pub is_fault_free: bool,
    /// What each message that a client got a 2xx for says.
    pub accepted_bodies: BTreeMap<MessageId, String>,
    /// Messages that are on disk, whether or not anybody was told.
    pub stored: BTreeSet<MessageId>,
    pub deliveries: BTreeMap<DeliveryId, DeliveryHistory>,
    /// What receipts can speak of: who took what under which name.
    pub receipt_references: Vec<(&'static str, String)>,
    /// What was deleted after it had ended, as it was then.
    pub pruned: Vec<Message>,
    /// What hosts agree on.
    pub coordination: CoordinationModel,
    /// Second sends that were seen, so that a storm in which nothing happens is noticed.
    pub duplicate_sends: usize,
}

/// What happened to a delivery.
pub struct DeliveryHistory {
    pub message: MessageId,
    /// How its state was left by the last verb that may change it.
    pub state: DeliveryState,
    /// Its latest claim, and the latest of them whose end was written down.
    pub round: u32,
    pub recorded_round: u32,
    /// How many of its rounds have an end.
    pub rounds_recorded: u32,
    /// How often somebody really got it.
    pub sends: u32,
    /// How often it was rightly sent once more: bounces and operators.
    pub allowed_resends: u32,
    /// Whether every try was used up at some time.
    pub is_exhausted: bool,
    /// The attempts of each round that was written down, by outcome.
    pub attempts: BTreeMap<u32, Vec<&'static str>>,
}

/// Who may have changed a state.
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
        self.deliveries
            .get_mut(&id)
            .unwrap_or_else(|| panic!("delivery {id} came from nowhere"))
    }

    /// A message is on disk.
    pub fn add_message(&mut self, message: &Message) {
        self.stored.insert(message.id);
        for delivery in &message.deliveries {
            let story = DeliveryHistory {
                message: message.id,
                state: delivery.state.clone(),
                round: 0,
                recorded_round: 0,
                rounds_recorded: 0,
                sends: 0,
                allowed_resends: 0,
                is_exhausted: false,
                attempts: BTreeMap::new(),
            };
            assert!(
                self.deliveries.insert(delivery.id, story).is_none(),
                "the number {} was given out twice",
                delivery.id
            );
        }
    }

    /// Somebody got it.
    pub fn add_send(&mut self, id: DeliveryId, round: u32, provider: &'static str) {
        self.receipt_references
            .push((provider, format!("{provider}/{}/{round}", id.0)));
        let story = self.delivery(id);
        story.sends += 1;
        let is_repeat = story.sends > 1;
        self.duplicate_sends += usize::from(is_repeat);
    }

    /// A claim was won by somebody whose clock said `now`: it was due, so no lease was cut short; the fencing token
    /// grows by one; and what is called lost is what has no end.
    pub fn add_claim(&mut self, claimed: &ClaimedDelivery, now: Timestamp) {
        let story = self.delivery(claimed.id);
        let is_due = matches!(story.state, DeliveryState::Waiting { due_at, .. } if due_at <= now);
        assert!(
            is_due,
            "{} was claimed at {now}, as {:?}",
            claimed.id, story.state
        );
        assert_eq!(claimed.round, story.round + 1, "the round of {}", claimed.id);
        assert_eq!(
            claimed.unrecorded_claims,
            story.round - story.recorded_round,
            "the lost rounds of {}",
            claimed.id
        );
        story.round = claimed.round;
    }

    /// Whether the end of this round may change the state: it is the latest, and has no end yet.
    pub fn is_round_open(&self, id: DeliveryId, round: u32) -> bool {
        self.deliveries.get(&id).is_some_and(|story| {
            story.round == round
                && story.recorded_round < round
                && matches!(story.state, DeliveryState::Waiting { .. })
        })
    }

    /// A round was written down: its attempts are kept, once.
    pub fn add_round(&mut self, id: DeliveryId, round: u32, attempts: &[Attempt], open: bool) {
        let story = self.delivery(id);
        if open {
            story.recorded_round = round;
            story.rounds_recorded += 1;
        }
        let words = attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
        story.attempts.entry(round).or_insert(words);
    }

    /// A message was deleted, which only one that is old and has ended may be. Nobody may be told of it any more.
    pub fn prune(&mut self, message: Message, before: Timestamp) {
        let is_old = message.created_at < before;
        let waits = |delivery: &Delivery| matches!(delivery.state, DeliveryState::Waiting { .. });
        assert!(
            is_old && !message.deliveries.iter().any(waits),
            "{} was deleted",
            message.id
        );
        self.stored.remove(&message.id);
        self.pruned.push(message);
    }

    /// A delivery stands like this after a verb that may have changed it.
    pub fn check_state(&mut self, verb: StoreOperation, delivery: &Delivery) {
        let id = delivery.id;
        let story = self.delivery(id);
        assert!(
            story.state == delivery.state || is_allowed_transition(verb, &story.state, &delivery.state),
            "{id} went by {verb:?} from {:?} to {:?}",
            story.state,
            delivery.state
        );
        let waits_again = matches!(delivery.state, DeliveryState::Waiting { .. });
        let had_ended = !matches!(story.state, DeliveryState::Waiting { .. });
        if waits_again && had_ended {
            story.allowed_resends += 1;
        }
        story.is_exhausted |= matches!(
            delivery.state,
            DeliveryState::Failed {
                failure: Failure::Exhausted,
                ..
            }
        );
        story.state = delivery.state.clone();
        assert_eq!(delivery.round, story.round, "the round of {id} after {verb:?}");
    }
}

/// Whether a verb may lead from the one state to the other.
fn is_allowed_transition(verb: StoreOperation, from: &DeliveryState, to: &DeliveryState) -> bool {
    match (verb, from, to) {
        (
            StoreOperation::Claim,
            DeliveryState::Waiting { reason: before, .. },
            DeliveryState::Waiting { reason, .. },
        ) => before == reason,
        (StoreOperation::Record, DeliveryState::Waiting { .. }, _) => true,
        (
            StoreOperation::ApplyReceipt,
            DeliveryState::Sent { .. },
            DeliveryState::Delivered { .. } | DeliveryState::Waiting { .. },
        ) => true,
        (StoreOperation::ApplyReceipt, DeliveryState::Sent { .. }, DeliveryState::Failed { failure, .. }) => {
            matches!(failure, Failure::Bounced | Failure::InvalidRecipient)
        }
        (StoreOperation::Cancel, DeliveryState::Waiting { .. }, DeliveryState::Failed { failure, .. }) => {
            *failure == Failure::Cancelled
        }
        (StoreOperation::Requeue, DeliveryState::Failed { failure, .. }, DeliveryState::Waiting { .. }) => {
            !matches!(failure, Failure::Cancelled | Failure::Suppressed)
        }
        (StoreOperation::Requeue, DeliveryState::Waiting { .. }, DeliveryState::Waiting { .. }) => true,
        _ => false,
    }
}
