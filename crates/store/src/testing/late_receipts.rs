//! Conformance tests of several copies of one message, and of receipts and answers that come late.

use super::fixtures::*;
use crate::{ReceiptResult, ReceivedReceipt, Store};
use postrider_core::attempt::Outcome;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::inbound::LateAcceptance;
use postrider_core::recipient::RecipientStatus;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::{id::DeliveryId, receipt::ReceiptStatus};

fn unknown_outcome() -> Outcome {
    Outcome::Unknown { reason: "no answer".to_owned() }
}

/// Returns the receipt `delivered` of blue.
fn delivered(reference: &str, seconds: i64) -> ReceivedReceipt {
    received_receipt(Some("blue"), reference, ReceiptStatus::Delivered, at(seconds))
}

/// Sends through blue with reference `b-1`, which bounces the message, so that it waits for another provider.
async fn bounced_once(store: &dyn Store) -> DeliveryId {
    let mut new_message = sms(1);
    new_message.deliveries[0].resends_left = 1;
    let delivery_id = accepted(store, new_message).await;
    claim_and_send(store, delivery_id, "blue", "b-1", at(1)).await;
    apply_receipt(store, received_receipt(Some("blue"), "b-1", bounced_status(), at(9))).await;
    delivery_id
}

/// Sends through blue without an answer, so that the message waits to be sent again at `at(500)`.
async fn unanswered_once(store: &dyn Store) -> DeliveryId {
    let delivery_id = accepted(store, sms(1)).await;
    let claim = claimed(store, delivery_id, at(1)).await;
    let attempts = vec![attempt("blue", unknown_outcome(), at(1))];
    record(store, finished_round(&claim, attempts, waiting_state(at(500), "no answer"), at(2))).await;
    delivery_id
}

fn late_acceptance(delivery: DeliveryId) -> LateAcceptance {
    LateAcceptance { delivery, round: 1, reference: Some("b-1".to_owned()), at: at(20) }
}

pub async fn a_receipt_for_an_earlier_copy_settles_a_delivery_that_waits(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = bounced_once(&*store).await;
    let result = apply_receipt(&*store, delivered("b-1", 12)).await;
    assert!(matches!(result, ReceiptResult::Applied(_)), "{result:?}");
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(12) });
    assert!(is_not_claimable(&*store, delivery_id, at(900)).await);
}

pub async fn a_receipt_settles_a_delivery_during_the_next_call(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = bounced_once(&*store).await;
    let claim = claimed(&*store, delivery_id, at(10)).await;
    apply_receipt(&*store, delivered("b-1", 12)).await;
    let round = || {
        let attempts = vec![attempt("red", accepted_outcome("r-1"), at(11))];
        finished_round(&claim, attempts, sent_state("red", "r-1", at(13)), at(13))
    };
    assert_eq!(record(&*store, round()).await, RecordResult::AlreadySettled);
    assert_eq!(record(&*store, round()).await, RecordResult::Stored, "repeated after a lost answer");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(12) });
    let references = found_delivery.attempts.iter().map(|attempt| attempt.reference.as_deref());
    assert_eq!(references.collect::<Vec<_>>(), [Some("b-1"), Some("r-1")]);
    // The worker does not hold the delivery any more.
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(14))).await;
    assert_eq!(store.requeue(vec![delivery_id], at(15), at(99)).await.unwrap().len(), 1);
    assert_eq!(claimed(&*store, delivery_id, at(15)).await.unrecorded_claims, 0);
}

pub async fn a_failure_of_an_earlier_copy_does_not_end_the_later_one(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = bounced_once(&*store).await;
    claim_and_send(&*store, delivery_id, "red", "r-1", at(10)).await;
    let invalid = ReceiptStatus::Invalid { reason: "gone".to_owned() };
    for status in [bounced_status(), invalid] {
        let result = apply_receipt(&*store, received_receipt(Some("blue"), "b-1", status, at(20))).await;
        assert!(matches!(result, ReceiptResult::Unchanged(_)), "{result:?}");
    }
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("red", "r-1", at(10)));
    assert_eq!(store.recipient(&name("sms"), "+989121111111").await.unwrap(), None);
    apply_receipt(&*store, delivered("b-1", 30)).await;
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(30) });
    assert_eq!(found_delivery.provider, Some(name("blue")), "the copy that arrived");
}

pub async fn a_failure_corrects_delivered_and_a_newer_delivered_corrects_it(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    apply_receipt(&*store, delivered("b-1", 9)).await;
    let invalid = ReceiptStatus::Invalid { reason: "no such user".to_owned() };
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", invalid, at(10))).await;
    let failed_state = DeliveryState::failed(Failure::Bounced, "no such user", at(10));
    assert_eq!(first_delivery(&*store, 1).await.state, failed_state);
    let stored_recipient = store.recipient(&name("sms"), "+989121111111").await.unwrap().unwrap();
    assert_eq!(stored_recipient.status, RecipientStatus::Inactive);
    let repeated = apply_receipt(&*store, delivered("b-1", 9)).await;
    assert!(matches!(repeated, ReceiptResult::Unchanged(_)), "an older receipt: {repeated:?}");
    apply_receipt(&*store, delivered("b-1", 11)).await;
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(11) });
}

