use chrono::TimeDelta;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(3, Duration::from_secs(30))
}

fn open_breaker() -> CircuitBreaker {
    let mut health = breaker();
    (0..3).for_each(|_| health.record_failure(at(0)));
    health
}

#[test]
fn failures_in_a_row_give_it_a_rest() {
    let mut health = breaker();
    for _ in 0..10 {
        health.record_failure(at(0));
        health.record_failure(at(0));
        health.record_success();
    }
    assert_eq!(health.admit(at(0)), Admission::Allowed);
    (0..3).for_each(|_| health.record_failure(at(0)));
    assert_eq!(health.admit(at(0)), Admission::CircuitOpen { until: at(30) });
    assert!(!health.is_available(at(29)));
    assert_eq!(health.status().as_str(), "open");
    assert!(health.status().description().contains("00:00:30 UTC"));
}

#[test]
fn after_the_rest_exactly_one_probe_goes_through() {
    let mut health = open_breaker();
    assert!(health.is_available(at(30)));
    assert_eq!(health.admit(at(30)), Admission::Probe);
    for _ in 0..5 {
        assert!(!health.is_available(at(31)));
        assert_eq!(health.admit(at(31)), Admission::CircuitOpen { until: at(90) });
    }
    health.record_success();
    assert_eq!(health.admit(at(32)), Admission::Allowed);
    assert_eq!(health.status(), CircuitStatus::Closed);
}

#[test]
fn rests_grow_while_probes_fail_and_start_small_again() {
    let mut health = open_breaker();
    let mut now = 0;
    for rest in [30, 60, 120, 240, 240, 240] {
        assert_eq!(
            health.admit(at(now)),
            Admission::CircuitOpen {
                until: at(now + rest)
            }
        );
        now += rest;
        assert_eq!(health.admit(at(now)), Admission::Probe);
        health.record_failure(at(now));
    }
    assert_eq!(health.admit(at(now + 240)), Admission::Probe);
    health.record_success();
    (0..3).for_each(|_| health.record_failure(at(now)));
    assert_eq!(
        health.admit(at(now)),
        Admission::CircuitOpen { until: at(now + 30) }
    );
}

#[test]
fn late_failures_from_before_the_rest_change_nothing() {
    let mut health = open_breaker();
    (0..20).for_each(|_| health.record_failure(at(20)));
    assert_eq!(health.admit(at(30)), Admission::Probe);
}

#[test]
fn a_probe_that_is_never_answered_is_followed_by_another() {
    let mut health = open_breaker();
    assert_eq!(health.admit(at(30)), Admission::Probe);
    assert_eq!(health.admit(at(89)), Admission::CircuitOpen { until: at(90) });
    assert_eq!(health.admit(at(90)), Admission::Probe);
}

#[test]
fn a_rest_or_a_probe_that_only_a_wrong_clock_can_have_told_is_over() {
    let days = 3 * 24 * 3_600;
    for told in [
        CircuitState::Open {
            until: at(days),
            backoff_factor: 1,
        },
        CircuitState::HalfOpen {
            since: at(days),
            backoff_factor: 1,
        },
    ] {
        let mut health = breaker();
        health.load_shared(&told);
        assert!(health.is_available(at(0)), "{told:?}");
        assert_eq!(health.admit(at(0)), Admission::Probe, "{told:?}");
    }
    let mut health = breaker();
    health.load_shared(&CircuitState::HalfOpen {
        since: at(20),
        backoff_factor: 1,
    });
    assert!(!health.is_available(at(0)), "clocks may be a little apart");
}

#[test]
fn who_is_out_by_our_own_settings_is_not_brought_back_by_others() {
    let mut health = breaker();
    health.record_misconfigured("bad password");
    health.load_shared(&CircuitState::Closed);
    assert_eq!(health.admit(at(0)), Admission::Misconfigured);
}

#[test]
fn wrong_settings_put_it_out_for_good() {
    let mut health = breaker();
    health.record_misconfigured("bad password");
    health.record_success();
    health.record_failure(at(0));
    assert_eq!(health.admit(at(1_000_000)), Admission::Misconfigured);
    assert!(!health.is_available(at(1_000_000)));
    assert!(health.status().description().contains("bad password"));
}
