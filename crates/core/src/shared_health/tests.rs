use chrono::TimeDelta;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn report(told: CircuitState) -> HealthReport {
    HealthReport {
        provider: "red".parse().unwrap(),
        circuit: Some(told),
        cooldown_until: None,
        config_loaded_at: at(0),
    }
}

fn open_until(until: i64) -> CircuitState {
    CircuitState::Open {
        until: at(until),
        backoff_factor: 1,
    }
}

fn shared_after(told: CircuitState) -> SharedHealth {
    SharedHealth::after(None, report(told), at(1))
}

fn misconfigured() -> CircuitState {
    CircuitState::Misconfigured {
        reason: "no account".to_owned(),
    }
}

#[test]
fn the_longer_of_two_rests_counts() {
    let first = shared_after(open_until(60));
    let after = SharedHealth::after(Some(first.clone()), report(open_until(30)), at(2));
    assert_eq!(after, first);
    let after = SharedHealth::after(Some(first), report(open_until(90)), at(2));
    assert_eq!((after.circuit, after.version), (open_until(90), 2));
}

#[test]
fn after_a_rest_one_process_makes_the_probe() {
    let patience = Duration::from_secs(60);
    let rests = shared_after(open_until(30));
    assert_eq!(rests.with_probe_started(patience, at(29)), None);
    let probing = rests.with_probe_started(patience, at(30)).unwrap();
    assert_eq!(probing.with_probe_started(patience, at(31)), None);
    assert!(
        probing.with_probe_started(patience, at(90)).is_some(),
        "the prober died"
    );
    let well = SharedHealth::after(Some(probing), report(CircuitState::Closed), at(32));
    assert_eq!(well.with_probe_started(patience, at(33)), None);
}

#[test]
fn wrong_settings_count_until_the_configuration_is_read_again() {
    let wrong = shared_after(misconfigured());
    assert!(wrong.applies_to(at(0), at(2)) && !wrong.applies_to(at(2), at(2)));
    let after = SharedHealth::after(Some(wrong.clone()), report(CircuitState::Closed), at(3));
    assert_eq!(after.circuit, misconfigured());
    let mended = HealthReport {
        config_loaded_at: at(2),
        ..report(CircuitState::Closed)
    };
    assert_eq!(
        SharedHealth::after(Some(wrong), mended, at(3)).circuit,
        CircuitState::Closed
    );
}

#[test]
fn of_all_who_find_out_the_same_one_brings_the_news() {
    let first = ReportedHealth::after(None, report(misconfigured()), at(1));
    let second = ReportedHealth::after(Some(first.shared.clone()), report(misconfigured()), at(1));
    assert_eq!((first.is_new, second.is_new), (true, false));
    let other = HealthReport {
        circuit: Some(CircuitState::Misconfigured {
            reason: "the same in other words".to_owned(),
        }),
        ..report(CircuitState::Closed)
    };
    assert!(!ReportedHealth::after(Some(second.shared.clone()), other, at(2)).is_new);
    let silent = HealthReport {
        circuit: None,
        config_loaded_at: at(50),
        ..report(CircuitState::Closed)
    };
    assert!(!ReportedHealth::after(Some(second.shared), silent, at(60)).is_new);
}

#[test]
fn settings_that_are_still_wrong_after_a_start_are_news_again_and_count() {
    let wrong = shared_after(misconfigured());
    let again = HealthReport {
        config_loaded_at: at(50),
        ..report(misconfigured())
    };
    let learned = ReportedHealth::after(Some(wrong.clone()), again, at(60));
    assert!(
        !learned.is_new && learned.shared.applies_to(at(50), at(60)),
        "of the same start"
    );
    let much_later = HealthReport {
        config_loaded_at: at(500),
        ..report(misconfigured())
    };
    let learned = ReportedHealth::after(Some(wrong), much_later.clone(), at(510));
    assert!(learned.is_new && learned.shared.applies_to(at(500), at(510)));
    assert!(!ReportedHealth::after(Some(learned.shared), much_later, at(511)).is_new);
}

#[test]
fn settings_found_wrong_late_do_not_count_for_those_that_were_mended_before() {
    let old = HealthReport {
        config_loaded_at: at(10),
        ..report(misconfigured())
    };
    let wrong = SharedHealth::after(Some(shared_after(CircuitState::Closed)), old.clone(), at(100));
    assert!(wrong.applies_to(at(10), at(100)), "the same configuration");
    assert!(!wrong.applies_to(at(50), at(100)), "mended before it was told");
    let newer = HealthReport {
        config_loaded_at: at(60),
        ..report(misconfigured())
    };
    let wrong = SharedHealth::after(Some(wrong), newer, at(101));
    assert!(wrong.applies_to(at(50), at(101)), "not mended after all");
    let after = SharedHealth::after(Some(wrong.clone()), old, at(102));
    assert_eq!(after, wrong, "an older one adds nothing");
}

#[test]
fn what_only_a_wrong_clock_can_have_told_counts_for_nobody() {
    let days = 3 * 24 * 3_600;
    let ahead = |told| HealthReport {
        config_loaded_at: at(days),
        cooldown_until: Some(at(2 * days)),
        ..report(told)
    };
    for told in [misconfigured(), open_until(days + 30)] {
        let wrong = SharedHealth::after(None, ahead(told), at(days));
        assert!(!wrong.applies_to(at(0), at(5)), "{wrong:?}");
        let after = SharedHealth::after(Some(wrong), report(open_until(40)), at(5));
        assert_eq!((&after.circuit, after.since), (&open_until(40), at(5)));
        assert_eq!(after.cooldown_until, None);
    }
    let probing = shared_after(open_until(days)).with_probe_started(Duration::from_secs(60), at(5));
    assert!(probing.is_some(), "nobody rests for days");
    assert!(is_cooldown_active(at(60), at(5)) && !is_cooldown_active(at(days), at(5)));
}

#[test]
fn the_longer_pause_counts() {
    let paused = |until| HealthReport {
        cooldown_until: Some(at(until)),
        ..report(CircuitState::Closed)
    };
    let first = SharedHealth::after(None, paused(50), at(1));
    let after = SharedHealth::after(Some(first.clone()), paused(40), at(2));
    assert_eq!(after, first);
    assert_eq!(
        SharedHealth::after(Some(first), paused(70), at(2)).cooldown_until,
        Some(at(70))
    );
}
