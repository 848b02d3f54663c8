//! Tests of the receipt states.

use super::*;

fn receipt(state: &str, error: &str) -> DeliveryReceipt {
    DeliveryReceipt {
        message_id: "7".to_owned(),
        written_id: "7".to_owned(),
        state: state.to_owned(),
        error: error.to_owned(),
        is_intermediate: false,
        is_text: false,
    }
}

fn status_of(receipt: DeliveryReceipt) -> Option<ReceiptStatus> {
    ReceiptUpdate::new(receipt, &ReceiptRules::default()).status
}

fn bounced(reason: &str) -> Option<ReceiptStatus> {
    let reason = reason.to_owned();
    Some(ReceiptStatus::Bounced { reason })
}

#[test]
fn every_state_has_the_status_of_the_reference() {
    for (state, status) in [
        ("DELIVRD", Some(ReceiptStatus::Delivered)),
        ("DELIVERED", Some(ReceiptStatus::Delivered)),
        ("", None),
        ("SCHEDLD", None),
        ("ENROUTE", None),
        ("ACCEPTD", None),
        ("ACKED", None),
        ("BUFFRED", None),
        ("SCHEDULED", None),
        ("QUEUED", None),
        ("SENT", None),
        ("NEWWORD", None),
        ("EXPIRED", bounced("EXPIRED, error 034")),
        ("DELETED", bounced("DELETED, error 034")),
        ("UNDELIV", bounced("UNDELIV, error 034")),
        ("UNKNOWN", bounced("UNKNOWN, error 034")),
        ("REJECTD", bounced("REJECTD, error 034")),
        ("FAILED", bounced("FAILED, error 034")),
    ] {
        assert_eq!(status_of(receipt(state, "034")), status, "{state}");
    }
    assert_eq!(status_of(receipt("EXPIRED", "")), bounced("EXPIRED"));
}

#[test]
fn an_intermediate_notification_has_no_status() {
    let notification = DeliveryReceipt { is_intermediate: true, ..receipt("UNDELIV", "1") };
    assert_eq!(status_of(notification), None);
}

#[test]
fn a_configured_network_error_means_an_invalid_number() {
    let rules = ReceiptRules::new(&["001".to_owned(), "0B".to_owned()], &BTreeMap::new());
    for (error, is_invalid) in [("1", true), ("001", true), ("b", true), ("010", false), ("", false)] {
        let update = ReceiptUpdate::new(receipt("UNDELIV", error), &rules);
        assert_eq!(matches!(update.status, Some(ReceiptStatus::Invalid { .. })), is_invalid, "{error}");
        assert!(update.status.is_some(), "{error}");
    }
}

#[test]
fn states_are_configured() {
    let states = BTreeMap::from([
        ("newword".to_owned(), ReceiptStateKind::Delivered),
        ("SENT".to_owned(), ReceiptStateKind::Bounced),
        ("UNDELIV".to_owned(), ReceiptStateKind::Pending),
        ("NOSUCH".to_owned(), ReceiptStateKind::Invalid),
    ]);
    let rules = ReceiptRules::new(&[], &states);
    let reason = || "NOSUCH".to_owned();
    for (state, status) in [
        ("NEWWORD", Some(ReceiptStatus::Delivered)),
        ("SENT", bounced("SENT")),
        ("UNDELIV", None),
        ("NOSUCH", Some(ReceiptStatus::Invalid { reason: reason() })),
        ("OTHER", None),
    ] {
        assert_eq!(ReceiptUpdate::new(receipt(state, ""), &rules).status, status, "{state}");
    }
    assert!(
        rules.is_unknown_state(&receipt("OTHER", "")) && !rules.is_unknown_state(&receipt("UNDELIV", ""))
    );
}
