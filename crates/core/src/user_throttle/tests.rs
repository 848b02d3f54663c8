use proptest::prelude::*;

use super::*;

const WINDOW_MS: i64 = 3_600_000;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_700_000_000_000 + millis)
}

fn limit(limit: u32) -> UserThrottle {
    let window = Duration::from_millis(3_600_000);
    UserThrottle { subject: [0; 32], limit, window, counting: ThrottleCounting::Messages }
}

#[test]
fn the_window_rolls_to_the_millisecond() {
    let mut times = RecentMessageTimes::default();
    for millis in [0, 10, 20] {
        assert_eq!(times.try_record(&limit(3), at(millis)), Ok(()));
    }
    let wait = |times: &mut RecentMessageTimes, millis| times.try_record(&limit(3), at(millis)).unwrap_err();
    assert_eq!(wait(&mut times, 20), Duration::from_millis(3_599_980));
    assert_eq!(wait(&mut times, WINDOW_MS - 1), Duration::from_millis(1));
    assert_eq!(times.try_record(&limit(3), at(WINDOW_MS)), Ok(()));
    assert_eq!(wait(&mut times, WINDOW_MS), Duration::from_millis(10));
}

#[test]
fn a_changed_limit_holds_at_once() {
    let mut times = RecentMessageTimes::default();
    for millis in 0..5 {
        assert_eq!(times.try_record(&limit(5), at(millis)), Ok(()));
    }
    let wait = times.try_record(&limit(2), at(4)).unwrap_err();
    assert_eq!(wait, Duration::from_millis(3_599_999), "four of five have to expire");
    assert_eq!(times.try_record(&limit(6), at(4)), Ok(()));
}

#[test]
fn a_clock_that_was_set_back_does_not_lock_a_user_out() {
    let mut times = RecentMessageTimes::default();
    let day = 24 * WINDOW_MS;
    assert_eq!(times.try_record(&limit(1), at(day)), Ok(()));
    assert_eq!(times.try_record(&limit(1), at(0)), Ok(()));
    let wait = times.try_record(&limit(1), at(-WINDOW_MS / 2)).unwrap_err();
    assert_eq!(wait, Duration::from_millis(5_400_000));
}

#[test]
fn other_bytes_are_not_decoded() {
    assert_eq!(RecentMessageTimes::from_bytes(&[1, 2, 3]), None);
    assert_eq!(RecentMessageTimes::from_bytes(&[0; 11]), None);
    assert_eq!(RecentMessageTimes::from_bytes(&[]), Some(RecentMessageTimes::default()));
}

proptest! {
    #[test]
    fn no_window_ever_holds_more_than_the_limit(
        most in 1_u32..6,
        steps in proptest::collection::vec(-50_000_i64..900_000, 1..120),
    ) {
        let (mut times, mut now, mut taken) = (RecentMessageTimes::default(), 0, Vec::new());
        for step in steps {
            now += step;
            if times.try_record(&limit(most), at(now)).is_ok() {
                // A message with an older time than the one before counts at the time of that one.
                taken.push(taken.last().map_or(now, |last| now.max(*last)));
            }
            let kept = RecentMessageTimes::from_bytes(&times.to_bytes()).unwrap();
            prop_assert_eq!(&kept, &times);
        }
        for (index, start) in taken.iter().enumerate() {
            let inside = taken[index..].iter().filter(|time| **time < start + WINDOW_MS).count();
            prop_assert!(inside <= most as usize, "{inside} from {start}");
        }
    }

    #[test]
    fn a_message_is_accepted_after_the_returned_time(steps in proptest::collection::vec(0_i64..900_000, 1..60)) {
        let (mut times, mut now) = (RecentMessageTimes::default(), 0);
        for step in steps {
            now += step;
            if let Err(wait) = times.try_record(&limit(3), at(now)) {
                prop_assert!(times.clone().try_record(&limit(3), at(now) + wait - Duration::from_millis(1)).is_err());
                now += i64::try_from(wait.as_millis()).unwrap();
                prop_assert_eq!(times.try_record(&limit(3), at(now)), Ok(()));
            }
        }
    }
}

