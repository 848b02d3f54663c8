//! What must hold when the storm is over: every promise kept, every second send explained, every number right.
//!
//! Reads the store directly; nothing here can fail for the weather.

use std::collections::BTreeMap;

use postrider_core::attempt::Outcome;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::message::{Delivery, Message};
use postrider_core::report::{DeliveryTotals, Report};
use postrider_core::retry::UnknownPolicy;

use super::host::HOLDING_CHANNEL;
use super::reference_model::DeliveryHistory;
use super::scenario::FaultScenario;

/// How many changed deliveries are folded at once here: few, so that it takes several goes.
const CHANGES_PER_APPLY: usize = 7;

/// What exists, and what existed once.
async fn all_messages(storm: &FaultScenario) -> Vec<Message> {
    let (mut messages, stored) = {
        let ledger = storm.context.model();
        (ledger.pruned.clone(), ledger.stored.clone())
    };
    for id in stored {
        let message = storm.store.find_message(id).await.unwrap();
        messages.push(message.unwrap_or_else(|| panic!("message {id} is lost")));
    }
    messages
}

/// What can be said at any moment: nothing has changed unseen, nothing is lost, the report's numbers are right.
pub async fn check_always(storm: &FaultScenario) {
    let messages = all_messages(storm).await;
    check_accepted_messages(storm, &messages);
    {
        let mut ledger = storm.context.model();
        for delivery in messages.iter().flat_map(|message| &message.deliveries) {
            let story = ledger.delivery(delivery.id);
            assert_eq!(story.state, delivery.state, "{} has changed unseen", delivery.id);
            check_attempts(story, delivery);
        }
    }
    check_report(storm, &messages).await;
}

/// What can be said when nothing waits any more.
pub async fn check_finished(storm: &FaultScenario) {
    check_always(storm).await;
    let messages = all_messages(storm).await;
    let mut ledger = storm.context.model();
    for delivery in messages.iter().flat_map(|message| &message.deliveries) {
        let standing = delivery.state.kind();
        assert_ne!(
            standing,
            DeliveryStateKind::Waiting,
            "{} still waits",
            delivery.id
        );
        check_duplicate_sends(ledger.delivery(delivery.id), delivery);
    }
}

