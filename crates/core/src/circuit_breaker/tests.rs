use chrono::TimeDelta;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn new_breaker() -> CircuitBreaker {
    CircuitBreaker::new(3, Duration::from_secs(30))
}

fn open_breaker() -> CircuitBreaker {
    let mut breaker = new_breaker();
    (0..3).for_each(|_| breaker.record_failure(at(0)));
    breaker
}

#[test]
fn failures_in_a_row_open_the_circuit() {
    let mut breaker = new_breaker();
    for _ in 0..10 {
        breaker.record_failure(at(0));
        breaker.record_failure(at(0));
        breaker.record_success();
    }
    assert_eq!(breaker.admit(at(0)), Admission::Allowed);
    (0..3).for_each(|_| breaker.record_failure(at(0)));
    assert_eq!(breaker.admit(at(0)), Admission::CircuitOpen { until: at(30) });
    assert!(!breaker.is_available(at(29)));
    assert_eq!(breaker.state().as_str(), "open");
    assert!(breaker.state().description().contains("00:00:30 UTC"));
}

#[test]
fn after_the_open_period_exactly_one_probe_is_allowed() {
    let mut breaker = open_breaker();
    assert!(breaker.is_available(at(30)));
    assert_eq!(breaker.admit(at(30)), Admission::Probe);
    for _ in 0..5 {
        assert!(!breaker.is_available(at(31)));
        assert_eq!(breaker.admit(at(31)), Admission::CircuitOpen { until: at(90) });
    }
    breaker.record_success();
    assert_eq!(breaker.admit(at(32)), Admission::Allowed);
    assert_eq!(*breaker.state(), CircuitState::Closed);
}

#[test]
fn open_periods_grow_while_probes_fail_and_start_short_again() {
    let mut breaker = open_breaker();
    let mut now = 0;
    for pause in [30, 60, 120, 240, 240, 240] {
        assert_eq!(breaker.admit(at(now)), Admission::CircuitOpen { until: at(now + pause) });
        now += pause;
        assert_eq!(breaker.admit(at(now)), Admission::Probe);
        breaker.record_failure(at(now));
    }
    assert_eq!(breaker.admit(at(now + 240)), Admission::Probe);
    breaker.record_success();
    (0..3).for_each(|_| breaker.record_failure(at(now)));
    assert_eq!(breaker.admit(at(now)), Admission::CircuitOpen { until: at(now + 30) });
}

#[test]
fn failures_of_earlier_calls_do_not_extend_the_open_period() {
    let mut breaker = open_breaker();
    (0..20).for_each(|_| breaker.record_failure(at(20)));
    assert_eq!(breaker.admit(at(30)), Admission::Probe);
}

#[test]
fn a_lost_probe_is_followed_by_another() {
    let mut breaker = open_breaker();
    assert_eq!(breaker.admit(at(30)), Admission::Probe);
    assert_eq!(breaker.admit(at(89)), Admission::CircuitOpen { until: at(90) });
    assert_eq!(breaker.admit(at(90)), Admission::Probe);
}

#[test]
fn a_state_from_a_wrong_clock_allows_a_probe() {
    let days = 3 * 24 * 3_600;
    for shared in [
        CircuitState::Open { until: at(days), backoff_factor: 1 },
        CircuitState::HalfOpen { since: at(days), backoff_factor: 1 },
    ] {
        let mut breaker = new_breaker();
        breaker.load_shared(&shared);
        assert!(breaker.is_available(at(0)), "{shared:?}");
        assert_eq!(breaker.admit(at(0)), Admission::Probe, "{shared:?}");
    }
    let mut breaker = new_breaker();
    breaker.load_shared(&CircuitState::HalfOpen { since: at(20), backoff_factor: 1 });
    assert!(!breaker.is_available(at(0)), "a small clock skew is normal");
}

#[test]
fn a_misconfigured_circuit_ignores_the_shared_state() {
    let mut breaker = new_breaker();
    breaker.record_misconfigured("bad password");
    breaker.load_shared(&CircuitState::Closed);
    assert_eq!(breaker.admit(at(0)), Admission::Misconfigured);
}

#[test]
fn a_misconfigured_circuit_stays_misconfigured() {
    let mut breaker = new_breaker();
    breaker.record_misconfigured("bad password");
    breaker.record_success();
    breaker.record_failure(at(0));
    assert_eq!(breaker.admit(at(1_000_000)), Admission::Misconfigured);
    assert!(!breaker.is_available(at(1_000_000)));
    assert!(breaker.state().description().contains("bad password"));
}
