use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}

/// Returns a burst of the parts of one second.
fn one_second(rate: f64) -> f64 {
    burst_parts(rate, 1.0)
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap()
}

/// Sends so many messages that come at once and come back at their slots, up to `late_ms` late. Returns the number of calls
/// and the time of each permit, in milliseconds.
fn drain_waiting(limiter: &mut RateLimiter, messages: u32, parts: u32, late_ms: i64) -> (u32, Vec<i64>) {
    let mut waiting = BTreeMap::from([(0, messages)]);
    let (mut calls, mut sent) = (0, Vec::new());
    while let Some((now, count)) = waiting.pop_first() {
        for _ in 0..count {
            calls += 1;
            match limiter.try_acquire(parts, at(now)) {
                Ok(()) => sent.push(now),
                Err(wait) => {
                    let late = if late_ms == 0 { 0 } else { i64::from(calls) * 37 % late_ms };
                    *waiting.entry(now + millis(wait).max(1) + late).or_default() += 1;
                }
            }
        }
    }
    (calls, sent)
}

#[test]
fn a_burst_of_one_second_is_allowed_and_then_the_rate_holds() {
    let mut limiter = RateLimiter::new(10.0, one_second(10.0));
    assert!((0..10).all(|_| limiter.try_acquire(1, at(0)).is_ok()));
    assert_eq!(limiter.try_acquire(1, at(0)), Err(Duration::from_millis(100)));
    assert_eq!(limiter.try_acquire(1, at(0)), Err(Duration::from_millis(200)));
    assert_eq!(limiter.try_acquire(1, at(100)), Ok(()));
}

#[test]
fn a_thousand_waiting_messages_come_back_one_by_one() {
    for (rate, parts, seconds) in
        [(1.0, 1, 999.0), (3.0, 1, 333.0), (0.5, 1, 1998.0), (7.0, 2, 284.7), (2.0, 5, 2498.0)]
    {
        let mut limiter = RateLimiter::new(rate, one_second(rate));
        let (calls, sent) = drain_waiting(&mut limiter, 1_000, parts, 0);
        let last = sent[999];
        assert!(calls <= 2_010, "{rate} {parts}: {calls} calls");
        assert!(last as f64 / 1_000.0 <= seconds * 1.02 + 2.0, "{rate} {parts}: {last} ms");
    }
}

#[test]
fn the_rate_of_a_fast_provider_is_used_up() {
    let (_, sent) = drain_waiting(&mut RateLimiter::new(5_000.0, one_second(5_000.0)), 25_000, 1, 0);
    let last = sent[24_999];
    assert!(last <= 4_020, "{last} ms");
}

#[test]
fn past_slots_are_free_again() {
    let mut limiter = RateLimiter::new(1.0, one_second(1.0));
    assert!(limiter.try_acquire(1, at(0)).is_ok());
    for _ in 0..100 {
        assert!(limiter.try_acquire(1, at(0)).is_err());
    }
    assert!(limiter.try_acquire(1, at(200_000)).is_ok());
    assert_eq!(limiter.try_acquire(1, at(200_000)), Err(Duration::from_millis(750)));
}

#[test]
fn a_message_larger_than_the_bucket_delays_later_ones() {
    let mut limiter = RateLimiter::new(2.0, one_second(2.0));
    assert!(limiter.try_acquire(8, at(0)).is_ok());
    assert_eq!(limiter.try_acquire(1, at(0)), Err(Duration::from_millis(3_500)));
    assert!(limiter.try_acquire(1, at(3_500)).is_ok());
}

#[test]
fn a_cooldown_holds_and_gives_different_slots() {
    let mut limiter = RateLimiter::new(2.0, one_second(2.0));
    limiter.start_cooldown(at(5_000));
    limiter.start_cooldown(at(1_000));
    assert_eq!(limiter.try_acquire(1, at(0)), Err(Duration::from_millis(5_000)));
    assert_eq!(limiter.try_acquire(1, at(0)), Err(Duration::from_millis(5_500)));
    assert!(limiter.try_acquire(1, at(5_000)).is_ok());
    assert!(limiter.try_acquire(1, at(5_000)).is_err());
}

