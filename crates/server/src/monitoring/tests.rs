use super::*;

#[test]
fn a_slow_count_is_repeated_rarely_and_a_fast_one_each_time() {
    assert_eq!(count_interval(Duration::from_millis(2)), Duration::ZERO);
    assert_eq!(count_interval(Duration::from_secs(2)), Duration::from_secs(40));
}
