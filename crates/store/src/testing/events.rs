//! Conformance tests of events: inserted with the change they report, and claimed by one worker at a time.

use std::sync::Arc;

use super::fixtures::*;
use crate::{DeadLetterRequest, EventQuery, Store};
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventStatus, EventStatusKind, EventTarget, EventType,
};
use postrider_core::{
    clock::Timestamp, delivery::Failure, id::DeliveryId, message::NewMessage, receipt::ReceiptStatus,
};

fn url_target(url: &str) -> Option<EventTarget> {
    Some(EventTarget::Url { url: url.to_owned(), api_key: "shop".to_owned() })
}

fn watched(number: u64) -> NewMessage {
    watched_by(number, "https://shop.example/hook")
}

fn watched_by(number: u64, url: &str) -> NewMessage {
    NewMessage { event_target: url_target(url), ..sms(number) }
}

async fn all_events(store: &dyn Store) -> Vec<Event> {
    let query = EventQuery { limit: 1_000, ..EventQuery::default() };
    store.events(query).await.unwrap()
}

async fn events_of(store: &dyn Store, number: u64) -> Vec<Event> {
    let query = EventQuery { message: Some(id(number)), limit: 1_000, ..EventQuery::default() };
    store.events(query).await.unwrap()
}

fn sequences_and_types(events: &[Event]) -> Vec<(u32, EventType)> {
    events.iter().map(|event| (event.key.sequence, event.event_type)).collect()
}

async fn claim(store: &dyn Store, endpoint: &str, capacity: usize, now: Timestamp) -> Vec<ClaimedEvent> {
    let endpoints = vec![(endpoint.to_owned(), capacity)];
    store.claim_events(endpoints, now, LEASE).await.unwrap()
}

fn event_end(claim: &ClaimedEvent, status: EventStatus, tries: u32) -> EventAttemptResult {
    EventAttemptResult {
        key: claim.event.key,
        claims: claim.claims,
        status,
        tries,
        result: "HTTP 500".to_owned(),
    }
}

/// Sends three messages of one endpoint at seconds 1 to 3.
async fn three_sent(store: &dyn Store) {
    for number in 1..=3 {
        let id = accepted(store, watched(number)).await;
        claim_and_send(store, id, "blue", &format!("b-{number}"), at(i64::try_from(number).unwrap())).await;
    }
}

pub async fn a_watched_message_produces_events(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, watched(1)).await;
    assert_eq!(all_events(&*store).await, []);
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    for status in
        [ReceiptStatus::Delivered, ReceiptStatus::Delivered, ReceiptStatus::Opened, ReceiptStatus::Opened]
    {
        apply_receipt(&*store, received_receipt(Some("blue"), "b-1", status, at(9))).await;
    }
    let events = events_of(&*store, 1).await;
    let expected_types = [(1, EventType::Sent), (2, EventType::Delivered), (3, EventType::Opened)];
    assert_eq!(sequences_and_types(&events), expected_types);
    let sent_event = &events[0];
    assert_eq!((sent_event.message, sent_event.key.delivery), (id(1), delivery_id));
    assert_eq!((&sent_event.target, &sent_event.channel), (&watched(1).event_target.unwrap(), &name("sms")));
    assert_eq!(sent_event.spelling, sms(1).deliveries[0].spelling);
    assert_eq!((sent_event.at, sent_event.provider.clone()), (at(1), Some(name("blue"))));
    assert_eq!(sent_event.status, EventStatus::Waiting { due_at: at(1) });
    assert_eq!((events[1].at, events[1].status.time()), (at(9), at(10)));
}

pub async fn an_unwatched_message_produces_no_events(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    assert_eq!(all_events(&*store).await, []);
    assert_eq!(store.waiting_endpoints("", 9).await.unwrap(), []);
}

pub async fn a_failure_event_has_its_reason(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    claim_and_fail(&*store, id, Failure::Rejected, at(1)).await;
    accepted(&*store, watched(2)).await;
    store.cancel_message(self::id(2), at(5)).await.unwrap();
    let mut partly_rejected_message = watched(3);
    partly_rejected_message.deliveries.push(new_delivery("email", ""));
    partly_rejected_message.deliveries[1].rejection_reason = Some("no address".to_owned());
    accepted(&*store, partly_rejected_message).await;
    for (number, failure, reason, delivery_index) in [
        (1, Failure::Rejected, "no", 0),
        (2, Failure::Cancelled, "cancelled", 0),
        (3, Failure::InvalidRecipient, "no address", 1),
    ] {
        let events = events_of(&*store, number).await;
        assert_eq!(sequences_and_types(&events), [(1, EventType::Failed)], "message {number}");
        assert_eq!(events[0].failure, Some(failure));
        assert!(events[0].reason.as_ref().unwrap().contains(reason), "{:?}", events[0].reason);
        assert_eq!(events[0].id().delivery_index, delivery_index);
    }
}

