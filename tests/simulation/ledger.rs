//! What really happened: which promises were given, who was really written to, which claims and rounds were written
//! down, and by whose word a delivery changed its state.
//!
//! Everything here is learnt from outside the code under test, and disagreeing with it ends the storm.

use std::collections::{BTreeMap, BTreeSet};

use postrider::clock::Timestamp;
use postrider::domain::attempt::Attempt;
use postrider::domain::delivery::{Failure, State};
use postrider::domain::id::{DeliveryId, MessageId};
use postrider::domain::message::{Claimed, Delivery, Message};

use super::shared::Shared;

/// All that is known.
#[derive(Default)]
pub struct Ledger {
    /// From now on everybody behaves, so that what waits can end.
    pub calm: bool,
    /// What each message that a client got a 2xx for says.
    pub promised: BTreeMap<MessageId, String>,
    /// Messages that are on disk, whether or not anybody was told.
    pub stored: BTreeSet<MessageId>,
    pub deliveries: BTreeMap<DeliveryId, Story>,
    /// What receipts can speak of: who took what under which name.
    pub references: Vec<(&'static str, String)>,
    /// What was deleted after it had ended, as it was then.
    pub pruned: Vec<Message>,
    /// What hosts agree on.
    pub shared: Shared,
    /// Second sends that were seen, so that a storm in which nothing happens is noticed.
    pub repeats: usize,
}

/// What happened to a delivery.
pub struct Story {
    pub message: MessageId,
    /// How its state was left by the last verb that may change it.
    pub state: State,
    /// Its latest claim, and the latest of them whose end was written down.
    pub round: u32,
    pub ended: u32,
    /// How many of its rounds have an end.
    pub rounds_ended: u32,
    /// How often somebody really got it.
    pub taken: u32,
    /// How often it was rightly sent once more: bounces and operators.
    pub again: u32,
    /// Whether every try was used up at some time.
    pub gave_up: bool,
    /// The attempts of each round that was written down, by outcome.
    pub attempts: BTreeMap<u32, Vec<&'static str>>,
}

/// Who may have changed a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Claim,
    Record,
    Settle,
    Cancel,
    Revive,
}

impl Ledger {
    pub fn story(&mut self, id: DeliveryId) -> &mut Story {
        self.deliveries
            .get_mut(&id)
            .unwrap_or_else(|| panic!("delivery {id} came from nowhere"))
    }

    /// A message is on disk.
    pub fn stored(&mut self, message: &Message) {
        self.stored.insert(message.id);
        for delivery in &message.deliveries {
            let story = Story {
                message: message.id,
                state: delivery.state.clone(),
                round: 0,
                ended: 0,
                rounds_ended: 0,
                taken: 0,
                again: 0,
                gave_up: false,
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
    pub fn taken(&mut self, id: DeliveryId, round: u32, provider: &'static str) {
        self.references
            .push((provider, format!("{provider}/{}/{round}", id.0)));
        let story = self.story(id);
        story.taken += 1;
        let is_repeat = story.taken > 1;
        self.repeats += usize::from(is_repeat);
    }

    /// A claim was won by somebody whose clock said `now`: it was due, so no lease was cut short; the fencing token
    /// grows by one; and what is called lost is what has no end.
    pub fn claimed(&mut self, claimed: &Claimed, now: Timestamp) {
        let story = self.story(claimed.id);
        let is_due = matches!(story.state, State::Waiting { due_at, .. } if due_at <= now);
        assert!(
            is_due,
            "{} was claimed at {now}, as {:?}",
            claimed.id, story.state
        );
        assert_eq!(claimed.round, story.round + 1, "the round of {}", claimed.id);
        assert_eq!(
            claimed.lost,
            story.round - story.ended,
            "the lost rounds of {}",
            claimed.id
        );
        story.round = claimed.round;
    }

    /// Whether the end of this round may change the state: it is the latest, and has no end yet.
    pub fn is_open(&self, id: DeliveryId, round: u32) -> bool {
        self.deliveries.get(&id).is_some_and(|story| {
            story.round == round && story.ended < round && matches!(story.state, State::Waiting { .. })
        })
    }

    /// A round was written down: its attempts are kept, once.
    pub fn recorded(&mut self, id: DeliveryId, round: u32, attempts: &[Attempt], open: bool) {
        let story = self.story(id);
        if open {
            story.ended = round;
            story.rounds_ended += 1;
        }
        let words = attempts.iter().map(|attempt| attempt.outcome.word()).collect();
        story.attempts.entry(round).or_insert(words);
    }

    /// A message was deleted, which only one that is old and has ended may be. Nobody may be told of it any more.
    pub fn prune(&mut self, message: Message, before: Timestamp) {
        let is_old = message.created_at < before;
        let waits = |delivery: &Delivery| matches!(delivery.state, State::Waiting { .. });
        assert!(
            is_old && !message.deliveries.iter().any(waits),
            "{} was deleted",
            message.id
        );
        self.stored.remove(&message.id);
        self.pruned.push(message);
    }

    /// A delivery stands like this after a verb that may have changed it.
    pub fn stands(&mut self, verb: Verb, delivery: &Delivery) {
        let id = delivery.id;
        let story = self.story(id);
        assert!(
            story.state == delivery.state || may_follow(verb, &story.state, &delivery.state),
            "{id} went by {verb:?} from {:?} to {:?}",
            story.state,
            delivery.state
        );
        let waits_again = matches!(delivery.state, State::Waiting { .. });
        let had_ended = !matches!(story.state, State::Waiting { .. });
        if waits_again && had_ended {
            story.again += 1;
        }
        story.gave_up |= matches!(
            delivery.state,
            State::Failed {
                failure: Failure::Exhausted,
                ..
            }
        );
        story.state = delivery.state.clone();
        assert_eq!(delivery.round, story.round, "the round of {id} after {verb:?}");
    }
}

/// Whether a verb may lead from the one state to the other.
fn may_follow(verb: Verb, from: &State, to: &State) -> bool {
    match (verb, from, to) {
        (Verb::Claim, State::Waiting { reason: before, .. }, State::Waiting { reason, .. }) => {
            before == reason
        }
        (Verb::Record, State::Waiting { .. }, _) => true,
        (Verb::Settle, State::Sent { .. }, State::Delivered { .. } | State::Waiting { .. }) => true,
        (Verb::Settle, State::Sent { .. }, State::Failed { failure, .. }) => {
            matches!(failure, Failure::Bounced | Failure::InvalidRecipient)
        }
        (Verb::Cancel, State::Waiting { .. }, State::Failed { failure, .. }) => {
            *failure == Failure::Cancelled
        }
        (Verb::Revive, State::Failed { failure, .. }, State::Waiting { .. }) => {
            !matches!(failure, Failure::Cancelled | Failure::Suppressed)
        }
        (Verb::Revive, State::Waiting { .. }, State::Waiting { .. }) => true,
        _ => false,
    }
}
