use super::*;

#[test]
fn every_usual_unit_is_parsed() {
    for (text, millis) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("20m", 1_200_000),
        ("24h", 86_400_000),
        ("90d", 7_776_000_000),
        ("1h 30m", 5_400_000),
        (" 5s ", 5_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn a_text_without_a_unit_is_an_error_with_an_example() {
    for text in ["", "20", "m", "-5s", "five minutes", "1.5.5s"] {
        assert!(parse_duration(text).unwrap_err().contains("\"20m\""), "{text}");
    }
}

#[test]
fn a_formatted_duration_is_parsed_to_the_same_duration() {
    for seconds in [1, 59, 60, 61, 3_600, 86_400, 90 * 86_400] {
        let duration = Duration::from_secs(seconds);
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }
}
