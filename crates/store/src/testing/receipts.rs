//! Conformance tests of receipts.

use super::fixtures::*;
use crate::{ReceiptResult, ReceivedReceipt, Store, UNMATCHED_RECEIPTS_MAX};
use postrider_core::capacity::Capacity;
use postrider_core::delivery::{self, DeliveryState, Failure};
use postrider_core::id::DeliveryId;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::RecipientStatus;
use postrider_core::round::RecordResult;

async fn accept_and_send(store: &dyn Store, resends_left: u32) {
    let mut new = sms(1);
    new.deliveries[0].resends_left = resends_left;
    let id = accepted(store, new).await;
    claim_and_send(store, id, "blue", "b-1", at(1)).await;
}

pub async fn a_receipt_makes_a_sent_delivery_delivered(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    let result =
        apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    let ReceiptResult::Applied(matched) = result else {
        panic!("{result:?}");
    };
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, DeliveryState::Delivered { at: at(9) });
    assert_eq!((found.provider, found.reference.as_deref()), (Some(name("blue")), Some("b-1")));
    assert_eq!((matched.id, &matched.state), (found.id, &found.state));
    assert_eq!((matched.provider, matched.body), (name("blue"), sms(1).body));
    assert_eq!(matched.spelling, found.spelling);
}

pub async fn a_repeated_receipt_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    for status in [ReceiptStatus::Delivered, bounced_status()] {
        let result = apply_receipt(&*store, received_receipt(Some("blue"), "b-1", status, at(10))).await;
        assert!(matches!(result, ReceiptResult::Unchanged(_)), "{result:?}");
    }
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn a_receipt_of_another_provider_is_kept(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    for _ in 0..2 {
        let unmatched = received_receipt(Some("red"), "b-1", ReceiptStatus::Delivered, at(9));
        assert_eq!(apply_receipt(&*store, unmatched).await, ReceiptResult::Unmatched);
    }
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(1)));
}

pub async fn a_receipt_without_provider_matches_any_provider(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(&*store, received_receipt(None, "b-1", ReceiptStatus::Delivered, at(9))).await;
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn an_early_receipt_is_applied_when_the_round_is_recorded(open: OpenStore<'_>) {
    let store = open();
    let delivered = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    let opened = received_receipt(Some("blue"), "b-1", ReceiptStatus::Opened, at(2));
    for early in [opened, delivered] {
        assert_eq!(apply_receipt(&*store, early).await, ReceiptResult::Unmatched);
    }
    let id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    let round = finished_round(
        &claim,
        vec![attempt("blue", accepted_outcome("b-1"), at(1))],
        sent_state("blue", "b-1", at(1)),
        at(1),
    );
    let moved = RecordResult::MovedByReceipt(delivery::DeliveryStateKind::Delivered);
    assert_eq!(record(&*store, round).await, moved, "the record returns the later state");
    let found = first_delivery(&*store, 1).await;
    assert_eq!(found.state, DeliveryState::Delivered { at: at(0) });
    assert_eq!(found.opened_at, Some(at(2)));
}

pub async fn an_early_receipt_without_provider_matches_any_provider(open: OpenStore<'_>) {
    let store = open();
    let early = received_receipt(None, "b-1", bounced_status(), at(0));
    assert_eq!(apply_receipt(&*store, early).await, ReceiptResult::Unmatched);
    accept_and_send(&*store, 1).await;
    let found = first_delivery(&*store, 1).await;
    assert!(matches!(found.state, DeliveryState::Waiting { .. }), "{found:?}");
    assert_eq!(claimed(&*store, found.id, at(5)).await.avoid, Some(name("blue")));
}

pub async fn an_unmatched_receipt_that_cannot_wait_is_dropped(open: OpenStore<'_>) {
    let store = open();
    let mut early = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    early.can_wait = false;
    assert_eq!(apply_receipt(&*store, early.clone()).await, ReceiptResult::Dropped);
    accept_and_send(&*store, 0).await;
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(1)));
    let result = apply_receipt(&*store, early).await;
    assert!(matches!(result, ReceiptResult::Applied(_)), "a known reference needs no waiting: {result:?}");
}

pub async fn the_number_of_unmatched_receipts_is_limited(open: OpenStore<'_>) {
    let store = open();
    let early =
        |count: usize| received_receipt(Some("red"), &format!("r-{count}"), ReceiptStatus::Delivered, at(0));
    let first = store.apply_receipts((1..UNMATCHED_RECEIPTS_MAX).map(early).collect()).await.unwrap();
    assert!(first.iter().all(|result| *result == ReceiptResult::Unmatched));
    let over = vec![early(UNMATCHED_RECEIPTS_MAX), early(UNMATCHED_RECEIPTS_MAX + 1)];
    assert_eq!(store.apply_receipts(over).await.unwrap(), [ReceiptResult::Unmatched, ReceiptResult::Dropped]);
    accept_and_send(&*store, 0).await;
    let matched =
        apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    assert!(matches!(matched, ReceiptResult::Applied(_)), "{matched:?}");
    let mut later = early(UNMATCHED_RECEIPTS_MAX + 2);
    later.received_at = at(2 * 60 * 60);
    assert_eq!(apply_receipt(&*store, later).await, ReceiptResult::Unmatched, "expired ones are deleted");
}

