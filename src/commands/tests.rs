use super::*;

#[test]
fn an_age_has_its_two_largest_units() {
    let now: Timestamp = "2026-05-03T12:00:00Z".parse().unwrap();
    for (seconds, text) in
        [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")]
    {
        assert_eq!(format_age(now - chrono::TimeDelta::seconds(seconds), now), text);
    }
}

#[test]
fn only_one_is_singular() {
    assert_eq!(format_count(1, "message"), "1 message");
    assert_eq!(format_count(0, "message"), "0 messages");
    assert_eq!(format_count(2, "delivery"), "2 deliveries");
}
