//! Promises about receipts.

use std::sync::Arc;

use super::world::*;
use crate::domain::delivery::{self, Failure, State};
use crate::domain::message::Recorded;
use crate::domain::receipt::Verdict;
use crate::domain::recipient::Standing;
use crate::domain::wish::Wish;
use crate::store::{EARLY_RECEIPTS_MAX, Settled, Store};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

async fn one_sent(store: &dyn Store, resends_left: u32) {
    let mut new = text(1);
    new.deliveries[0].resends_left = resends_left;
    let id = accepted(store, new).await;
    send(store, id, "blue", "b-1", at(1)).await;
}

pub async fn a_receipt_delivers_what_was_sent(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 0).await;
    let outcome = settled(&*store, heard(Some("blue"), "b-1", Verdict::Delivered, at(9))).await;
    let Settled::Applied(settlement) = outcome else {
        panic!("{outcome:?}");
    };
    let found = delivery(&*store, 1).await;
    assert_eq!(found.state, State::Delivered { at: at(9) });
    assert_eq!(
        (found.provider, found.reference.as_deref()),
        (Some(name("blue")), Some("b-1"))
    );
    assert_eq!((settlement.id, &settlement.state), (found.id, &found.state));
    assert_eq!(
        (settlement.provider, settlement.body),
        (name("blue"), text(1).body)
    );
    assert_eq!(settlement.spelling, found.spelling);
}

pub async fn a_receipt_twice_changes_nothing(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 0).await;
    settled(&*store, heard(Some("blue"), "b-1", Verdict::Delivered, at(9))).await;
    for verdict in [Verdict::Delivered, bounced()] {
        let outcome = settled(&*store, heard(Some("blue"), "b-1", verdict, at(10))).await;
        assert!(matches!(outcome, Settled::Unchanged(_)), "{outcome:?}");
    }
    assert_eq!(delivery(&*store, 1).await.state, State::Delivered { at: at(9) });
}

pub async fn a_receipt_of_another_provider_is_kept(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 0).await;
    for _ in 0..2 {
        let stray = heard(Some("red"), "b-1", Verdict::Delivered, at(9));
        assert_eq!(settled(&*store, stray).await, Settled::Kept);
    }
    assert_eq!(delivery(&*store, 1).await.state, sent("blue", "b-1", at(1)));
}

pub async fn a_receipt_without_provider_fits_any(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 0).await;
    settled(&*store, heard(None, "b-1", Verdict::Delivered, at(9))).await;
    assert_eq!(delivery(&*store, 1).await.state, State::Delivered { at: at(9) });
}

