//! Promises about what operators and clients do by hand, and what they look up.

use std::sync::Arc;

use super::world::*;
use crate::domain::delivery::{Failure, Standing, State};
use crate::domain::id::DeliveryId;
use crate::domain::message::{Nudge, Priority};
use crate::domain::recipient::{self, Recipient};
use crate::domain::wish::Wish;
use crate::store::{Backlog, Cancelled, Page, Pick, Query, Selection, Snapshot, Store};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

pub async fn what_waits_can_be_called_off(open: Open<'_>) {
    let store = open();
    let mut new = text(1);
    new.deliveries.push(leg("email", "a@example.org"));
    new.deliveries.push(leg("push", "token"));
    let first = accepted(&*store, new).await;
    send(&*store, first, "blue", "b-1", at(1)).await;
    assert_eq!(
        store.cancel(id(1), at(2)).await.unwrap(),
        Cancelled::Done(vec![name("email"), name("push")])
    );
    let states: Vec<_> = message(&*store, 1).await.deliveries;
    assert_eq!(states[0].state, sent("blue", "b-1", at(1)));
    for delivery in &states[1..] {
        let State::Failed {
            failure, at: when, ..
        } = delivery.state
        else {
            panic!("{delivery:?}");
        };
        assert_eq!((failure, when), (Failure::Cancelled, at(2)));
    }
    assert_eq!(store.cancel(id(1), at(3)).await.unwrap(), Cancelled::TooLate);
    assert!(store.due(at(9), &Wish::up_to(9)).await.unwrap().is_empty());
}

pub async fn what_a_worker_holds_cannot_be_called_off(open: Open<'_>) {
    let store = open();
    let delivery = accepted(&*store, text(1)).await;
    let claim = claimed(&*store, delivery, at(1)).await;
    assert_eq!(store.cancel(id(1), at(2)).await.unwrap(), Cancelled::TooLate);
    recorded(&*store, round(&claim, vec![], waits(at(50), "down"), at(3))).await;
    assert_eq!(
        store.cancel(id(1), at(4)).await.unwrap(),
        Cancelled::Done(vec![name("sms")])
    );
}

pub async fn what_is_unknown_cannot_be_called_off(open: Open<'_>) {
    assert_eq!(open().cancel(id(1), at(2)).await.unwrap(), Cancelled::Missing);
}

fn shown(page: &Page) -> Vec<String> {
    page.messages
        .iter()
        .map(|message| message.id.to_string())
        .collect()
}

fn expected(which: &[u64]) -> Vec<String> {
    which.iter().map(|which| id(*which).to_string()).collect()
}

pub async fn search_pages_go_back_in_time(open: Open<'_>) {
    let store = open();
    store.accept((1..=5).map(text).collect()).await.unwrap();
    let query = |before| Query {
        before,
        limit: 2,
        ..Query::default()
    };
    let first = store.search(query(None)).await.unwrap();
    assert_eq!(shown(&first), expected(&[5, 4]));
    let second = store.search(query(first.next)).await.unwrap();
    assert_eq!(shown(&second), expected(&[3, 2]));
    let third = store.search(query(second.next)).await.unwrap();
    assert_eq!(shown(&third), expected(&[1]));
    assert_eq!(third.next, None);
    assert_eq!(third.messages[0].deliveries.len(), 1);
}

pub async fn search_finds_by_address_state_and_time(open: Open<'_>) {
    let store = open();
    for which in 1..=8 {
        let mut new = text_to(which, if which % 2 == 0 { "+98even" } else { "+98odd" });
        new.created_at = at(i64::try_from(which).unwrap() * 1800);
        let delivery = accepted(&*store, new).await;
        match which {
            1..=2 => send(&*store, delivery, "blue", "b", at(1)).await,
            3..=4 => fail(&*store, delivery, Failure::Rejected, at(1)).await,
            _ => {}
        }
    }
    let search = async |to: Option<&str>, state, since: Option<i64>| {
        let to = to.map(str::to_owned);
        let query = Query {
            to,
            state,
            since: since.map(at),
            before: None,
            limit: 9,
        };
        shown(&store.search(query).await.unwrap())
    };
    assert_eq!(search(Some("+98odd"), None, None).await, expected(&[7, 5, 3, 1]));
    assert_eq!(
        search(Some("+98odd"), Some(Standing::Failed), None).await,
        expected(&[3])
    );
    assert_eq!(search(None, Some(Standing::Sent), None).await, expected(&[2, 1]));
    assert_eq!(
        search(None, Some(Standing::Waiting), None).await,
        expected(&[8, 7, 6, 5])
    );
    assert_eq!(search(None, Some(Standing::Delivered), None).await, expected(&[]));
    assert_eq!(search(None, None, Some(1800 * 7)).await, expected(&[8, 7]));
    assert_eq!(
        search(None, Some(Standing::Waiting), Some(1800 * 7 + 1)).await,
        expected(&[8])
    );
    assert_eq!(
        search(None, Some(Standing::Failed), Some(1800 * 4)).await,
        expected(&[4])
    );
    assert_eq!(
        search(Some("+98even"), None, Some(1800 * 6)).await,
        expected(&[8, 6])
    );
    assert_eq!(search(None, None, Some(999_999)).await, expected(&[]));
    assert_eq!(search(Some("nobody"), None, None).await, expected(&[]));
}

