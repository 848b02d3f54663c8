//! Promises about what processes on one store agree on: time, pace, health, turns.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures::*;
use crate::{ProbeDecision, Store};
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::shared_health::{HealthReport, SharedHealth};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const LOCK_DURATION: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

fn rate_request(rate: f64, parts: &[u32]) -> RateLimitRequest {
    RateLimitRequest {
        provider: name("red"),
        rate,
        parts: parts.to_vec(),
        cooldown_until: None,
    }
}

async fn count_allowed(store: &dyn Store, rate: f64, count: usize, now: Timestamp) -> usize {
    let passages = store
        .acquire_rate_permits(rate_request(rate, &vec![1; count]), now)
        .await
        .unwrap();
    assert_eq!(passages.len(), count);
    passages.iter().filter(|passage| passage.is_ok()).count()
}

pub async fn the_stores_own_time_goes_on(open: Open<'_>) {
    let store = open();
    let first = store.current_time().await.unwrap();
    let later = store.current_time().await.unwrap();
    assert!(later >= first, "{first} {later}");
    assert!(first > at(0), "{first}");
}

pub async fn all_processes_together_keep_to_the_rate(open: Open<'_>) {
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = open();
        askers.spawn(async move {
            let mut gone = 0;
            for tenth in 0..20 {
                gone += count_allowed(&*store, 10.0, 3, at(0) + Duration::from_millis(100 * tenth)).await;
            }
            gone
        });
    }
    let gone = askers.join_all().await.into_iter().sum::<usize>();
    assert!((19..=29).contains(&gone), "{gone} in 1.9 s at 10 a second");
}

pub async fn a_pace_never_goes_back_in_time(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(count_allowed(&*here, 2.0, 5, at(30)).await, 2);
    assert_eq!(count_allowed(&*there, 2.0, 5, at(10)).await, 0);
    assert_eq!(count_allowed(&*here, 2.0, 5, at(30)).await, 0);
    assert_eq!(count_allowed(&*there, 2.0, 5, at(31)).await, 2);
}

pub async fn who_is_refused_gets_a_time_of_his_own(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(count_allowed(&*here, 2.0, 2, at(0)).await, 2);
    let mut waits = Vec::new();
    for store in [&here, &there, &here] {
        waits.extend(
            store
                .acquire_rate_permits(rate_request(2.0, &[1, 2]), at(0))
                .await
                .unwrap(),
        );
    }
    let waits = waits.into_iter().map(|wait| wait.unwrap_err().as_millis());
    assert_eq!(waits.collect::<Vec<_>>(), [500, 1000, 2000, 2500, 3500, 4000]);
}

fn health_report(told: CircuitState) -> HealthReport {
    HealthReport {
        provider: name("red"),
        circuit: Some(told),
        cooldown_until: None,
        config_loaded_at: at(0),
    }
}

fn open_breaker(until: i64) -> CircuitState {
    CircuitState::Open {
        until: at(until),
        backoff_factor: 2,
    }
}

async fn report_and_load(store: &dyn Store, news: HealthReport, now: Timestamp) -> SharedHealth {
    store
        .report_health(vec![news], now)
        .await
        .unwrap()
        .remove(0)
        .shared
}

pub async fn of_all_who_find_out_the_same_one_brings_the_news(open: Open<'_>) {
    let stores = [open(), open(), open()];
    let mut bringers = 0;
    for store in &stores {
        let out = CircuitState::Misconfigured {
            reason: "no account".to_owned(),
        };
        let learned = store
            .report_health(vec![health_report(out)], at(1))
            .await
            .unwrap()
            .remove(0);
        bringers += usize::from(learned.is_new);
    }
    assert_eq!(bringers, 1);
}

pub async fn what_one_process_learns_the_others_can_read(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(there.load_health().await.unwrap(), []);
    for (step, what) in [
        open_breaker(60),
        CircuitState::Closed,
        CircuitState::Misconfigured {
            reason: "bad \0 word".to_owned(),
        },
    ]
    .into_iter()
    .enumerate()
    {
        let now = at(i64::try_from(step).unwrap());
        let news = HealthReport {
            cooldown_until: Some(at(99)),
            ..health_report(what.clone())
        };
        let after = report_and_load(&*here, news, now).await;
        let since = match &what {
            CircuitState::Misconfigured { .. } => at(0),
            _ => now,
        };
        assert_eq!((&after.circuit, after.since), (&what, since));
        assert_eq!(after.cooldown_until, Some(at(99)));
        assert_eq!(there.load_health().await.unwrap(), [after]);
    }
}

