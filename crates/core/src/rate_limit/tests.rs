use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap()
}

/// Lets so many messages wait at once and each come back when it was told to; how often they came in all,
/// and when the last one went.
fn drain_waiting(pace: &mut RateLimiter, messages: u32, parts: u32) -> (u32, i64) {
    let mut waiting = BTreeMap::from([(0, messages)]);
    let (mut calls, mut last) = (0, 0);
    while let Some((now, count)) = waiting.pop_first() {
        for _ in 0..count {
            calls += 1;
            match pace.try_acquire(parts, at(now)) {
                Ok(()) => last = now,
                Err(wait) => *waiting.entry(now + millis(wait).max(1)).or_default() += 1,
            }
        }
    }
    (calls, last)
}

#[test]
fn one_second_is_let_go_at_once_and_then_the_pace_holds() {
    let mut pace = RateLimiter::new(10.0);
    assert!((0..10).all(|_| pace.try_acquire(1, at(0)).is_ok()));
    assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(100)));
    assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(200)));
    assert_eq!(pace.try_acquire(1, at(100)), Ok(()));
}

#[test]
fn a_thousand_waiting_messages_come_back_one_by_one() {
    for (rate, parts, seconds) in [
        (1.0, 1, 999.0),
        (3.0, 1, 333.0),
        (0.5, 1, 1998.0),
        (7.0, 2, 284.7),
        (2.0, 5, 2498.0),
    ] {
        let (calls, last) = drain_waiting(&mut RateLimiter::new(rate), 1_000, parts);
        assert!(calls <= 2_010, "{rate} {parts}: {calls} calls");
        assert!(
            last as f64 / 1_000.0 <= seconds * 1.02 + 2.0,
            "{rate} {parts}: {last} ms"
        );
    }
}

#[test]
fn a_fast_provider_is_kept_busy() {
    let (_, last) = drain_waiting(&mut RateLimiter::new(5_000.0), 25_000, 1);
    assert!(last <= 4_020, "{last} ms");
}

#[test]
fn promised_times_are_forgotten_when_they_have_passed() {
    let mut pace = RateLimiter::new(1.0);
    assert!(pace.try_acquire(1, at(0)).is_ok());
    for _ in 0..100 {
        assert!(pace.try_acquire(1, at(0)).is_err());
    }
    assert!(pace.try_acquire(1, at(200_000)).is_ok());
    assert_eq!(pace.try_acquire(1, at(200_000)), Err(Duration::from_millis(750)));
}

#[test]
fn a_message_larger_than_the_bucket_goes_and_is_paid_for_afterwards() {
    let mut pace = RateLimiter::new(2.0);
    assert!(pace.try_acquire(8, at(0)).is_ok());
    assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(3_500)));
    assert!(pace.try_acquire(1, at(3_500)).is_ok());
}

#[test]
fn a_pause_holds_and_spreads_those_who_come_back() {
    let mut pace = RateLimiter::new(2.0);
    pace.start_cooldown(at(5_000));
    pace.start_cooldown(at(1_000));
    assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(5_000)));
    assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(5_500)));
    assert!(pace.try_acquire(1, at(5_000)).is_ok());
    assert!(pace.try_acquire(1, at(5_000)).is_err());
}

#[test]
fn a_clock_that_steps_back_grants_nothing() {
    let mut pace = RateLimiter::new(1.0);
    assert!(pace.try_acquire(1, at(10_000)).is_ok());
    assert!(pace.try_acquire(1, at(9_000)).is_err());
    assert!(pace.try_acquire(1, at(10_999)).is_err());
    assert!(pace.try_acquire(1, at(11_000)).is_ok());
}

fn request(rate: f64, parts: &[u32]) -> RateLimitRequest {
    RateLimitRequest {
        provider: "red".parse().unwrap(),
        rate,
        parts: parts.to_vec(),
        cooldown_until: None,
    }
}

/// Passes one message of one part; what it said and what is kept.
fn acquire_one_permit(
    kept: Option<RateLimiterState>,
    rate: f64,
    now: i64,
) -> (RateLimiterState, Result<(), Duration>) {
    let (kept, passages) = acquire_permits(kept, &request(rate, &[1]), at(now));
    (kept, passages[0])
}

#[test]
fn who_comes_a_little_late_to_a_slow_provider_delays_nobody() {
    let (mut pace, mut calls) = (RateLimiter::new(1.0), 0);
    let mut waiting = BTreeMap::from([(0, 100)]);
    while let Some((now, count)) = waiting.pop_first() {
        for turn in 0..count {
            calls += 1;
            let late = (now + turn) % 97 * 2;
            if let Err(wait) = pace.try_acquire(1, at(now + late)) {
                *waiting.entry(now + late + millis(wait)).or_default() += 1;
            }
        }
    }
    assert!(calls <= 210, "{calls} calls");
}

