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

fn message(number: i64) -> Option<MessageId> {
    Some(MessageId::from_bytes(i128::from(number).to_be_bytes()))
}

#[test]
fn several_failures_open_the_circuit_when_no_call_succeeds() {
    let mut breaker = new_breaker();
    (0..2).for_each(|_| breaker.record_failure(at(0)));
    assert_eq!(breaker.admit(at(0)), Admission::Allowed);
    breaker.record_failure(at(0));
    assert_eq!(breaker.admit(at(0)), Admission::CircuitOpen { until: at(30) });
    assert!(!breaker.is_available(at(29)));
    assert_eq!(breaker.state().as_str(), "open");
    let (state, text) = breaker.state().description(at(29));
    assert!(state == "open" && text.contains("00:00:30 UTC"), "{text}");
}

#[test]
fn an_open_period_that_is_over_is_not_shown_as_open() {
    let (state, text) = open_breaker().state().description(at(30));
    assert_eq!(
        (state, text.as_str()),
        ("half_open", "the open period is over; the next message probes the provider")
    );
}

#[test]
fn few_failures_among_many_calls_leave_the_circuit_closed() {
    let mut breaker = new_breaker();
    for second in 0..100 {
        (0..20).for_each(|_| breaker.record_success(at(second)));
        (0..10).for_each(|_| breaker.record_failure(at(second)));
    }
    assert_eq!(*breaker.state(), CircuitState::Closed);
    (0..150).for_each(|_| breaker.record_failure(at(100)));
    assert_eq!(breaker.state().as_str(), "open", "half of the calls of ten seconds");
}

#[test]
fn failures_of_a_busy_provider_count_for_ten_seconds() {
    let mut breaker = new_breaker();
    (0..1_000).for_each(|_| breaker.record_success(at(0)));
    for second in 1..10 {
        (0..50).for_each(|_| breaker.record_failure(at(second)));
    }
    assert_eq!(*breaker.state(), CircuitState::Closed);
    (0..50).for_each(|_| breaker.record_failure(at(11)));
    assert_eq!(breaker.state().as_str(), "open");
}

#[test]
fn failures_of_a_quiet_provider_count_however_old_they_are() {
    let mut breaker = new_breaker();
    for hour in 0..3 {
        assert_eq!(*breaker.state(), CircuitState::Closed);
        breaker.record_failure(at(hour * 3_600));
    }
    assert_eq!(breaker.state().as_str(), "open");
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
    breaker.record_success(at(0));
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
    breaker.record_success(at(now));
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
fn a_success_of_an_earlier_call_does_not_end_the_open_period() {
    let mut breaker = open_breaker();
    breaker.record_success(at(1));
    assert_eq!(breaker.admit(at(2)), Admission::CircuitOpen { until: at(30) });
}

#[test]
fn one_refused_call_among_successes_is_a_failure_like_others() {
    let mut breaker = new_breaker();
    (0..20).for_each(|_| breaker.record_success(at(0)));
    breaker.record_refused("HTTP 403", message(1), at(0));
    assert_eq!(breaker.admit(at(0)), Admission::Allowed);
    for number in 2..=4 {
        breaker.record_refused("HTTP 403", message(number), at(0));
    }
    breaker.record_success(at(0));
    breaker.record_refused("HTTP 403", message(5), at(0));
    assert_eq!(breaker.admit(at(0)), Admission::Allowed);
    for number in 6..=9 {
        breaker.record_refused("HTTP 403", message(number), at(0));
    }
    assert_eq!(breaker.state().as_str(), "misconfigured", "five in a row and none accepted");
}

#[test]
fn one_message_that_is_refused_again_and_again_is_no_evidence() {
    let mut breaker = CircuitBreaker::new(1_000, Duration::from_secs(30));
    (0..100).for_each(|_| breaker.record_refused("HTTP 403", message(1), at(0)));
    assert_eq!(*breaker.state(), CircuitState::Closed);
    breaker.record_refused("HTTP 403", message(2), at(0));
    assert_eq!(breaker.state().as_str(), "misconfigured", "two messages, and none was ever accepted");
}

fn misconfigured_breaker() -> CircuitBreaker {
    let mut breaker = new_breaker();
    (0..2).for_each(|_| breaker.record_refused("bad password", None, at(0)));
    breaker
}

#[test]
fn a_misconfigured_provider_is_probed_after_periods_that_grow_to_an_hour() {
    let mut breaker = misconfigured_breaker();
    let mut now = 0;
    for pause in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600] {
        assert!(!breaker.is_available(at(now + pause - 1)));
        let (state, text) = breaker.state().description(at(now));
        assert!(state == "misconfigured" && text.contains("bad password; a message after"), "{text}");
        now += pause;
        assert!(breaker.state().description(at(now)).1.ends_with("the next message probes it"));
        assert_eq!(breaker.admit(at(now)), Admission::Probe);
        assert_eq!(breaker.admit(at(now)), Admission::CircuitOpen { until: at(now + 60) });
        breaker.record_refused("bad password", message(now), at(now));
    }
    now += 3_600;
    assert_eq!(breaker.admit(at(now)), Admission::Probe);
    breaker.record_success(at(now));
    assert_eq!(breaker.admit(at(now)), Admission::Allowed);
    breaker.record_refused("bad password", None, at(now));
    assert_eq!(breaker.admit(at(now)), Admission::Allowed, "a failure like others");
}

