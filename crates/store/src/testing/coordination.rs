//! Conformance tests of coordination: time, rate limits, provider health and control, job locks.

use std::time::Duration;

use super::fixtures::*;
use crate::{ProbeDecision, Store};
use postrider_core::circuit_breaker::{CircuitState, ProbeUrgency};
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::shared_health::{HealthReport, SharedHealth};
use postrider_core::{
    clock::Timestamp,
    rate_limit::{RateLimitRequest, burst_parts},
};

const LOCK_DURATION: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

fn rate_request(rate: f64, parts: &[u32]) -> RateLimitRequest {
    let burst = burst_parts(rate, 1.0);
    RateLimitRequest { provider: name("red"), rate, burst, parts: parts.to_vec(), cooldown_until: None }
}

async fn count_allowed(store: &dyn Store, rate: f64, call_count: usize, now: Timestamp) -> usize {
    let permits = store.acquire_rate_permits(rate_request(rate, &vec![1; call_count]), now).await.unwrap();
    assert_eq!(permits.len(), call_count);
    permits.iter().filter(|permit| permit.is_ok()).count()
}

pub async fn the_time_of_the_store_advances(open: OpenStore<'_>) {
    let store = open();
    let first_time = store.current_time().await.unwrap();
    let later_time = store.current_time().await.unwrap();
    assert!(later_time >= first_time, "{first_time} {later_time}");
    assert!(first_time > at(0), "{first_time}");
}

pub async fn all_processes_together_stay_within_the_rate(open: OpenStore<'_>) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = open();
        tasks.spawn(async move {
            let mut permitted_calls = 0;
            for tenth in 0..20 {
                permitted_calls +=
                    count_allowed(&*store, 10.0, 3, at(0) + Duration::from_millis(100 * tenth)).await;
            }
            permitted_calls
        });
    }
    let permitted_calls = tasks.join_all().await.into_iter().sum::<usize>();
    assert!((19..=29).contains(&permitted_calls), "{permitted_calls} in 1.9 s at 10 a second");
}

pub async fn a_rate_limiter_never_goes_back_in_time(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(count_allowed(&*first_store, 2.0, 5, at(30)).await, 2);
    assert_eq!(count_allowed(&*second_store, 2.0, 5, at(10)).await, 0);
    assert_eq!(count_allowed(&*first_store, 2.0, 5, at(30)).await, 0);
    assert_eq!(count_allowed(&*second_store, 2.0, 5, at(31)).await, 2);
}

pub async fn each_rejected_call_gets_its_own_send_time(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(count_allowed(&*first_store, 2.0, 2, at(0)).await, 2);
    let mut delays = Vec::new();
    for store in [&first_store, &second_store, &first_store] {
        delays.extend(store.acquire_rate_permits(rate_request(2.0, &[1, 2]), at(0)).await.unwrap());
    }
    let delays = delays.into_iter().map(|delay| delay.unwrap_err().as_millis());
    assert_eq!(delays.collect::<Vec<_>>(), [500, 1000, 2000, 2500, 3500, 4000]);
}

fn health_report(circuit: CircuitState) -> HealthReport {
    HealthReport {
        provider: name("red"),
        circuit: Some(circuit),
        cooldown_until: None,
        config_loaded_at: at(0),
    }
}

fn open_breaker(until: i64) -> CircuitState {
    CircuitState::Open { until: at(until), backoff_factor: 2 }
}

fn misconfigured(reason: &str) -> CircuitState {
    CircuitState::Misconfigured { reason: reason.to_owned(), until: at(30), backoff_factor: 1 }
}

async fn report_and_load(store: &dyn Store, report: HealthReport, now: Timestamp) -> SharedHealth {
    store.report_health(vec![report], now).await.unwrap().remove(0).shared
}

pub async fn one_of_several_equal_reports_is_new(open: OpenStore<'_>) {
    let stores = [open(), open(), open()];
    let mut new_reports = 0;
    for store in &stores {
        let misconfigured = misconfigured("no account");
        let reported =
            store.report_health(vec![health_report(misconfigured)], at(1)).await.unwrap().remove(0);
        new_reports += usize::from(reported.is_new);
    }
    assert_eq!(new_reports, 1);
}

