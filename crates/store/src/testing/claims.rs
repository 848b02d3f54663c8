//! Conformance tests of due deliveries, claims and records.

use std::sync::Arc;

use super::fixtures::*;
use crate::Store;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::round::{CompletedRound, RecordResult};
use postrider_core::{
    capacity::Capacity, id::DeliveryId, message::RecordedAttempt, priority::Priority,
    queue_entry::QueueEntry, recipient::RecipientStatus,
};

pub async fn due_deliveries_are_ordered_by_priority_and_due_time(open: OpenStore<'_>) {
    let store = open();
    let mut delivery_ids = Vec::new();
    for (number, due_second, priority) in [
        (1, 50, Priority::Normal),
        (2, 20, Priority::Normal),
        (3, 40, Priority::High),
        (4, 30, Priority::High),
        (5, 99, Priority::High),
        (6, 60, Priority::Normal),
    ] {
        let mut new_message = sms(number);
        new_message.deliveries[0].due_at = at(due_second);
        new_message.deliveries[0].priority = priority;
        delivery_ids.push(accepted(&*store, new_message).await);
    }
    let expected_entry = |index: usize, due_second, priority| QueueEntry {
        id: delivery_ids[index],
        channel: name("sms"),
        due_at: at(due_second),
        priority,
    };
    let expected_entries = [
        expected_entry(3, 30, Priority::High),
        expected_entry(2, 40, Priority::High),
        expected_entry(1, 20, Priority::Normal),
        expected_entry(0, 50, Priority::Normal),
    ];
    assert_eq!(store.due(at(50), &Capacity::total(9)).await.unwrap(), expected_entries);
    assert_eq!(store.due(at(50), &Capacity::total(3)).await.unwrap(), expected_entries[..3]);
    assert_eq!(store.due(at(50), &Capacity::total(1)).await.unwrap(), expected_entries[..1]);
    assert!(store.due(at(19), &Capacity::total(9)).await.unwrap().is_empty());
}

/// Accepts three due messages on each of three channels, one of them with high priority.
async fn accept_on_three_channels(store: &dyn Store) {
    for number in 0..9 {
        let mut new_message = sms(number);
        let channel = ["email", "gone", "sms"][usize::try_from(number % 3).unwrap()];
        new_message.deliveries = vec![new_delivery(channel, "+981")];
        new_message.deliveries[0].due_at = at(i64::try_from(number).unwrap());
        if number == 8 {
            new_message.deliveries[0].priority = Priority::High;
        }
        accepted(store, new_message).await;
    }
}

async fn due_channels(store: &dyn Store, capacity: &Capacity) -> Vec<String> {
    let due_entries = store.due(at(50), capacity).await.unwrap();
    due_entries.iter().map(|entry| entry.channel.to_string()).collect()
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
    let channels = due_channels(&*store, &capacity).await;
    assert_eq!(channels.iter().filter(|channel| *channel == "sms").count(), 2);
}

pub async fn a_claim_has_everything_that_sending_needs(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = sms(1);
    new_message.deliveries[0].priority = Priority::High;
    let delivery_id = accepted(&*store, new_message.clone()).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    assert_eq!(claim.id, delivery_id);
    assert_eq!(claim.message, id(1));
    assert_eq!(claim.body, new_message.body);
    assert_eq!(claim.channel, name("sms"));
    assert_eq!(claim.address, "+989121111111");
    assert_eq!(claim.spelling, "as written +989121111111");
    assert_eq!((claim.parts, claim.round, claim.tries, claim.unrecorded_claims), (2, 1, 0, 0));
    assert_eq!((claim.avoid, claim.priority, claim.expires_at), (None, Priority::High, at(86_400)));
}

pub async fn one_of_many_concurrent_claims_wins(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        claims.spawn(async move { store.claim(vec![delivery_id, delivery_id], at(1), LEASE).await.unwrap() });
    }
    let claimed_count: usize = claims.join_all().await.iter().map(Vec::len).sum();
    assert_eq!(claimed_count, 1);
    assert!(store.claim(vec![DeliveryId(999)], at(1), LEASE).await.unwrap().is_empty());
}

pub async fn an_expired_lease_makes_the_delivery_due_again(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claimed(&*store, delivery_id, at(1)).await;
    assert!(store.due(at(60), &Capacity::total(9)).await.unwrap().is_empty());
    assert!(is_not_claimable(&*store, delivery_id, at(60)).await);
    assert_eq!(store.due(at(61), &Capacity::total(9)).await.unwrap()[0].due_at, at(61));
    assert_eq!(claimed(&*store, delivery_id, at(61)).await.round, 2);
}

pub async fn an_extended_lease_lasts_until_its_new_end_and_belongs_to_its_claim(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let first_claim = claimed(&*store, delivery_id, at(1)).await;
    assert!(store.extend_lease(&first_claim, at(700)).await.unwrap());
    assert!(is_not_claimable(&*store, delivery_id, at(699)).await);
    let second_claim = claimed(&*store, delivery_id, at(700)).await;
    assert!(!store.extend_lease(&first_claim, at(9_000)).await.unwrap(), "another worker has the delivery");
    assert_eq!((second_claim.round, second_claim.unrecorded_claims), (2, 1));
    assert!(store.extend_lease(&second_claim, at(1_000)).await.unwrap());
    assert!(is_not_claimable(&*store, delivery_id, at(999)).await);
}