pub async fn an_opened_message_is_not_bounced(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Opened, at(9))).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(10))).await;
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(9) });
}

pub async fn a_superseded_round_that_was_accepted_settles_a_delivery_that_waits(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let frozen = claimed(&*store, delivery_id, at(1)).await;
    let claim = claimed(&*store, delivery_id, at(100)).await;
    let attempts = vec![attempt("red", unavailable_outcome(), at(100))];
    record(&*store, finished_round(&claim, attempts, waiting_state(at(500), "down"), at(101))).await;
    let late_round = || CompletedRound {
        attempts: vec![attempt("blue", accepted_outcome("b-1"), at(2))],
        ..finished_round(&frozen, vec![], sent_state("blue", "b-1", at(102)), at(102))
    };
    assert_eq!(record(&*store, late_round()).await, RecordResult::Stored);
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, sent_state("blue", "b-1", at(102)));
    assert_eq!(found_delivery.attempts.len(), 2, "{:?}", found_delivery.attempts);
    assert!(is_not_claimable(&*store, delivery_id, at(900)).await);
    assert_eq!(record(&*store, late_round()).await, RecordResult::Superseded, "repeated");
    assert_eq!(first_delivery(&*store, 1).await.attempts.len(), 2);
}

pub async fn a_late_answer_settles_a_delivery_that_waits(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = unanswered_once(&*store).await;
    let apply = || store.apply_late_acceptance(name("blue"), late_acceptance(delivery_id), at(21));
    let result = apply().await.unwrap();
    assert!(matches!(result, ReceiptResult::Applied(_)), "{result:?}");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, sent_state("blue", "b-1", at(20)));
    assert_eq!(found_delivery.attempts[0].reference.as_deref(), Some("b-1"));
    assert_eq!(apply().await.unwrap(), ReceiptResult::Unmatched, "repeated");
    apply_receipt(&*store, delivered("b-1", 30)).await;
    assert_eq!(first_delivery(&*store, 1).await.state, DeliveryState::Delivered { at: at(30) });
}

pub async fn a_late_answer_corrects_a_delivery_that_was_given_up(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    let attempts = vec![attempt("blue", unknown_outcome(), at(1))];
    let failed = DeliveryState::failed(Failure::Unknown, "no answer", at(2));
    record(&*store, finished_round(&claim, attempts, failed, at(2))).await;
    store.apply_late_acceptance(name("blue"), late_acceptance(delivery_id), at(21)).await.unwrap();
    assert_eq!(first_delivery(&*store, 1).await.state, sent_state("blue", "b-1", at(20)));
}

pub async fn a_receipt_that_came_before_its_late_answer_is_applied(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = unanswered_once(&*store).await;
    assert_eq!(apply_receipt(&*store, delivered("b-1", 15)).await, ReceiptResult::Unmatched);
    let result = store.apply_late_acceptance(name("blue"), late_acceptance(delivery_id), at(21)).await;
    let ReceiptResult::Applied(matched_delivery) = result.unwrap() else {
        panic!("not applied");
    };
    assert_eq!(matched_delivery.previous_kind, DeliveryStateKind::Waiting);
    assert_eq!(matched_delivery.state, DeliveryState::Delivered { at: at(20) }, "not before it was accepted");
}

pub async fn a_late_answer_waits_for_the_record_of_its_round(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    claimed(&*store, delivery_id, at(1)).await;
    let result = store.apply_late_acceptance(name("blue"), late_acceptance(delivery_id), at(21)).await;
    assert_eq!(result.unwrap(), ReceiptResult::Unmatched);
    let other = LateAcceptance { delivery: DeliveryId(64_000), ..late_acceptance(delivery_id) };
    let result = store.apply_late_acceptance(name("blue"), other, at(21)).await;
    assert_eq!(result.unwrap(), ReceiptResult::Unmatched);
}

pub async fn a_claim_tells_how_often_the_message_may_have_been_sent(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = sms(1);
    (new_message.at_most_once, new_message.client_expires_at) = (true, Some(at(2_000)));
    let delivery_id = accepted(&*store, new_message).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    assert_eq!((claim.unknown_attempts, claim.at_most_once), (0, true));
    assert_eq!(claim.client_expires_at, Some(at(2_000)));
    let attempts =
        vec![attempt("red", unavailable_outcome(), at(1)), attempt("blue", unknown_outcome(), at(1))];
    let round = finished_round(&claim, attempts, waiting_state(at(9), "no answer"), at(2));
    record(&*store, CompletedRound { expires_at: at(1_500), ..round }).await;
    let claim = claimed(&*store, delivery_id, at(9)).await;
    assert_eq!((claim.unknown_attempts, claim.expires_at), (1, at(1_500)));
    let other_id = accepted(&*store, sms(2)).await;
    let other = claimed(&*store, other_id, at(1)).await;
    assert_eq!((other.unknown_attempts, other.at_most_once, other.client_expires_at), (0, false, None));
}

