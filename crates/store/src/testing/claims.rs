//! Conformance tests of due deliveries, claims and records.

use std::sync::Arc;

use super::fixtures::*;
use crate::Store;
use postrider_core::capacity::Capacity;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::DeliveryId;
use postrider_core::message::RecordedAttempt;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::recipient::RecipientStatus;
use postrider_core::round::{CompletedRound, RecordResult};

pub async fn due_deliveries_are_ordered_by_priority_and_due_time(open: OpenStore<'_>) {
    let store = open();
    let mut ids = Vec::new();
    for (number, due, priority) in [
        (1, 50, Priority::Normal),
        (2, 20, Priority::Normal),
        (3, 40, Priority::High),
        (4, 30, Priority::High),
        (5, 99, Priority::High),
        (6, 60, Priority::Normal),
    ] {
        let mut new = sms(number);
        new.deliveries[0].due_at = at(due);
        new.deliveries[0].priority = priority;
        ids.push(accepted(&*store, new).await);
    }
    let entry = |index: usize, due, priority| QueueEntry {
        id: ids[index],
        channel: name("sms"),
        due_at: at(due),
        priority,
    };
    let expected = [
        entry(3, 30, Priority::High),
        entry(2, 40, Priority::High),
        entry(1, 20, Priority::Normal),
        entry(0, 50, Priority::Normal),
    ];
    assert_eq!(store.due(at(50), &Capacity::total(9)).await.unwrap(), expected);
    assert_eq!(store.due(at(50), &Capacity::total(3)).await.unwrap(), expected[..3]);
    assert_eq!(store.due(at(50), &Capacity::total(1)).await.unwrap(), expected[..1]);
    assert!(store.due(at(19), &Capacity::total(9)).await.unwrap().is_empty());
}

/// Accepts three due messages on each of three channels, one of them with high priority.
async fn accept_on_three_channels(store: &dyn Store) {
    for number in 0..9 {
        let mut new = sms(number);
        let channel = ["email", "gone", "sms"][usize::try_from(number % 3).unwrap()];
        new.deliveries = vec![new_delivery(channel, "+981")];
        new.deliveries[0].due_at = at(i64::try_from(number).unwrap());
        if number == 8 {
            new.deliveries[0].priority = Priority::High;
        }
        accepted(store, new).await;
    }
}

async fn due_channels(store: &dyn Store, capacity: &Capacity) -> Vec<String> {
    let due = store.due(at(50), capacity).await.unwrap();
    due.iter().map(|entry| entry.channel.to_string()).collect()
}

pub async fn due_deliveries_alternate_between_channels(open: OpenStore<'_>) {
    let store = open();
    accept_on_three_channels(&*store).await;
    assert_eq!(due_channels(&*store, &Capacity::total(5)).await, ["sms", "email", "gone", "sms", "email"]);
}

pub async fn a_channel_without_capacity_is_skipped(open: OpenStore<'_>) {
    let store = open();
    accept_on_three_channels(&*store).await;
    let capacity = Capacity::total(9).with_channel(name("sms"), 0).with_channel(name("email"), 1);
    assert_eq!(
        due_channels(&*store, &capacity).await,
        ["email", "gone", "gone", "gone"],
        "a channel that is not configured is included"
    );
    let capacity = Capacity::total(9).with_channel(name("sms"), 2);
    let sms = due_channels(&*store, &capacity).await;
    assert_eq!(sms.iter().filter(|channel| *channel == "sms").count(), 2);
}

pub async fn a_claim_has_everything_that_sending_needs(open: OpenStore<'_>) {
    let store = open();
    let mut new = sms(1);
    new.deliveries[0].priority = Priority::High;
    let delivery = accepted(&*store, new.clone()).await;
    let claim = claimed(&*store, delivery, at(1)).await;
    assert_eq!(claim.id, delivery);
    assert_eq!(claim.message, id(1));
    assert_eq!(claim.body, new.body);
    assert_eq!(claim.channel, name("sms"));
    assert_eq!(claim.address, "+989121111111");
    assert_eq!(claim.spelling, "as written +989121111111");
    assert_eq!((claim.parts, claim.round, claim.tries, claim.unrecorded_claims), (2, 1, 0, 0));
    assert_eq!((claim.avoid, claim.priority, claim.expires_at), (None, Priority::High, at(86_400)));
}

pub async fn one_of_many_concurrent_claims_wins(open: OpenStore<'_>) {
    let store = open();
    let delivery = accepted(&*store, sms(1)).await;
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        claims.spawn(async move { store.claim(vec![delivery, delivery], at(1), LEASE).await.unwrap() });
    }
    let claimed_count: usize = claims.join_all().await.iter().map(Vec::len).sum();
    assert_eq!(claimed_count, 1);
    assert!(store.claim(vec![DeliveryId(999)], at(1), LEASE).await.unwrap().is_empty());
}

pub async fn an_expired_lease_makes_the_delivery_due_again(open: OpenStore<'_>) {
    let store = open();
    let delivery = accepted(&*store, sms(1)).await;
    claimed(&*store, delivery, at(1)).await;
    assert!(store.due(at(60), &Capacity::total(9)).await.unwrap().is_empty());
    assert!(is_not_claimable(&*store, delivery, at(60)).await);
    assert_eq!(store.due(at(61), &Capacity::total(9)).await.unwrap()[0].due_at, at(61));
    assert_eq!(claimed(&*store, delivery, at(61)).await.round, 2);
}

pub async fn unrecorded_rounds_are_counted(open: OpenStore<'_>) {
    let store = open();
    let delivery = accepted(&*store, sms(1)).await;
    assert_eq!(claimed(&*store, delivery, at(1)).await.unrecorded_claims, 0);
    assert_eq!(claimed(&*store, delivery, at(100)).await.unrecorded_claims, 1);
    assert_eq!(claimed(&*store, delivery, at(200)).await.unrecorded_claims, 2);
}

