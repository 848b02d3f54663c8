//! What lanes of two processes on one store know of each other.

use super::*;
use crate::cache::{self, Sealed};
use crate::clock::from_millis;
use crate::config::Config;
use crate::dice::Dice;
use crate::domain::attempt::Outcome;
use crate::domain::order::{Order, Word};
use crate::gateway::{Edges, Lane, build_all};
use crate::{queue, store};

/// Processes on one store, by one clock, whose first provider takes two parts a second.
async fn processes(folder: &tempfile::TempDir, count: u64) -> Vec<Gateway> {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    started(folder, &clock, count).await
}

async fn started(folder: &tempfile::TempDir, clock: &Clock, count: u64) -> Vec<Gateway> {
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    let store = store::open(&url, store::LOCK_WAIT).unwrap();
    let mut processes = Vec::new();
    for seed in 0..count {
        let edges = Edges {
            clock: clock.clone(),
            dice: Dice::seeded(seed),
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
            queue: queue::open("memory:", 10).await.unwrap(),
            store: Arc::clone(&store),
        };
        let mut config = Config::sandbox();
        config.providers[0].rate = Some(2.0);
        config.providers[1].rest_after = 1;
        let adapters = build_all(&config, &edges.cache).unwrap();
        processes.push(Gateway::wire(config, edges, adapters));
    }
    processes
}

/// The lane with a rate, and the one that rests after its first failure.
fn lanes(gateway: &Gateway) -> (&Lane, &Lane) {
    (&gateway.lanes()[0], &gateway.lanes()[1])
}

fn down() -> Outcome {
    let reason = "down".to_owned();
    Outcome::Unavailable { reason }
}

#[tokio::test]
async fn together_they_keep_to_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 3).await;
    let mut entered = 0;
    for _ in 0..10 {
        for gateway in &all {
            entered += usize::from(lanes(gateway).0.enter(1, gateway.clock.now()).await.is_ok());
        }
        all[0].clock.advance(Duration::from_millis(500));
    }
    assert_eq!(entered, 2 + 9, "4.5 s at two a second after a burst of two");
}

#[tokio::test]
async fn a_rest_is_everybodys_and_one_makes_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 3).await;
    let now = all[0].clock.now();
    lanes(&all[0]).1.remember(&down().into(), now);
    for gateway in &all {
        exchange(gateway).await.unwrap();
        assert!(!lanes(gateway).1.is_fit(now));
    }
    all[0].clock.advance(all[0].config.providers[1].rest_for);
    let later = all[0].clock.now();
    let mut probes = 0;
    for gateway in all.iter().rev() {
        probes += usize::from(lanes(gateway).1.enter(1, later).await.is_ok());
    }
    assert_eq!(probes, 1);
    // The last one made it, and tells how it went.
    let accepted = Outcome::Accepted { reference: None };
    lanes(&all[2]).1.remember(&accepted.into(), later);
    for gateway in all.iter().rev() {
        exchange(gateway).await.unwrap();
        assert!(lanes(gateway).1.enter(1, later).await.is_ok());
    }
}

#[tokio::test]
async fn a_probe_that_is_told_to_slow_down_shows_that_the_provider_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 2).await;
    lanes(&all[0]).1.remember(&down().into(), all[0].clock.now());
    all[0].clock.advance(all[0].config.providers[1].rest_for);
    let now = all[0].clock.now();
    assert!(lanes(&all[0]).1.enter(1, now).await.is_ok());
    let throttled = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(1)),
    };
    lanes(&all[0]).1.remember(&throttled.into(), now);
    let later = now + Duration::from_secs(1);
    for gateway in &all {
        exchange(gateway).await.unwrap();
        assert!(!lanes(gateway).1.is_fit(now), "it is left alone as it asked");
        assert!(
            lanes(gateway).1.enter(1, later).await.is_ok(),
            "and then it is asked again"
        );
    }
}

