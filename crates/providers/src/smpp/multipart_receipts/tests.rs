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
    let number = receipts.register(3, "+15005550001");
    for (part, id) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(receipts.part_accepted(number, part, Some(id.to_owned())), None);
    }
    receipts
}

#[test]
fn a_message_is_delivered_when_all_its_parts_are() {
    let mut receipts = with_three_parts();
    assert_eq!(receipts.apply_receipt(delivered("c"), None), None);
    assert_eq!(receipts.apply_receipt(delivered("a"), None), None);
    assert_eq!(receipts.apply_receipt(receipt("b", None), None), None);
    assert_eq!(receipts.apply_receipt(delivered("b"), None), Some(delivered("c")));
    assert!(receipts.message_of_part.is_empty() && receipts.messages.is_empty());
}

#[test]
fn a_repeated_receipt_of_the_last_part_does_not_deliver_the_message() {
    let mut receipts = with_three_parts();
    for _ in 0..3 {
        assert_eq!(receipts.apply_receipt(delivered("c"), None), None);
    }
    assert_eq!(receipts.apply_receipt(delivered("a"), None), None);
    assert_eq!(receipts.apply_receipt(bounced("b"), None), Some(bounced("c")));
}

#[test]
fn one_failed_part_fails_the_message() {
    let mut receipts = with_three_parts();
    assert_eq!(receipts.apply_receipt(delivered("a"), None), None);
    assert_eq!(receipts.apply_receipt(bounced("b"), None), Some(bounced("c")));
}

#[test]
fn receipts_that_arrive_before_all_parts_are_accepted_are_counted() {
    let mut receipts = MultipartReceipts::default();
    let number = receipts.register(2, "+15005550001");
    assert_eq!(receipts.part_accepted(number, 0, Some("a".to_owned())), None);
    assert_eq!(receipts.apply_receipt(bounced("a"), None), None);
    assert_eq!(receipts.part_accepted(number, 1, Some("b".to_owned())), Some(bounced("b")));
}

#[test]
fn the_receipt_of_an_unknown_message_is_returned_unchanged() {
    let mut receipts = MultipartReceipts::default();
    assert_eq!(receipts.apply_receipt(delivered("z"), None), Some(delivered("z")));
}

#[test]
fn the_oldest_messages_are_dropped_at_the_limit() {
    let mut receipts = MultipartReceipts::default();
    for index in 0..60_000 {
        let number = receipts.register(2, "+15005550001");
        receipts.part_accepted(number, 0, Some(format!("{index}-1")));
        receipts.part_accepted(number, 1, Some(format!("{index}-2")));
    }
    assert!(receipts.message_of_part.len() <= PENDING_PARTS_MAX);
}

#[test]
fn a_part_without_an_id_is_not_waited_for() {
    let mut receipts = MultipartReceipts::default();
    let number = receipts.register(2, "+15005550001");
    receipts.part_accepted(number, 0, Some("a".to_owned()));
    receipts.part_accepted(number, 1, None);
    assert_eq!(receipts.apply_receipt(bounced("a"), None), Some(bounced("a")));
}

#[test]
fn one_id_for_all_parts_needs_one_receipt() {
    let mut receipts = MultipartReceipts::default();
    let number = receipts.register(2, "+15005550001");
    for part in 0..2 {
        receipts.part_accepted(number, part, Some("a".to_owned()));
    }
    assert_eq!(receipts.apply_receipt(delivered("a"), None), Some(delivered("a")));
}

#[test]
fn a_text_is_a_receipt_only_from_the_recipient() {
    let mut receipts = with_three_parts();
    assert_eq!(receipts.apply_receipt(bounced("a"), Some("+15005559999")), None);
    assert_eq!(receipts.apply_receipt(bounced("a"), Some("+15005550001")), Some(bounced("c")));
}
