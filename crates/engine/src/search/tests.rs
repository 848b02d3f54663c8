//! Tests of searches and their limits.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::accept::{self, AcceptRequest};
use crate::config::Config;
use crate::deliver::{self, DeliverStep};
use crate::gateway::{Backends, build_providers};
use postrider_cache::SignedCache;
use postrider_core::clock::{Clock, from_millis};
use postrider_core::random::Random;

/// Returns a gateway whose providers reject the body "no" and accept others.
async fn open_gateway(folder: &tempfile::TempDir) -> Gateway {
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap();
    let edges = Backends {
        clock: Clock::manual(from_millis(1_700_000_000_000)),
        random: Random::seeded(1),
        cache: SignedCache::new(
            postrider_cache::open("memory:").unwrap(),
            store.store_secret().await.unwrap(),
        ),
        queue: postrider_queue::open("memory:", 10_000).await.unwrap(),
        store: Arc::clone(&store),
    };
    let config = Config::test_mode();
    let adapters = build_providers(&config, &edges.cache).unwrap();
    Gateway::wire(config, edges, adapters)
}

async fn send(gateway: &Gateway, number: &str, user: &str) {
    let request = AcceptRequest {
        body: "hello".to_owned(),
        addresses: vec![("sms".to_owned(), number.to_owned())],
        user: Some(user.to_owned()),
        ..AcceptRequest::default()
    };
    accept::accept(gateway, request).await.unwrap();
}

async fn find_users(gateway: &Gateway, wanted: DeliverySearchFilter) -> Vec<String> {
    let found = search_deliveries(gateway, &wanted, None, 100).await.unwrap();
    let lines = found.hits.into_iter();
    lines.map(|line| line.user.unwrap_or_default()).collect()
}

#[tokio::test]
async fn deliveries_are_found_by_person_address_and_provider() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = open_gateway(&folder).await;
    for (number, user) in [
        ("09122222221", "ann"),
        ("09122222222", "bob"),
        ("09122222222", "ann"),
    ] {
        send(&gateway, number, user).await;
    }
    let user = |name: &str| DeliverySearchFilter {
        user: Some(name.to_owned()),
        ..DeliverySearchFilter::default()
    };
    assert_eq!(
        find_users(&gateway, DeliverySearchFilter::default()).await,
        ["ann", "bob", "ann"]
    );
    assert_eq!(find_users(&gateway, user("bob")).await, ["bob"]);
    assert_eq!(find_users(&gateway, user("eve")).await, [""; 0]);
    let to = DeliverySearchFilter {
        to: Some("+989122222222".to_owned()),
        ..user("ann")
    };
    assert_eq!(find_users(&gateway, to).await, ["ann"]);
    while deliver::step(&gateway, 100, Duration::ZERO).await != DeliverStep::Idle {}
    let mut by_provider = 0;
    for lane in gateway.providers() {
        let wanted = DeliverySearchFilter {
            provider: Some(lane.name.clone()),
            ..DeliverySearchFilter::default()
        };
        by_provider += find_users(&gateway, wanted).await.len();
    }
    assert!(by_provider >= 3, "each was taken by somebody: {by_provider}");
}

#[tokio::test]
async fn one_look_goes_through_a_bounded_number_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = open_gateway(&folder).await;
    send(&gateway, "09122222222", "first").await;
    while deliver::step(&gateway, 100, Duration::ZERO).await != DeliverStep::Idle {}
    for _ in 0..MESSAGES_EXAMINED_MAX {
        send(&gateway, "09122222223", "other").await;
    }
    let first = DeliverySearchFilter {
        user: Some("first".to_owned()),
        ..DeliverySearchFilter::default()
    };
    let found = search_deliveries(&gateway, &first, None, 10).await.unwrap();
    assert_eq!(
        (found.hits.len(), found.is_truncated),
        (1, false),
        "a person is found at once"
    );
    let wanted = DeliverySearchFilter {
        provider: found.hits[0].last_attempt.as_ref().unwrap().provider.clone(),
        ..DeliverySearchFilter::default()
    };
    let cut = search_deliveries(&gateway, &wanted, None, 10).await.unwrap();
    assert!(cut.hits.is_empty() && cut.is_truncated, "{cut:?}");
    let rest = search_deliveries(&gateway, &wanted, cut.next, 10).await.unwrap();
    assert_eq!((rest.hits.len(), rest.next, rest.is_truncated), (1, None, false));
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = open_gateway(&folder).await;
    for number in 0..7 {
        send(&gateway, "09122222222", &number.to_string()).await;
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let found = search_deliveries(&gateway, &DeliverySearchFilter::default(), before, 3)
            .await
            .unwrap();
        seen.extend(found.hits.into_iter().filter_map(|line| line.user));
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}