#[test]
fn a_clock_that_steps_back_allows_nothing() {
    let mut limiter = RateLimiter::new(1.0, one_second(1.0));
    assert!(limiter.try_acquire(1, at(10_000)).is_ok());
    assert!(limiter.try_acquire(1, at(9_000)).is_err());
    assert!(limiter.try_acquire(1, at(10_999)).is_err());
    assert!(limiter.try_acquire(1, at(11_000)).is_ok());
}

fn request(rate: f64, parts: &[u32]) -> RateLimitRequest {
    RateLimitRequest {
        provider: "red".parse().unwrap(),
        rate,
        burst: one_second(rate),
        parts: parts.to_vec(),
        cooldown_until: None,
    }
}

/// Requests a permit for one message of one part.
fn acquire_one_permit(
    state: Option<RateLimiterState>,
    rate: f64,
    now: i64,
) -> (RateLimiterState, Result<(), Duration>) {
    let (state, permits) = acquire_permits(state, &request(rate, &[1]), at(now));
    (state, permits[0])
}

#[test]
fn a_late_message_to_a_slow_provider_delays_no_other() {
    let (mut limiter, mut calls) = (RateLimiter::new(1.0, one_second(1.0)), 0);
    let mut waiting = BTreeMap::from([(0, 100)]);
    while let Some((now, count)) = waiting.pop_first() {
        for index in 0..count {
            calls += 1;
            let late = (now + index) % 97 * 2;
            if let Err(wait) = limiter.try_acquire(1, at(now + late)) {
                *waiting.entry(now + late + millis(wait)).or_default() += 1;
            }
        }
    }
    assert!(calls <= 210, "{calls} calls");
}

#[test]
fn a_cooldown_that_one_process_reports_holds_for_all() {
    let request_with_cooldown = RateLimitRequest { cooldown_until: Some(at(5_000)), ..request(2.0, &[1, 1]) };
    let (state, permits) = acquire_permits(None, &request_with_cooldown, at(0));
    assert_eq!(permits[0], Err(Duration::from_millis(5_000)));
    assert_eq!(permits[1], Err(Duration::from_millis(5_500)));
    let (state, other) = acquire_one_permit(Some(state), 2.0, 1_000);
    assert_eq!(other, Err(Duration::from_millis(5_000)));
    assert_eq!(acquire_one_permit(Some(state), 2.0, 5_000).1, Ok(()));
}

#[test]
fn unused_slots_expire() {
    let (state, _) = acquire_permits(None, &request(1.0, &[1; 1_000]), at(0));
    let (state, early) = acquire_permits(Some(state), &request(1.0, &[1, 1, 1]), at(3_000));
    assert_eq!(early[1], Err(Duration::from_millis(997_000)));
    let (_, late) = acquire_permits(Some(state), &request(1.0, &[1, 1, 1]), at(30_000));
    assert_eq!(late[1], Err(Duration::from_millis(750)));
}

#[test]
fn a_state_from_a_wrong_clock_stops_a_provider_for_one_interval_only() {
    let (state, _) = acquire_one_permit(None, 1.0, 3_600_000);
    let (state, refused) = acquire_one_permit(Some(state), 1.0, 0);
    assert_eq!(refused, Err(Duration::from_secs(1)));
    assert_eq!(acquire_one_permit(Some(state), 1.0, 1_000).1, Ok(()));
}

/// Returns the most parts in one second of 400 messages that come at once.
fn most_parts_in_a_second(rate: f64, burst: f64, parts: u32, late_ms: i64) -> u32 {
    let mut limiter = RateLimiter::new(rate, burst_parts(rate, burst));
    // Idle for five seconds: the bucket is full.
    assert!(limiter.try_acquire(0, at(-5_000)).is_ok());
    let (_, sent) = drain_waiting(&mut limiter, 400, parts, late_ms);
    let within_a_second = |from: &i64| sent.iter().filter(|at| (*from..=from + 1_000).contains(*at)).count();
    u32::try_from(sent.iter().map(within_a_second).max().unwrap()).unwrap() * parts
}