pub async fn reported_health_is_visible_to_all_processes(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(second_store.load_health().await.unwrap(), []);
    for (second, circuit) in
        [open_breaker(60), CircuitState::Closed, misconfigured("bad \0 word")].into_iter().enumerate()
    {
        let now = at(i64::try_from(second).unwrap());
        let report = HealthReport { cooldown_until: Some(at(99)), ..health_report(circuit.clone()) };
        let reported_health = report_and_load(&*first_store, report, now).await;
        let since = match &circuit {
            CircuitState::Misconfigured { .. } => at(0),
            _ => now,
        };
        assert_eq!((&reported_health.circuit, reported_health.since), (&circuit, since));
        assert_eq!(reported_health.cooldown_until, Some(at(99)));
        assert_eq!(second_store.load_health().await.unwrap(), [reported_health]);
    }
}

pub async fn a_report_without_news_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    let first_health = report_and_load(&*store, health_report(open_breaker(60)), at(1)).await;
    assert_eq!(report_and_load(&*store, health_report(open_breaker(50)), at(2)).await, first_health);
    let without_circuit = HealthReport { circuit: None, ..health_report(CircuitState::Closed) };
    assert_eq!(report_and_load(&*store, without_circuit, at(3)).await, first_health);
}

/// Requests the probe of `red` after its open period.
async fn acquire_probe(store: &dyn Store, now: Timestamp) -> ProbeDecision {
    store.acquire_probe(&name("red"), ProbeUrgency::AfterOpenPeriod, PROBE_TIMEOUT, now).await.unwrap()
}

pub async fn one_of_many_processes_gets_the_probe(open: OpenStore<'_>) {
    let first_store = open();
    assert_eq!(acquire_probe(&*first_store, at(0)).await, ProbeDecision::Denied(None));
    report_and_load(&*first_store, health_report(open_breaker(30)), at(0)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let store = open();
        tasks.spawn(async move { acquire_probe(&*store, at(30)).await });
    }
    let decisions = tasks.join_all().await;
    let granted = decisions.iter().filter(|decision| matches!(decision, ProbeDecision::Granted(_)));
    assert_eq!(granted.count(), 1, "{decisions:?}");
    let during_probe = acquire_probe(&*first_store, at(89)).await;
    assert!(matches!(during_probe, ProbeDecision::Denied(Some(_))), "{during_probe:?}");
    let after_timeout = acquire_probe(&*first_store, at(90)).await;
    assert!(matches!(after_timeout, ProbeDecision::Granted(_)), "{after_timeout:?}");
    report_and_load(&*first_store, health_report(CircuitState::Closed), at(91)).await;
    let when_closed = acquire_probe(&*first_store, at(999)).await;
    assert!(matches!(when_closed, ProbeDecision::Denied(Some(_))), "{when_closed:?}");
}

pub async fn one_process_gets_a_probe_before_the_end_of_the_open_period(open: OpenStore<'_>) {
    let store = open();
    report_and_load(&*store, health_report(open_breaker(240)), at(0)).await;
    assert!(matches!(acquire_probe(&*store, at(9)).await, ProbeDecision::Denied(Some(_))));
    let red = name("red");
    let before_expiry = || store.acquire_probe(&red, ProbeUrgency::BeforeExpiry, PROBE_TIMEOUT, at(10));
    assert!(matches!(before_expiry().await.unwrap(), ProbeDecision::Granted(_)));
    assert!(matches!(before_expiry().await.unwrap(), ProbeDecision::Denied(Some(_))));
}