#[tokio::test]
async fn a_pause_that_one_was_asked_for_holds_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 2).await;
    let now = all[0].clock.now();
    let throttled = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(7)),
    };
    lanes(&all[0]).1.remember(&throttled.into(), now);
    for gateway in &all {
        exchange(gateway).await.unwrap();
    }
    let lane = lanes(&all[1]).1;
    assert_eq!(lane.unfit(now).retry_after, Duration::from_secs(7));
    assert!(lane.is_fit(now + Duration::from_secs(7)));
}

#[tokio::test]
async fn wrong_settings_count_for_all_until_the_configuration_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 2).await;
    let now = all[0].clock.now();
    let reason = "no account".to_owned();
    lanes(&all[0])
        .1
        .remember(&Outcome::Misconfigured { reason }.into(), now);
    for gateway in &all {
        exchange(gateway).await.unwrap();
    }
    let later = now + Duration::from_secs(3_600);
    assert!(!lanes(&all[1]).1.is_fit(later));
    let known = all[1].store.standings().await.unwrap().remove(0);
    assert!(!known.counts_for(later, later));
}

#[tokio::test]
async fn a_probe_that_is_not_made_after_all_is_anothers_to_make() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 2).await;
    let (here, there) = (lanes(&all[0]).1, lanes(&all[1]).1);
    here.remember(&down().into(), all[0].clock.now());
    all[0].clock.advance(all[0].config.providers[1].rest_for);
    let now = all[0].clock.now();
    let place = here.enter(1, now).await.unwrap();
    exchange(&all[1]).await.unwrap();
    let busy = there.enter(1, now).await.err().unwrap();
    assert!(
        busy.retry_after + busy.spread >= Duration::from_secs(2),
        "{busy:?}"
    );
    assert!(there.is_awaited(now));
    here.leave(place, now);
    assert_eq!(here.in_flight(), 0);
    for gateway in &all {
        exchange(gateway).await.unwrap();
    }
    assert!(there.enter(1, now).await.is_ok());
}

#[tokio::test]
async fn settings_that_were_mended_before_an_older_process_found_them_wrong_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let old = processes(&folder, 1).await;
    old[0].clock.advance(Duration::from_secs(60));
    let mended = started(&folder, &old[0].clock, 1).await;
    let now = old[0].clock.now();
    let reason = "no account".to_owned();
    lanes(&old[0])
        .1
        .remember(&Outcome::Misconfigured { reason }.into(), now);
    exchange(&old[0]).await.unwrap();
    exchange(&mended[0]).await.unwrap();
    assert!(lanes(&mended[0]).1.is_fit(now));
    // The mended one tells how it does, which is no news for the old one's account.
    lanes(&mended[0]).1.remember(&down().into(), now);
    exchange(&mended[0]).await.unwrap();
    exchange(&old[0]).await.unwrap();
    let much_later = now + Duration::from_secs(3_600);
    assert!(!lanes(&old[0]).1.is_fit(much_later));
    assert!(lanes(&mended[0]).1.enter(1, much_later).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_refuses_us_is_told_of_once_however_many_found_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 3).await;
    let now = all[0].clock.now();
    let mut bringers = 0;
    for gateway in &all {
        for call in 0..50 {
            let reason = format!("no account (call {call})");
            lanes(gateway)
                .1
                .remember(&Outcome::Misconfigured { reason }.into(), now);
        }
    }
    for gateway in &all {
        let news = lanes(gateway).1.news().into_iter().collect::<Vec<_>>();
        let learned = gateway.store.tell(news, now).await.unwrap();
        bringers += learned.iter().filter(|learned| learned.is_news).count();
    }
    assert_eq!(bringers, 1);
    for gateway in &all {
        exchange(gateway).await.unwrap();
        assert_eq!(lanes(gateway).1.news(), None);
        assert_eq!(lanes(gateway).1.view(now).health, "out");
    }
}

