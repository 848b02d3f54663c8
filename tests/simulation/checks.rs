//! What must hold when the storm is over: every promise kept, every second send explained, every number right.
//!
//! Reads the store directly; nothing here can fail for the weather.

use std::collections::BTreeMap;

use postrider::domain::attempt::Outcome;
use postrider::domain::channel::UnknownPolicy;
use postrider::domain::delivery::{Failure, Standing, State};
use postrider::domain::message::{Delivery, Message};
use postrider::domain::report::{Report, Totals};

use super::host::HOLDS;
use super::ledger::Story;
use super::storm::Storm;

/// How many changed deliveries are folded at once here: few, so that it takes several goes.
const FOLDED_AT_ONCE: usize = 7;

/// What exists, and what existed once.
async fn everything(storm: &Storm) -> Vec<Message> {
    let (mut messages, stored) = {
        let ledger = storm.world.ledger();
        (ledger.pruned.clone(), ledger.stored.clone())
    };
    for id in stored {
        let message = storm.store.find(id).await.unwrap();
        messages.push(message.unwrap_or_else(|| panic!("message {id} is lost")));
    }
    messages
}

/// What can be said at any moment: nothing has changed unseen, nothing is lost, the report's numbers are right.
pub async fn at_any_time(storm: &Storm) {
    let messages = everything(storm).await;
    check_promises(storm, &messages);
    {
        let mut ledger = storm.world.ledger();
        for delivery in messages.iter().flat_map(|message| &message.deliveries) {
            let story = ledger.story(delivery.id);
            assert_eq!(story.state, delivery.state, "{} has changed unseen", delivery.id);
            check_attempts(story, delivery);
        }
    }
    check_report(storm, &messages).await;
}

/// What can be said when nothing waits any more.
pub async fn at_the_end(storm: &Storm) {
    at_any_time(storm).await;
    let messages = everything(storm).await;
    let mut ledger = storm.world.ledger();
    for delivery in messages.iter().flat_map(|message| &message.deliveries) {
        let standing = delivery.state.standing();
        assert_ne!(standing, Standing::Waiting, "{} still waits", delivery.id);
        check_sends(ledger.story(delivery.id), delivery);
    }
}

/// What a client was promised exists and says what it was to say, and once only where the client gave a key.
fn check_promises(storm: &Storm, messages: &[Message]) {
    let ledger = storm.world.ledger();
    let by_id: BTreeMap<_, _> = messages.iter().map(|message| (message.id, message)).collect();
    assert_eq!(by_id.len(), messages.len(), "a message is there twice");
    for (id, body) in &ledger.promised {
        let message = by_id.get(id).unwrap_or_else(|| panic!("message {id} is lost"));
        assert_eq!(message.body, *body, "message {id}");
    }
    let mut times = BTreeMap::<&str, usize>::new();
    for message in messages {
        *times.entry(&message.body).or_default() += 1;
    }
    for (body, times) in times {
        let number: usize = body.trim_start_matches("message ").parse().unwrap();
        assert!(
            times == 1 || !number.is_multiple_of(2),
            "{body} was accepted {times} times under one key"
        );
    }
}

/// Each round that was written down has its attempts, once, and no other round has any.
fn check_attempts(story: &Story, delivery: &Delivery) {
    let mut stored = BTreeMap::<u32, Vec<&str>>::new();
    for attempt in &delivery.attempts {
        stored.entry(attempt.round).or_default().push(&attempt.outcome);
    }
    let mut told = story.attempts.clone();
    told.retain(|_, attempts| !attempts.is_empty());
    assert_eq!(stored, told, "the attempts of {}", delivery.id);
}

