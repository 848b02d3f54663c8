use super::*;

#[test]
fn statuses_are_single_numbers_ranges_and_classes() {
    for (text, inside, outside) in
        [("2xx", 299, 300), ("429", 429, 428), ("400-499", 450, 500), ("401, 5xx", 503, 402)]
    {
        let ranges = parse_statuses(text).unwrap();
        let contains = |status| ranges.iter().any(|range| range.contains(&status));
        assert!(contains(inside) && !contains(outside), "{text}");
    }
}

#[test]
fn an_invalid_status_is_refused() {
    for text in ["", "xx", "0xx", "20", "2000", "499-400", "2xx,", "ok", "-5"] {
        assert!(parse_statuses(text).is_err(), "{text}");
    }
}
