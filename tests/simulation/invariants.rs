//! Invariants of a scenario: every accepted message exists, every duplicate send has a visible reason, every count of
//! the report is right.
//!
//! Reads the store directly, not through the faulty connections.

use std::collections::BTreeMap;

use postrider_core::attempt::Outcome;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::message::{Delivery, Message};
use postrider_core::report::{DeliveryTotals, Report};
use postrider_core::retry::UNKNOWN_RETRIES_DEFAULT;

use super::host::HOLDING_CHANNEL;
use super::reference_model::DeliveryHistory;
use super::scenario::FaultScenario;

/// Changed deliveries per step of the report: few, so that a report needs several steps.
const CHANGES_PER_APPLY: usize = 7;

/// Returns all messages: stored and pruned ones.
async fn all_messages(scenario: &FaultScenario) -> Vec<Message> {
    let (mut messages, stored) = {
        let model = scenario.context.model();
        (model.pruned.clone(), model.stored.clone())
    };
    for id in stored {
        let message = scenario.store.find_message(id).await.unwrap();
        messages.push(message.unwrap_or_else(|| panic!("message {id} is missing")));
    }
    messages
}

/// Checks the invariants that hold at any time: no state changed outside the model, no message is missing, the counts
/// of the report are right.
pub async fn check_always(scenario: &FaultScenario) {
    let messages = all_messages(scenario).await;
    check_accepted_messages(scenario, &messages);
    {
        let mut model = scenario.context.model();
        for delivery in messages.iter().flat_map(|message| &message.deliveries) {
            let history = model.delivery(delivery.id);
            assert_eq!(history.state, delivery.state, "{} changed outside the model", delivery.id);
            check_attempts(history, delivery);
        }
    }
    check_report(scenario, &messages).await;
}

/// Checks the invariants that hold when no delivery is waiting.
pub async fn check_finished(scenario: &FaultScenario) {
    check_always(scenario).await;
    let messages = all_messages(scenario).await;
    let mut model = scenario.context.model();
    for message in &messages {
        let is_pruned = !model.stored.contains(&message.id);
        for delivery in &message.deliveries {
            let state = delivery.state.kind();
            assert_ne!(state, DeliveryStateKind::Waiting, "{} is still waiting", delivery.id);
            check_duplicate_sends(model.delivery(delivery.id), delivery, is_pruned);
        }
    }
}

/// Checks that each accepted message exists with its body, and exactly once when the client sent an idempotency key.
fn check_accepted_messages(scenario: &FaultScenario, messages: &[Message]) {
    let model = scenario.context.model();
    let by_id: BTreeMap<_, _> = messages.iter().map(|message| (message.id, message)).collect();
    assert_eq!(by_id.len(), messages.len(), "duplicate message");
    for (id, body) in &model.accepted_bodies {
        let message = by_id.get(id).unwrap_or_else(|| panic!("message {id} is missing"));
        assert_eq!(message.body, *body, "message {id}");
    }
    let mut times = BTreeMap::<&str, usize>::new();
    for message in messages {
        *times.entry(&message.body).or_default() += 1;
    }
    for (body, times) in times {
        let number: usize = body.trim_start_matches("message ").parse().unwrap();
        assert!(times == 1 || !number.is_multiple_of(2), "{body} was accepted {times} times under one key");
    }
}

/// Checks that each recorded round has its attempts exactly once, and that no other round has attempts.
fn check_attempts(history: &DeliveryHistory, delivery: &Delivery) {
    let mut stored = BTreeMap::<u32, Vec<&str>>::new();
    for attempt in &delivery.attempts {
        stored.entry(attempt.round).or_default().push(&attempt.outcome);
    }
    let mut recorded = history.attempts.clone();
    recorded.retain(|_, attempts| !attempts.is_empty());
    assert_eq!(stored, recorded, "the attempts of {}", delivery.id);
}

/// Checks that each duplicate send and each round without a recorded end is visible in the attempts.
fn check_duplicate_sends(history: &DeliveryHistory, delivery: &Delivery, is_pruned: bool) {
    let id = delivery.id;
    let unknown = count_attempts(delivery, |attempt| attempt.outcome == "unknown");
    let is_held = delivery.channel.as_str() == HOLDING_CHANNEL;
    let unknown_retries = if is_held { 0 } else { UNKNOWN_RETRIES_DEFAULT };
    let allowed = 1 + history.allowed_resends + unknown.min(unknown_retries);
    assert!(
        history.sends <= allowed,
        "{id} was sent {} times, allowed: {allowed} (unknown_retries = {unknown_retries})",
        history.sends
    );
    let accepted = count_attempts(delivery, |attempt| attempt.outcome == "accepted");
    assert!(accepted <= history.sends, "{id} has {accepted} accepted attempts and {} sends", history.sends);
    let unknown_rounds = count_attempts(delivery, |attempt| attempt.provider.is_none());
    // A message that was deleted before the lease of a stopped worker had expired shows nothing any more.
    let unrecorded = if is_pruned { 0 } else { delivery.round - history.rounds_recorded };
    assert!(
        unknown_rounds >= unrecorded,
        "{id}: {unrecorded} rounds without a recorded end, shown as unknown: {unknown_rounds}"
    );
}

fn count_attempts(
    delivery: &Delivery,
    predicate: impl Fn(&postrider_core::message::RecordedAttempt) -> bool,
) -> u32 {
    let matching = delivery.attempts.iter().filter(|attempt| predicate(attempt));
    u32::try_from(matching.count()).unwrap()
}

/// Checks that the incremental report, the rebuilt report and the counts of the messages are equal.
async fn check_report(scenario: &FaultScenario, messages: &[Message]) {
    let incremental = read_report(scenario).await;
    scenario.store.begin_rebuild().await.unwrap();
    let rebuilt = read_report(scenario).await;
    assert_eq!(incremental, rebuilt, "incremental and rebuilt report differ");
    assert_eq!(rebuilt.messages, messages.len() as u64, "messages in the report");
    assert_eq!(sort_totals(rebuilt.totals.clone()), expected_totals(messages), "totals in the report");
    for provider in &rebuilt.providers {
        assert_eq!(
            provider.outcomes,
            expected_outcomes(messages, &provider.name),
            "outcomes of {}",
            provider.name
        );
        let counts = expected_provider_counts(messages, &provider.name);
        assert_eq!(
            [provider.sent, provider.delivered, provider.bounced],
            counts,
            "counts of {}",
            provider.name
        );
    }
}

async fn read_report(scenario: &FaultScenario) -> Report {
    while scenario.store.apply_changes(CHANGES_PER_APPLY).await.unwrap() > 0 {}
    scenario.store.report(scenario.context.now()).await.unwrap()
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
                *failed.entry(failure.as_str().to_owned()).or_default() += 1;
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
        attempts.filter(|attempt| attempt.provider.as_ref().is_some_and(|name| name.as_str() == provider))
    };
    Outcome::NAMES.map(|name| attempts().filter(|attempt| attempt.outcome == name).count() as u64)
}

fn expected_provider_counts(messages: &[Message], provider: &str) -> [u64; 3] {
    let mut counts = [0; 3];
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    for delivery in
        deliveries.filter(|delivery| delivery.provider.as_ref().is_some_and(|name| name.as_str() == provider))
    {
        match &delivery.state {
            DeliveryState::Sent { .. } => counts[0] += 1,
            DeliveryState::Delivered { .. } => counts[1] += 1,
            DeliveryState::Failed { failure: Failure::Bounced, .. } => counts[2] += 1,
            DeliveryState::Waiting { .. } | DeliveryState::Failed { .. } => {}
        }
    }
    counts
}
