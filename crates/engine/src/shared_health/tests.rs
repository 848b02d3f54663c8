//! Tests of the health that provider runtimes of several processes share.

use super::*;
use crate::config::Config;
use crate::gateway::{Backends, ProviderRuntime, build_providers};
use postrider_cache::SignedCache;
use postrider_core::attempt::Outcome;
use postrider_core::clock::from_millis;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::random::Random;

/// Returns gateways on one store and one clock, whose first provider has a rate of two parts a second.
async fn gateways(folder: &tempfile::TempDir, count: u64) -> Vec<Gateway> {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    started_gateways(folder, &clock, count).await
}

async fn started_gateways(folder: &tempfile::TempDir, clock: &Clock, count: u64) -> Vec<Gateway> {
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap();
    let mut processes = Vec::new();
    for seed in 0..count {
        let edges = Backends {
            clock: clock.clone(),
            random: Random::seeded(seed),
            cache: SignedCache::new(
                postrider_cache::open("memory:").unwrap(),
                store.store_secret().await.unwrap(),
            ),
            queue: postrider_queue::open("memory:", 10).await.unwrap(),
            store: Arc::clone(&store),
        };
        let mut config = Config::test_mode();
        config.providers[0].rate = Some(2.0);
        config.providers[1].breaker_failure_threshold = 1;
        let adapters = build_providers(&config, &edges.cache).unwrap();
        processes.push(Gateway::wire(config, edges, adapters));
    }
    processes
}

/// Returns the provider with a rate, and the one whose breaker opens after its first failure.
fn first_two_providers(gateway: &Gateway) -> (&ProviderRuntime, &ProviderRuntime) {
    (&gateway.providers()[0], &gateway.providers()[1])
}

fn unavailable_outcome() -> Outcome {
    let reason = "down".to_owned();
    Outcome::Unavailable { reason }
}

#[tokio::test]
async fn together_they_keep_to_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 3).await;
    let mut entered = 0;
    for _ in 0..10 {
        for gateway in &all {
            entered += usize::from(
                first_two_providers(gateway)
                    .0
                    .acquire(1, gateway.clock.now())
                    .await
                    .is_ok(),
            );
        }
        all[0].clock.advance(Duration::from_millis(500));
    }
    assert_eq!(entered, 2 + 9, "4.5 s at two a second after a burst of two");
}

#[tokio::test]
async fn a_rest_is_everybodys_and_one_makes_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 3).await;
    let now = all[0].clock.now();
    first_two_providers(&all[0])
        .1
        .complete(&unavailable_outcome().into(), now);
    for gateway in &all {
        sync_health(gateway).await.unwrap();
        assert!(!first_two_providers(gateway).1.is_available(now));
    }
    all[0]
        .clock
        .advance(all[0].config.providers[1].breaker_open_duration);
    let later = all[0].clock.now();
    let mut probes = 0;
    for gateway in all.iter().rev() {
        probes += usize::from(first_two_providers(gateway).1.acquire(1, later).await.is_ok());
    }
    assert_eq!(probes, 1);
    // The last one probes and reports the result.
    let accepted = Outcome::Accepted { reference: None };
    first_two_providers(&all[2]).1.complete(&accepted.into(), later);
    for gateway in all.iter().rev() {
        sync_health(gateway).await.unwrap();
        assert!(first_two_providers(gateway).1.acquire(1, later).await.is_ok());
    }
}

#[tokio::test]
async fn a_probe_that_is_told_to_slow_down_shows_that_the_provider_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 2).await;
    first_two_providers(&all[0])
        .1
        .complete(&unavailable_outcome().into(), all[0].clock.now());
    all[0]
        .clock
        .advance(all[0].config.providers[1].breaker_open_duration);
    let now = all[0].clock.now();
    assert!(first_two_providers(&all[0]).1.acquire(1, now).await.is_ok());
    let throttled = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(1)),
    };
    first_two_providers(&all[0]).1.complete(&throttled.into(), now);
    let later = now + Duration::from_secs(1);
    for gateway in &all {
        sync_health(gateway).await.unwrap();
        assert!(
            !first_two_providers(gateway).1.is_available(now),
            "it is left alone as it asked"
        );
        assert!(
            first_two_providers(gateway).1.acquire(1, later).await.is_ok(),
            "and then it is asked again"
        );
    }
}

