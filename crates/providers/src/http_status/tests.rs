use super::*;

#[test]
fn every_status_has_the_outcome_of_the_table() {
    for (statuses, outcome) in [
        (&[100, 103, 199, 600, 999][..], OutcomeKind::Unknown),
        (&[200, 202, 204, 299, 303], OutcomeKind::Unknown),
        (&[300, 301, 302, 304, 307, 308], OutcomeKind::Unavailable),
        (&[401, 403], OutcomeKind::Misconfigured),
        (&[402, 404, 405, 406, 407, 410, 411, 415, 421, 426], OutcomeKind::Unavailable),
        (&[408, 425], OutcomeKind::Unavailable),
        (&[429], OutcomeKind::Throttled),
        (&[400, 409, 412, 413, 414, 418, 420, 422, 424, 451, 499], OutcomeKind::Rejected),
        (&[500, 501, 502, 503, 504, 599], OutcomeKind::Unavailable),
    ] {
        for status in statuses {
            assert_eq!(outcome_of_status(*status, None), outcome, "{status}");
            assert!(!describe_status(*status).is_empty());
        }
    }
}

#[test]
fn only_503_becomes_throttled_by_a_requested_delay() {
    let delay = Some(Duration::from_secs(7));
    for status in 100..1000 {
        let expected = match status {
            503 => OutcomeKind::Throttled,
            _ => outcome_of_status(status, None),
        };
        assert_eq!(outcome_of_status(status, delay), expected, "{status}");
    }
}

#[test]
fn no_status_confirms_a_message_and_every_server_error_leads_to_the_next_provider() {
    for status in 100..1000 {
        let outcome = outcome_of_status(status, None);
        assert_ne!(outcome, OutcomeKind::Accepted, "{status}");
        assert!(!(500..600).contains(&status) || outcome == OutcomeKind::Unavailable, "{status}");
    }
}
