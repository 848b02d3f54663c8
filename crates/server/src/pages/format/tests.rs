use super::*;

#[test]
fn thousands_are_separated() {
    let texts = [0, 7, 999, 1_000, 12_345, 123_456, 1_234_567].map(count);
    assert_eq!(texts, ["0", "7", "999", "1,000", "12,345", "123,456", "1,234,567"]);
}

#[test]
fn a_small_share_is_never_shown_as_zero() {
    let texts = [None, Some(0.0), Some(0.01), Some(12.34), Some(99.97), Some(100.0)].map(percent);
    assert_eq!(texts, ["–", "0.0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100.0 %"]);
}

#[test]
fn a_duration_has_its_unit() {
    let texts = [0, 120, 1_000, 1_250, 30_000, 60_000, 1_200_000, 90_000].map(duration);
    assert_eq!(texts, ["0 ms", "120 ms", "1 s", "1.2 s", "30 s", "1 min", "20 min", "1 min 30 s"]);
}

#[test]
fn a_percentile_above_the_last_bucket_is_marked() {
    let texts = [None, Some(120), Some(30_000), Some(60_000)].map(|millis| percentile(millis, 30_000));
    assert_eq!(texts, ["–", "≤ 120 ms", "≤ 30 s", "> 30 s"]);
}

#[test]
fn an_address_is_masked_if_configured() {
    assert_eq!(address("+989122222222", true), "+98912***2222");
    assert_eq!(address("+989122222222", false), "+989122222222");
}

#[test]
fn a_long_body_is_shortened_between_characters_and_put_on_one_line() {
    assert_eq!(shorten("سلام دنیا", 5), "سلام…");
    assert_eq!(shorten("a\n\nb", 5), "a b");
}
