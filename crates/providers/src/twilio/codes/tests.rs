use super::*;

#[test]
fn every_code_is_in_the_table_once() {
    let mut codes = std::collections::BTreeSet::new();
    assert!(TWILIO_CODES.iter().all(|line| codes.insert(line.code)));
}

#[test]
fn an_unknown_code_is_classified_by_its_family_and_status() {
    for (code, status, outcome) in [
        ("20999", Some(403), OutcomeKind::Misconfigured),
        ("20999", Some(500), OutcomeKind::Unavailable),
        ("21999", Some(400), OutcomeKind::Rejected),
        ("30999", None, OutcomeKind::Unavailable),
        ("63016", Some(400), OutcomeKind::Rejected),
    ] {
        assert_eq!(classify(code, status).0, outcome, "{code}");
    }
}
