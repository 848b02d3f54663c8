//! Promises about what operators and clients do by hand, and what they look up.

use std::sync::Arc;

use super::fixtures::*;
use crate::{
    Backlog, Cancelled, DeliverySelection, MessageList, MessageQuery, ReportSnapshot, SelectableStatus, Store,
};
use postrider_core::attempt::Outcome;
use postrider_core::capacity::Capacity;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::id::DeliveryId;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::recipient::{self, Recipient};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

pub async fn what_waits_can_be_called_off(open: Open<'_>) {
    let store = open();
    let mut new = sms(1);
    new.deliveries.push(new_delivery("email", "a@example.org"));
    new.deliveries.push(new_delivery("push", "token"));
    let first = accepted(&*store, new).await;
    claim_and_send(&*store, first, "blue", "b-1", at(1)).await;
    assert_eq!(
        store.cancel_message(id(1), at(2)).await.unwrap(),
        Cancelled::Done(vec![name("email"), name("push")])
    );
    let states: Vec<_> = find_message(&*store, 1).await.deliveries;
    assert_eq!(states[0].state, sent_state("blue", "b-1", at(1)));
    for delivery in &states[1..] {
        let DeliveryState::Failed {
            failure, at: when, ..
        } = delivery.state
        else {
            panic!("{delivery:?}");
        };
        assert_eq!((failure, when), (Failure::Cancelled, at(2)));
    }
    assert_eq!(
        store.cancel_message(id(1), at(3)).await.unwrap(),
        Cancelled::TooLate
    );
    assert!(store.due(at(9), &Capacity::total(9)).await.unwrap().is_empty());
}

pub async fn what_a_worker_holds_cannot_be_called_off(open: Open<'_>) {
    let store = open();
    let delivery = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery, at(1)).await;
    assert_eq!(
        store.cancel_message(id(1), at(2)).await.unwrap(),
        Cancelled::TooLate
    );
    record(
        &*store,
        finished_round(&claim, vec![], waiting_state(at(50), "down"), at(3)),
    )
    .await;
    assert_eq!(
        store.cancel_message(id(1), at(4)).await.unwrap(),
        Cancelled::Done(vec![name("sms")])
    );
}

pub async fn what_is_unknown_cannot_be_called_off(open: Open<'_>) {
    assert_eq!(
        open().cancel_message(id(1), at(2)).await.unwrap(),
        Cancelled::NotFound
    );
}

fn ids_of(page: &MessageList) -> Vec<String> {
    page.messages
        .iter()
        .map(|message| message.id.to_string())
        .collect()
}

fn id_strings(which: &[u64]) -> Vec<String> {
    which.iter().map(|which| id(*which).to_string()).collect()
}

pub async fn search_pages_go_back_in_time(open: Open<'_>) {
    let store = open();
    store.accept((1..=5).map(sms).collect()).await.unwrap();
    let query = |before| MessageQuery {
        before,
        limit: 2,
        ..MessageQuery::default()
    };
    let first = store.search(query(None)).await.unwrap();
    assert_eq!(ids_of(&first), id_strings(&[5, 4]));
    let second = store.search(query(first.next)).await.unwrap();
    assert_eq!(ids_of(&second), id_strings(&[3, 2]));
    let third = store.search(query(second.next)).await.unwrap();
    assert_eq!(ids_of(&third), id_strings(&[1]));
    assert_eq!(third.next, None);
    assert_eq!(third.messages[0].deliveries.len(), 1);
}