fn per_minute(limit: u32, parts: u32) -> UserThrottle {
    let window = Duration::from_secs(60);
    UserThrottle { subject: [0; 32], limit, window, counting: ThrottleCounting::Parts(parts) }
}

/// Returns the wait in seconds of a message of `parts` parts at a time in seconds since 1970.
fn wait_seconds(state: &mut ThrottleState, parts: u32, seconds: i64) -> Option<u64> {
    let now = DateTime::from_timestamp(seconds, 0).unwrap();
    let wait = state.try_record(&per_minute(10, parts), now).err()?;
    assert!(wait.is_spending_limit);
    Some(wait.retry_after.as_secs())
}

#[test]
fn a_spending_limit_counts_parts_in_calendar_minutes() {
    let mut state = ThrottleState::new(ThrottleCounting::Parts(1));
    for (seconds, parts, wait) in [
        (600, 6, None),
        (610, 5, Some(50)),
        (659, 4, None),
        (659, 1, Some(1)),
        (660, 10, None),
        // Another host is slightly behind: it counts in the newest minute.
        (659, 1, Some(61)),
        (60, 1, Some(660)),
        // The clock was set back by more than ten minutes.
        (0, 10, None),
        (59, 1, Some(1)),
        (720, 11, Some(60)),
        (720, 10, None),
    ] {
        assert_eq!(wait_seconds(&mut state, parts, seconds), wait, "{parts} parts at {seconds}");
        let stored = ThrottleState::from_bytes(ThrottleCounting::Parts(1), &state.to_bytes());
        assert_eq!(stored.as_ref(), Some(&state));
    }
    assert_eq!(state.expires_at_ms(&per_minute(10, 1)), 780_000);
    assert_eq!(ThrottleState::from_bytes(ThrottleCounting::Parts(1), b"too short"), None);
}

#[test]
fn a_throttle_of_a_broadcast_counts_for_every_user() {
    assert_eq!(per_minute(10, 3).for_users(4).counting, ThrottleCounting::Parts(12));
    assert_eq!(per_minute(10, 3).for_users(u64::MAX).counting, ThrottleCounting::Parts(u32::MAX));
}

#[test]
fn a_month_begins_and_ends_with_the_calendar() {
    let per_month =
        |parts| UserThrottle { counting: ThrottleCounting::PartsOfMonth(parts), ..per_minute(10, 0) };
    let at_time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let mut state = ThrottleState::new(ThrottleCounting::PartsOfMonth(1));
    let mut record = |parts, text| {
        let recorded = state.try_record(&per_month(parts), at_time(text));
        recorded.err().map(|wait| wait.retry_after.as_secs())
    };
    assert_eq!(record(10, "2028-02-01T00:00:00Z"), None);
    assert_eq!(record(1, "2028-02-29T23:59:59Z"), Some(1), "2028 is a leap year");
    assert_eq!(record(8, "2028-03-01T00:00:00Z"), None);
    assert_eq!(record(1, "2028-02-29T23:59:50Z"), None, "a host that is behind counts in March");
    assert_eq!(record(2, "2028-03-01T00:00:00Z"), Some(31 * 86_400));
    assert_eq!(record(10, "2028-12-31T23:59:59Z"), None);
    assert_eq!(record(1, "2028-12-31T23:59:59Z"), Some(1));
    assert_eq!(record(1, "2028-10-01T00:00:00Z"), None, "a clock set back by months begins anew");
}

#[test]
fn the_parts_of_a_month_are_stored_until_its_end() {
    let counting = ThrottleCounting::PartsOfMonth(3);
    let throttle = UserThrottle { counting, ..per_minute(10, 0) };
    let mut state = ThrottleState::new(counting);
    let now = DateTime::parse_from_rfc3339("2026-12-15T12:00:00Z").unwrap().to_utc();
    assert_eq!(state.try_record(&throttle, now), Ok(()));
    let january = DateTime::parse_from_rfc3339("2027-01-01T00:00:00Z").unwrap().timestamp_millis();
    assert_eq!(state.expires_at_ms(&throttle), january);
    assert_eq!(ThrottleState::from_bytes(counting, &state.to_bytes()), Some(state));
    assert_eq!(throttle.for_users(4).counting, ThrottleCounting::PartsOfMonth(12));
}
