use super::*;

#[test]
fn statuses_are_read_as_people_write_them() {
    for (text, inside, outside) in [
        ("2xx", 299, 300),
        ("429", 429, 428),
        ("400-499", 450, 500),
        ("401, 5xx", 503, 402),
    ] {
        let ranges = parse_statuses(text).unwrap();
        let meant = |status| ranges.iter().any(|range| range.contains(&status));
        assert!(meant(inside) && !meant(outside), "{text}");
    }
}

#[test]
fn what_is_no_status_is_refused() {
    for text in ["", "xx", "0xx", "20", "2000", "499-400", "2xx,", "ok", "-5"] {
        assert!(parse_statuses(text).is_err(), "{text}");
    }
}

#[test]
fn every_status_there_can_be_means_something() {
    for status in 100..1000 {
        let fate = default_outcome_kind(status, false);
        let asks_next = matches!(
            fate,
            OutcomeKind::Unavailable | OutcomeKind::Throttled | OutcomeKind::Misconfigured
        );
        assert!(
            !(500..600).contains(&status) || asks_next,
            "{status}: another provider may do better"
        );
        assert_eq!(
            fate == OutcomeKind::Accepted,
            (200..300).contains(&status),
            "{status}"
        );
    }
}
