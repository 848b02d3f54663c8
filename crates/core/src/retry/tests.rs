use proptest::prelude::*;

use super::*;

#[test]
fn delays_double_up_to_the_cap() {
    let retry = RetryPolicy::default();
    for (tries, seconds) in
        [(0, 30), (1, 30), (2, 60), (3, 120), (7, 1_920), (8, 3_600), (30, 3_600), (u32::MAX, 3_600)]
    {
        assert_eq!(retry.delay(tries, None, 1.0), Duration::from_secs(seconds), "{tries}");
        assert_eq!(retry.delay(tries, None, 0.5), Duration::from_secs(seconds) / 2, "{tries}");
        assert_eq!(retry.delay(tries, None, 0.0), Duration::ZERO, "{tries}");
    }
}

#[test]
fn the_retry_after_of_a_provider_is_the_least_delay() {
    let retry = RetryPolicy::default();
    let delay_after = |seconds| retry.delay(1, Some(Duration::from_secs(seconds)), 1.0);
    assert_eq!(delay_after(10), Duration::from_secs(30));
    assert_eq!(delay_after(90), Duration::from_secs(90));
    assert_eq!(delay_after(100_000), Duration::from_secs(100_000));
}

#[test]
fn tries_end_at_the_maximum() {
    let retry = RetryPolicy { tries_max: 3, ..RetryPolicy::default() };
    assert_eq!([1, 2, 3, 4].map(|tries| retry.is_exhausted(tries)), [false, false, true, true]);
}

proptest! {
    #[test]
    fn no_delay_is_longer_than_the_cap(
        base_ms in 0_u64..10_000_000,
        factor in 1.0_f64..100.0,
        cap_ms in 0_u64..10_000_000,
        tries in any::<u32>(),
        random in -1.0_f64..2.0,
    ) {
        let retry = RetryPolicy {
            base: Duration::from_millis(base_ms),
            factor,
            cap: Duration::from_millis(cap_ms),
            ..RetryPolicy::default()
        };
        prop_assert!(retry.delay(tries, None, random) <= retry.cap);
    }
}
