//! Tests of the diagnosis of message ids.

use super::*;

#[test]
fn the_format_that_would_match_is_named_once() {
    let mut diagnosis = IdFormatDiagnosis::default();
    for id in ["4B2F10A7", "4B2F10A8", "4B2F10A9", "4B2F10AA"] {
        diagnosis.record_submitted(id.as_bytes());
    }
    let found = ["1261375655", "1261375656", "1261375657", "1261375658"]
        .map(|id| diagnosis.record_receipt(id.as_bytes(), MessageIdFormat::Same));
    assert_eq!(found, [None, None, Some(MessageIdFormat::HexThenDecimal), None]);
}

#[test]
fn a_receipt_in_the_configured_format_ends_the_diagnosis() {
    let mut diagnosis = IdFormatDiagnosis::default();
    diagnosis.record_submitted(b"10");
    assert_eq!(diagnosis.record_receipt(b"10", MessageIdFormat::Same), None);
    assert!(diagnosis.is_decided && diagnosis.submitted_ids.is_empty());
}

#[test]
fn receipts_of_another_account_say_nothing() {
    let mut diagnosis = IdFormatDiagnosis::default();
    diagnosis.record_submitted(b"4B2F10A7");
    for _ in 0..10 {
        assert_eq!(diagnosis.record_receipt(b"77", MessageIdFormat::Same), None);
    }
}
