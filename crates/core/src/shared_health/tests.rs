use chrono::TimeDelta;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn report(circuit: CircuitState) -> HealthReport {
    HealthReport {
        provider: "red".parse().unwrap(),
        circuit: Some(circuit),
        cooldown_until: None,
        config_loaded_at: at(0),
    }
}

fn open_until(until: i64) -> CircuitState {
    CircuitState::Open { until: at(until), backoff_factor: 1 }
}

fn shared_after(circuit: CircuitState) -> SharedHealth {
    SharedHealth::after(None, report(circuit), at(1))
}

fn misconfigured() -> CircuitState {
    misconfigured_until(30)
}

fn misconfigured_until(until: i64) -> CircuitState {
    CircuitState::Misconfigured { reason: "no account".to_owned(), until: at(until), backoff_factor: 1 }
}

#[test]
fn the_longer_open_period_wins() {
    let first = shared_after(open_until(60));
    let after = SharedHealth::after(Some(first.clone()), report(open_until(30)), at(2));
    assert_eq!(after, first);
    let after = SharedHealth::after(Some(first), report(open_until(90)), at(2));
    assert_eq!((after.circuit, after.version), (open_until(90), 2));
}

#[test]
fn one_process_makes_the_probe() {
    let probe_timeout = Duration::from_secs(60);
    let open = shared_after(open_until(30));
    assert_eq!(open.with_probe_started(probe_timeout, at(29)), None);
    let probing = open.with_probe_started(probe_timeout, at(30)).unwrap();
    assert_eq!(probing.with_probe_started(probe_timeout, at(31)), None);
    assert!(probing.with_probe_started(probe_timeout, at(90)).is_some(), "the probe is lost");
    let closed = SharedHealth::after(Some(probing), report(CircuitState::Closed), at(32));
    assert_eq!(closed.with_probe_started(probe_timeout, at(33)), None);
}

#[test]
fn a_misconfigured_state_applies_until_the_configuration_is_loaded_again() {
    let wrong = shared_after(misconfigured());
    assert!(wrong.applies_to(at(0), at(2)) && !wrong.applies_to(at(2), at(2)));
    let after = SharedHealth::after(Some(wrong.clone()), report(open_until(99)), at(3));
    assert_eq!(after.circuit, misconfigured());
    let corrected = HealthReport { config_loaded_at: at(2), ..report(CircuitState::Closed) };
    assert_eq!(SharedHealth::after(Some(wrong), corrected, at(3)).circuit, CircuitState::Closed);
}

#[test]
fn a_success_in_one_process_ends_misconfigured_for_all() {
    let wrong = shared_after(misconfigured());
    assert_eq!(wrong.with_probe_started(Duration::from_secs(60), at(29)), None);
    let probing = wrong.with_probe_started(Duration::from_secs(60), at(30)).unwrap();
    assert_eq!(probing.circuit, CircuitState::HalfOpen { since: at(30), backoff_factor: 1 });
    for state in [wrong, probing] {
        let after = SharedHealth::after(Some(state), report(CircuitState::Closed), at(31));
        assert_eq!(after.circuit, CircuitState::Closed);
    }
}

#[test]
fn of_two_reports_that_a_provider_is_misconfigured_the_later_probe_counts() {
    let wrong = shared_after(misconfigured());
    let after = SharedHealth::after(Some(wrong), report(misconfigured_until(99)), at(3));
    assert_eq!(after.circuit, misconfigured_until(99));
}

#[test]
fn a_resume_ends_the_cooldown() {
    let cooldown = HealthReport { cooldown_until: Some(at(50)), ..report(CircuitState::Closed) };
    let resumed = SharedHealth::after(None, cooldown, at(1)).resumed(at(2)).unwrap();
    assert_eq!((resumed.cooldown_until, resumed.version), (None, 2));
    assert_eq!(resumed.resumed(at(3)), None, "nothing to change");
}

#[test]
fn a_cooldown_is_described_until_it_ends() {
    let throttled = CircuitState::Open { until: at(60), backoff_factor: 1 };
    let describe = |circuit: &CircuitState, now| describe_health(circuit, Some(at(60)), at(now));
    for circuit in [&throttled, &CircuitState::Closed] {
        let (state, text) = describe(circuit, 59);
        assert!(state == "cooldown" && text.starts_with("cooldown until 00:01:00 UTC"), "{text}");
    }
    assert_eq!(describe(&throttled, 60).0, "half_open");
    assert_eq!(describe(&CircuitState::Closed, 60).0, "closed");
    assert_eq!(describe(&open_until(99), 59).0, "open", "the longer pause");
    assert_eq!(describe(&misconfigured(), 59).0, "misconfigured");
}