pub async fn search_finds_by_address_state_and_time(open: Open<'_>) {
    let store = open();
    for which in 1..=8 {
        let mut new = sms_to(which, if which % 2 == 0 { "+98even" } else { "+98odd" });
        new.created_at = at(i64::try_from(which).unwrap() * 1800);
        let delivery = accepted(&*store, new).await;
        match which {
            1..=2 => claim_and_send(&*store, delivery, "blue", "b", at(1)).await,
            3..=4 => claim_and_fail(&*store, delivery, Failure::Rejected, at(1)).await,
            _ => {}
        }
    }
    let search = async |to: Option<&str>, state, since: Option<i64>| {
        let to = to.map(str::to_owned);
        let query = MessageQuery {
            to,
            state,
            since: since.map(at),
            before: None,
            limit: 9,
        };
        ids_of(&store.search(query).await.unwrap())
    };
    assert_eq!(
        search(Some("+98odd"), None, None).await,
        id_strings(&[7, 5, 3, 1])
    );
    assert_eq!(
        search(Some("+98odd"), Some(DeliveryStateKind::Failed), None).await,
        id_strings(&[3])
    );
    assert_eq!(
        search(None, Some(DeliveryStateKind::Sent), None).await,
        id_strings(&[2, 1])
    );
    assert_eq!(
        search(None, Some(DeliveryStateKind::Waiting), None).await,
        id_strings(&[8, 7, 6, 5])
    );
    assert_eq!(
        search(None, Some(DeliveryStateKind::Delivered), None).await,
        id_strings(&[])
    );
    assert_eq!(search(None, None, Some(1800 * 7)).await, id_strings(&[8, 7]));
    assert_eq!(
        search(None, Some(DeliveryStateKind::Waiting), Some(1800 * 7 + 1)).await,
        id_strings(&[8])
    );
    assert_eq!(
        search(None, Some(DeliveryStateKind::Failed), Some(1800 * 4)).await,
        id_strings(&[4])
    );
    assert_eq!(
        search(Some("+98even"), None, Some(1800 * 6)).await,
        id_strings(&[8, 6])
    );
    assert_eq!(search(None, None, Some(999_999)).await, id_strings(&[]));
    assert_eq!(search(Some("nobody"), None, None).await, id_strings(&[]));
}

pub async fn a_search_counts_a_message_once(open: Open<'_>) {
    let store = open();
    for which in 1..=3 {
        let mut new = sms(which);
        new.deliveries = vec![
            new_delivery("sms", "+981"),
            new_delivery("voice", "+981"),
            new_delivery("fax", "+981"),
        ];
        accepted(&*store, new).await;
    }
    for (to, state) in [(Some("+981"), None), (None, Some(DeliveryStateKind::Waiting))] {
        let query = MessageQuery {
            to: to.map(str::to_owned),
            state,
            limit: 2,
            ..MessageQuery::default()
        };
        let page = store.search(query.clone()).await.unwrap();
        assert_eq!(ids_of(&page), id_strings(&[3, 2]));
        let rest = store
            .search(MessageQuery {
                before: page.next,
                ..query
            })
            .await
            .unwrap();
        assert_eq!((ids_of(&rest), rest.next), (id_strings(&[1]), None));
    }
}

pub async fn operators_pick_failed_and_waiting(open: Open<'_>) {
    let store = open();
    let mut ids = Vec::new();
    for which in 1..=6 {
        let mut new = sms(which);
        new.created_at = at(i64::try_from(which).unwrap() * 1800);
        ids.push(accepted(&*store, new).await);
    }
    claim_and_fail(&*store, ids[0], Failure::Exhausted, at(1)).await;
    claim_and_fail(&*store, ids[1], Failure::Rejected, at(1)).await;
    store.cancel_message(id(3), at(1)).await.unwrap();
    let claim = claimed(&*store, ids[3], at(1)).await;
    let calls = vec![
        attempt("red", unavailable_outcome(), at(1)),
        attempt("blue", unavailable_outcome(), at(2)),
    ];
    record(
        &*store,
        finished_round(&claim, calls, waiting_state(at(99_999), "down"), at(3)),
    )
    .await;
    let pick = async |pick, provider: Option<&str>, since: Option<i64>, limit| {
        let provider = provider.map(name);
        let selection = DeliverySelection {
            status: pick,
            provider,
            since: since.map(at),
            limit,
        };
        store.select_deliveries(selection).await.unwrap()
    };
    assert_eq!(pick(SelectableStatus::Failed, None, None, 9).await, ids[..2]);
    assert_eq!(pick(SelectableStatus::Failed, None, None, 1).await, ids[..1]);
    assert_eq!(
        pick(SelectableStatus::Failed, None, Some(3600), 9).await,
        ids[1..2]
    );
    assert_eq!(
        pick(SelectableStatus::Failed, Some("red"), None, 9).await,
        ids[..2]
    );
    assert_eq!(pick(SelectableStatus::Failed, Some("blue"), None, 9).await, []);
    assert_eq!(pick(SelectableStatus::Waiting, None, None, 9).await, ids[3..]);
    assert_eq!(
        pick(SelectableStatus::Waiting, Some("blue"), None, 9).await,
        ids[3..4]
    );
    assert_eq!(pick(SelectableStatus::Waiting, Some("red"), None, 9).await, []);
}