pub async fn misconfigured_ends_with_a_newer_configuration(open: OpenStore<'_>) {
    let store = open();
    let misconfigured = misconfigured("no account");
    let misconfigured_report =
        HealthReport { config_loaded_at: at(4), ..health_report(misconfigured.clone()) };
    report_and_load(&*store, misconfigured_report, at(5)).await;
    assert_eq!(report_and_load(&*store, health_report(open_breaker(60)), at(6)).await.circuit, misconfigured);
    let corrected_report = HealthReport { config_loaded_at: at(7), ..health_report(CircuitState::Closed) };
    assert_eq!(report_and_load(&*store, corrected_report, at(8)).await.circuit, CircuitState::Closed);
}

pub async fn misconfigured_ends_with_a_successful_probe(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    report_and_load(&*first_store, health_report(misconfigured("no account")), at(1)).await;
    let too_early = acquire_probe(&*second_store, at(29)).await;
    assert!(matches!(too_early, ProbeDecision::Denied(Some(_))), "{too_early:?}");
    let due = acquire_probe(&*second_store, at(30)).await;
    assert!(matches!(due, ProbeDecision::Granted(_)), "{due:?}");
    report_and_load(&*second_store, health_report(CircuitState::Closed), at(31)).await;
    assert_eq!(first_store.load_health().await.unwrap()[0].circuit, CircuitState::Closed);
}

async fn try_acquire(store: &dyn Store, holder: &str, now: Timestamp) -> JobLockResult {
    store.acquire_job_lock(ScheduledJob::Report, holder, now, LOCK_DURATION).await.unwrap()
}

fn current_holder(result: JobLockResult) -> (String, bool) {
    match result {
        JobLockResult::Acquired => panic!("the lock was free"),
        JobLockResult::Busy(owner) => (owner.process_name, owner.is_done),
    }
}

pub async fn one_of_many_processes_gets_the_job_lock(open: OpenStore<'_>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..6 {
        let store = open();
        tasks.spawn(async move { try_acquire(&*store, &format!("host-{number}"), at(0)).await });
    }
    let results = tasks.join_all().await;
    let granted = results.iter().filter(|result| **result == JobLockResult::Acquired);
    assert_eq!(granted.count(), 1, "{results:?}");
    let prune_lock = open().acquire_job_lock(ScheduledJob::Prune, "host-9", at(0), LOCK_DURATION).await;
    assert_eq!(prune_lock.unwrap(), JobLockResult::Acquired, "another job");
}

pub async fn a_job_lock_expires(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(try_acquire(&*first_store, "here", at(0)).await, JobLockResult::Acquired);
    assert_eq!(current_holder(try_acquire(&*second_store, "there", at(9)).await), ("here".to_owned(), false));
    assert_eq!(try_acquire(&*second_store, "there", at(10)).await, JobLockResult::Acquired);
    assert!(!first_store.renew_job_lock(ScheduledJob::Report, "here", at(20)).await.unwrap());
    first_store.release_job_lock(ScheduledJob::Report, "here", at(0)).await.unwrap();
    assert_eq!(current_holder(try_acquire(&*first_store, "here", at(11)).await), ("there".to_owned(), false));
}

pub async fn a_renewed_job_lock_lasts_longer(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(try_acquire(&*first_store, "here", at(0)).await, JobLockResult::Acquired);
    assert!(first_store.renew_job_lock(ScheduledJob::Report, "here", at(18)).await.unwrap());
    assert_eq!(
        current_holder(try_acquire(&*second_store, "there", at(17)).await),
        ("here".to_owned(), false)
    );
    first_store.release_job_lock(ScheduledJob::Report, "here", at(17)).await.unwrap();
    assert_eq!(try_acquire(&*second_store, "there", at(17)).await, JobLockResult::Acquired);
}

pub async fn a_released_job_lock_can_stay_busy(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(try_acquire(&*first_store, "here", at(0)).await, JobLockResult::Acquired);
    first_store.release_job_lock(ScheduledJob::Report, "here", at(5)).await.unwrap();
    assert!(!first_store.renew_job_lock(ScheduledJob::Report, "here", at(50)).await.unwrap());
    assert_eq!(current_holder(try_acquire(&*second_store, "there", at(4)).await), ("here".to_owned(), true));
    assert_eq!(try_acquire(&*second_store, "there", at(5)).await, JobLockResult::Acquired);
    // A lock that expires later than any lease can was set by a wrong clock and is free.
    second_store.renew_job_lock(ScheduledJob::Report, "there", at(9_999)).await.unwrap();
    assert_eq!(try_acquire(&*first_store, "here", at(6)).await, JobLockResult::Acquired);
}