/// A second send has a reason that can be seen, and so has every round whose end nobody knows.
fn check_sends(story: &Story, delivery: &Delivery) {
    let id = delivery.id;
    let unknown = count(delivery, |attempt| attempt.outcome == "unknown");
    let policy = if delivery.channel.as_str() == HOLDS {
        UnknownPolicy::Hold
    } else {
        UnknownPolicy::Resend
    };
    let explained = match policy {
        UnknownPolicy::Resend => 1 + story.again + unknown,
        UnknownPolicy::Hold => 1 + story.again,
    };
    assert!(
        story.taken <= explained,
        "{id} was sent {} times, and only {explained} of them are explained ({policy:?})",
        story.taken
    );
    let accepted = count(delivery, |attempt| attempt.outcome == "accepted");
    assert!(
        accepted <= story.taken,
        "{id} was accepted {accepted} times, and sent {} times",
        story.taken
    );
    let lost = count(delivery, |attempt| attempt.provider.is_none());
    let without_end = delivery.round - story.rounds_ended;
    // Who holds back, or gives up, does so at the first of them.
    let shown = match policy {
        UnknownPolicy::Resend if !story.gave_up => without_end,
        UnknownPolicy::Resend | UnknownPolicy::Hold => without_end.min(1),
    };
    assert!(
        lost >= shown,
        "{id}: {without_end} rounds have no end, and only {lost} of them are shown as unknown"
    );
}

fn count(delivery: &Delivery, which: impl Fn(&postrider::domain::message::RecordedAttempt) -> bool) -> u32 {
    let which = delivery.attempts.iter().filter(|attempt| which(attempt));
    u32::try_from(which.count()).unwrap()
}

/// The report from changes, the one from nothing, and what the messages themselves say are the same.
async fn check_report(storm: &Storm, messages: &[Message]) {
    let changed = folded(storm).await;
    storm.store.unfold().await.unwrap();
    let whole = folded(storm).await;
    assert_eq!(
        changed, whole,
        "the report from changes and the one from nothing differ"
    );
    assert_eq!(whole.messages, messages.len() as u64, "messages in the report");
    assert_eq!(
        sorted(whole.totals.clone()),
        totals(messages),
        "totals in the report"
    );
    for line in &whole.providers {
        assert_eq!(
            line.outcomes,
            outcomes(messages, &line.name),
            "outcomes of {}",
            line.name
        );
        let carried = carried(messages, &line.name);
        assert_eq!(
            [line.sent, line.delivered, line.bounced],
            carried,
            "what {} carried",
            line.name
        );
    }
}

async fn folded(storm: &Storm) -> Report {
    while storm.store.fold(FOLDED_AT_ONCE).await.unwrap() > 0 {}
    storm.store.report(storm.world.now()).await.unwrap()
}

fn sorted(mut totals: Totals) -> Totals {
    totals.failed.sort();
    totals
}

fn totals(messages: &[Message]) -> Totals {
    let mut totals = Totals::default();
    let mut failed = BTreeMap::<String, u64>::new();
    for delivery in messages.iter().flat_map(|message| &message.deliveries) {
        match &delivery.state {
            State::Waiting { .. } => totals.waiting += 1,
            State::Sent { .. } => totals.sent += 1,
            State::Delivered { .. } => totals.delivered += 1,
            State::Failed { failure, .. } => *failed.entry(failure.word().to_owned()).or_default() += 1,
        }
        totals.opened += u64::from(delivery.opened_at.is_some());
        totals.unknown += u64::from(count(delivery, |attempt| attempt.outcome == "unknown"));
    }
    totals.failed = failed.into_iter().collect();
    totals
}

fn outcomes(messages: &[Message], provider: &str) -> [u64; Outcome::WORDS.len()] {
    let attempts = || {
        let deliveries = messages.iter().flat_map(|message| &message.deliveries);
        let attempts = deliveries.flat_map(|delivery| &delivery.attempts);
        attempts.filter(|attempt| {
            attempt
                .provider
                .as_ref()
                .is_some_and(|name| name.as_str() == provider)
        })
    };
    Outcome::WORDS.map(|word| attempts().filter(|attempt| attempt.outcome == word).count() as u64)
}

fn carried(messages: &[Message], provider: &str) -> [u64; 3] {
    let mut carried = [0; 3];
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    for delivery in deliveries.filter(|one| {
        one.provider
            .as_ref()
            .is_some_and(|name| name.as_str() == provider)
    }) {
        match &delivery.state {
            State::Sent { .. } => carried[0] += 1,
            State::Delivered { .. } => carried[1] += 1,
            State::Failed {
                failure: Failure::Bounced,
                ..
            } => carried[2] += 1,
            State::Waiting { .. } | State::Failed { .. } => {}
        }
    }
    carried
}