pub async fn failed_deliveries_wait_again_with_fresh_tries(open: Open<'_>) {
    let store = open();
    let failed = accepted(&*store, sms(1)).await;
    let gone = accepted(&*store, sms(2)).await;
    claim_and_fail(&*store, failed, Failure::Exhausted, at(1)).await;
    claim_and_send(&*store, gone, "blue", "b-1", at(1)).await;
    let ids = vec![failed, gone, DeliveryId(9_999)];
    let nudges = store.requeue(ids, at(5), at(99_999)).await.unwrap();
    let nudge = QueueEntry {
        id: failed,
        channel: name("sms"),
        due_at: at(5),
        priority: Priority::Normal,
    };
    assert_eq!(nudges, [nudge]);
    let claim = claimed(&*store, failed, at(5)).await;
    assert_eq!((claim.round, claim.tries, claim.unrecorded_claims), (2, 0, 0));
    assert_eq!(claim.expires_at, at(99_999));
    assert_eq!(
        first_delivery(&*store, 2).await.state,
        sent_state("blue", "b-1", at(1))
    );
}

pub async fn waiting_deliveries_become_due_at_once(open: Open<'_>) {
    let store = open();
    let mut ids = Vec::new();
    for which in 1..=3 {
        let mut new = sms(which);
        new.deliveries[0].due_at = at(500);
        ids.push(accepted(&*store, new).await);
    }
    claimed(&*store, ids[1], at(500)).await;
    let nudges = store.requeue(ids[..2].to_vec(), at(5), at(0)).await.unwrap();
    assert_eq!(nudges.len(), 1);
    assert_eq!((nudges[0].id, nudges[0].due_at), (ids[0], at(5)));
    assert_eq!(store.due(at(5), &Capacity::total(9)).await.unwrap(), nudges);
    assert_eq!(claimed(&*store, ids[0], at(5)).await.expires_at, at(86_400));
}

pub async fn what_was_called_off_stays_so(open: Open<'_>) {
    let store = open();
    let delivery = accepted(&*store, sms(1)).await;
    store.cancel_message(id(1), at(1)).await.unwrap();
    assert_eq!(store.requeue(vec![delivery], at(5), at(9)).await.unwrap(), []);
    assert!(is_not_claimable(&*store, delivery, at(9)).await);
}

pub async fn recipients_are_remembered(open: Open<'_>) {
    let store = open();
    assert_eq!(store.recipient(&name("sms"), "+981").await.unwrap(), None);
    let mut known = Recipient {
        channel: name("sms"),
        address: "+981".to_owned(),
        status: recipient::RecipientStatus::OptedOut,
        reason: "said stop".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(3),
    };
    for standing in recipient::RecipientStatus::ALL {
        known.status = standing;
        store.set_recipient(known.clone()).await.unwrap();
        assert_eq!(
            store.recipient(&name("sms"), "+981").await.unwrap(),
            Some(known.clone())
        );
    }
    assert_eq!(store.recipient(&name("email"), "+981").await.unwrap(), None);
}

