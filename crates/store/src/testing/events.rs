//! Promises about events: they come into being with what they speak of, and each is told by one at a time.

use std::sync::Arc;

use super::fixtures::*;
use crate::{DeadLetterRequest, EventQuery, Store};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::Failure;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventStatus, EventStatusKind, EventTarget, EventType,
};
use postrider_core::id::DeliveryId;
use postrider_core::message::NewMessage;
use postrider_core::receipt::ReceiptStatus;

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

fn callback_watch(url: &str) -> Option<EventTarget> {
    Some(EventTarget::Url {
        url: url.to_owned(),
        api_key: "shop".to_owned(),
    })
}

fn watched(which: u64) -> NewMessage {
    watched_by(which, "https://shop.example/hook")
}

fn watched_by(which: u64, url: &str) -> NewMessage {
    NewMessage {
        event_target: callback_watch(url),
        ..sms(which)
    }
}

async fn all(store: &dyn Store) -> Vec<Event> {
    let query = EventQuery {
        limit: 1_000,
        ..EventQuery::default()
    };
    store.events(query).await.unwrap()
}

async fn of_message(store: &dyn Store, which: u64) -> Vec<Event> {
    let query = EventQuery {
        message: Some(id(which)),
        limit: 1_000,
        ..EventQuery::default()
    };
    store.events(query).await.unwrap()
}

fn sequences_and_types(events: &[Event]) -> Vec<(u32, EventType)> {
    events
        .iter()
        .map(|event| (event.key.sequence, event.event_type))
        .collect()
}

async fn claim(store: &dyn Store, lane: &str, room: usize, now: Timestamp) -> Vec<ClaimedEvent> {
    let lanes = vec![(lane.to_owned(), room)];
    store.claim_events(lanes, now, LEASE).await.unwrap()
}

fn event_end(of: &ClaimedEvent, standing: EventStatus, tries: u32) -> EventAttemptResult {
    EventAttemptResult {
        key: of.event.key,
        claims: of.claims,
        status: standing,
        tries,
        result: "HTTP 500".to_owned(),
    }
}

/// Three messages of one receiver, sent at seconds 1 to 3.
async fn three_sent(store: &dyn Store) {
    for which in 1..=3 {
        let id = accepted(store, watched(which)).await;
        claim_and_send(
            store,
            id,
            "blue",
            &format!("b-{which}"),
            at(i64::try_from(which).unwrap()),
        )
        .await;
    }
}

pub async fn what_happens_to_a_watched_message_is_kept(open: Open<'_>) {
    let store = open();
    let delivery = accepted(&*store, watched(1)).await;
    assert_eq!(all(&*store).await, []);
    claim_and_send(&*store, delivery, "blue", "b-1", at(1)).await;
    for verdict in [
        ReceiptStatus::Delivered,
        ReceiptStatus::Delivered,
        ReceiptStatus::Opened,
        ReceiptStatus::Opened,
    ] {
        apply_receipt(&*store, received_receipt(Some("blue"), "b-1", verdict, at(9))).await;
    }
    let told = of_message(&*store, 1).await;
    let what = [
        (1, EventType::Sent),
        (2, EventType::Delivered),
        (3, EventType::Opened),
    ];
    assert_eq!(sequences_and_types(&told), what);
    let sent = &told[0];
    assert_eq!((sent.message, sent.key.delivery), (id(1), delivery));
    assert_eq!(
        (&sent.target, &sent.channel),
        (&watched(1).event_target.unwrap(), &name("sms"))
    );
    assert_eq!(sent.spelling, sms(1).deliveries[0].spelling);
    assert_eq!((sent.at, sent.provider.clone()), (at(1), Some(name("blue"))));
    assert_eq!(sent.status, EventStatus::Waiting { due_at: at(1) });
    assert_eq!((told[1].at, told[1].status.time()), (at(9), at(10)));
}

pub async fn nobody_is_told_of_what_nobody_watches(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, id, "blue", "b-1", at(1)).await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9)),
    )
    .await;
    assert_eq!(all(&*store).await, []);
    assert_eq!(store.waiting_endpoints("", 9).await.unwrap(), []);
}

pub async fn failures_are_told_with_their_reason(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    claim_and_fail(&*store, id, Failure::Rejected, at(1)).await;
    accepted(&*store, watched(2)).await;
    store.cancel_message(self::id(2), at(5)).await.unwrap();
    let mut halved = watched(3);
    halved.deliveries.push(new_delivery("email", ""));
    halved.deliveries[1].rejection_reason = Some("no address".to_owned());
    accepted(&*store, halved).await;
    for (which, failure, reason, place) in [
        (1, Failure::Rejected, "no", 0),
        (2, Failure::Cancelled, "called off", 0),
        (3, Failure::InvalidRecipient, "no address", 1),
    ] {
        let told = of_message(&*store, which).await;
        assert_eq!(
            sequences_and_types(&told),
            [(1, EventType::Failed)],
            "message {which}"
        );
        assert_eq!(told[0].failure, Some(failure));
        assert!(
            told[0].reason.as_ref().unwrap().contains(reason),
            "{:?}",
            told[0].reason
        );
        assert_eq!(told[0].id().delivery_index, place);
    }
}

