//! Conformance tests of receipts.

use super::fixtures::*;
use crate::{ReceiptResult, ReceivedReceipt, Store, UNMATCHED_RECEIPTS_MAX};
use postrider_core::delivery::{self, DeliveryState, Failure};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::{capacity::Capacity, id::DeliveryId, recipient::RecipientStatus, round::RecordResult};

async fn accept_and_send(store: &dyn Store, resends_left: u32) {
    let mut new_message = sms(1);
    new_message.deliveries[0].resends_left = resends_left;
    let delivery_id = accepted(store, new_message).await;
    claim_and_send(store, delivery_id, "blue", "b-1", at(1)).await;
}

pub async fn a_receipt_makes_a_sent_delivery_delivered(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    let receipt_result =
        apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    let ReceiptResult::Applied(matched_delivery) = receipt_result else {
        panic!("{receipt_result:?}");
    };
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(9) });
    assert_eq!(
        (found_delivery.provider, found_delivery.reference.as_deref()),
        (Some(name("blue")), Some("b-1"))
    );
    assert_eq!((matched_delivery.id, &matched_delivery.state), (found_delivery.id, &found_delivery.state));
    assert_eq!((matched_delivery.provider, matched_delivery.body), (name("blue"), sms(1).body));
    assert_eq!(matched_delivery.spelling, found_delivery.spelling);
}

pub async fn a_repeated_receipt_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    for (status, seconds) in [(ReceiptStatus::Delivered, 10), (bounced_status(), 8)] {
        let receipt_result =
            apply_receipt(&*store, received_receipt(Some("blue"), "b-1", status, at(seconds))).await;
        assert!(matches!(receipt_result, ReceiptResult::Unchanged(_)), "{receipt_result:?}");
    }
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn a_receipt_of_another_provider_is_kept(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    for _ in 0..2 {
        let unmatched_receipt = received_receipt(Some("red"), "b-1", ReceiptStatus::Delivered, at(9));
        assert_eq!(apply_receipt(&*store, unmatched_receipt).await, ReceiptResult::Unmatched);
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
    let delivered_receipt = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    let opened_receipt = received_receipt(Some("blue"), "b-1", ReceiptStatus::Opened, at(2));
    for early_receipt in [opened_receipt, delivered_receipt] {
        assert_eq!(apply_receipt(&*store, early_receipt).await, ReceiptResult::Unmatched);
    }
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    let round = finished_round(
        &claim,
        vec![attempt("blue", accepted_outcome("b-1"), at(1))],
        sent_state("blue", "b-1", at(1)),
        at(1),
    );
    let moved_result = RecordResult::MovedByReceipt(delivery::DeliveryStateKind::Delivered);
    assert_eq!(record(&*store, round).await, moved_result, "the record returns the later state");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(1) }, "not before it was sent");
    assert_eq!(found_delivery.opened_at, Some(at(2)));
}

pub async fn an_early_receipt_without_provider_matches_any_provider(open: OpenStore<'_>) {
    let store = open();
    let early_receipt = received_receipt(None, "b-1", bounced_status(), at(0));
    assert_eq!(apply_receipt(&*store, early_receipt).await, ReceiptResult::Unmatched);
    accept_and_send(&*store, 1).await;
    let found_delivery = first_delivery(&*store, 1).await;
    assert!(matches!(found_delivery.state, DeliveryState::Waiting { .. }), "{found_delivery:?}");
    assert_eq!(claimed(&*store, found_delivery.id, at(5)).await.avoid, Some(name("blue")));
}

pub async fn an_unmatched_receipt_that_cannot_wait_is_dropped(open: OpenStore<'_>) {
    let store = open();
    let mut early_receipt = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    early_receipt.can_wait = false;
    assert_eq!(apply_receipt(&*store, early_receipt.clone()).await, ReceiptResult::Dropped);
    accept_and_send(&*store, 0).await;
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(1)));
    let receipt_result = apply_receipt(&*store, early_receipt).await;
    assert!(
        matches!(receipt_result, ReceiptResult::Applied(_)),
        "a known reference needs no waiting: {receipt_result:?}"
    );
}

pub async fn the_number_of_unmatched_receipts_is_limited(open: OpenStore<'_>) {
    let store = open();
    let early_receipt = |number: usize| {
        received_receipt(Some("red"), &format!("r-{number}"), ReceiptStatus::Delivered, at(0))
    };
    let receipt_results =
        store.apply_receipts((1..UNMATCHED_RECEIPTS_MAX).map(early_receipt).collect()).await.unwrap();
    assert!(receipt_results.iter().all(|result| *result == ReceiptResult::Unmatched));
    let excess_receipts =
        vec![early_receipt(UNMATCHED_RECEIPTS_MAX), early_receipt(UNMATCHED_RECEIPTS_MAX + 1)];
    assert_eq!(
        store.apply_receipts(excess_receipts).await.unwrap(),
        [ReceiptResult::Unmatched, ReceiptResult::Dropped]
    );
    accept_and_send(&*store, 0).await;
    let matched_result =
        apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    assert!(matches!(matched_result, ReceiptResult::Applied(_)), "{matched_result:?}");
    let mut later_receipt = early_receipt(UNMATCHED_RECEIPTS_MAX + 2);
    later_receipt.received_at = at(2 * 60 * 60);
    assert_eq!(
        apply_receipt(&*store, later_receipt).await,
        ReceiptResult::Unmatched,
        "expired ones are deleted"
    );
}

pub async fn a_bounce_without_resends_left_fails(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(9))).await;
    let failed_state = DeliveryState::failed(Failure::Bounced, "handset gone", at(9));
    assert_eq!(first_delivery(&*store, 1).await.state, failed_state);
}