pub async fn a_search_counts_a_message_once(open: Open<'_>) {
    let store = open();
    for which in 1..=3 {
        let mut new = text(which);
        new.deliveries = vec![leg("sms", "+981"), leg("voice", "+981"), leg("fax", "+981")];
        accepted(&*store, new).await;
    }
    for (to, state) in [(Some("+981"), None), (None, Some(Standing::Waiting))] {
        let query = Query {
            to: to.map(str::to_owned),
            state,
            limit: 2,
            ..Query::default()
        };
        let page = store.search(query.clone()).await.unwrap();
        assert_eq!(shown(&page), expected(&[3, 2]));
        let rest = store
            .search(Query {
                before: page.next,
                ..query
            })
            .await
            .unwrap();
        assert_eq!((shown(&rest), rest.next), (expected(&[1]), None));
    }
}

pub async fn operators_pick_failed_and_waiting(open: Open<'_>) {
    let store = open();
    let mut ids = Vec::new();
    for which in 1..=6 {
        let mut new = text(which);
        new.created_at = at(i64::try_from(which).unwrap() * 1800);
        ids.push(accepted(&*store, new).await);
    }
    fail(&*store, ids[0], Failure::Exhausted, at(1)).await;
    fail(&*store, ids[1], Failure::Rejected, at(1)).await;
    store.cancel(id(3), at(1)).await.unwrap();
    let claim = claimed(&*store, ids[3], at(1)).await;
    let calls = vec![call("red", down(), at(1)), call("blue", down(), at(2))];
    recorded(&*store, round(&claim, calls, waits(at(99_999), "down"), at(3))).await;
    let pick = async |pick, provider: Option<&str>, since: Option<i64>, limit| {
        let provider = provider.map(name);
        let selection = Selection {
            pick,
            provider,
            since: since.map(at),
            limit,
        };
        store.select(selection).await.unwrap()
    };
    assert_eq!(pick(Pick::Failed, None, None, 9).await, ids[..2]);
    assert_eq!(pick(Pick::Failed, None, None, 1).await, ids[..1]);
    assert_eq!(pick(Pick::Failed, None, Some(3600), 9).await, ids[1..2]);
    assert_eq!(pick(Pick::Failed, Some("red"), None, 9).await, ids[..2]);
    assert_eq!(pick(Pick::Failed, Some("blue"), None, 9).await, []);
    assert_eq!(pick(Pick::Waiting, None, None, 9).await, ids[3..]);
    assert_eq!(pick(Pick::Waiting, Some("blue"), None, 9).await, ids[3..4]);
    assert_eq!(pick(Pick::Waiting, Some("red"), None, 9).await, []);
}

pub async fn failed_deliveries_wait_again_with_fresh_tries(open: Open<'_>) {
    let store = open();
    let failed = accepted(&*store, text(1)).await;
    let gone = accepted(&*store, text(2)).await;
    fail(&*store, failed, Failure::Exhausted, at(1)).await;
    send(&*store, gone, "blue", "b-1", at(1)).await;
    let ids = vec![failed, gone, DeliveryId(9_999)];
    let nudges = store.revive(ids, at(5), at(99_999)).await.unwrap();
    let nudge = Nudge {
        id: failed,
        channel: name("sms"),
        due_at: at(5),
        priority: Priority::Normal,
    };
    assert_eq!(nudges, [nudge]);
    let claim = claimed(&*store, failed, at(5)).await;
    assert_eq!((claim.round, claim.tries, claim.lost), (2, 0, 0));
    assert_eq!(claim.expires_at, at(99_999));
    assert_eq!(delivery(&*store, 2).await.state, sent("blue", "b-1", at(1)));
}