#[tokio::test]
async fn a_pause_that_one_was_asked_for_holds_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 2).await;
    let now = all[0].clock.now();
    let throttled = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(7)),
    };
    first_two_providers(&all[0]).1.complete(&throttled.into(), now);
    for gateway in &all {
        sync_health(gateway).await.unwrap();
    }
    let lane = first_two_providers(&all[1]).1;
    assert_eq!(lane.unavailability(now).retry_after, Duration::from_secs(7));
    assert!(lane.is_available(now + Duration::from_secs(7)));
}

#[tokio::test]
async fn wrong_settings_count_for_all_until_the_configuration_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 2).await;
    let now = all[0].clock.now();
    let reason = "no account".to_owned();
    first_two_providers(&all[0])
        .1
        .complete(&Outcome::Misconfigured { reason }.into(), now);
    for gateway in &all {
        sync_health(gateway).await.unwrap();
    }
    let later = now + Duration::from_secs(3_600);
    assert!(!first_two_providers(&all[1]).1.is_available(later));
    let known = all[1].store.load_health().await.unwrap().remove(0);
    assert!(!known.applies_to(later, later));
}

#[tokio::test]
async fn a_probe_that_is_not_made_after_all_is_anothers_to_make() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 2).await;
    let (here, there) = (first_two_providers(&all[0]).1, first_two_providers(&all[1]).1);
    here.complete(&unavailable_outcome().into(), all[0].clock.now());
    all[0]
        .clock
        .advance(all[0].config.providers[1].breaker_open_duration);
    let now = all[0].clock.now();
    let place = here.acquire(1, now).await.unwrap();
    sync_health(&all[1]).await.unwrap();
    let busy = there.acquire(1, now).await.err().unwrap();
    assert!(
        busy.retry_after + busy.jitter_max >= Duration::from_secs(2),
        "{busy:?}"
    );
    assert!(there.has_unknown_recovery(now));
    here.release(place, now);
    assert_eq!(here.in_flight(), 0);
    for gateway in &all {
        sync_health(gateway).await.unwrap();
    }
    assert!(there.acquire(1, now).await.is_ok());
}

#[tokio::test]
async fn settings_that_were_mended_before_an_older_process_found_them_wrong_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let old = gateways(&folder, 1).await;
    old[0].clock.advance(Duration::from_secs(60));
    let mended = started_gateways(&folder, &old[0].clock, 1).await;
    let now = old[0].clock.now();
    let reason = "no account".to_owned();
    first_two_providers(&old[0])
        .1
        .complete(&Outcome::Misconfigured { reason }.into(), now);
    sync_health(&old[0]).await.unwrap();
    sync_health(&mended[0]).await.unwrap();
    assert!(first_two_providers(&mended[0]).1.is_available(now));
    // The health of the corrected account does not apply to the old one.
    first_two_providers(&mended[0])
        .1
        .complete(&unavailable_outcome().into(), now);
    sync_health(&mended[0]).await.unwrap();
    sync_health(&old[0]).await.unwrap();
    let much_later = now + Duration::from_secs(3_600);
    assert!(!first_two_providers(&old[0]).1.is_available(much_later));
    assert!(
        first_two_providers(&mended[0])
            .1
            .acquire(1, much_later)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_provider_that_refuses_us_is_told_of_once_however_many_found_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 3).await;
    let now = all[0].clock.now();
    let mut bringers = 0;
    for gateway in &all {
        for call in 0..50 {
            let reason = format!("no account (call {call})");
            first_two_providers(gateway)
                .1
                .complete(&Outcome::Misconfigured { reason }.into(), now);
        }
    }
    for gateway in &all {
        let news = first_two_providers(gateway)
            .1
            .unreported_health()
            .into_iter()
            .collect::<Vec<_>>();
        let learned = gateway.store.report_health(news, now).await.unwrap();
        bringers += learned.iter().filter(|learned| learned.is_new).count();
    }
    assert_eq!(bringers, 1);
    for gateway in &all {
        sync_health(gateway).await.unwrap();
        assert_eq!(first_two_providers(gateway).1.unreported_health(), None);
        assert_eq!(first_two_providers(gateway).1.status(now).state, "misconfigured");
    }
}