pub async fn the_seal_is_the_same_for_all(open: Open<'_>) {
    let seal = open().store_secret().await.unwrap();
    assert_ne!(seal, [0; 32]);
    assert_eq!(open().store_secret().await.unwrap(), seal);
}

pub async fn the_backlog_counts_what_waits(open: Open<'_>) {
    let store = open();
    assert_eq!(store.backlog(at(9)).await.unwrap(), Backlog::default());
    for (which, due) in [(1, 5), (2, 3), (3, 50), (4, 1)] {
        let mut new = sms(which);
        new.deliveries[0].due_at = at(due);
        let delivery = accepted(&*store, new).await;
        if which == 4 {
            claim_and_send(&*store, delivery, "blue", "b-1", at(1)).await;
        }
    }
    let expected = Backlog {
        waiting: 3,
        due: 2,
        oldest_due_at: Some(at(3)),
    };
    assert_eq!(store.backlog(at(9)).await.unwrap(), expected);
    let mut mail = sms(5);
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
        let snapshot = ReportSnapshot {
            generation,
            as_of: at(generation),
            content,
        };
        store.save_snapshot(snapshot.clone()).await.unwrap();
        assert_eq!(store.snapshot().await.unwrap(), Some(snapshot));
    }
}

pub async fn ping_answers(open: Open<'_>) {
    let store = open();
    store.ping().await.unwrap();
    store.ping().await.unwrap();
}

pub async fn some_of_what_waits_can_be_called_off(open: Open<'_>) {
    let store = open();
    let mut new = sms(1);
    new.deliveries.push(new_delivery("email", "a@example.org"));
    let first = accepted(&*store, new).await;
    let held = accepted(&*store, sms(2)).await;
    let gone = accepted(&*store, sms(3)).await;
    claimed(&*store, held, at(1)).await;
    claim_and_send(&*store, gone, "blue", "b-1", at(1)).await;
    let ids = vec![first, held, gone, DeliveryId(9_999)];
    assert_eq!(
        store.cancel_deliveries(ids.clone(), at(2)).await.unwrap(),
        [name("sms")]
    );
    let states: Vec<_> = find_message(&*store, 1).await.deliveries;
    assert!(matches!(
        states[0].state,
        DeliveryState::Failed {
            failure: Failure::Cancelled,
            ..
        }
    ));
    assert_eq!(states[1].state.kind(), DeliveryStateKind::Waiting);
    assert_eq!(store.cancel_deliveries(ids, at(3)).await.unwrap(), []);
    assert_eq!(store.cancel_deliveries(vec![], at(3)).await.unwrap(), []);
}

pub async fn the_last_call_of_each_delivery_is_known(open: Open<'_>) {
    let store = open();
    let asked = accepted(&*store, sms(1)).await;
    let never = accepted(&*store, sms(2)).await;
    let silent = accepted(&*store, sms(3)).await;
    let claim = claimed(&*store, asked, at(1)).await;
    let calls = vec![
        attempt("red", unavailable_outcome(), at(1)),
        attempt("blue", unavailable_outcome(), at(2)),
    ];
    record(
        &*store,
        finished_round(&claim, calls, waiting_state(at(50), "down"), at(3)),
    )
    .await;
    let claim = claimed(&*store, silent, at(1)).await;
    let reason = "no answer".to_owned();
    let calls = vec![
        attempt("red", Outcome::Unknown { reason }, at(1)),
        attempt("blue", unavailable_outcome(), at(2)),
    ];
    record(
        &*store,
        finished_round(&claim, calls, waiting_state(at(50), "down"), at(3)),
    )
    .await;
    let mut calls = store.last_attempts(vec![asked, never, silent]).await.unwrap();
    calls.sort_by_key(|call| call.id);
    let told = calls
        .iter()
        .map(|call| (call.id, call.provider.clone(), call.has_unknown_attempt));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (asked, Some(name("blue")), false),
            (silent, Some(name("blue")), true)
        ]
    );
    assert_eq!(store.last_attempts(vec![]).await.unwrap(), []);
}
