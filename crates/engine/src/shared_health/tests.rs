//! Tests of the health that provider runtimes of several processes share.

use super::*;
use crate::testing::{GatewayBuilder, open_store};
use crate::{config::Config, gateway::ProviderRuntime};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::{attempt::Outcome, clock::Timestamp, clock::from_millis, id::MessageId};

/// Returns gateways on one store and one clock; their first provider has a rate of two parts a second.
async fn gateways(folder: &tempfile::TempDir, count: u64) -> Vec<Gateway> {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    started_gateways(folder, &clock, count).await
}

async fn started_gateways(folder: &tempfile::TempDir, clock: &Clock, count: u64) -> Vec<Gateway> {
    let store = open_store(folder.path());
    let mut gateways = Vec::new();
    for seed in 0..count {
        let mut config = Config::test_mode();
        config.providers[0].rate = Some(2.0);
        config.providers[1].breaker_failure_threshold = 1;
        let builder = GatewayBuilder::new(config).clock(clock).seed(seed);
        gateways.push(builder.wire(&store).await);
    }
    gateways
}

/// Returns the provider with a rate, and the one with a breaker that opens after its first failure.
fn first_two_providers(gateway: &Gateway) -> (&ProviderRuntime, &ProviderRuntime) {
    (&gateway.providers()[0], &gateway.providers()[1])
}

/// Completes two calls that were refused because of the account, which makes a new provider misconfigured.
fn refuse_account(runtime: &ProviderRuntime, now: Timestamp) {
    for call in 0..2 {
        let reason = format!("no account (call {call})");
        runtime.complete(&Outcome::Misconfigured { reason }.into(), None, now);
    }
}

fn unavailable_outcome() -> Outcome {
    let reason = "down".to_owned();
    Outcome::Unavailable { reason }
}

#[tokio::test]
async fn all_processes_together_keep_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 3).await;
    let mut acquired = 0;
    for _ in 0..10 {
        for gateway in &processes {
            acquired +=
                usize::from(first_two_providers(gateway).0.acquire(1, gateway.clock.now()).await.is_ok());
        }
        processes[0].clock.advance(Duration::from_millis(500));
    }
    assert_eq!(acquired, 1 + 9, "4.5 s at two a second after a burst of one");
}

#[tokio::test]
async fn an_open_breaker_is_shared_and_one_process_probes() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 3).await;
    let now = processes[0].clock.now();
    first_two_providers(&processes[0]).1.complete(&unavailable_outcome().into(), None, now);
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        assert!(!first_two_providers(gateway).1.is_available(now));
    }
    processes[0].clock.advance(processes[0].config.providers[1].breaker_open_duration);
    let later = processes[0].clock.now();
    let mut probes = 0;
    for gateway in processes.iter().rev() {
        probes += usize::from(first_two_providers(gateway).1.acquire(1, later).await.is_ok());
    }
    assert_eq!(probes, 1);
    // The last one probes and reports the result.
    let accepted = Outcome::Accepted { reference: None };
    first_two_providers(&processes[2]).1.complete(&accepted.into(), None, later);
    for gateway in processes.iter().rev() {
        sync_health(gateway).await.unwrap();
        assert!(first_two_providers(gateway).1.acquire(1, later).await.is_ok());
    }
}

