use super::*;
use chrono::{DateTime, Utc};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn absolute_and_relative_times_are_parsed() {
    let now = time("2026-11-30T17:00:00Z");
    for (text, expected) in [
        ("261201080000000+", "2026-12-01T08:00:00Z"),
        ("261201080000004+", "2026-12-01T07:00:00Z"),
        ("261201080000004-", "2026-12-01T09:00:00Z"),
        ("000000000130000R", "2026-11-30T17:01:30Z"),
        ("000001020000000R", "2026-12-01T19:00:00Z"),
        ("010100000000000R", "2027-12-30T17:00:00Z"),
    ] {
        assert_eq!(parse(text, now), Some(time(expected)), "{text}");
    }
    for invalid in
        ["", "261301080000000+", "261201250000000+", "26120108000000", "261201080000000X", "2612010800000é0+"]
    {
        assert_eq!(parse(invalid, now), None, "{invalid}");
    }
}
