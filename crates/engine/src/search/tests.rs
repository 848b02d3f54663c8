//! Tests of searches and their limits.

use postrider_core::{attempt::Outcome, routing::RoutingStrategy};
use std::{sync::Arc, time::Duration};

use super::*;
use crate::accept::{self, AcceptRequest};
use crate::config::Config;
use crate::deliver::{self, DeliverStep};
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store};

/// Returns a gateway that tries an unavailable provider first and then one that accepts.
async fn open_gateway(folder: &tempfile::TempDir) -> Gateway {
    let mut config = Config::test_mode();
    config.channels[0].strategy = RoutingStrategy::Failover;
    let reason = "down".to_owned();
    GatewayBuilder::new(config)
        .providers(vec![
            Arc::new(FixedOutcomeProvider::new(Outcome::Unavailable { reason })),
            Arc::new(FixedOutcomeProvider::accepting()),
        ])
        .wire(&open_store(folder.path()))
        .await
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

async fn find_users(gateway: &Gateway, filter: DeliverySearchFilter) -> Vec<String> {
    let results = search_deliveries(gateway, &filter, None, 100).await.unwrap();
    let hits = results.hits.into_iter();
    hits.map(|hit| hit.user.unwrap_or_default()).collect()
}

#[tokio::test]
async fn deliveries_are_found_by_user_address_and_provider() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = open_gateway(&folder).await;
    for (number, user) in [("09122222221", "ann"), ("09122222222", "bob"), ("09122222222", "ann")] {
        send(&gateway, number, user).await;
    }
    let user =
        |name: &str| DeliverySearchFilter { user: Some(name.to_owned()), ..DeliverySearchFilter::default() };
    assert_eq!(find_users(&gateway, DeliverySearchFilter::default()).await, ["ann", "bob", "ann"]);
    assert_eq!(find_users(&gateway, user("bob")).await, ["bob"]);
    assert_eq!(find_users(&gateway, user("eve")).await, [""; 0]);
    let to = DeliverySearchFilter { to: Some("+989122222222".to_owned()), ..user("ann") };
    assert_eq!(find_users(&gateway, to).await, ["ann"]);
    while deliver::step(&gateway, 100, Duration::ZERO).await != DeliverStep::Idle {}
    for (runtime, expected) in gateway.providers().iter().zip([&[][..], &["ann", "bob", "ann"]]) {
        let filter =
            DeliverySearchFilter { provider: Some(runtime.name.clone()), ..DeliverySearchFilter::default() };
        assert_eq!(find_users(&gateway, filter).await, expected, "{}", runtime.name);
    }
}

#[tokio::test]
async fn a_search_examines_a_bounded_number_of_messages_and_the_next_continues() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = open_gateway(&folder).await;
    send(&gateway, "09122222222", "first").await;
    while deliver::step(&gateway, 100, Duration::ZERO).await != DeliverStep::Idle {}
    for _ in 0..MESSAGES_EXAMINED_MAX {
        send(&gateway, "09122222223", "other").await;
    }
    let first = DeliverySearchFilter { user: Some("first".to_owned()), ..DeliverySearchFilter::default() };
    let results = search_deliveries(&gateway, &first, None, 10).await.unwrap();
    assert_eq!((results.hits.len(), results.is_truncated), (1, false), "a user is found by index");
    let filter = DeliverySearchFilter {
        provider: results.hits[0].last_attempt.as_ref().unwrap().provider.clone(),
        ..DeliverySearchFilter::default()
    };
    let truncated = search_deliveries(&gateway, &filter, None, 10).await.unwrap();
    assert!(truncated.hits.is_empty() && truncated.is_truncated, "{truncated:?}");
    let rest = search_deliveries(&gateway, &filter, truncated.next, 10).await.unwrap();
    assert_eq!((rest.hits.len(), rest.next, rest.is_truncated), (1, None, false));
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = open_gateway(&folder).await;
    for number in 0..7 {
        send(&gateway, "09122222222", &number.to_string()).await;
    }
    let (mut seen_users, mut before) = (Vec::new(), None);
    loop {
        let results = search_deliveries(&gateway, &DeliverySearchFilter::default(), before, 3).await.unwrap();
        seen_users.extend(results.hits.into_iter().filter_map(|hit| hit.user));
        before = results.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen_users, ["6", "5", "4", "3", "2", "1", "0"]);
}