async fn set_provider_control(gateway: &Gateway, word: ControlAction) {
    let order = ProviderControl {
        provider: first_two_providers(gateway).1.name.clone(),
        action: word,
        requested_by: "boss".to_owned(),
        at: gateway.clock.now(),
    };
    gateway.store.save_provider_control(order).await.unwrap();
}

#[tokio::test]
async fn who_is_put_to_rest_stays_so_for_all_until_woken_however_well_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 3).await;
    set_provider_control(&all[0], ControlAction::Pause).await;
    for gateway in &all {
        sync_health(gateway).await.unwrap();
        let now = gateway.clock.now();
        // A call that started before succeeds.
        let accepted = Outcome::Accepted { reference: None };
        first_two_providers(gateway).1.complete(&accepted.into(), now);
        sync_health(gateway).await.unwrap();
        let busy = first_two_providers(gateway)
            .1
            .acquire(1, now)
            .await
            .err()
            .unwrap();
        assert!(busy.reason.contains("put to rest by an operator"), "{busy:?}");
        let view = first_two_providers(gateway).1.status(now);
        assert!(
            view.is_paused && !view.is_available && view.detail.contains("boss"),
            "{view:?}"
        );
        assert!(
            first_two_providers(gateway).1.has_unknown_recovery(now),
            "what waits for it is left alone"
        );
    }
    let later = started_gateways(&folder, &all[0].clock, 1).await;
    sync_health(&later[0]).await.unwrap();
    assert!(
        !first_two_providers(&later[0])
            .1
            .is_available(later[0].clock.now()),
        "a process that starts later"
    );
    all[0].clock.advance(Duration::from_secs(1));
    set_provider_control(&all[1], ControlAction::Resume).await;
    for gateway in &all {
        sync_health(gateway).await.unwrap();
        assert!(
            !first_two_providers(gateway)
                .1
                .has_unknown_recovery(gateway.clock.now())
        );
        assert!(
            first_two_providers(gateway)
                .1
                .acquire(1, gateway.clock.now())
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn to_be_woken_ends_what_failures_and_wrong_settings_began() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 2).await;
    let wrong = || Outcome::Misconfigured {
        reason: "no account".to_owned(),
    };
    for trouble in [unavailable_outcome(), wrong()] {
        first_two_providers(&all[0])
            .1
            .complete(&trouble.into(), all[0].clock.now());
        for gateway in &all {
            sync_health(gateway).await.unwrap();
            assert!(!first_two_providers(gateway).1.is_available(gateway.clock.now()));
        }
        all[0].clock.advance(Duration::from_secs(1));
        set_provider_control(&all[1], ControlAction::Resume).await;
        for gateway in all.iter().rev() {
            sync_health(gateway).await.unwrap();
            assert!(first_two_providers(gateway).1.is_available(gateway.clock.now()));
        }
        all[0].clock.advance(Duration::from_secs(1));
    }
    // Later failures count again, and a process that reads the resume later does not reset them.
    first_two_providers(&all[0])
        .1
        .complete(&unavailable_outcome().into(), all[0].clock.now());
    for gateway in &all {
        sync_health(gateway).await.unwrap();
        assert!(!first_two_providers(gateway).1.is_available(gateway.clock.now()));
    }
    let later = started_gateways(&folder, &all[0].clock, 1).await;
    sync_health(&later[0]).await.unwrap();
    assert!(
        !first_two_providers(&later[0])
            .1
            .is_available(later[0].clock.now())
    );
}

#[tokio::test]
async fn a_pause_that_the_provider_asked_for_is_not_ended_by_waking_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = gateways(&folder, 2).await;
    let throttled = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(60)),
    };
    first_two_providers(&all[0])
        .1
        .complete(&throttled.into(), all[0].clock.now());
    sync_health(&all[0]).await.unwrap();
    set_provider_control(&all[1], ControlAction::Resume).await;
    for gateway in all.iter().chain(&all) {
        sync_health(gateway).await.unwrap();
        let view = first_two_providers(gateway).1.status(gateway.clock.now());
        assert!(!view.is_available && !view.can_resume(), "{view:?}");
        assert!(view.detail.contains("asked us to slow down"), "{view:?}");
    }
}