#[test]
fn a_pause_one_process_was_told_holds_for_all() {
    let told = RateLimitRequest {
        cooldown_until: Some(at(5_000)),
        ..request(2.0, &[1, 1])
    };
    let (kept, passages) = acquire_permits(None, &told, at(0));
    assert_eq!(passages[0], Err(Duration::from_millis(5_000)));
    assert_eq!(passages[1], Err(Duration::from_millis(5_500)));
    let (kept, other) = acquire_one_permit(Some(kept), 2.0, 1_000);
    assert_eq!(other, Err(Duration::from_millis(5_000)));
    assert_eq!(acquire_one_permit(Some(kept), 2.0, 5_000).1, Ok(()));
}

#[test]
fn promises_nobody_keeps_are_forgotten() {
    let (kept, _) = acquire_permits(None, &request(1.0, &[1; 1_000]), at(0));
    let (kept, early) = acquire_permits(Some(kept), &request(1.0, &[1, 1, 1]), at(3_000));
    assert_eq!(early[1], Err(Duration::from_millis(997_000)));
    let (_, late) = acquire_permits(Some(kept), &request(1.0, &[1, 1, 1]), at(30_000));
    assert_eq!(late[1], Err(Duration::from_millis(750)));
}

#[test]
fn a_time_from_a_clock_that_was_wrong_does_not_stop_a_provider_for_long() {
    let (kept, _) = acquire_one_permit(None, 1.0, 3_600_000);
    let (kept, refused) = acquire_one_permit(Some(kept), 1.0, 0);
    assert_eq!(refused, Err(Duration::from_secs(1)));
    assert_eq!(acquire_one_permit(Some(kept), 1.0, 1_000).1, Ok(()));
}

proptest! {
    #[test]
    fn never_more_than_the_rate_and_one_burst_in_any_window(
        rate in 0.2_f64..50.0,
        calls in proptest::collection::vec((0_i64..400, 1_u32..6), 1..200),
    ) {
        let mut pace = RateLimiter::new(rate);
        let mut now = 0;
        let mut gone: Vec<(i64, f64)> = Vec::new();
        for (step, parts) in calls {
            now += step;
            if pace.try_acquire(parts, at(now)).is_ok() {
                gone.push((now, f64::from(parts)));
            }
        }
        for (first, (from, _)) in gone.iter().enumerate() {
            let mut sum = 0.0;
            for (to, parts) in &gone[first..] {
                sum += parts;
                let seconds = (to - from) as f64 / 1_000.0;
                prop_assert!(sum <= rate * seconds + rate.max(5.0) + late_tolerance_tokens(rate) + 0.05, "{sum} in {seconds} s at {rate}");
            }
        }
    }

    #[test]
    fn it_is_all_the_same_whether_one_process_asks_or_several_in_turn(
        rate in 0.2_f64..500.0,
        calls in proptest::collection::vec((0_i64..400, proptest::collection::vec(1_u32..6, 1..9)), 1..60),
    ) {
        let mut alone = RateLimiter::new(rate);
        let (mut kept, mut now) = (None, 0);
        for (step, parts) in calls {
            now += step;
            let wish = request(rate, &parts);
            let (after, passages) = acquire_permits(kept, &wish, at(now));
            kept = Some(after);
            let expected = parts.iter().map(|parts| alone.try_acquire(*parts, at(now)).is_ok());
            let passed = passages.iter().map(Result::is_ok);
            prop_assert_eq!(passed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn clocks_that_disagree_a_little_grant_nothing_more(
        rate in 1.0_f64..100.0,
        calls in proptest::collection::vec((0_i64..50, -30_i64..30), 1..300),
    ) {
        let (mut kept, mut now, mut gone) = (None, 1_000, 0_i64);
        for (step, skew) in calls {
            now += step;
            let (after, passages) = acquire_permits(kept, &request(rate, &[1]), at(now + skew));
            kept = Some(after);
            gone += i64::from(passages[0].is_ok());
        }
        let seconds = (now - 1_000 + 60) as f64 / 1_000.0;
        prop_assert!(gone as f64 <= rate * seconds + burst_size(rate) + late_tolerance_tokens(rate) + 0.05, "{gone} in {seconds} s");
    }

    #[test]
    fn who_comes_back_alone_when_told_is_let_go(rate in 0.2_f64..500.0, parts in 1_u32..9, start in 0_i64..10_000) {
        let mut pace = RateLimiter::new(rate);
        let mut now = start;
        for _ in 0..50 {
            if let Err(wait) = pace.try_acquire(parts, at(now)) {
                now += millis(wait);
                prop_assert!(pace.try_acquire(parts, at(now)).is_ok());
            }
        }
    }
}
