use postrider_core::clock::from_millis;

use super::*;

fn delay_seconds(headers: &[(&'static str, &'static str)]) -> Option<u64> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    // Sun, 06 Nov 1994 08:49:37 GMT
    parse_retry_after(&map, from_millis(784_111_777_000)).map(|delay| delay.as_secs())
}

#[test]
fn the_delay_is_read_in_seconds_or_as_a_date() {
    assert_eq!(delay_seconds(&[("retry-after", " 7 ")]), Some(7));
    let in_a_minute = ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT");
    assert_eq!(delay_seconds(&[in_a_minute]), Some(60));
    let server_date = ("date", "Sun, 06 Nov 1994 08:50:30 GMT");
    assert_eq!(delay_seconds(&[in_a_minute, server_date]), Some(7));
    let past = ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT");
    assert_eq!(delay_seconds(&[past]), Some(0));
}

#[test]
fn a_missing_or_malformed_header_requests_no_delay_and_a_long_one_is_cut() {
    assert_eq!(delay_seconds(&[]), None);
    assert_eq!(delay_seconds(&[("retry-after", "soon")]), None);
    assert_eq!(delay_seconds(&[("retry-after", "999999999")]), Some(86_400));
}
