//! Tests of the receipts of long messages.

use super::*;

fn receipt(id: &str, status: Option<ReceiptStatus>) -> ReceiptUpdate {
    ReceiptUpdate { message_id: id.to_owned(), status }
}

fn delivered(id: &str) -> ReceiptUpdate {
    receipt(id, Some(ReceiptStatus::Delivered))
}

fn bounced(id: &str) -> ReceiptUpdate {
    let reason = "EXPIRED".to_owned();
    receipt(id, Some(ReceiptStatus::Bounced { reason }))
}

/// Returns receipts with one message that was accepted as the parts `a`, `b` and `c`.
fn with_three_parts() -> MultipartReceipts {
    let mut receipts = MultipartReceipts::default();
    let number = receipts.register(3);
    for id in ["a", "b", "c"] {
        assert_eq!(receipts.part_accepted(number, id, id == "c"), None);
    }
    receipts
}

#[test]
fn a_message_is_delivered_when_all_its_parts_are() {
    let mut receipts = with_three_parts();
    assert_eq!(receipts.apply_receipt(delivered("c")), None);
    assert_eq!(receipts.apply_receipt(delivered("a")), None);
    assert_eq!(receipts.apply_receipt(receipt("b", None)), None);
    assert_eq!(receipts.apply_receipt(delivered("b")), Some(delivered("c")));
    assert!(receipts.message_of_part.is_empty() && receipts.messages.is_empty());
}

#[test]
fn a_repeated_receipt_of_the_last_part_does_not_deliver_the_message() {
    let mut receipts = with_three_parts();
    for _ in 0..3 {
        assert_eq!(receipts.apply_receipt(delivered("c")), None);
    }
    assert_eq!(receipts.apply_receipt(delivered("a")), None);
    assert_eq!(receipts.apply_receipt(bounced("b")), Some(bounced("c")));
}

#[test]
fn one_failed_part_fails_the_message() {
    let mut receipts = with_three_parts();
    assert_eq!(receipts.apply_receipt(delivered("a")), None);
    assert_eq!(receipts.apply_receipt(bounced("b")), Some(bounced("c")));
}

#[test]
fn receipts_that_arrive_before_all_parts_are_accepted_are_counted() {
    let mut receipts = MultipartReceipts::default();
    let number = receipts.register(2);
    assert_eq!(receipts.part_accepted(number, "a", false), None);
    assert_eq!(receipts.apply_receipt(bounced("a")), None);
    assert_eq!(receipts.part_accepted(number, "b", true), Some(bounced("b")));
}

#[test]
fn the_receipt_of_an_unknown_message_is_returned_unchanged() {
    let mut receipts = MultipartReceipts::default();
    assert_eq!(receipts.apply_receipt(delivered("z")), Some(delivered("z")));
}

#[test]
fn the_oldest_messages_are_dropped_at_the_limit() {
    let mut receipts = MultipartReceipts::default();
    for index in 0..60_000 {
        let number = receipts.register(2);
        receipts.part_accepted(number, &format!("{index}-1"), false);
        receipts.part_accepted(number, &format!("{index}-2"), true);
    }
    assert!(receipts.message_of_part.len() <= PENDING_PARTS_MAX);
}