pub async fn what_waits_again_is_told_and_a_retry_is_not(open: Open<'_>) {
    let store = open();
    let mut new = watched(1);
    new.deliveries[0].resends_left = 1;
    let id = accepted(&*store, new).await;
    let first = claimed(&*store, id, at(0)).await;
    let retry = finished_round(
        &first,
        vec![attempt("red", unavailable_outcome(), at(0))],
        waiting_state(at(1), "down"),
        at(0),
    );
    record(&*store, retry).await;
    assert_eq!(all(&*store).await, []);
    claim_and_send(&*store, id, "blue", "b-1", at(1)).await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", bounced_verdict(), at(9)),
    )
    .await;
    claim_and_fail(&*store, id, Failure::Rejected, at(20)).await;
    store.requeue(vec![id], at(30), at(99_999)).await.unwrap();
    store.requeue(vec![id], at(31), at(99_999)).await.unwrap();
    let what = [
        (1, EventType::Sent),
        (2, EventType::Waiting),
        (3, EventType::Failed),
        (4, EventType::Waiting),
    ];
    assert_eq!(sequences_and_types(&of_message(&*store, 1).await), what);
}

pub async fn an_early_receipt_is_told_after_the_send(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Opened, at(0)),
    )
    .await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0)),
    )
    .await;
    claim_and_send(&*store, id, "blue", "b-1", at(1)).await;
    let told = of_message(&*store, 1).await;
    let what = told.iter().map(|event| event.event_type).collect::<Vec<_>>();
    assert_eq!(what[..2], [EventType::Sent, EventType::Delivered]);
    assert_eq!(sequences_and_types(&told).last(), Some(&(3, EventType::Opened)));
}

pub async fn a_record_that_is_repeated_or_overtaken_tells_nothing(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    let old = claimed(&*store, id, at(0)).await;
    let new = claimed(&*store, id, at(60)).await;
    let end = |of| {
        finished_round(
            of,
            vec![attempt("blue", accepted_outcome("b"), at(61))],
            sent_state("blue", "b", at(61)),
            at(61),
        )
    };
    for round in [end(&old), end(&new), end(&new), end(&old)] {
        record(&*store, round).await;
    }
    assert_eq!(
        sequences_and_types(&of_message(&*store, 1).await),
        [(1, EventType::Sent)]
    );
}

pub async fn lanes_are_found_in_their_order(open: Open<'_>) {
    let store = open();
    for (which, host) in [
        (1, "c.example"),
        (2, "a.example:8443"),
        (3, "b.example"),
        (4, "c.example"),
    ] {
        let id = accepted(&*store, watched_by(which, &format!("https://{host}/x"))).await;
        claim_and_send(
            &*store,
            id,
            "blue",
            &format!("b-{which}"),
            at(i64::try_from(which).unwrap()),
        )
        .await;
    }
    let lanes = |after, limit| {
        let store = Arc::clone(&store);
        async move {
            let lanes = store.waiting_endpoints(after, limit).await.unwrap();
            lanes
                .into_iter()
                .map(|lane| (lane.name, lane.due_at))
                .collect::<Vec<_>>()
        }
    };
    let [a, b, c] = [("a.example:8443", 2), ("b.example", 3), ("c.example", 1)]
        .map(|(lane, due)| (lane.to_owned(), at(due)));
    assert_eq!(lanes("", 9).await, [a.clone(), b.clone(), c.clone()]);
    assert_eq!(lanes("", 2).await, [a, b]);
    assert_eq!(lanes("b.example", 9).await, [c]);
    assert_eq!(lanes("c.example", 9).await, []);
}

pub async fn a_claimed_event_is_nobody_elses_until_its_lease_ends(open: Open<'_>) {
    let (store, other) = (open(), open());
    three_sent(&*store).await;
    let lane = "shop.example";
    assert_eq!(claim(&*store, lane, 9, at(0)).await, []);
    let first = claim(&*store, lane, 2, at(5)).await;
    let messages = first.iter().map(|one| one.event.message).collect::<Vec<_>>();
    assert_eq!(messages.len(), 2);
    assert!(messages.contains(&id(1)) && messages.contains(&id(2)));
    let second = claim(&*other, lane, 9, at(5)).await;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].event.message, id(3));
    assert_eq!(claim(&*other, lane, 9, at(64)).await, []);
    let again = claim(&*other, lane, 9, at(65)).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|one| one.claims == 2));
}

pub async fn of_many_who_claim_each_event_goes_to_one(open: Open<'_>) {
    let stores = [open(), open(), open()];
    three_sent(&*stores[0]).await;
    let claims = stores.iter().map(|store| {
        let store = Arc::clone(store);
        tokio::spawn(async move { claim(&*store, "shop.example", 9, at(5)).await.len() })
    });
    let mut won = 0;
    for one in claims.collect::<Vec<_>>() {
        won += one.await.unwrap();
    }
    assert_eq!(won, 3);
}