#[tokio::test]
async fn after_a_cooldown_one_call_of_all_processes_probes() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 2).await;
    let (here, there) = (first_two_providers(&processes[0]).1, first_two_providers(&processes[1]).1);
    let throttled = || Outcome::Throttled { retry_after: None }.into();
    let mut calls = 0;
    let started_at = processes[0].clock.now();
    // Fifty messages wait all the time, and every call is throttled.
    while processes[0].clock.now() < started_at + Duration::from_secs(20) {
        let now = processes[0].clock.now();
        let mut permits = Vec::new();
        for runtime in [here, there].into_iter().cycle().take(50) {
            permits.extend(runtime.acquire(1, now).await.ok().map(|permit| (runtime, permit)));
        }
        calls += permits.len();
        for (runtime, permit) in permits {
            drop(permit);
            runtime.complete(&throttled(), None, now);
        }
        for gateway in &processes {
            sync_health(gateway).await.unwrap();
        }
        processes[0].clock.advance(Duration::from_millis(250));
    }
    assert!((50..=56).contains(&calls), "{calls} calls: fifty, and one after each growing cooldown");
    processes[0].clock.advance(Duration::from_secs(10));
    let now = processes[0].clock.now();
    let permit = here.acquire(1, now).await.unwrap();
    assert!(there.acquire(1, now).await.is_err(), "the probe is running");
    drop(permit);
    here.complete(&Outcome::Accepted { reference: None }.into(), None, now);
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        assert!(first_two_providers(gateway).1.acquire(1, now).await.is_ok());
    }
}

#[tokio::test]
async fn a_cooldown_applies_to_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 2).await;
    let now = processes[0].clock.now();
    let throttled = Outcome::Throttled { retry_after: Some(Duration::from_secs(7)) };
    first_two_providers(&processes[0]).1.complete(&throttled.into(), None, now);
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
    }
    let runtime = first_two_providers(&processes[1]).1;
    assert_eq!(runtime.unavailability(now).retry_after, Duration::from_secs(7));
    let status = runtime.status(now);
    assert_eq!((status.state, status.cooldown_until), ("cooldown", Some(now + Duration::from_secs(7))));
    assert!(runtime.is_available(now + Duration::from_secs(7)));
    let status = runtime.status(now + Duration::from_secs(7));
    assert_eq!((status.state, status.is_available), ("half_open", true));
    assert_eq!(status.detail, "the open period is over; the next message probes the provider");
}

#[tokio::test]
async fn a_retry_after_of_a_day_counts_a_quarter_of_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 1).await;
    let now = processes[0].clock.now();
    let throttled = Outcome::Throttled { retry_after: Some(Duration::from_secs(86_400)) };
    let runtime = first_two_providers(&processes[0]).1;
    runtime.complete(&throttled.into(), None, now);
    assert_eq!(runtime.status(now).cooldown_until, Some(now + Duration::from_secs(900)));
    assert!(runtime.is_available(now + Duration::from_secs(900)));
}

#[tokio::test]
async fn misconfigured_applies_to_all_processes_until_a_probe_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 2).await;
    let (here, there) = (first_two_providers(&processes[0]).1, first_two_providers(&processes[1]).1);
    let now = processes[0].clock.now();
    refuse_account(here, now);
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        assert_eq!(first_two_providers(gateway).1.status(now).state, "misconfigured");
    }
    let shared = processes[1].store.load_health().await.unwrap().remove(0);
    assert!(!shared.applies_to(now + Duration::from_secs(1), now), "a configuration that was loaded later");
    processes[0].clock.advance(processes[0].config.providers[1].breaker_open_duration);
    let later = processes[0].clock.now();
    assert!(there.acquire(1, later).await.is_ok());
    assert!(here.acquire(1, later).await.is_err(), "another process probes");
    there.complete(&Outcome::Accepted { reference: None }.into(), None, later);
    for gateway in processes.iter().rev() {
        sync_health(gateway).await.unwrap();
        assert_eq!(first_two_providers(gateway).1.status(later).state, "closed");
    }
}

#[tokio::test]
async fn one_403_or_404_after_twenty_successes_does_not_stop_a_provider() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 1).await;
    let runtime = first_two_providers(&processes[0]).0;
    let now = processes[0].clock.now();
    let accepted = || Outcome::Accepted { reference: None }.into();
    (0..20).for_each(|_| runtime.complete(&accepted(), None, now));
    let reason = "the provider refuses the account".to_owned();
    runtime.complete(&Outcome::Misconfigured { reason }.into(), None, now);
    assert_eq!(runtime.status(now).state, "closed");
    // One client's text is refused again and again while others are accepted.
    for round in 0..100 {
        let reason = "the provider refuses the account".to_owned();
        let message = MessageId::from_bytes([7; 16]);
        runtime.complete(&Outcome::Misconfigured { reason }.into(), Some(message), now);
        if round % 3 == 0 {
            (0..3).for_each(|_| runtime.complete(&accepted(), None, now));
        }
        assert_eq!(runtime.status(now).state, "closed", "round {round}");
    }
}