pub async fn a_bounce_with_a_resend_left_waits_for_another_provider(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 1).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(9))).await;
    let due_entries = store.due(at(10), &Capacity::total(9)).await.unwrap();
    assert_eq!((due_entries.len(), due_entries[0].due_at), (1, at(10)), "due when the receipt was received");
    let claim = claimed(&*store, due_entries[0].id, at(10)).await;
    assert_eq!((claim.avoid.clone(), claim.round, claim.unrecorded_claims), (Some(name("blue")), 2, 0));
    let attempts = vec![attempt("red", accepted_outcome("r-1"), at(11))];
    let second_round = finished_round(&claim, attempts, sent_state("red", "r-1", at(11)), at(11));
    assert_eq!(record(&*store, second_round).await, RecordResult::Stored);
    apply_receipt(&*store, received_receipt(Some("red"), "r-1", bounced_status(), at(12))).await;
    let failed_state = DeliveryState::failed(Failure::Bounced, "handset gone", at(12));
    assert_eq!(first_delivery(&*store, 1).await.state, failed_state);
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
    let failed_state = DeliveryState::failed(Failure::InvalidRecipient, reason.clone(), at(9));
    assert_eq!(first_delivery(&*store, 1).await.state, failed_state);
    let stored_recipient = store.recipient(&name("sms"), "+989121111111").await.unwrap().unwrap();
    assert_eq!((stored_recipient.status, stored_recipient.reason), (RecipientStatus::Inactive, reason));
    assert_eq!(stored_recipient.changed_by, "blue");
}

pub async fn the_first_opened_receipt_counts_also_after_delivery(open: OpenStore<'_>) {
    let store = open();
    accept_and_send(&*store, 0).await;
    let receipt_at = |status, seconds| received_receipt(Some("blue"), "b-1", status, at(seconds));
    apply_receipt(&*store, receipt_at(ReceiptStatus::Delivered, 9)).await;
    let first_result = apply_receipt(&*store, receipt_at(ReceiptStatus::Opened, 20)).await;
    assert!(matches!(first_result, ReceiptResult::Applied(_)), "{first_result:?}");
    let second_result = apply_receipt(&*store, receipt_at(ReceiptStatus::Opened, 30)).await;
    assert!(matches!(second_result, ReceiptResult::Unchanged(_)), "{second_result:?}");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(
        (found_delivery.state, found_delivery.opened_at),
        (DeliveryState::Delivered { at: at(9) }, Some(at(20)))
    );
}

pub async fn a_reused_reference_matches_the_newest_delivery(open: OpenStore<'_>) {
    let store = open();
    for number in [1, 2] {
        let delivery_id = accepted(&*store, sms(number)).await;
        claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    }
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9))).await;
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(1)));
    assert_eq!(first_delivery(&*store, 2).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn an_opened_receipt_makes_the_delivery_delivered(open: OpenStore<'_>) {
    let store = open();
    let opened_receipt = |receipt_delivery, seconds| ReceivedReceipt {
        provider: None,
        receipt: Receipt { reference: String::new(), status: ReceiptStatus::Opened, at: at(seconds) },
        delivery: Some(receipt_delivery),
        received_at: at(seconds),
        can_wait: false,
        sender: None,
    };
    let delivery_id = accepted(&*store, sms(1)).await;
    assert_eq!(apply_receipt(&*store, opened_receipt(delivery_id, 1)).await, ReceiptResult::Unmatched);
    assert_eq!(apply_receipt(&*store, opened_receipt(DeliveryId(64_000), 1)).await, ReceiptResult::Unmatched);
    claim_and_send(&*store, delivery_id, "blue", "x", at(2)).await;
    assert_eq!(first_delivery(&*store, 1).await.opened_at, None, "the receipt was not kept");
    let first_result = apply_receipt(&*store, opened_receipt(delivery_id, 3)).await;
    assert!(matches!(first_result, ReceiptResult::Applied(_)), "{first_result:?}");
    let second_result = apply_receipt(&*store, opened_receipt(delivery_id, 4)).await;
    assert!(matches!(second_result, ReceiptResult::Unchanged(_)), "{second_result:?}");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.opened_at, Some(at(3)));
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(3) });
}

/// Returns a receipt that a phone may have written.
fn receipt_of_phone(sender: &str, status: ReceiptStatus, seconds: i64) -> ReceivedReceipt {
    let sender = Some(sender.to_owned());
    ReceivedReceipt { sender, ..received_receipt(Some("blue"), "b-1", status, at(seconds)) }
}

pub async fn a_receipt_of_a_phone_concerns_only_messages_to_it(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    let invalid = ReceiptStatus::Invalid { reason: "forged".to_owned() };
    let forged = apply_receipt(&*store, receipt_of_phone("+15005559999", invalid, 2)).await;
    assert_eq!(forged, ReceiptResult::Unmatched);
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(1)));
    let own = receipt_of_phone("+989121111111", ReceiptStatus::Delivered, 9);
    assert!(matches!(apply_receipt(&*store, own).await, ReceiptResult::Applied(_)));
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn an_early_receipt_of_a_phone_concerns_only_messages_to_it(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let invalid = ReceiptStatus::Invalid { reason: "forged".to_owned() };
    let forged = receipt_of_phone("+15005559999", invalid, 2);
    let own = receipt_of_phone("+989121111111", ReceiptStatus::Delivered, 3);
    for early in [forged.clone(), own, forged] {
        assert_eq!(apply_receipt(&*store, early).await, ReceiptResult::Unmatched);
    }
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(5)).await;
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(5) });
    assert_eq!(store.recipient(&name("sms"), "+989121111111").await.unwrap(), None);
}

pub async fn a_receipt_is_not_older_than_its_send(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(7_200)).await;
    let stale = received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(0));
    apply_receipt(&*store, stale).await;
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(7_200) });
}
