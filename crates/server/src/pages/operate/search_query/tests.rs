use super::*;

#[test]
fn quotes_keep_words_together() {
    assert_eq!(split_terms("  state:failed user:\"a b\"\tx "), ["state:failed", "user:a b", "x"]);
    assert_eq!(split_terms(" \" "), [" "]);
}

#[test]
fn states_and_kinds_of_failure_are_distinguished() {
    assert_eq!(parse_state("sent"), Ok(StateFilter::State(DeliveryStateKind::Sent)));
    assert_eq!(parse_state("expired"), Ok(StateFilter::Failure(Failure::Expired)));
    assert_eq!(parse_state("unknown"), Ok(StateFilter::MaybeDuplicate));
    assert!(parse_state("lost").unwrap_err().contains("invalid_recipient"));
}

#[test]
fn a_time_is_a_day_a_time_or_a_duration() {
    let now = "2026-05-02T12:00:00Z".parse().unwrap();
    for (text, time) in [
        ("2h", "2026-05-02T10:00:00Z"),
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("2026-05-01T08:30:00+01:00", "2026-05-01T07:30:00Z"),
    ] {
        assert_eq!(parse_since(text, now), Ok(time.parse().unwrap()), "{text}");
    }
    for text in ["soon", "5", "999999999d", "2026-13-01"] {
        assert!(parse_since(text, now).is_err(), "{text}");
    }
}