pub async fn waiting_deliveries_become_due_at_once(open: Open<'_>) {
    let store = open();
    let mut ids = Vec::new();
    for which in 1..=3 {
        let mut new = text(which);
        new.deliveries[0].due_at = at(500);
        ids.push(accepted(&*store, new).await);
    }
    claimed(&*store, ids[1], at(500)).await;
    let nudges = store.revive(ids[..2].to_vec(), at(5), at(0)).await.unwrap();
    assert_eq!(nudges.len(), 1);
    assert_eq!((nudges[0].id, nudges[0].due_at), (ids[0], at(5)));
    assert_eq!(store.due(at(5), &Wish::up_to(9)).await.unwrap(), nudges);
    assert_eq!(claimed(&*store, ids[0], at(5)).await.expires_at, at(86_400));
}

pub async fn what_was_called_off_stays_so(open: Open<'_>) {
    let store = open();
    let delivery = accepted(&*store, text(1)).await;
    store.cancel(id(1), at(1)).await.unwrap();
    assert_eq!(store.revive(vec![delivery], at(5), at(9)).await.unwrap(), []);
    assert!(is_refused(&*store, delivery, at(9)).await);
}

pub async fn recipients_are_remembered(open: Open<'_>) {
    let store = open();
    assert_eq!(store.recipient(&name("sms"), "+981").await.unwrap(), None);
    let mut known = Recipient {
        channel: name("sms"),
        address: "+981".to_owned(),
        standing: recipient::Standing::OptedOut,
        reason: "said stop".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(3),
    };
    for standing in recipient::Standing::ALL {
        known.standing = standing;
        store.set_recipient(known.clone()).await.unwrap();
        assert_eq!(
            store.recipient(&name("sms"), "+981").await.unwrap(),
            Some(known.clone())
        );
    }
    assert_eq!(store.recipient(&name("email"), "+981").await.unwrap(), None);
}

pub async fn the_seal_is_the_same_for_all(open: Open<'_>) {
    let seal = open().seal().await.unwrap();
    assert_ne!(seal, [0; 32]);
    assert_eq!(open().seal().await.unwrap(), seal);
}

pub async fn the_backlog_counts_what_waits(open: Open<'_>) {
    let store = open();
    assert_eq!(store.backlog(at(9)).await.unwrap(), Backlog::default());
    for (which, due) in [(1, 5), (2, 3), (3, 50), (4, 1)] {
        let mut new = text(which);
        new.deliveries[0].due_at = at(due);
        let delivery = accepted(&*store, new).await;
        if which == 4 {
            send(&*store, delivery, "blue", "b-1", at(1)).await;
        }
    }
    let expected = Backlog {
        waiting: 3,
        due: 2,
        oldest_due_at: Some(at(3)),
    };
    assert_eq!(store.backlog(at(9)).await.unwrap(), expected);
    let mut mail = text(5);
    mail.deliveries[0].channel = name("email");
    mail.deliveries[0].due_at = at(2);
    accepted(&*store, mail).await;
    let of_mail = Backlog {
        waiting: 1,
        due: 1,
        oldest_due_at: Some(at(2)),
    };
    let both = vec![(name("email"), of_mail), (name("sms"), expected)];
    assert_eq!(store.backlogs(at(9)).await.unwrap(), both);
    let sum = Backlog {
        waiting: 4,
        due: 3,
        oldest_due_at: Some(at(2)),
    };
    assert_eq!(store.backlog(at(9)).await.unwrap(), sum);
}

pub async fn snapshots_show_the_newest(open: Open<'_>) {
    let store = open();
    assert_eq!(store.snapshot().await.unwrap(), None);
    for generation in [1, 2, 3, 7, 8] {
        let content = vec![u8::try_from(generation).unwrap(); 9];
        let snapshot = Snapshot {
            generation,
            as_of: at(generation),
            content,
        };
        store.keep_snapshot(snapshot.clone()).await.unwrap();
        assert_eq!(store.snapshot().await.unwrap(), Some(snapshot));
    }
}

pub async fn ping_answers(open: Open<'_>) {
    let store = open();
    store.ping().await.unwrap();
    store.ping().await.unwrap();
}