pub async fn unrecorded_rounds_are_counted(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    assert_eq!(claimed(&*store, delivery_id, at(1)).await.unrecorded_claims, 0);
    assert_eq!(claimed(&*store, delivery_id, at(100)).await.unrecorded_claims, 1);
    assert_eq!(claimed(&*store, delivery_id, at(200)).await.unrecorded_claims, 2);
}

pub async fn a_recorded_round_is_not_counted_as_unrecorded(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let first_claim = claimed(&*store, delivery_id, at(1)).await;
    let first_round = finished_round(
        &first_claim,
        vec![attempt("red", unavailable_outcome(), at(1))],
        waiting_state(at(50), "down"),
        at(2),
    );
    assert_eq!(record(&*store, first_round).await, RecordResult::Stored);
    let second_claim = claimed(&*store, delivery_id, at(50)).await;
    assert_eq!((second_claim.round, second_claim.tries, second_claim.unrecorded_claims), (2, 1, 0));
}

pub async fn a_superseded_round_changes_no_state_but_keeps_its_attempts(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let first_claim = claimed(&*store, delivery_id, at(1)).await;
    let second_claim = claimed(&*store, delivery_id, at(100)).await;
    let sent_attempts = vec![
        attempt("red", unavailable_outcome(), at(101)),
        attempt("blue", accepted_outcome("b-2"), at(102)),
    ];
    let second_round =
        finished_round(&second_claim, sent_attempts, sent_state("blue", "b-2", at(103)), at(103));
    assert_eq!(record(&*store, second_round).await, RecordResult::Stored);
    let sent_attempts =
        vec![attempt("red", accepted_outcome("r-1"), at(2)), attempt("red", unavailable_outcome(), at(3))];
    let first_round = finished_round(&first_claim, sent_attempts, sent_state("red", "r-1", at(104)), at(104));
    assert_eq!(record(&*store, first_round.clone()).await, RecordResult::Superseded);
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, sent_state("blue", "b-2", at(103)));
    let sent_attempts: Vec<_> = found_delivery
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
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    let first_round = finished_round(&claim, vec![], waiting_state(at(50), "down"), at(2));
    let second_round = finished_round(&claim, vec![], sent_state("blue", "b-1", at(3)), at(3));
    let results = store.record(vec![first_round, second_round]).await.unwrap();
    assert_eq!(results, [RecordResult::Stored, RecordResult::Stored]);
    assert_eq!(first_delivery(&*store, 1).await.state, waiting_state(at(50), "down"));
}

pub async fn repeating_a_record_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let first_claim = claimed(&*store, delivery_id, at(1)).await;
    let second_claim = claimed(&*store, delivery_id, at(100)).await;
    let first_round = finished_round(
        &first_claim,
        vec![attempt("red", unavailable_outcome(), at(2))],
        waiting_state(at(50), "down"),
        at(2),
    );
    let second_round = finished_round(
        &second_claim,
        vec![attempt("blue", accepted_outcome("b-1"), at(101))],
        sent_state("blue", "b-1", at(101)),
        at(101),
    );
    for _ in 0..3 {
        assert_eq!(record(&*store, first_round.clone()).await, RecordResult::Superseded);
        assert_eq!(record(&*store, second_round.clone()).await, RecordResult::Stored);
    }
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, sent_state("blue", "b-1", at(101)));
    assert_eq!(found_delivery.attempts.len(), 2, "{:?}", found_delivery.attempts);
}

pub async fn an_expired_delivery_can_be_claimed(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(200_000)).await;
    assert!(claim.expires_at < at(200_000));
}

pub async fn a_retry_waits_with_its_reason(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    let mut attempts = vec![attempt("red", unavailable_outcome(), at(1))];
    attempts[0].provider = None;
    record(&*store, finished_round(&claim, attempts, waiting_state(at(50), "all are down"), at(2))).await;
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, waiting_state(at(50), "all are down"));
    assert_eq!((found_delivery.round, found_delivery.tries, found_delivery.provider), (1, 1, None));
    let expected_attempt = RecordedAttempt {
        round: 1,
        provider: None,
        outcome: "unavailable".to_owned(),
        code: Some("HTTP 418".to_owned()),
        reference: None,
        reason: Some("down".to_owned()),
        at: at(1),
        duration_ms: 40,
        address: None,
    };
    assert_eq!(found_delivery.attempts, [expected_attempt]);
    assert!(is_not_claimable(&*store, delivery_id, at(49)).await);
}

pub async fn an_invalid_recipient_becomes_inactive(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claim_and_fail(&*store, delivery_id, Failure::InvalidRecipient, at(5)).await;
    let stored_recipient = store.recipient(&name("sms"), "+989121111111").await.unwrap().unwrap();
    assert_eq!(stored_recipient.status, RecipientStatus::Inactive);
    assert_eq!((stored_recipient.changed_by.as_str(), stored_recipient.changed_at), ("red", at(5)));
    let DeliveryState::Failed { failure, .. } = first_delivery(&*store, 1).await.state else {
        panic!("not failed");
    };
    assert_eq!(failure, Failure::InvalidRecipient);
}

pub async fn rounds_of_unknown_deliveries_are_ignored(open: OpenStore<'_>) {
    let store = open();
    let unknown_round = CompletedRound {
        id: DeliveryId(640),
        round: 1,
        attempts: vec![attempt("red", unavailable_outcome(), at(1))],
        state: waiting_state(at(9), "down"),
        tries: 1,
        expires_at: at(1_000),
        at: at(1),
        event_target: None,
    };
    assert_eq!(record(&*store, unknown_round).await, RecordResult::Superseded);
    apply_all_changes(&*store).await;
    assert!(store.report(at(10)).await.unwrap().providers.is_empty());
}