pub async fn news_that_change_nothing_are_no_change(open: Open<'_>) {
    let store = open();
    let first = report_and_load(&*store, health_report(open_breaker(60)), at(1)).await;
    assert_eq!(
        report_and_load(&*store, health_report(open_breaker(50)), at(2)).await,
        first
    );
    let silent = HealthReport {
        circuit: None,
        ..health_report(CircuitState::Closed)
    };
    assert_eq!(report_and_load(&*store, silent, at(3)).await, first);
}

pub async fn of_many_who_ask_one_makes_the_probe(open: Open<'_>) {
    let first = open();
    let nobody = first
        .acquire_probe(&name("red"), PROBE_TIMEOUT, at(0))
        .await
        .unwrap();
    assert_eq!(nobody, ProbeDecision::Denied(None));
    report_and_load(&*first, health_report(open_breaker(30)), at(0)).await;
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let store = open();
        askers.spawn(async move {
            store
                .acquire_probe(&name("red"), PROBE_TIMEOUT, at(30))
                .await
                .unwrap()
        });
    }
    let answers = askers.join_all().await;
    let yes = answers
        .iter()
        .filter(|answer| matches!(answer, ProbeDecision::Granted(_)));
    assert_eq!(yes.count(), 1, "{answers:?}");
    let again = first
        .acquire_probe(&name("red"), PROBE_TIMEOUT, at(89))
        .await
        .unwrap();
    assert!(matches!(again, ProbeDecision::Denied(Some(_))), "{again:?}");
    let after_a_death = first
        .acquire_probe(&name("red"), PROBE_TIMEOUT, at(90))
        .await
        .unwrap();
    assert!(
        matches!(after_a_death, ProbeDecision::Granted(_)),
        "{after_a_death:?}"
    );
    report_and_load(&*first, health_report(CircuitState::Closed), at(91)).await;
    let well = first
        .acquire_probe(&name("red"), PROBE_TIMEOUT, at(999))
        .await
        .unwrap();
    assert!(matches!(well, ProbeDecision::Denied(Some(_))), "{well:?}");
}

pub async fn wrong_settings_stay_known_until_they_were_mended(open: Open<'_>) {
    let store = open();
    let out = CircuitState::Misconfigured {
        reason: "no account".to_owned(),
    };
    let wrong = HealthReport {
        config_loaded_at: at(4),
        ..health_report(out.clone())
    };
    report_and_load(&*store, wrong, at(5)).await;
    assert_eq!(
        report_and_load(&*store, health_report(CircuitState::Closed), at(6))
            .await
            .circuit,
        out
    );
    let mended = HealthReport {
        config_loaded_at: at(7),
        ..health_report(CircuitState::Closed)
    };
    assert_eq!(
        report_and_load(&*store, mended, at(8)).await.circuit,
        CircuitState::Closed
    );
}

async fn try_acquire(store: &dyn Store, holder: &str, now: Timestamp) -> JobLockResult {
    store
        .acquire_job_lock(ScheduledJob::Report, holder, now, LOCK_DURATION)
        .await
        .unwrap()
}

fn current_holder(turn: JobLockResult) -> (String, bool) {
    match turn {
        JobLockResult::Acquired => panic!("it was free"),
        JobLockResult::Busy(owner) => (owner.process_name, owner.is_done),
    }
}

pub async fn of_many_who_ask_one_has_the_turn(open: Open<'_>) {
    let mut askers = tokio::task::JoinSet::new();
    for which in 0..6 {
        let store = open();
        askers.spawn(async move { try_acquire(&*store, &format!("host-{which}"), at(0)).await });
    }
    let answers = askers.join_all().await;
    let yes = answers
        .iter()
        .filter(|answer| **answer == JobLockResult::Acquired);
    assert_eq!(yes.count(), 1, "{answers:?}");
    let other = open()
        .acquire_job_lock(ScheduledJob::Prune, "host-9", at(0), LOCK_DURATION)
        .await;
    assert_eq!(other.unwrap(), JobLockResult::Acquired, "another task");
}

