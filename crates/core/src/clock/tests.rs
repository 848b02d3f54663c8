use super::*;

/// Records a reading that took `duration`.
fn read_clock(clock: &Clock, shown_time: Timestamp, duration: Duration) {
    if let Clock::Synced(synced) = clock {
        let requested = synced.elapsed();
        synced.record_reading(shown_time, requested, requested + duration);
    }
}

fn difference_ms(first: Timestamp, second: Timestamp) -> i64 {
    (first - second).num_milliseconds().abs()
}

#[test]
fn clocks_that_follow_the_same_clock_agree() {
    let followed = Clock::System.now() + TimeDelta::seconds(30);
    let (first, second) = (Clock::synced(), Clock::synced());
    read_clock(&first, followed, Duration::ZERO);
    read_clock(&second, followed + TimeDelta::milliseconds(1), Duration::from_millis(2));
    assert!(difference_ms(first.now(), second.now()) <= 5, "{first:?} {second:?}");
    assert!((29.0..31.0).contains(&first.offset_seconds()));
}

#[test]
fn a_slow_reading_changes_the_clock_only_beyond_its_own_error() {
    let clock = Clock::synced();
    let followed = Clock::System.now() - TimeDelta::seconds(30);
    read_clock(&clock, followed, Duration::from_millis(1));
    read_clock(&clock, followed + TimeDelta::milliseconds(150), Duration::from_millis(400));
    assert!(difference_ms(clock.now(), followed) < 50, "{clock:?}");
    read_clock(&clock, followed + TimeDelta::seconds(9), Duration::from_millis(400));
    assert!(difference_ms(clock.now(), followed) > 8_000, "{clock:?}");
}

#[test]
fn no_wait_leads_past_the_last_representable_time() {
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(saturating_add(now, Duration::from_millis(5)).timestamp_millis(), 5);
    assert_eq!(saturating_add(now, Duration::MAX), Timestamp::MAX_UTC);
    assert_eq!(saturating_add(now, Duration::from_secs(1 << 50)), Timestamp::MAX_UTC);
}

#[test]
fn a_steady_clock_continues_when_the_system_clock_goes_back() {
    let clock = SteadyClock::new(from_millis(1_000_000));
    let hour_ms = 3_600_000;
    assert_eq!(clock.show(2_000_000, 0), 2_000_000);
    assert_eq!(clock.show(2_000_000 - hour_ms, 35_000), 2_035_000);
    assert_eq!(clock.show(2_100_000, 90_000), 2_100_000);
    assert_eq!(clock.show(2_100_000 - 25 * hour_ms, 90_000), 2_100_000 - 25 * hour_ms);
}

#[test]
fn a_steady_clock_starts_at_the_latest_time_seen() {
    let clock = SteadyClock::new(from_millis(5_000));
    assert_eq!(clock.show(1_000, 10), 5_010);
}