#[test]
fn no_second_has_more_parts_than_rate_and_burst() {
    for (rate, burst, most) in [
        (10.0, 0.05, 11),
        (19.8, 0.05, 20),
        (1.98, 0.05, 2),
        (100.0, 0.05, 105),
        (50.0, 0.2, 60),
        (10.0, 1.0, 20),
    ] {
        for late_ms in [0, 15, 40] {
            let parts = most_parts_in_a_second(rate, burst, 1, late_ms);
            assert!(parts <= most, "{rate} {burst}, {late_ms} ms late: {parts} parts in a second");
        }
    }
}

#[test]
fn parts_of_long_messages_keep_the_rate() {
    // One message beyond the rate: it is not cut.
    assert!(most_parts_in_a_second(10.0, 0.05, 2, 0) <= 12);
    assert!(most_parts_in_a_second(10.0, 0.05, 3, 0) <= 12);
}

#[test]
fn a_small_burst_uses_up_the_rate_although_messages_are_late() {
    for (rate, late_ms) in [(10.0, 40), (100.0, 25), (500.0, 40)] {
        let mut limiter = RateLimiter::new(rate, burst_parts(rate, 0.05));
        let (_, sent) = drain_waiting(&mut limiter, 1_000, 1, late_ms);
        let last = sent[999];
        let ideal = 1_000_000.0 / rate;
        assert!((last as f64) < ideal * 1.05 + 100.0, "{rate}: {last} ms instead of {ideal}");
    }
}

proptest! {
    #[test]
    fn no_window_has_more_than_the_rate_and_one_burst(
        rate in 0.2_f64..50.0,
        calls in proptest::collection::vec((0_i64..400, 1_u32..6), 1..200),
    ) {
        let mut limiter = RateLimiter::new(rate, one_second(rate));
        let mut now = 0;
        let mut sent: Vec<(i64, f64)> = Vec::new();
        for (step, parts) in calls {
            now += step;
            if limiter.try_acquire(parts, at(now)).is_ok() {
                sent.push((now, f64::from(parts)));
            }
        }
        for (first, (from, _)) in sent.iter().enumerate() {
            let mut sum = 0.0;
            for (to, parts) in &sent[first..] {
                sum += parts;
                let seconds = (to - from) as f64 / 1_000.0;
                prop_assert!(sum <= rate * seconds + one_second(rate).max(5.0) + bucket_size(rate, one_second(rate)) - one_second(rate) + 0.05, "{sum} in {seconds} s at {rate}");
            }
        }
    }

    #[test]
    fn several_processes_in_turn_get_the_permits_of_one(
        rate in 0.2_f64..500.0,
        calls in proptest::collection::vec((0_i64..400, proptest::collection::vec(1_u32..6, 1..9)), 1..60),
    ) {
        let mut alone = RateLimiter::new(rate, one_second(rate));
        let (mut state, mut now) = (None, 0);
        for (step, parts) in calls {
            now += step;
            let one_request = request(rate, &parts);
            let (after, permits) = acquire_permits(state, &one_request, at(now));
            state = Some(after);
            let expected = parts.iter().map(|parts| alone.try_acquire(*parts, at(now)).is_ok());
            let allowed = permits.iter().map(Result::is_ok);
            prop_assert_eq!(allowed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_small_clock_skew_allows_no_more(
        rate in 1.0_f64..100.0,
        calls in proptest::collection::vec((0_i64..50, -30_i64..30), 1..300),
    ) {
        let (mut state, mut now, mut sent) = (None, 1_000, 0_i64);
        for (step, skew) in calls {
            now += step;
            let (after, permits) = acquire_permits(state, &request(rate, &[1]), at(now + skew));
            state = Some(after);
            sent += i64::from(permits[0].is_ok());
        }
        let seconds = (now - 1_000 + 60) as f64 / 1_000.0;
        prop_assert!(sent as f64 <= rate * seconds + bucket_size(rate, one_second(rate)) + 0.05, "{sent} in {seconds} s");
    }

    #[test]
    fn a_single_message_is_allowed_at_its_slot(rate in 0.2_f64..500.0, parts in 1_u32..9, start in 0_i64..10_000) {
        let mut limiter = RateLimiter::new(rate, one_second(rate));
        let mut now = start;
        for _ in 0..50 {
            if let Err(wait) = limiter.try_acquire(parts, at(now)) {
                now += millis(wait);
                prop_assert!(limiter.try_acquire(parts, at(now)).is_ok());
            }
        }
    }
}