#[test]
fn of_all_equal_reports_one_is_new() {
    let first = ReportedHealth::after(None, report(misconfigured()), at(1));
    let second = ReportedHealth::after(Some(first.shared.clone()), report(misconfigured()), at(1));
    assert_eq!((first.is_new, second.is_new), (true, false));
    let other = HealthReport {
        circuit: Some(CircuitState::Misconfigured {
            reason: "the same in another wording".to_owned(),
            until: at(31),
            backoff_factor: 1,
        }),
        ..report(CircuitState::Closed)
    };
    assert!(!ReportedHealth::after(Some(second.shared.clone()), other, at(2)).is_new);
    let unchanged = HealthReport { circuit: None, config_loaded_at: at(50), ..report(CircuitState::Closed) };
    assert!(!ReportedHealth::after(Some(second.shared), unchanged, at(60)).is_new);
}

#[test]
fn settings_that_are_still_wrong_after_a_start_are_new_again() {
    let wrong = shared_after(misconfigured());
    let again = HealthReport { config_loaded_at: at(50), ..report(misconfigured()) };
    let reported = ReportedHealth::after(Some(wrong.clone()), again, at(60));
    assert!(!reported.is_new && reported.shared.applies_to(at(50), at(60)), "the same start");
    let much_later = HealthReport { config_loaded_at: at(500), ..report(misconfigured()) };
    let reported = ReportedHealth::after(Some(wrong), much_later.clone(), at(510));
    assert!(reported.is_new && reported.shared.applies_to(at(500), at(510)));
    assert!(!ReportedHealth::after(Some(reported.shared), much_later, at(511)).is_new);
}

#[test]
fn a_late_misconfigured_report_does_not_apply_to_newer_configurations() {
    let old = HealthReport { config_loaded_at: at(10), ..report(misconfigured()) };
    let wrong = SharedHealth::after(Some(shared_after(CircuitState::Closed)), old.clone(), at(100));
    assert!(wrong.applies_to(at(10), at(100)), "the same configuration");
    assert!(!wrong.applies_to(at(50), at(100)), "corrected before the report");
    let newer = HealthReport { config_loaded_at: at(60), ..report(misconfigured()) };
    let wrong = SharedHealth::after(Some(wrong), newer, at(101));
    assert!(wrong.applies_to(at(50), at(101)), "still wrong");
    let after = SharedHealth::after(Some(wrong.clone()), old, at(102));
    assert_eq!(after, wrong, "an older report changes nothing");
}

#[test]
fn a_state_from_a_wrong_clock_is_ignored() {
    let days = 3 * 24 * 3_600;
    let ahead = |circuit| HealthReport {
        config_loaded_at: at(days),
        cooldown_until: Some(at(2 * days)),
        ..report(circuit)
    };
    for circuit in [misconfigured(), open_until(days + 30)] {
        let wrong = SharedHealth::after(None, ahead(circuit), at(days));
        assert!(!wrong.applies_to(at(0), at(5)), "{wrong:?}");
        let after = SharedHealth::after(Some(wrong), report(open_until(40)), at(5));
        assert_eq!((&after.circuit, after.since), (&open_until(40), at(5)));
        assert_eq!(after.cooldown_until, None);
    }
    let probing = shared_after(open_until(days)).with_probe_started(Duration::from_secs(60), at(5));
    assert!(probing.is_some(), "no open period lasts for days");
    assert!(is_cooldown_active(at(60), at(5)) && !is_cooldown_active(at(days), at(5)));
}

#[test]
fn the_longer_cooldown_wins() {
    let cooldown = |until| HealthReport { cooldown_until: Some(at(until)), ..report(CircuitState::Closed) };
    let first = SharedHealth::after(None, cooldown(50), at(1));
    let after = SharedHealth::after(Some(first.clone()), cooldown(40), at(2));
    assert_eq!(after, first);
    assert_eq!(SharedHealth::after(Some(first), cooldown(70), at(2)).cooldown_until, Some(at(70)));
}