pub async fn what_became_of_an_event_is_kept_unless_it_was_overtaken(open: Open<'_>) {
    let store = open();
    three_sent(&*store).await;
    let old = claim(&*store, "shop.example", 9, at(5)).await;
    let new = claim(&*store, "shop.example", 9, at(65)).await;
    let standings = [
        EventStatus::Delivered { at: at(66) },
        EventStatus::Waiting { due_at: at(99) },
        EventStatus::Dead { at: at(66) },
    ];
    let overtaken = old
        .iter()
        .map(|one| event_end(one, EventStatus::Delivered { at: at(64) }, 0));
    store.record_events(overtaken.collect()).await.unwrap();
    let ends = new
        .iter()
        .zip(standings)
        .map(|(one, standing)| event_end(one, standing, 4));
    store.record_events(ends.collect()).await.unwrap();
    let kept = all(&*store).await;
    for (one, standing) in new.iter().zip(standings) {
        let event = kept.iter().find(|event| event.key == one.event.key).unwrap();
        assert_eq!((event.status, event.tries), (standing, 4));
        assert_eq!(event.last_result.as_deref(), Some("HTTP 500"));
    }
    let lanes = store.waiting_endpoints("", 9).await.unwrap();
    assert_eq!(lanes[0].due_at, at(99));
    let dead = EventQuery {
        state: Some(EventStatusKind::Dead),
        limit: 9,
        ..EventQuery::default()
    };
    assert_eq!(store.events(dead).await.unwrap().len(), 1);
}

pub async fn events_are_listed_newest_first_by_state_and_time(open: Open<'_>) {
    let store = open();
    three_sent(&*store).await;
    let ask = |state, since: Option<i64>, limit| EventQuery {
        message: None,
        state,
        since: since.map(at),
        limit,
    };
    for (query, found) in [
        (ask(None, None, 9), vec![3, 2, 1]),
        (ask(None, None, 2), vec![3, 2]),
        (ask(Some(EventStatusKind::Waiting), Some(2), 9), vec![3, 2]),
        (ask(Some(EventStatusKind::Delivered), None, 9), vec![]),
        (ask(Some(EventStatusKind::Dead), None, 9), vec![]),
    ] {
        let events = store.events(query).await.unwrap();
        let messages = events.iter().map(|event| event.message).collect::<Vec<_>>();
        assert_eq!(messages, found.into_iter().map(id).collect::<Vec<_>>());
    }
    assert_eq!(of_message(&*store, 99).await, []);
}

pub async fn the_dead_are_buried_and_sent_again(open: Open<'_>) {
    let store = open();
    three_sent(&*store).await;
    let held = claim(&*store, "shop.example", 1, at(5)).await;
    let burial = |watch, before| DeadLetterRequest {
        endpoint: "shop.example".to_owned(),
        watch,
        before: at(before),
        reason: "gone".to_owned(),
        now: at(6),
        limit: 2,
    };
    let other = callback_watch("https://shop.example/other");
    assert_eq!(store.dead_letter_events(burial(other, 99)).await.unwrap(), 0);
    assert_eq!(
        store
            .dead_letter_events(burial(watched(1).event_target, 0))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .dead_letter_events(burial(watched(1).event_target, 99))
            .await
            .unwrap(),
        2
    );
    assert_eq!(store.dead_letter_events(burial(None, 99)).await.unwrap(), 1);
    let taken = event_end(&held[0], EventStatus::Delivered { at: at(7) }, 0);
    store.record_events(vec![taken]).await.unwrap();
    let dead = all(&*store).await;
    let is_dead = |event: &Event| event.status == EventStatus::Dead { at: at(6) };
    assert!(dead.iter().all(is_dead), "{dead:?}");
    let keys = dead.iter().map(|event| event.key).collect::<Vec<_>>();
    assert_eq!(store.replay_events(keys, at(8)).await.unwrap(), 3);
    let again = claim(&*store, "shop.example", 9, at(8)).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|one| one.event.tries == 0));
}

pub async fn prune_forgets_old_events_but_not_what_waits(open: Open<'_>) {
    let store = open();
    three_sent(&*store).await;
    let two = claim(&*store, "shop.example", 2, at(5)).await;
    let taken = two
        .iter()
        .map(|one| event_end(one, EventStatus::Delivered { at: at(6) }, 0));
    store.record_events(taken.collect()).await.unwrap();
    store.delete_expired(at(1), at(50), 100).await.unwrap();
    assert_eq!(all(&*store).await.len(), 3);
    assert_eq!(store.delete_expired(at(9_999), at(9_999), 100).await.unwrap(), 2);
    let left = all(&*store).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].status.kind(), EventStatusKind::Waiting);
    assert!(left[0].key.delivery > DeliveryId(0));
}