#[test]
fn a_success_of_an_earlier_call_ends_misconfigured() {
    let mut breaker = misconfigured_breaker();
    breaker.record_failure(at(1));
    assert_eq!(breaker.state().as_str(), "misconfigured");
    breaker.record_success(at(1));
    assert_eq!(*breaker.state(), CircuitState::Closed);
}

#[test]
fn misconfigured_is_loaded_from_other_processes_with_its_evidence() {
    let (mut breaker, found) = (new_breaker(), misconfigured_breaker());
    breaker.load_shared(found.state());
    assert_eq!(breaker.admit(at(30)), Admission::Probe);
    breaker.record_refused("bad password", message(1), at(30));
    let CircuitState::Misconfigured { until, backoff_factor, .. } = breaker.state() else {
        panic!("{breaker:?}");
    };
    assert_eq!((*until, *backoff_factor), (at(90), 2));
    breaker.load_shared(&CircuitState::Closed);
    assert_eq!(breaker.admit(at(31)), Admission::Allowed);
}

#[test]
fn after_a_cooldown_one_call_probes_and_cooldowns_without_a_time_grow() {
    let mut breaker = new_breaker();
    let mut now = 0;
    for pause in [1, 2, 4, 8, 8] {
        assert_eq!(breaker.record_throttled(None, at(now)), at(now + pause));
        // Calls that were in flight are refused too.
        assert_eq!(breaker.record_throttled(None, at(now)), at(now + pause));
        now += pause;
        assert_eq!(breaker.admit(at(now)), Admission::Probe);
        assert!(!breaker.is_available(at(now)));
    }
    assert_eq!(breaker.record_throttled(Some(Duration::from_secs(60)), at(now)), at(now + 60));
    assert!(!breaker.is_available(at(now + 59)));
    assert_eq!(breaker.admit(at(now + 60)), Admission::Probe);
    breaker.record_success(at(now + 60));
    assert_eq!(breaker.admit(at(now + 60)), Admission::Allowed);
}

#[test]
fn a_probe_after_a_cooldown_that_fails_is_the_first_failure() {
    let mut breaker = new_breaker();
    breaker.record_throttled(None, at(0));
    assert_eq!(breaker.admit(at(1)), Admission::Probe);
    breaker.record_failure(at(1));
    assert_eq!(breaker.admit(at(1)), Admission::Allowed);
    (0..2).for_each(|_| breaker.record_failure(at(1)));
    assert_eq!(breaker.admit(at(1)), Admission::CircuitOpen { until: at(31) });
    assert_eq!(breaker.admit(at(31)), Admission::Probe);
    breaker.record_throttled(None, at(31));
    assert_eq!(breaker.admit(at(33)), Admission::Probe);
    breaker.record_failure(at(33));
    assert_eq!(
        breaker.admit(at(33)),
        Admission::CircuitOpen { until: at(93) },
        "the open period still doubles"
    );
}