pub async fn a_resend_produces_an_event_and_a_retry_does_not(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = watched(1);
    new_message.deliveries[0].resends_left = 1;
    let delivery_id = accepted(&*store, new_message).await;
    let first_claim = claimed(&*store, delivery_id, at(0)).await;
    let retry_round = finished_round(
        &first_claim,
        vec![attempt("red", unavailable_outcome(), at(0))],
        waiting_state(at(1), "down"),
        at(0),
    );
    record(&*store, retry_round).await;
    assert_eq!(all_events(&*store).await, []);
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(9))).await;
    claim_and_fail(&*store, delivery_id, Failure::Rejected, at(20)).await;
    store.requeue(vec![delivery_id], at(30), at(99_999)).await.unwrap();
    store.requeue(vec![delivery_id], at(31), at(99_999)).await.unwrap();
    let expected_types =
        [(1, EventType::Sent), (2, EventType::Waiting), (3, EventType::Failed), (4, EventType::Waiting)];
    assert_eq!(sequences_and_types(&events_of(&*store, 1).await), expected_types);
}

pub async fn the_event_of_an_early_receipt_follows_the_sent_event(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, watched(1)).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Opened, at(0))).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0))).await;
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    let events = events_of(&*store, 1).await;
    let event_types = events.iter().map(|event| event.event_type).collect::<Vec<_>>();
    assert_eq!(event_types[..2], [EventType::Sent, EventType::Delivered]);
    assert_eq!(sequences_and_types(&events).last(), Some(&(3, EventType::Opened)));
}

pub async fn a_repeated_or_superseded_record_produces_no_event(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, watched(1)).await;
    let old_claim = claimed(&*store, delivery_id, at(0)).await;
    let new_claim = claimed(&*store, delivery_id, at(60)).await;
    let sent_round = |claim| {
        finished_round(
            claim,
            vec![attempt("blue", accepted_outcome("b"), at(61))],
            sent_state("blue", "b", at(61)),
            at(61),
        )
    };
    for round in
        [sent_round(&old_claim), sent_round(&new_claim), sent_round(&new_claim), sent_round(&old_claim)]
    {
        record(&*store, round).await;
    }
    assert_eq!(sequences_and_types(&events_of(&*store, 1).await), [(1, EventType::Sent)]);
}

pub async fn waiting_endpoints_are_ordered_by_name(open: OpenStore<'_>) {
    let store = open();
    for (number, host) in [(1, "c.example"), (2, "a.example:8443"), (3, "b.example"), (4, "c.example")] {
        let delivery_id = accepted(&*store, watched_by(number, &format!("https://{host}/x"))).await;
        claim_and_send(
            &*store,
            delivery_id,
            "blue",
            &format!("b-{number}"),
            at(i64::try_from(number).unwrap()),
        )
        .await;
    }
    let list_endpoints = |after, limit| {
        let store = Arc::clone(&store);
        async move {
            let endpoints = store.waiting_endpoints(after, limit).await.unwrap();
            endpoints.into_iter().map(|endpoint| (endpoint.name, endpoint.due_at)).collect::<Vec<_>>()
        }
    };
    let [a, b, c] = [("a.example:8443", 2), ("b.example", 3), ("c.example", 1)]
        .map(|(endpoint, due)| (endpoint.to_owned(), at(due)));
    assert_eq!(list_endpoints("", 9).await, [a.clone(), b.clone(), c.clone()]);
    assert_eq!(list_endpoints("", 2).await, [a, b]);
    assert_eq!(list_endpoints("b.example", 9).await, [c]);
    assert_eq!(list_endpoints("c.example", 9).await, []);
}

pub async fn a_claimed_event_is_not_due_until_its_lease_ends(open: OpenStore<'_>) {
    let (store, other_store) = (open(), open());
    three_sent(&*store).await;
    let endpoint = "shop.example";
    assert_eq!(claim(&*store, endpoint, 9, at(0)).await, []);
    let first_claims = claim(&*store, endpoint, 2, at(5)).await;
    let claimed_messages = first_claims.iter().map(|claim| claim.event.message).collect::<Vec<_>>();
    assert_eq!(claimed_messages.len(), 2);
    assert!(claimed_messages.contains(&id(1)) && claimed_messages.contains(&id(2)));
    let second_claims = claim(&*other_store, endpoint, 9, at(5)).await;
    assert_eq!(second_claims.len(), 1);
    assert_eq!(second_claims[0].event.message, id(3));
    assert_eq!(claim(&*other_store, endpoint, 9, at(64)).await, []);
    let expired_claims = claim(&*other_store, endpoint, 9, at(65)).await;
    assert_eq!(expired_claims.len(), 3);
    assert!(expired_claims.iter().all(|claim| claim.claims == 2));
}

pub async fn concurrent_claims_share_no_event(open: OpenStore<'_>) {
    let stores = [open(), open(), open()];
    three_sent(&*stores[0]).await;
    let claims = stores.iter().map(|store| {
        let store = Arc::clone(store);
        tokio::spawn(async move { claim(&*store, "shop.example", 9, at(5)).await.len() })
    });
    let mut claimed_count = 0;
    for task in claims.collect::<Vec<_>>() {
        claimed_count += task.await.unwrap();
    }
    assert_eq!(claimed_count, 3);
}