pub async fn a_recorded_round_is_not_counted_as_unrecorded(open: OpenStore<'_>) {
    let store = open();
    let delivery = accepted(&*store, sms(1)).await;
    let first = claimed(&*store, delivery, at(1)).await;
    let again = finished_round(
        &first,
        vec![attempt("red", unavailable_outcome(), at(1))],
        waiting_state(at(50), "down"),
        at(2),
    );
    assert_eq!(record(&*store, again).await, RecordResult::Stored);
    let second = claimed(&*store, delivery, at(50)).await;
    assert_eq!((second.round, second.tries, second.unrecorded_claims), (2, 1, 0));
}

pub async fn a_superseded_round_changes_no_state_but_keeps_its_attempts(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let first = claimed(&*store, id, at(1)).await;
    let second = claimed(&*store, id, at(100)).await;
    let sent_attempts = vec![
        attempt("red", unavailable_outcome(), at(101)),
        attempt("blue", accepted_outcome("b-2"), at(102)),
    ];
    let newer = finished_round(&second, sent_attempts, sent_state("blue", "b-2", at(103)), at(103));
    assert_eq!(record(&*store, newer).await, RecordResult::Stored);
    let sent_attempts =
        vec![attempt("red", accepted_outcome("r-1"), at(2)), attempt("red", unavailable_outcome(), at(3))];
    let late = finished_round(&first, sent_attempts, sent_state("red", "r-1", at(104)), at(104));
    assert_eq!(record(&*store, late.clone()).await, RecordResult::Superseded);
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, sent_state("blue", "b-2", at(103)));
    let sent_attempts: Vec<_> = found
        .attempts
        .iter()
        .map(|recorded| {
            (recorded.round, recorded.provider.as_ref().unwrap().as_str(), recorded.outcome.as_str())
        })
        .collect();
    let expected = [
        (1, "red", "accepted"),
        (1, "red", "unavailable"),
        (2, "red", "unavailable"),
        (2, "blue", "accepted"),
    ];
    assert_eq!(sent_attempts, expected);
}

pub async fn a_round_is_recorded_once(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    let first = finished_round(&claim, vec![], waiting_state(at(50), "down"), at(2));
    let second = finished_round(&claim, vec![], sent_state("blue", "b-1", at(3)), at(3));
    let results = store.record(vec![first, second]).await.unwrap();
    assert_eq!(results, [RecordResult::Stored, RecordResult::Stored]);
    assert_eq!(first_delivery(&*store, 1).await.state, waiting_state(at(50), "down"));
}

pub async fn repeating_a_record_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let first = claimed(&*store, id, at(1)).await;
    let second = claimed(&*store, id, at(100)).await;
    let late = finished_round(
        &first,
        vec![attempt("red", unavailable_outcome(), at(2))],
        waiting_state(at(50), "down"),
        at(2),
    );
    let newer = finished_round(
        &second,
        vec![attempt("blue", accepted_outcome("b-1"), at(101))],
        sent_state("blue", "b-1", at(101)),
        at(101),
    );
    for _ in 0..3 {
        assert_eq!(record(&*store, late.clone()).await, RecordResult::Superseded);
        assert_eq!(record(&*store, newer.clone()).await, RecordResult::Stored);
    }
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, sent_state("blue", "b-1", at(101)));
    assert_eq!(found.attempts.len(), 2, "{:?}", found.attempts);
}

pub async fn an_expired_delivery_can_be_claimed(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, id, at(200_000)).await;
    assert!(claim.expires_at < at(200_000));
}

pub async fn a_retry_waits_with_its_reason(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    let mut sent_attempts = vec![attempt("red", unavailable_outcome(), at(1))];
    sent_attempts[0].provider = None;
    record(&*store, finished_round(&claim, sent_attempts, waiting_state(at(50), "all are down"), at(2)))
        .await;
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, waiting_state(at(50), "all are down"));
    assert_eq!((found.round, found.tries, found.provider), (1, 1, None));
    let expected = RecordedAttempt {
        round: 1,
        provider: None,
        outcome: "unavailable".to_owned(),
        code: Some("HTTP 418".to_owned()),
        reason: Some("down".to_owned()),
        at: at(1),
        duration_ms: 40,
        address: None,
    };
    assert_eq!(found.attempts, [expected]);
    assert!(is_not_claimable(&*store, id, at(49)).await);
}

pub async fn an_invalid_recipient_becomes_inactive(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    claim_and_fail(&*store, id, Failure::InvalidRecipient, at(5)).await;
    let known = store.recipient(&name("sms"), "+989121111111").await.unwrap().unwrap();
    assert_eq!(known.status, RecipientStatus::Inactive);
    assert_eq!((known.changed_by.as_str(), known.changed_at), ("red", at(5)));
    let DeliveryState::Failed { failure, .. } = first_delivery(&*store, 1).await.state else {
        panic!("not failed");
    };
    assert_eq!(failure, Failure::InvalidRecipient);
}

pub async fn rounds_of_unknown_deliveries_are_ignored(open: OpenStore<'_>) {
    let store = open();
    let stray = CompletedRound {
        id: DeliveryId(640),
        round: 1,
        attempts: vec![attempt("red", unavailable_outcome(), at(1))],
        state: waiting_state(at(9), "down"),
        tries: 1,
        at: at(1),
        event_target: None,
    };
    assert_eq!(record(&*store, stray).await, RecordResult::Superseded);
    apply_all_changes(&*store).await;
    assert!(store.report(at(10)).await.unwrap().providers.is_empty());
}
