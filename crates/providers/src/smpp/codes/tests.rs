//! Tests of the status table.

use super::*;

#[test]
fn every_status_has_the_outcome_of_the_reference() {
    let statuses = StatusOutcomes::default();
    let kind_of = |status| statuses.submit_outcome_kind(status);
    for status in [0x14, 0x58] {
        assert_eq!(kind_of(status), OutcomeKind::Throttled);
    }
    for status in [0x0E, 0x0F, 0x53] {
        assert_eq!(kind_of(status), OutcomeKind::Misconfigured, "{status:x}");
    }
    for status in [0x04, 0x05, 0x08, 0x0D] {
        assert_eq!(kind_of(status), OutcomeKind::Unavailable, "{status:x}");
    }
    for status in [0x45, 0x64, 0xFE, 0xFF, 0x400, 0x4FF] {
        assert_eq!(kind_of(status), OutcomeKind::Deferred, "{status:x}");
    }
    assert_eq!(kind_of(0x0B), OutcomeKind::InvalidRecipient);
    for status in
        [0x01, 0x07, 0x0A, 0x15, 0x48, 0x49, 0x50, 0x51, 0x66, 0xC0, 0x100, 0x3FF, 0x500, 0xFFFF_FFFF]
    {
        assert_eq!(kind_of(status), OutcomeKind::Rejected, "{status:x}");
    }
}

#[test]
fn vendor_statuses_are_configured() {
    let table = BTreeMap::from([
        ("0x0411".to_owned(), OutcomeKind::Rejected),
        ("1042".to_owned(), OutcomeKind::InvalidRecipient),
    ]);
    let statuses = StatusOutcomes::parse(&table).unwrap();
    assert_eq!(statuses.submit_outcome_kind(0x411), OutcomeKind::Rejected);
    assert_eq!(statuses.submit_outcome_kind(0x412), OutcomeKind::InvalidRecipient);
    for invalid in ["", "0", "0x", "ESME", "0x1FFFFFFFF"] {
        let table = BTreeMap::from([(invalid.to_owned(), OutcomeKind::Rejected)]);
        assert!(StatusOutcomes::parse(&table).unwrap_err().contains("0x0411"), "{invalid}");
    }
}

#[test]
fn one_refused_bind_is_no_evidence_against_the_account() {
    let statuses = StatusOutcomes::default();
    let outcome = |result: SendResult| result.outcome.as_str();
    for status in [0x04, 0x0E, 0x0F, 0x53] {
        assert_eq!(outcome(statuses.bind_result(status, false)), "unavailable", "{status:x}");
        assert_eq!(outcome(statuses.bind_result(status, true)), "misconfigured", "{status:x}");
    }
    for status in [0x01, 0x05, 0x08, 0x0A, 0x0D, 0x10, 0x14, 0x58, 0x64, 0x400] {
        assert_eq!(outcome(statuses.bind_result(status, true)), "unavailable", "{status:x}");
    }
}

#[test]
fn a_nack_says_nothing_about_the_message() {
    for status in [0x02, 0x03, 0x66] {
        assert_eq!(StatusOutcomes::default().nack_result(status).outcome.as_str(), "unavailable");
    }
}

#[test]
fn statuses_about_one_field_may_come_from_a_wrong_setting() {
    let statuses = StatusOutcomes::default();
    for status in [0x07, 0x0A, 0x15, 0x48, 0x49, 0x50, 0x51] {
        assert!(statuses.is_about_settings(status), "{status:x}");
    }
    for status in [0x01, 0x0B, 0x0E, 0x66] {
        assert!(!statuses.is_about_settings(status), "{status:x}");
    }
}

#[test]
fn a_status_of_the_vendor_may_concern_one_destination() {
    let table = BTreeMap::from([("0x0411".to_owned(), OutcomeKind::Unavailable)]);
    let statuses = StatusOutcomes::parse(&table).unwrap();
    let is_about_destination =
        |result: SendResult| StatusOutcomes::is_about_destination(result.code.as_deref().unwrap());
    assert!(is_about_destination(statuses.submit_result(0x411)));
    for status in [0x04, 0x08, 0x0D, 0x14] {
        assert!(!is_about_destination(statuses.submit_result(status)), "{status:x}");
    }
    assert!(!is_about_destination(statuses.bind_result(0x411, false)), "a refused bind stops every message");
    assert!(!is_about_destination(statuses.nack_result(0x411)));
}