#[tokio::test]
async fn a_released_probe_can_be_made_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 2).await;
    let (here, there) = (first_two_providers(&processes[0]).1, first_two_providers(&processes[1]).1);
    here.complete(&unavailable_outcome().into(), None, processes[0].clock.now());
    processes[0].clock.advance(processes[0].config.providers[1].breaker_open_duration);
    let now = processes[0].clock.now();
    let permit = here.acquire(1, now).await.unwrap();
    sync_health(&processes[1]).await.unwrap();
    let busy = there.acquire(1, now).await.err().unwrap();
    assert!(busy.retry_after + busy.jitter_max >= Duration::from_secs(2), "{busy:?}");
    assert!(there.has_unknown_recovery(now));
    here.release(permit, now);
    assert_eq!(here.in_flight(), 0);
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
    }
    assert!(there.acquire(1, now).await.is_ok());
}

#[tokio::test]
async fn corrected_settings_are_not_affected_by_an_older_process() {
    let folder = tempfile::tempdir().unwrap();
    let old = gateways(&folder, 1).await;
    old[0].clock.advance(Duration::from_secs(60));
    let corrected = started_gateways(&folder, &old[0].clock, 1).await;
    let now = old[0].clock.now();
    refuse_account(first_two_providers(&old[0]).1, now);
    sync_health(&old[0]).await.unwrap();
    sync_health(&corrected[0]).await.unwrap();
    assert!(first_two_providers(&corrected[0]).1.is_available(now));
    assert!(!first_two_providers(&old[0]).1.is_available(now));
    // The old process finds the same again.
    refuse_account(first_two_providers(&old[0]).1, now);
    sync_health(&old[0]).await.unwrap();
    sync_health(&corrected[0]).await.unwrap();
    assert!(first_two_providers(&corrected[0]).1.acquire(1, now).await.is_ok());
}

#[tokio::test]
async fn a_misconfigured_provider_is_logged_once_by_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 3).await;
    let now = processes[0].clock.now();
    let mut new_reports = 0;
    for gateway in &processes {
        for call in 0..50 {
            let reason = format!("no account (call {call})");
            first_two_providers(gateway).1.complete(&Outcome::Misconfigured { reason }.into(), None, now);
        }
    }
    for gateway in &processes {
        let report = first_two_providers(gateway).1.unreported_health().into_iter().collect::<Vec<_>>();
        let responses = gateway.store.report_health(report, now).await.unwrap();
        new_reports += responses.iter().filter(|response| response.is_new).count();
    }
    assert_eq!(new_reports, 1);
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        assert_eq!(first_two_providers(gateway).1.unreported_health(), None);
        assert_eq!(first_two_providers(gateway).1.status(now).state, "misconfigured");
    }
}

async fn set_provider_control(gateway: &Gateway, action: ControlAction) {
    let control = ProviderControl {
        provider: first_two_providers(gateway).1.name.clone(),
        action,
        requested_by: "boss".to_owned(),
        at: gateway.clock.now(),
    };
    gateway.store.save_provider_control(control).await.unwrap();
}