pub async fn a_bounce_without_resends_left_fails(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(9))).await;
    let expected = DeliveryState::failed(Failure::Bounced, "handset gone", at(9));
    assert_eq!(first_delivery(&*store, 1).await.state, expected);
}

pub async fn a_bounce_with_a_resend_left_waits_for_another_provider(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 1).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(9))).await;
    let due = store.due(at(10), &Capacity::total(9)).await.unwrap();
    assert_eq!((due.len(), due[0].due_at), (1, at(10)), "due when the receipt was received");
    let claim = claimed(&*store, due[0].id, at(10)).await;
    assert_eq!((claim.avoid.clone(), claim.round, claim.unrecorded_claims), (Some(name("blue")), 2, 0));
    let again = finished_round(&claim, vec![], sent_state("red", "r-1", at(11)), at(11));
    assert_eq!(record(&*store, again).await, RecordResult::Stored);
    apply_receipt(&*store, received_receipt(Some("red"), "r-1", bounced_status(), at(12))).await;
    let expected = DeliveryState::failed(Failure::Bounced, "handset gone", at(12));
    assert_eq!(first_delivery(&*store, 1).await.state, expected);
}

pub async fn an_address_that_a_receipt_calls_invalid_becomes_inactive(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 3).await;
    let reason = "number given back".to_owned();
    apply_receipt(
        &*store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Invalid { reason: reason.clone() }, at(9)),
    )
    .await;
    let expected = DeliveryState::failed(Failure::InvalidRecipient, reason.clone(), at(9));
    assert_eq!(first_delivery(&*store, 1).await.state, expected);
    let matched = store.recipient(&name("sms"), "+989121111111").await.unwrap().unwrap();
    assert_eq!((matched.status, matched.reason), (RecipientStatus::Inactive, reason));
    assert_eq!(matched.changed_by, "blue");
}

pub async fn the_first_opened_receipt_counts_also_after_delivery(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    let receipt = |status, seconds| received_receipt(Some("blue"), "b-1", status, at(seconds));
    apply_receipt(&*store, receipt(ReceiptStatus::Delivered, 9)).await;
    let first = apply_receipt(&*store, receipt(ReceiptStatus::Opened, 20)).await;
    assert!(matches!(first, ReceiptResult::Applied(_)), "{first:?}");
    let second = apply_receipt(&*store, receipt(ReceiptStatus::Opened, 30)).await;
    assert!(matches!(second, ReceiptResult::Unchanged(_)), "{second:?}");
    let found = first_delivery(&*store, 1).await;
    assert_eq!((found.state, found.opened_at), (DeliveryState::Delivered { at: at(9) }, Some(at(20))));
}

pub async fn a_reused_reference_matches_the_newest_delivery(open: OpenStore<'_>) {
    let store = open();
    for number in [1, 2] {
        let id = accepted(&*store, sms(number)).await;
        claim_and_send(&*store, id, "blue", "b-1", at(1)).await;
    }
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(1)));
    assert_eq!(first_delivery(&*store, 2).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn an_opened_receipt_makes_the_delivery_delivered(open: OpenStore<'_>) {
    let store = open();
    let opened = |delivery, seconds| ReceivedReceipt {
        provider: None,
        receipt: Receipt { reference: String::new(), status: ReceiptStatus::Opened, at: at(seconds) },
        delivery: Some(delivery),
        received_at: at(seconds),
        can_wait: false,
    };
    let waiting = accepted(&*store, sms(1)).await;
    assert_eq!(apply_receipt(&*store, opened(waiting, 1)).await, ReceiptResult::Unmatched);
    assert_eq!(apply_receipt(&*store, opened(DeliveryId(64_000), 1)).await, ReceiptResult::Unmatched);
    claim_and_send(&*store, waiting, "blue", "x", at(2)).await;
    assert_eq!(first_delivery(&*store, 1).await.opened_at, None, "the receipt was not kept");
    let first = apply_receipt(&*store, opened(waiting, 3)).await;
    assert!(matches!(first, ReceiptResult::Applied(_)), "{first:?}");
    let second = apply_receipt(&*store, opened(waiting, 4)).await;
    assert!(matches!(second, ReceiptResult::Unchanged(_)), "{second:?}");
    let now = first_delivery(&*store, 1).await;
    assert_eq!(now.opened_at, Some(at(3)));
    assert_eq!(now.state, DeliveryState::Delivered { at: at(3) });
}
