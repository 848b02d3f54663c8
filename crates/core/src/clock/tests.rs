use chrono::TimeDelta;

use super::*;

fn read_clock(clock: &Clock, shown: Timestamp, took: Duration) {
    if let Clock::Synced(followed) = clock {
        let asked = followed.elapsed();
        followed.record_reading(shown, asked, asked + took);
    }
}

fn difference_ms(one: Timestamp, other: Timestamp) -> i64 {
    (one - other).num_milliseconds().abs()
}

#[test]
fn two_who_follow_the_same_clock_agree_whatever_their_own_shows() {
    let theirs = Clock::System.now() + TimeDelta::seconds(30);
    let (here, there) = (Clock::synced(), Clock::synced());
    read_clock(&here, theirs, Duration::ZERO);
    read_clock(
        &there,
        theirs + TimeDelta::milliseconds(1),
        Duration::from_millis(2),
    );
    assert!(difference_ms(here.now(), there.now()) <= 5, "{here:?} {there:?}");
    assert!((29.0..31.0).contains(&here.offset_seconds()));
}

#[test]
fn a_slow_answer_does_not_spoil_what_a_quick_one_told() {
    let clock = Clock::synced();
    let theirs = Clock::System.now() - TimeDelta::seconds(30);
    read_clock(&clock, theirs, Duration::from_millis(1));
    read_clock(
        &clock,
        theirs + TimeDelta::milliseconds(150),
        Duration::from_millis(400),
    );
    assert!(difference_ms(clock.now(), theirs) < 50, "{clock:?}");
    read_clock(&clock, theirs + TimeDelta::seconds(9), Duration::from_millis(400));
    assert!(difference_ms(clock.now(), theirs) > 8_000, "{clock:?}");
}

#[test]
fn no_wait_leads_beyond_the_end_of_time() {
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(
        saturating_add(now, Duration::from_millis(5)).timestamp_millis(),
        5
    );
    assert_eq!(saturating_add(now, Duration::MAX), DateTime::<Utc>::MAX_UTC);
    assert_eq!(
        saturating_add(now, Duration::from_secs(1 << 50)),
        DateTime::<Utc>::MAX_UTC
    );
}