#[tokio::test]
async fn a_pause_applies_to_all_processes_until_the_resume_whatever_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 3).await;
    set_provider_control(&processes[0], ControlAction::Pause).await;
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        let now = gateway.clock.now();
        // A call that started before succeeds.
        let accepted = Outcome::Accepted { reference: None };
        first_two_providers(gateway).1.complete(&accepted.into(), None, now);
        sync_health(gateway).await.unwrap();
        let busy = first_two_providers(gateway).1.acquire(1, now).await.err().unwrap();
        assert!(busy.reason.contains("paused by an operator"), "{busy:?}");
        let status = first_two_providers(gateway).1.status(now);
        assert!(status.is_paused && !status.is_available && status.detail.contains("boss"), "{status:?}");
        assert!(first_two_providers(gateway).1.has_unknown_recovery(now), "its deliveries are not claimed");
    }
    let later = started_gateways(&folder, &processes[0].clock, 1).await;
    sync_health(&later[0]).await.unwrap();
    assert!(
        !first_two_providers(&later[0]).1.is_available(later[0].clock.now()),
        "a process that starts later"
    );
    processes[0].clock.advance(Duration::from_secs(1));
    set_provider_control(&processes[1], ControlAction::Resume).await;
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        assert!(!first_two_providers(gateway).1.has_unknown_recovery(gateway.clock.now()));
        assert!(first_two_providers(gateway).1.acquire(1, gateway.clock.now()).await.is_ok());
    }
}

#[tokio::test]
async fn a_resume_resets_failures_and_misconfiguration() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 2).await;
    let misconfigured = || Outcome::Misconfigured { reason: "no account".to_owned() };
    for outcome in [unavailable_outcome(), misconfigured()] {
        let runtime = first_two_providers(&processes[0]).1;
        (0..5).for_each(|_| runtime.complete(&outcome.clone().into(), None, processes[0].clock.now()));
        for gateway in &processes {
            sync_health(gateway).await.unwrap();
            assert!(!first_two_providers(gateway).1.is_available(gateway.clock.now()));
        }
        processes[0].clock.advance(Duration::from_secs(1));
        set_provider_control(&processes[1], ControlAction::Resume).await;
        for gateway in processes.iter().rev() {
            sync_health(gateway).await.unwrap();
            assert!(first_two_providers(gateway).1.is_available(gateway.clock.now()));
        }
        processes[0].clock.advance(Duration::from_secs(1));
    }
    // Later failures count again, and a process that reads the resume later does not reset them.
    first_two_providers(&processes[0]).1.complete(
        &unavailable_outcome().into(),
        None,
        processes[0].clock.now(),
    );
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        assert!(!first_two_providers(gateway).1.is_available(gateway.clock.now()));
    }
    let later = started_gateways(&folder, &processes[0].clock, 1).await;
    sync_health(&later[0]).await.unwrap();
    assert!(!first_two_providers(&later[0]).1.is_available(later[0].clock.now()));
}

#[tokio::test]
async fn a_resume_ends_a_cooldown_in_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let processes = gateways(&folder, 2).await;
    let throttled = Outcome::Throttled { retry_after: Some(Duration::from_secs(86_400)) };
    first_two_providers(&processes[0]).0.complete(&throttled.into(), None, processes[0].clock.now());
    for gateway in &processes {
        sync_health(gateway).await.unwrap();
        let status = first_two_providers(gateway).0.status(gateway.clock.now());
        assert!(!status.is_available && status.can_resume(), "{status:?}");
        assert!(status.detail.starts_with("cooldown until "), "{status:?}");
    }
    processes[0].clock.advance(Duration::from_secs(1));
    let control = ProviderControl {
        provider: first_two_providers(&processes[0]).0.name.clone(),
        action: ControlAction::Resume,
        requested_by: "boss".to_owned(),
        at: processes[0].clock.now(),
    };
    processes[1].store.save_provider_control(control).await.unwrap();
    processes[0].clock.advance(Duration::from_secs(1));
    for gateway in processes.iter().chain(&processes) {
        sync_health(gateway).await.unwrap();
        let status = first_two_providers(gateway).0.status(gateway.clock.now());
        assert_eq!((status.state, status.is_available), ("closed", true), "{status:?}");
    }
    assert!(first_two_providers(&processes[1]).0.acquire(1, processes[0].clock.now()).await.is_ok());
}