pub async fn an_early_receipt_is_applied_by_the_record(open: Open<'_>) {
    let store = open();
    let delivered = heard(Some("blue"), "b-1", Verdict::Delivered, at(0));
    let opened = heard(Some("blue"), "b-1", Verdict::Opened, at(2));
    for early in [opened, delivered] {
        assert_eq!(settled(&*store, early).await, Settled::Kept);
    }
    let id = accepted(&*store, text(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    let end = round(
        &claim,
        vec![call("blue", yes("b-1"), at(1))],
        sent("blue", "b-1", at(1)),
        at(1),
    );
    let moved = Recorded::Moved(delivery::Standing::Delivered);
    assert_eq!(recorded(&*store, end).await, moved, "whoever counts hears of it");
    let found = delivery(&*store, 1).await;
    assert_eq!(found.state, State::Delivered { at: at(0) });
    assert_eq!(found.opened_at, Some(at(2)));
}

pub async fn an_early_receipt_without_provider_fits_any(open: Open<'_>) {
    let store = open();
    let early = heard(None, "b-1", bounced(), at(0));
    assert_eq!(settled(&*store, early).await, Settled::Kept);
    one_sent(&*store, 1).await;
    let found = delivery(&*store, 1).await;
    assert!(matches!(found.state, State::Waiting { .. }), "{found:?}");
    assert_eq!(claimed(&*store, found.id, at(5)).await.avoid, Some(name("blue")));
}

pub async fn a_receipt_that_may_not_wait_is_dropped(open: Open<'_>) {
    let store = open();
    let mut early = heard(Some("blue"), "b-1", Verdict::Delivered, at(0));
    early.may_wait = false;
    assert_eq!(settled(&*store, early.clone()).await, Settled::Dropped);
    one_sent(&*store, 0).await;
    assert_eq!(delivery(&*store, 1).await.state, sent("blue", "b-1", at(1)));
    let outcome = settled(&*store, early).await;
    assert!(
        matches!(outcome, Settled::Applied(_)),
        "what is known needs no waiting: {outcome:?}"
    );
}

pub async fn only_so_many_receipts_wait(open: Open<'_>) {
    let store = open();
    let early = |count: usize| heard(Some("red"), &format!("r-{count}"), Verdict::Delivered, at(0));
    let first = store
        .settle((1..EARLY_RECEIPTS_MAX).map(early).collect())
        .await
        .unwrap();
    assert!(first.iter().all(|settled| *settled == Settled::Kept));
    let over = vec![early(EARLY_RECEIPTS_MAX), early(EARLY_RECEIPTS_MAX + 1)];
    assert_eq!(
        store.settle(over).await.unwrap(),
        [Settled::Kept, Settled::Dropped]
    );
    one_sent(&*store, 0).await;
    let known = settled(&*store, heard(Some("blue"), "b-1", Verdict::Delivered, at(9))).await;
    assert!(matches!(known, Settled::Applied(_)), "{known:?}");
    let mut later = early(EARLY_RECEIPTS_MAX + 2);
    later.heard_at = at(2 * 60 * 60);
    assert_eq!(
        settled(&*store, later).await,
        Settled::Kept,
        "outdated ones make room"
    );
}

pub async fn a_bounce_fails_when_no_resend_is_left(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 0).await;
    settled(&*store, heard(Some("blue"), "b-1", bounced(), at(9))).await;
    let expected = State::failed(Failure::Bounced, "handset gone", at(9));
    assert_eq!(delivery(&*store, 1).await.state, expected);
}

pub async fn a_bounce_with_a_resend_left_waits_for_another_provider(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 1).await;
    settled(&*store, heard(Some("blue"), "b-1", bounced(), at(9))).await;
    let due = store.due(at(10), &Wish::up_to(9)).await.unwrap();
    assert_eq!(
        (due.len(), due[0].due_at),
        (1, at(10)),
        "due from when we heard it"
    );
    let claim = claimed(&*store, due[0].id, at(10)).await;
    assert_eq!(
        (claim.avoid.clone(), claim.round, claim.lost),
        (Some(name("blue")), 2, 0)
    );
    let again = round(&claim, vec![], sent("red", "r-1", at(11)), at(11));
    assert_eq!(recorded(&*store, again).await, Recorded::Stored);
    settled(&*store, heard(Some("red"), "r-1", bounced(), at(12))).await;
    let expected = State::failed(Failure::Bounced, "handset gone", at(12));
    assert_eq!(delivery(&*store, 1).await.state, expected);
}

pub async fn a_dead_address_in_a_receipt_becomes_inactive(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 3).await;
    let reason = "number given back".to_owned();
    settled(
        &*store,
        heard(
            Some("blue"),
            "b-1",
            Verdict::Invalid {
                reason: reason.clone(),
            },
            at(9),
        ),
    )
    .await;
    let expected = State::failed(Failure::InvalidRecipient, reason.clone(), at(9));
    assert_eq!(delivery(&*store, 1).await.state, expected);
    let known = store
        .recipient(&name("sms"), "+989121111111")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((known.standing, known.reason), (Standing::Inactive, reason));
    assert_eq!(known.changed_by, "blue");
}

pub async fn opened_counts_once_and_also_after_delivery(open: Open<'_>) {
    let store = open();
    one_sent(&*store, 0).await;
    let word = |verdict, seconds| heard(Some("blue"), "b-1", verdict, at(seconds));
    settled(&*store, word(Verdict::Delivered, 9)).await;
    let first = settled(&*store, word(Verdict::Opened, 20)).await;
    assert!(matches!(first, Settled::Applied(_)), "{first:?}");
    let second = settled(&*store, word(Verdict::Opened, 30)).await;
    assert!(matches!(second, Settled::Unchanged(_)), "{second:?}");
    let found = delivery(&*store, 1).await;
    assert_eq!(
        (found.state, found.opened_at),
        (State::Delivered { at: at(9) }, Some(at(20)))
    );
}

pub async fn the_newest_delivery_takes_a_reference_used_twice(open: Open<'_>) {
    let store = open();
    for which in [1, 2] {
        let id = accepted(&*store, text(which)).await;
        send(&*store, id, "blue", "b-1", at(1)).await;
    }
    settled(&*store, heard(Some("blue"), "b-1", Verdict::Delivered, at(9))).await;
    assert_eq!(delivery(&*store, 1).await.state, sent("blue", "b-1", at(1)));
    assert_eq!(delivery(&*store, 2).await.state, State::Delivered { at: at(9) });
}