pub async fn a_message_to_be_sent_at_most_once_is_not_requeued_after_silence(open: OpenStore<'_>) {
    let store = open();
    for (number, failure, requeued) in [(1, Failure::Unknown, 0), (2, Failure::Rejected, 1)] {
        let mut new_message = sms(number);
        new_message.at_most_once = true;
        let delivery_id = accepted(&*store, new_message).await;
        claim_and_fail(&*store, delivery_id, failure, at(1)).await;
        let entries = store.requeue(vec![delivery_id], at(5), at(99_999)).await.unwrap();
        assert_eq!(entries.len(), requeued, "{failure:?}");
    }
}

/// Claims the second copy and settles the delivery with a receipt for the first one, twice if `claims` is 2, while no
/// worker records the rounds. The leases end at `at(1_000)` at the latest.
async fn settled_with_lost_rounds(store: &dyn Store, claims: i64) -> (DeliveryId, Vec<ClaimedDelivery>) {
    let delivery_id = bounced_once(store).await;
    let mut claimed_rounds = Vec::new();
    for number in 0..claims {
        claimed_rounds.push(claimed(store, delivery_id, at(10 + 100 * number)).await);
    }
    apply_receipt(store, delivered("b-1", 220)).await;
    (delivery_id, claimed_rounds)
}

pub async fn rounds_lost_before_a_receipt_settled_the_delivery_are_named(open: OpenStore<'_>) {
    let store = open();
    let (delivery_id, _) = settled_with_lost_rounds(&*store, 2).await;
    assert_eq!(store.close_lost_rounds(at(9_000), 10).await.unwrap(), [delivery_id]);
    assert_eq!(store.close_lost_rounds(at(9_000), 10).await.unwrap(), [], "repeated");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(220) });
    let outcomes = found_delivery.attempts.iter().map(|attempt| attempt.outcome.as_str());
    assert_eq!(outcomes.collect::<Vec<_>>(), ["accepted", "unknown", "unknown"]);
    assert_eq!(found_delivery.attempts[1].provider, None);
    // Nothing holds the delivery any more: after a bounce it can be sent again, and the copies count.
    apply_receipt(&*store, received_receipt(Some("blue"), "b-1", bounced_status(), at(230))).await;
    assert_eq!(store.requeue(vec![delivery_id], at(9_000), at(9_999)).await.unwrap().len(), 1);
    let claim = claimed(&*store, delivery_id, at(9_000)).await;
    assert_eq!((claim.unknown_attempts, claim.unrecorded_claims), (2, 0));
}

pub async fn a_round_of_a_live_worker_is_not_closed(open: OpenStore<'_>) {
    let store = open();
    let (_, claims) = settled_with_lost_rounds(&*store, 1).await;
    assert_eq!(store.close_lost_rounds(at(12), 10).await.unwrap(), [], "its lease lasts");
    let attempts = vec![attempt("red", accepted_outcome("r-1"), at(11))];
    let round = finished_round(&claims[0], attempts, sent_state("red", "r-1", at(13)), at(13));
    assert_eq!(record(&*store, round).await, RecordResult::AlreadySettled);
    assert_eq!(store.close_lost_rounds(at(9_000), 10).await.unwrap(), []);
    assert_eq!(first_delivery(&*store, 1).await.attempts.len(), 2);
    // A delivery that waits is left to the next claim.
    let waiting_id = accepted(&*store, sms(2)).await;
    claimed(&*store, waiting_id, at(10)).await;
    assert_eq!(store.close_lost_rounds(at(9_000), 10).await.unwrap(), []);
}

pub async fn a_late_record_of_a_closed_round_adds_its_attempts(open: OpenStore<'_>) {
    let store = open();
    let (_, claims) = settled_with_lost_rounds(&*store, 1).await;
    assert_eq!(store.close_lost_rounds(at(9_000), 10).await.unwrap().len(), 1);
    let round = || {
        let attempts = vec![attempt("red", accepted_outcome("r-1"), at(11))];
        finished_round(&claims[0], attempts, sent_state("red", "r-1", at(13)), at(13))
    };
    assert_eq!(record(&*store, round()).await, RecordResult::Superseded);
    assert_eq!(record(&*store, round()).await, RecordResult::Superseded, "repeated");
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, DeliveryState::Delivered { at: at(220) });
    let outcomes = found_delivery.attempts.iter().map(|attempt| attempt.outcome.as_str());
    assert_eq!(outcomes.collect::<Vec<_>>(), ["accepted", "accepted", "unknown"], "by time");
}