pub async fn a_turn_of_the_dead_ends_by_itself(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(try_acquire(&*here, "here", at(0)).await, JobLockResult::Acquired);
    assert_eq!(
        current_holder(try_acquire(&*there, "there", at(9)).await),
        ("here".to_owned(), false)
    );
    assert_eq!(
        try_acquire(&*there, "there", at(10)).await,
        JobLockResult::Acquired
    );
    assert!(
        !here
            .renew_job_lock(ScheduledJob::Report, "here", at(20))
            .await
            .unwrap()
    );
    here.release_job_lock(ScheduledJob::Report, "here", at(0))
        .await
        .unwrap();
    assert_eq!(
        current_holder(try_acquire(&*here, "here", at(11)).await),
        ("there".to_owned(), false)
    );
}

pub async fn a_turn_that_is_renewed_goes_on(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(try_acquire(&*here, "here", at(0)).await, JobLockResult::Acquired);
    assert!(
        here.renew_job_lock(ScheduledJob::Report, "here", at(18))
            .await
            .unwrap()
    );
    assert_eq!(
        current_holder(try_acquire(&*there, "there", at(17)).await),
        ("here".to_owned(), false)
    );
    here.release_job_lock(ScheduledJob::Report, "here", at(17))
        .await
        .unwrap();
    assert_eq!(
        try_acquire(&*there, "there", at(17)).await,
        JobLockResult::Acquired
    );
}

pub async fn a_turn_can_be_kept_when_the_work_is_done(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(try_acquire(&*here, "here", at(0)).await, JobLockResult::Acquired);
    here.release_job_lock(ScheduledJob::Report, "here", at(5))
        .await
        .unwrap();
    assert!(
        !here
            .renew_job_lock(ScheduledJob::Report, "here", at(50))
            .await
            .unwrap()
    );
    assert_eq!(
        current_holder(try_acquire(&*there, "there", at(4)).await),
        ("here".to_owned(), true)
    );
    assert_eq!(
        try_acquire(&*there, "there", at(5)).await,
        JobLockResult::Acquired
    );
    // A turn that no clock could have given is nobody's.
    there
        .renew_job_lock(ScheduledJob::Report, "there", at(9_999))
        .await
        .unwrap();
    assert_eq!(try_acquire(&*here, "here", at(6)).await, JobLockResult::Acquired);
}

fn provider_control(word: ControlAction, seconds: i64) -> ProviderControl {
    ProviderControl {
        provider: name("red"),
        action: word,
        requested_by: "boss".to_owned(),
        at: at(seconds),
    }
}

pub async fn the_last_word_on_a_provider_is_kept(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(there.provider_controls().await.unwrap(), []);
    for (step, word) in [ControlAction::Pause, ControlAction::Resume, ControlAction::Pause]
        .into_iter()
        .enumerate()
    {
        let order = provider_control(word, i64::try_from(step).unwrap());
        here.save_provider_control(order.clone()).await.unwrap();
        assert_eq!(there.provider_controls().await.unwrap(), [order]);
    }
    assert_eq!(here.load_health().await.unwrap(), [], "nothing was found out");
}

pub async fn who_is_woken_is_known_to_be_well(open: Open<'_>) {
    let store = open();
    let out = CircuitState::Misconfigured {
        reason: "no account".to_owned(),
    };
    for (step, what) in [open_breaker(60), out].into_iter().enumerate() {
        let now = i64::try_from(step).unwrap() * 10;
        let before = report_and_load(&*store, health_report(what), at(now + 1)).await;
        store
            .save_provider_control(provider_control(ControlAction::Pause, now + 2))
            .await
            .unwrap();
        assert_eq!(
            store.load_health().await.unwrap(),
            std::slice::from_ref(&before),
            "a rest is no finding"
        );
        store
            .save_provider_control(provider_control(ControlAction::Resume, now + 3))
            .await
            .unwrap();
        let known = store.load_health().await.unwrap().remove(0);
        assert_eq!(
            (&known.circuit, known.since),
            (&CircuitState::Closed, at(now + 3))
        );
        assert_eq!(known.version, before.version + 1);
    }
}