/// What a client was promised exists and says what it was to say, and once only where the client gave a key.
fn check_accepted_messages(storm: &FaultScenario, messages: &[Message]) {
    let ledger = storm.context.model();
    let by_id: BTreeMap<_, _> = messages.iter().map(|message| (message.id, message)).collect();
    assert_eq!(by_id.len(), messages.len(), "a message is there twice");
    for (id, body) in &ledger.accepted_bodies {
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
fn check_attempts(story: &DeliveryHistory, delivery: &Delivery) {
    let mut stored = BTreeMap::<u32, Vec<&str>>::new();
    for attempt in &delivery.attempts {
        stored.entry(attempt.round).or_default().push(&attempt.outcome);
    }
    let mut told = story.attempts.clone();
    told.retain(|_, attempts| !attempts.is_empty());
    assert_eq!(stored, told, "the attempts of {}", delivery.id);
}

/// A second send has a reason that can be seen, and so has every round whose end nobody knows.
fn check_duplicate_sends(story: &DeliveryHistory, delivery: &Delivery) {
    let id = delivery.id;
    let unknown = count_attempts(delivery, |attempt| attempt.outcome == "unknown");
    let policy = if delivery.channel.as_str() == HOLDING_CHANNEL {
        UnknownPolicy::Hold
    } else {
        UnknownPolicy::Resend
    };
    let explained = match policy {
        UnknownPolicy::Resend => 1 + story.allowed_resends + unknown,
        UnknownPolicy::Hold => 1 + story.allowed_resends,
    };
    assert!(
        story.sends <= explained,
        "{id} was sent {} times, and only {explained} of them are explained ({policy:?})",
        story.sends
    );
    let accepted = count_attempts(delivery, |attempt| attempt.outcome == "accepted");
    assert!(
        accepted <= story.sends,
        "{id} was accepted {accepted} times, and sent {} times",
        story.sends
    );
    let lost = count_attempts(delivery, |attempt| attempt.provider.is_none());
    let without_end = delivery.round - story.rounds_recorded;
    // Who holds back, or gives up, does so at the first of them.
    let shown = match policy {
        UnknownPolicy::Resend if !story.is_exhausted => without_end,
        UnknownPolicy::Resend | UnknownPolicy::Hold => without_end.min(1),
    };
    assert!(
        lost >= shown,
        "{id}: {without_end} rounds have no end, and only {lost} of them are shown as unknown"
    );
}

fn count_attempts(
    delivery: &Delivery,
    which: impl Fn(&postrider_core::message::RecordedAttempt) -> bool,
) -> u32 {
    let which = delivery.attempts.iter().filter(|attempt| which(attempt));
    u32::try_from(which.count()).unwrap()
}

/// The report from changes, the one from nothing, and what the messages themselves say are the same.
async fn check_report(storm: &FaultScenario, messages: &[Message]) {
    let changed = read_report(storm).await;
    storm.store.begin_rebuild().await.unwrap();
    let whole = read_report(storm).await;
    assert_eq!(
        changed, whole,
        "the report from changes and the one from nothing differ"
    );
    assert_eq!(whole.messages, messages.len() as u64, "messages in the report");
    assert_eq!(
        sort_totals(whole.totals.clone()),
        expected_totals(messages),
        "totals in the report"
    );
    for line in &whole.providers {
        assert_eq!(
            line.outcomes,
            expected_outcomes(messages, &line.name),
            "outcomes of {}",
            line.name
        );
        let carried = expected_provider_counts(messages, &line.name);
        assert_eq!(
            [line.sent, line.delivered, line.bounced],
            carried,
            "what {} carried",
            line.name
        );
    }
}

async fn read_report(storm: &FaultScenario) -> Report {
    while storm.store.apply_changes(CHANGES_PER_APPLY).await.unwrap() > 0 {}
    storm.store.report(storm.context.now()).await.unwrap()
}

fn sort_totals(mut totals: DeliveryTotals) -> DeliveryTotals {
    totals.failed.sort();
    totals
}

fn expected_totals(messages: &[Message]) -> DeliveryTotals {
    let mut totals = DeliveryTotals::default();
    let mut failed = BTreeMap::<String, u64>::new();
    for delivery in messages.iter().flat_map(|message| &message.deliveries) {
        match &delivery.state {
            DeliveryState::Waiting { .. } => totals.waiting += 1,
            DeliveryState::Sent { .. } => totals.sent += 1,
            DeliveryState::Delivered { .. } => totals.delivered += 1,
            DeliveryState::Failed { failure, .. } => {
                *failed.entry(failure.as_str().to_owned()).or_default() += 1
            }
        }
        totals.opened += u64::from(delivery.opened_at.is_some());
        totals.unknown += u64::from(count_attempts(delivery, |attempt| attempt.outcome == "unknown"));
    }
    totals.failed = failed.into_iter().collect();
    totals
}

fn expected_outcomes(messages: &[Message], provider: &str) -> [u64; Outcome::NAMES.len()] {
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
    Outcome::NAMES.map(|word| attempts().filter(|attempt| attempt.outcome == word).count() as u64)
}

fn expected_provider_counts(messages: &[Message], provider: &str) -> [u64; 3] {
    let mut carried = [0; 3];
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    for delivery in deliveries.filter(|one| {
        one.provider
            .as_ref()
            .is_some_and(|name| name.as_str() == provider)
    }) {
        match &delivery.state {
            DeliveryState::Sent { .. } => carried[0] += 1,
            DeliveryState::Delivered { .. } => carried[1] += 1,
            DeliveryState::Failed {
                failure: Failure::Bounced,
                ..
            } => carried[2] += 1,
            DeliveryState::Waiting { .. } | DeliveryState::Failed { .. } => {}
        }
    }
    carried
}