fn provider_control(action: ControlAction, seconds: i64) -> ProviderControl {
    ProviderControl { provider: name("red"), action, requested_by: "boss".to_owned(), at: at(seconds) }
}

pub async fn the_last_provider_control_is_kept(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(second_store.provider_controls().await.unwrap(), []);
    for (second, action) in
        [ControlAction::Pause, ControlAction::Resume, ControlAction::Pause].into_iter().enumerate()
    {
        let control = provider_control(action, i64::try_from(second).unwrap());
        first_store.save_provider_control(control.clone()).await.unwrap();
        assert_eq!(second_store.provider_controls().await.unwrap(), [control]);
    }
    assert_eq!(first_store.load_health().await.unwrap(), [], "a control is not a health report");
}

pub async fn resuming_closes_the_circuit_breaker(open: OpenStore<'_>) {
    let store = open();
    for (step, circuit) in [open_breaker(60), misconfigured("no account")].into_iter().enumerate() {
        let now = i64::try_from(step).unwrap() * 10;
        let paused_health = report_and_load(&*store, health_report(circuit), at(now + 1)).await;
        store.save_provider_control(provider_control(ControlAction::Pause, now + 2)).await.unwrap();
        assert_eq!(
            store.load_health().await.unwrap(),
            std::slice::from_ref(&paused_health),
            "pausing changes no health"
        );
        store.save_provider_control(provider_control(ControlAction::Resume, now + 3)).await.unwrap();
        let resumed_health = store.load_health().await.unwrap().remove(0);
        assert_eq!((&resumed_health.circuit, resumed_health.since), (&CircuitState::Closed, at(now + 3)));
        assert_eq!(resumed_health.version, paused_health.version + 1);
    }
}

pub async fn resuming_ends_the_cooldown(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    let cooldown = HealthReport { cooldown_until: Some(at(60)), ..health_report(CircuitState::Closed) };
    report_and_load(&*first_store, cooldown, at(1)).await;
    let throttled = RateLimitRequest { cooldown_until: Some(at(60)), ..rate_request(10.0, &[1]) };
    let permits = first_store.acquire_rate_permits(throttled, at(1)).await.unwrap();
    assert_eq!(permits, [Err(Duration::from_secs(59))]);
    second_store.save_provider_control(provider_control(ControlAction::Resume, 2)).await.unwrap();
    assert_eq!(first_store.load_health().await.unwrap()[0].cooldown_until, None);
    let permits = first_store.acquire_rate_permits(rate_request(10.0, &[1]), at(3)).await.unwrap();
    assert_eq!(permits, [Ok(())]);
}

pub async fn a_small_burst_limits_the_parts_of_a_second(open: OpenStore<'_>) {
    let store = open();
    let request = || RateLimitRequest { burst: burst_parts(10.0, 0.05), ..rate_request(10.0, &[1; 40]) };
    let permits = store.acquire_rate_permits(request(), at(0)).await.unwrap();
    assert_eq!(permits.iter().filter(|permit| permit.is_ok()).count(), 1);
    assert_eq!(permits[10], Err(Duration::from_secs(1)), "ten more in the next second");
}

pub async fn ended_sessions_are_counted_by_key_for_all_processes(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    assert_eq!(first_store.session_generation("shop").await.unwrap(), 0);
    first_store.end_sessions("shop").await.unwrap();
    second_store.end_sessions("shop").await.unwrap();
    assert_eq!(first_store.session_generation("shop").await.unwrap(), 2);
    assert_eq!(second_store.session_generation("shop's").await.unwrap(), 0);
}