pub async fn the_result_of_a_superseded_event_claim_is_ignored(open: OpenStore<'_>) {
    let store = open();
    three_sent(&*store).await;
    let old_claims = claim(&*store, "shop.example", 9, at(5)).await;
    let new_claims = claim(&*store, "shop.example", 9, at(65)).await;
    let statuses = [
        EventStatus::Delivered { at: at(66) },
        EventStatus::Waiting { due_at: at(99) },
        EventStatus::Dead { at: at(66) },
    ];
    let superseded_results =
        old_claims.iter().map(|claim| event_end(claim, EventStatus::Delivered { at: at(64) }, 0));
    store.record_events(superseded_results.collect()).await.unwrap();
    let results = new_claims.iter().zip(statuses).map(|(claim, status)| event_end(claim, status, 4));
    store.record_events(results.collect()).await.unwrap();
    let stored_events = all_events(&*store).await;
    for (claim, status) in new_claims.iter().zip(statuses) {
        let event = stored_events.iter().find(|event| event.key == claim.event.key).unwrap();
        assert_eq!((event.status, event.tries), (status, 4));
        assert_eq!(event.last_result.as_deref(), Some("HTTP 500"));
    }
    let endpoints = store.waiting_endpoints("", 9).await.unwrap();
    assert_eq!(endpoints[0].due_at, at(99));
    let dead_query = EventQuery { state: Some(EventStatusKind::Dead), limit: 9, ..EventQuery::default() };
    assert_eq!(store.events(dead_query).await.unwrap().len(), 1);
}

pub async fn events_are_listed_newest_first_by_state_and_time(open: OpenStore<'_>) {
    let store = open();
    three_sent(&*store).await;
    let query_for =
        |state, since: Option<i64>, limit| EventQuery { message: None, state, since: since.map(at), limit };
    for (query, expected_numbers) in [
        (query_for(None, None, 9), vec![3, 2, 1]),
        (query_for(None, None, 2), vec![3, 2]),
        (query_for(Some(EventStatusKind::Waiting), Some(2), 9), vec![3, 2]),
        (query_for(Some(EventStatusKind::Delivered), None, 9), vec![]),
        (query_for(Some(EventStatusKind::Dead), None, 9), vec![]),
    ] {
        let events = store.events(query).await.unwrap();
        let found_messages = events.iter().map(|event| event.message).collect::<Vec<_>>();
        assert_eq!(found_messages, expected_numbers.into_iter().map(id).collect::<Vec<_>>());
    }
    assert_eq!(events_of(&*store, 99).await, []);
}

pub async fn dead_letters_can_be_replayed(open: OpenStore<'_>) {
    let store = open();
    three_sent(&*store).await;
    let claims = claim(&*store, "shop.example", 1, at(5)).await;
    let request = |event_target, before| DeadLetterRequest {
        endpoint: "shop.example".to_owned(),
        event_target,
        before: at(before),
        reason: "gone".to_owned(),
        now: at(6),
        limit: 2,
    };
    let other_target = url_target("https://shop.example/other");
    assert_eq!(store.dead_letter_events(request(other_target, 99)).await.unwrap(), 0);
    assert_eq!(store.dead_letter_events(request(watched(1).event_target, 0)).await.unwrap(), 0);
    assert_eq!(store.dead_letter_events(request(watched(1).event_target, 99)).await.unwrap(), 2);
    assert_eq!(store.dead_letter_events(request(None, 99)).await.unwrap(), 1);
    let late_result = event_end(&claims[0], EventStatus::Delivered { at: at(7) }, 0);
    store.record_events(vec![late_result]).await.unwrap();
    let dead_events = all_events(&*store).await;
    let is_dead = |event: &Event| event.status == EventStatus::Dead { at: at(6) };
    assert!(dead_events.iter().all(is_dead), "{dead_events:?}");
    let keys = dead_events.iter().map(|event| event.key).collect::<Vec<_>>();
    assert_eq!(store.replay_events(keys, at(8)).await.unwrap(), 3);
    let replayed_claims = claim(&*store, "shop.example", 9, at(8)).await;
    assert_eq!(replayed_claims.len(), 3);
    assert!(replayed_claims.iter().all(|claim| claim.event.tries == 0));
}

pub async fn old_events_are_deleted_unless_they_wait(open: OpenStore<'_>) {
    let store = open();
    three_sent(&*store).await;
    let claims = claim(&*store, "shop.example", 2, at(5)).await;
    let delivered_results =
        claims.iter().map(|claim| event_end(claim, EventStatus::Delivered { at: at(6) }, 0));
    store.record_events(delivered_results.collect()).await.unwrap();
    store.delete_expired(at(1), at(50), 100).await.unwrap();
    assert_eq!(all_events(&*store).await.len(), 3);
    assert_eq!(store.delete_expired(at(9_999), at(9_999), 100).await.unwrap(), 2);
    let events_left = all_events(&*store).await;
    assert_eq!(events_left.len(), 1);
    assert_eq!(events_left[0].status.kind(), EventStatusKind::Waiting);
    assert!(events_left[0].key.delivery > DeliveryId(0));
}