async fn order(gateway: &Gateway, word: Word) {
    let order = Order {
        provider: lanes(gateway).1.name.clone(),
        word,
        by: "boss".to_owned(),
        at: gateway.clock.now(),
    };
    gateway.store.order(order).await.unwrap();
}

#[tokio::test]
async fn who_is_put_to_rest_stays_so_for_all_until_woken_however_well_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 3).await;
    order(&all[0], Word::Rest).await;
    for gateway in &all {
        exchange(gateway).await.unwrap();
        let now = gateway.clock.now();
        // A call from before goes well.
        let accepted = Outcome::Accepted { reference: None };
        lanes(gateway).1.remember(&accepted.into(), now);
        exchange(gateway).await.unwrap();
        let busy = lanes(gateway).1.enter(1, now).await.err().unwrap();
        assert!(busy.reason.contains("put to rest by an operator"), "{busy:?}");
        let view = lanes(gateway).1.view(now);
        assert!(
            view.put_to_rest && !view.open && view.detail.contains("boss"),
            "{view:?}"
        );
        assert!(
            lanes(gateway).1.is_awaited(now),
            "what waits for it is left alone"
        );
    }
    let later = started(&folder, &all[0].clock, 1).await;
    exchange(&later[0]).await.unwrap();
    assert!(
        !lanes(&later[0]).1.is_fit(later[0].clock.now()),
        "a process that starts later"
    );
    all[0].clock.advance(Duration::from_secs(1));
    order(&all[1], Word::Wake).await;
    for gateway in &all {
        exchange(gateway).await.unwrap();
        assert!(!lanes(gateway).1.is_awaited(gateway.clock.now()));
        assert!(lanes(gateway).1.enter(1, gateway.clock.now()).await.is_ok());
    }
}

#[tokio::test]
async fn to_be_woken_ends_what_failures_and_wrong_settings_began() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 2).await;
    let wrong = || Outcome::Misconfigured {
        reason: "no account".to_owned(),
    };
    for trouble in [down(), wrong()] {
        lanes(&all[0]).1.remember(&trouble.into(), all[0].clock.now());
        for gateway in &all {
            exchange(gateway).await.unwrap();
            assert!(!lanes(gateway).1.is_fit(gateway.clock.now()));
        }
        all[0].clock.advance(Duration::from_secs(1));
        order(&all[1], Word::Wake).await;
        for gateway in all.iter().rev() {
            exchange(gateway).await.unwrap();
            assert!(lanes(gateway).1.is_fit(gateway.clock.now()));
        }
        all[0].clock.advance(Duration::from_secs(1));
    }
    // What is found out afterwards counts again, and the old word does not wake anybody who reads it later.
    lanes(&all[0]).1.remember(&down().into(), all[0].clock.now());
    for gateway in &all {
        exchange(gateway).await.unwrap();
        assert!(!lanes(gateway).1.is_fit(gateway.clock.now()));
    }
    let later = started(&folder, &all[0].clock, 1).await;
    exchange(&later[0]).await.unwrap();
    assert!(!lanes(&later[0]).1.is_fit(later[0].clock.now()));
}

#[tokio::test]
async fn a_pause_that_the_provider_asked_for_is_not_ended_by_waking_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = processes(&folder, 2).await;
    let throttled = Outcome::Throttled {
        retry_after: Some(Duration::from_secs(60)),
    };
    lanes(&all[0]).1.remember(&throttled.into(), all[0].clock.now());
    exchange(&all[0]).await.unwrap();
    order(&all[1], Word::Wake).await;
    for gateway in all.iter().chain(&all) {
        exchange(gateway).await.unwrap();
        let view = lanes(gateway).1.view(gateway.clock.now());
        assert!(!view.open && !view.can_be_woken(), "{view:?}");
        assert!(view.detail.contains("asked us to slow down"), "{view:?}");
    }
}
