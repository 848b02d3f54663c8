//! Promises about receipts.

use std::sync::Arc;

use super::fixtures::*;
use crate::{ReceiptResult, Store, UNMATCHED_RECEIPTS_MAX};
use postrider_core::capacity::Capacity;
use postrider_core::delivery::{self, DeliveryState, Failure};
use postrider_core::receipt::ReceiptStatus;
use postrider_core::recipient::RecipientStatus;
use postrider_core::round::RecordResult;

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

async fn accept_and_send(store: &dyn Store, resends_left: u32) {
    let mut new = sms(1);
    new.deliveries[0].resends_left = resends_left;
    let id = accepted(store, new).await;
    claim_and_send(store, id, "blue", "b-1", at(1)).await;
}

pub async fn a_receipt_delivers_what_was_sent(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    let outcome = apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9)),
    )
    .await;
    let ReceiptResult::Applied(settlement) = outcome else {
        panic!("{outcome:?}");
    };
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, DeliveryState::Delivered { at: at(9) });
    assert_eq!(
        (found.provider, found.reference.as_deref()),
        (Some(name("blue")), Some("b-1"))
    );
    assert_eq!((settlement.id, &settlement.state), (found.id, &found.state));
    assert_eq!(
        (settlement.provider, settlement.body),
        (name("blue"), sms(1).body)
    );
    assert_eq!(settlement.spelling, found.spelling);
}

pub async fn a_receipt_twice_changes_nothing(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9)),
    )
    .await;
    for verdict in [ReceiptStatus::Delivered, bounced_verdict()] {
        let outcome = apply_receipt(&*store, received_receipt(Some("blue"), "b-1", verdict, at(10))).await;
        assert!(matches!(outcome, ReceiptResult::Unchanged(_)), "{outcome:?}");
    }
    assert_eq!(
        first_delivery(&*store, 1).await.state,
        DeliveryState::Delivered { at: at(9) }
    );
}

pub async fn a_receipt_of_another_provider_is_kept(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    for _ in 0..2 {
        let stray = received_receipt(Some("red"), "b-1", ReceiptStatus::Delivered, at(9));
        assert_eq!(apply_receipt(&*store, stray).await, ReceiptResult::Unmatched);
    }
    assert_eq!(
        first_delivery(&*store, 1).await.state,
        sent_state("blue", "b-1", at(1))
    );
}

pub async fn a_receipt_without_provider_fits_any(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(
        &*store,
        received_receipt(None, "b-1", ReceiptStatus::Delivered, at(9)),
    )
    .await;
    assert_eq!(
        first_delivery(&*store, 1).await.state,
        DeliveryState::Delivered { at: at(9) }
    );
}

pub async fn an_early_receipt_is_applied_by_the_record(open: Open<'_>) {
    let store = open();
    let delivered = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    let opened = received_receipt(Some("blue"), "b-1", ReceiptStatus::Opened, at(2));
    for early in [opened, delivered] {
        assert_eq!(apply_receipt(&*store, early).await, ReceiptResult::Unmatched);
    }
    let id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    let end = finished_round(
        &claim,
        vec![attempt("blue", accepted_outcome("b-1"), at(1))],
        sent_state("blue", "b-1", at(1)),
        at(1),
    );
    let moved = RecordResult::MovedByReceipt(delivery::DeliveryStateKind::Delivered);
    assert_eq!(record(&*store, end).await, moved, "whoever counts hears of it");
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, DeliveryState::Delivered { at: at(0) });
    assert_eq!(found.opened_at, Some(at(2)));
}

pub async fn an_early_receipt_without_provider_fits_any(open: Open<'_>) {
    let store = open();
    let early = received_receipt(None, "b-1", bounced_verdict(), at(0));
    assert_eq!(apply_receipt(&*store, early).await, ReceiptResult::Unmatched);
    accept_and_send(&*store, 1).await;
    let found = first_delivery(&*store, 1).await;
    assert!(matches!(found.state, DeliveryState::Waiting { .. }), "{found:?}");
    assert_eq!(claimed(&*store, found.id, at(5)).await.avoid, Some(name("blue")));
}

pub async fn a_receipt_that_may_not_wait_is_dropped(open: Open<'_>) {
    let store = open();
    let mut early = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    early.can_wait = false;
    assert_eq!(
        apply_receipt(&*store, early.clone()).await,
        ReceiptResult::Dropped
    );
    accept_and_send(&*store, 0).await;
    assert_eq!(
        first_delivery(&*store, 1).await.state,
        sent_state("blue", "b-1", at(1))
    );
    let outcome = apply_receipt(&*store, early).await;
    assert!(
        matches!(outcome, ReceiptResult::Applied(_)),
        "what is known needs no waiting: {outcome:?}"
    );
}

