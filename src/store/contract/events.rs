//! Promises about events: they come into being with what they speak of, and each is told by one at a time.

use std::sync::Arc;

use super::world::*;
use crate::clock::Timestamp;
use crate::domain::delivery::Failure;
use crate::domain::event::{ClaimedEvent, Event, EventEnd, EventStanding, EventState, Happening, Watch};
use crate::domain::id::DeliveryId;
use crate::domain::message::NewMessage;
use crate::domain::receipt::Verdict;
use crate::store::{Burial, EventQuery, Store};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

fn callback(url: &str) -> Option<Watch> {
    Some(Watch::Callback {
        url: url.to_owned(),
        key: "shop".to_owned(),
    })
}

fn watched(which: u64) -> NewMessage {
    watched_by(which, "https://shop.example/hook")
}

fn watched_by(which: u64, url: &str) -> NewMessage {
    NewMessage {
        watch: callback(url),
        ..text(which)
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

fn words(events: &[Event]) -> Vec<(u32, Happening)> {
    events
        .iter()
        .map(|event| (event.key.sequence, event.what))
        .collect()
}

async fn claim(store: &dyn Store, lane: &str, room: usize, now: Timestamp) -> Vec<ClaimedEvent> {
    let lanes = vec![(lane.to_owned(), room)];
    store.claim_events(lanes, now, LEASE).await.unwrap()
}

fn end(of: &ClaimedEvent, standing: EventStanding, tries: u32) -> EventEnd {
    EventEnd {
        key: of.event.key,
        claims: of.claims,
        standing,
        tries,
        answer: "HTTP 500".to_owned(),
    }
}

/// Three messages of one receiver, sent at seconds 1 to 3.
async fn three_sent(store: &dyn Store) {
    for which in 1..=3 {
        let id = accepted(store, watched(which)).await;
        send(
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
    send(&*store, delivery, "blue", "b-1", at(1)).await;
    for verdict in [
        Verdict::Delivered,
        Verdict::Delivered,
        Verdict::Opened,
        Verdict::Opened,
    ] {
        settled(&*store, heard(Some("blue"), "b-1", verdict, at(9))).await;
    }
    let told = of_message(&*store, 1).await;
    let what = [
        (1, Happening::Sent),
        (2, Happening::Delivered),
        (3, Happening::Opened),
    ];
    assert_eq!(words(&told), what);
    let sent = &told[0];
    assert_eq!((sent.message, sent.key.delivery), (id(1), delivery));
    assert_eq!(
        (&sent.watch, &sent.channel),
        (&watched(1).watch.unwrap(), &name("sms"))
    );
    assert_eq!(sent.spelling, text(1).deliveries[0].spelling);
    assert_eq!((sent.at, sent.provider.clone()), (at(1), Some(name("blue"))));
    assert_eq!(sent.standing, EventStanding::Waiting { due_at: at(1) });
    assert_eq!((told[1].at, told[1].standing.moment()), (at(9), at(10)));
}

pub async fn nobody_is_told_of_what_nobody_watches(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, text(1)).await;
    send(&*store, id, "blue", "b-1", at(1)).await;
    settled(&*store, heard(Some("blue"), "b-1", Verdict::Delivered, at(9))).await;
    assert_eq!(all(&*store).await, []);
    assert_eq!(store.event_lanes("", 9).await.unwrap(), []);
}

pub async fn failures_are_told_with_their_reason(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    fail(&*store, id, Failure::Rejected, at(1)).await;
    accepted(&*store, watched(2)).await;
    store.cancel(self::id(2), at(5)).await.unwrap();
    let mut halved = watched(3);
    halved.deliveries.push(leg("email", ""));
    halved.deliveries[1].refusal = Some("no address".to_owned());
    accepted(&*store, halved).await;
    for (which, failure, reason, place) in [
        (1, Failure::Rejected, "no", 0),
        (2, Failure::Cancelled, "called off", 0),
        (3, Failure::InvalidRecipient, "no address", 1),
    ] {
        let told = of_message(&*store, which).await;
        assert_eq!(words(&told), [(1, Happening::Failed)], "message {which}");
        assert_eq!(told[0].failure, Some(failure));
        assert!(
            told[0].reason.as_ref().unwrap().contains(reason),
            "{:?}",
            told[0].reason
        );
        assert_eq!(told[0].id().place, place);
    }
}

pub async fn what_waits_again_is_told_and_a_retry_is_not(open: Open<'_>) {
    let store = open();
    let mut new = watched(1);
    new.deliveries[0].resends_left = 1;
    let id = accepted(&*store, new).await;
    let first = claimed(&*store, id, at(0)).await;
    let retry = round(
        &first,
        vec![call("red", down(), at(0))],
        waits(at(1), "down"),
        at(0),
    );
    recorded(&*store, retry).await;
    assert_eq!(all(&*store).await, []);
    send(&*store, id, "blue", "b-1", at(1)).await;
    settled(&*store, heard(Some("blue"), "b-1", bounced(), at(9))).await;
    fail(&*store, id, Failure::Rejected, at(20)).await;
    store.revive(vec![id], at(30), at(99_999)).await.unwrap();
    store.revive(vec![id], at(31), at(99_999)).await.unwrap();
    let what = [
        (1, Happening::Sent),
        (2, Happening::Waiting),
        (3, Happening::Failed),
        (4, Happening::Waiting),
    ];
    assert_eq!(words(&of_message(&*store, 1).await), what);
}

pub async fn an_early_receipt_is_told_after_the_send(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    settled(&*store, heard(Some("blue"), "b-1", Verdict::Opened, at(0))).await;
    settled(&*store, heard(Some("blue"), "b-1", Verdict::Delivered, at(0))).await;
    send(&*store, id, "blue", "b-1", at(1)).await;
    let told = of_message(&*store, 1).await;
    let what = told.iter().map(|event| event.what).collect::<Vec<_>>();
    assert_eq!(what[..2], [Happening::Sent, Happening::Delivered]);
    assert_eq!(words(&told).last(), Some(&(3, Happening::Opened)));
}

pub async fn a_record_that_is_repeated_or_overtaken_tells_nothing(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, watched(1)).await;
    let old = claimed(&*store, id, at(0)).await;
    let new = claimed(&*store, id, at(60)).await;
    let end = |of| {
        round(
            of,
            vec![call("blue", yes("b"), at(61))],
            sent("blue", "b", at(61)),
            at(61),
        )
    };
    for round in [end(&old), end(&new), end(&new), end(&old)] {
        recorded(&*store, round).await;
    }
    assert_eq!(words(&of_message(&*store, 1).await), [(1, Happening::Sent)]);
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
        send(
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
            let lanes = store.event_lanes(after, limit).await.unwrap();
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
        EventStanding::Taken { at: at(66) },
        EventStanding::Waiting { due_at: at(99) },
        EventStanding::Dead { at: at(66) },
    ];
    let overtaken = old
        .iter()
        .map(|one| end(one, EventStanding::Taken { at: at(64) }, 0));
    store.record_events(overtaken.collect()).await.unwrap();
    let ends = new
        .iter()
        .zip(standings)
        .map(|(one, standing)| end(one, standing, 4));
    store.record_events(ends.collect()).await.unwrap();
    let kept = all(&*store).await;
    for (one, standing) in new.iter().zip(standings) {
        let event = kept.iter().find(|event| event.key == one.event.key).unwrap();
        assert_eq!((event.standing, event.tries), (standing, 4));
        assert_eq!(event.answer.as_deref(), Some("HTTP 500"));
    }
    let lanes = store.event_lanes("", 9).await.unwrap();
    assert_eq!(lanes[0].due_at, at(99));
    let dead = EventQuery {
        state: Some(EventState::Dead),
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
        (ask(Some(EventState::Waiting), Some(2), 9), vec![3, 2]),
        (ask(Some(EventState::Taken), None, 9), vec![]),
        (ask(Some(EventState::Dead), None, 9), vec![]),
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
    let burial = |watch, before| Burial {
        lane: "shop.example".to_owned(),
        watch,
        before: at(before),
        reason: "gone".to_owned(),
        now: at(6),
        limit: 2,
    };
    let other = callback("https://shop.example/other");
    assert_eq!(store.bury_events(burial(other, 99)).await.unwrap(), 0);
    assert_eq!(store.bury_events(burial(watched(1).watch, 0)).await.unwrap(), 0);
    assert_eq!(store.bury_events(burial(watched(1).watch, 99)).await.unwrap(), 2);
    assert_eq!(store.bury_events(burial(None, 99)).await.unwrap(), 1);
    let taken = end(&held[0], EventStanding::Taken { at: at(7) }, 0);
    store.record_events(vec![taken]).await.unwrap();
    let dead = all(&*store).await;
    let is_dead = |event: &Event| event.standing == EventStanding::Dead { at: at(6) };
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
        .map(|one| end(one, EventStanding::Taken { at: at(6) }, 0));
    store.record_events(taken.collect()).await.unwrap();
    store.forget(at(1), at(50), 100).await.unwrap();
    assert_eq!(all(&*store).await.len(), 3);
    assert_eq!(store.forget(at(9_999), at(9_999), 100).await.unwrap(), 2);
    let left = all(&*store).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].standing.state(), EventState::Waiting);
    assert!(left[0].key.delivery > DeliveryId(0));
}