pub async fn only_so_many_receipts_wait(open: Open<'_>) {
    let store = open();
    let early = |count: usize| {
        received_receipt(
            Some("red"),
            &format!("r-{count}"),
            ReceiptStatus::Delivered,
            at(0),
        )
    };
    let first = store
        .apply_receipts((1..UNMATCHED_RECEIPTS_MAX).map(early).collect())
        .await
        .unwrap();
    assert!(first.iter().all(|settled| *settled == ReceiptResult::Unmatched));
    let over = vec![early(UNMATCHED_RECEIPTS_MAX), early(UNMATCHED_RECEIPTS_MAX + 1)];
    assert_eq!(
        store.apply_receipts(over).await.unwrap(),
        [ReceiptResult::Unmatched, ReceiptResult::Dropped]
    );
    accept_and_send(&*store, 0).await;
    let known = apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9)),
    )
    .await;
    assert!(matches!(known, ReceiptResult::Applied(_)), "{known:?}");
    let mut later = early(UNMATCHED_RECEIPTS_MAX + 2);
    later.received_at = at(2 * 60 * 60);
    assert_eq!(
        apply_receipt(&*store, later).await,
        ReceiptResult::Unmatched,
        "outdated ones make room"
    );
}

pub async fn a_bounce_fails_when_no_resend_is_left(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", bounced_verdict(), at(9)),
    )
    .await;
    let expected = DeliveryState::failed(Failure::Bounced, "handset gone", at(9));
    assert_eq!(first_delivery(&*store, 1).await.state, expected);
}

pub async fn a_bounce_with_a_resend_left_waits_for_another_provider(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 1).await;
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", bounced_verdict(), at(9)),
    )
    .await;
    let due = store.due(at(10), &Capacity::total(9)).await.unwrap();
    assert_eq!(
        (due.len(), due[0].due_at),
        (1, at(10)),
        "due from when we heard it"
    );
    let claim = claimed(&*store, due[0].id, at(10)).await;
    assert_eq!(
        (claim.avoid.clone(), claim.round, claim.unrecorded_claims),
        (Some(name("blue")), 2, 0)
    );
    let again = finished_round(&claim, vec![], sent_state("red", "r-1", at(11)), at(11));
    assert_eq!(record(&*store, again).await, RecordResult::Stored);
    apply_receipt(
        &*store,
        received_receipt(Some("red"), "r-1", bounced_verdict(), at(12)),
    )
    .await;
    let expected = DeliveryState::failed(Failure::Bounced, "handset gone", at(12));
    assert_eq!(first_delivery(&*store, 1).await.state, expected);
}

pub async fn a_dead_address_in_a_receipt_becomes_inactive(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 3).await;
    let reason = "number given back".to_owned();
    apply_receipt(
        &*store,
        received_receipt(
            Some("blue"),
            "b-1",
            ReceiptStatus::Invalid {
                reason: reason.clone(),
            },
            at(9),
        ),
    )
    .await;
    let expected = DeliveryState::failed(Failure::InvalidRecipient, reason.clone(), at(9));
    assert_eq!(first_delivery(&*store, 1).await.state, expected);
    let known = store
        .recipient(&name("sms"), "+989121111111")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((known.status, known.reason), (RecipientStatus::Inactive, reason));
    assert_eq!(known.changed_by, "blue");
}

pub async fn opened_counts_once_and_also_after_delivery(open: Open<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    let word = |verdict, seconds| received_receipt(Some("blue"), "b-1", verdict, at(seconds));
    apply_receipt(&*store, word(ReceiptStatus::Delivered, 9)).await;
    let first = apply_receipt(&*store, word(ReceiptStatus::Opened, 20)).await;
    assert!(matches!(first, ReceiptResult::Applied(_)), "{first:?}");
    let second = apply_receipt(&*store, word(ReceiptStatus::Opened, 30)).await;
    assert!(matches!(second, ReceiptResult::Unchanged(_)), "{second:?}");
    let found = first_delivery(&*store, 1).await;
    assert_eq!(
        (found.state, found.opened_at),
        (DeliveryState::Delivered { at: at(9) }, Some(at(20)))
    );
}

pub async fn the_newest_delivery_takes_a_reference_used_twice(open: Open<'_>) {
    let store = open();
    for which in [1, 2] {
        let id = accepted(&*store, sms(which)).await;
        claim_and_send(&*store, id, "blue", "b-1", at(1)).await;
    }
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9)),
    )
    .await;
    assert_eq!(
        first_delivery(&*store, 1).await.state,
        sent_state("blue", "b-1", at(1))
    );
    assert_eq!(
        first_delivery(&*store, 2).await.state,
        DeliveryState::Delivered { at: at(9) }
    );
}
