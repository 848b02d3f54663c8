//! What an operator finds, and how far one look goes.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cache::{self, Sealed};
use crate::clock::{Clock, from_millis};
use crate::config::Config;
use crate::dice::Dice;
use crate::flow::accept::{self, Request};
use crate::flow::deliver::{self, Step};
use crate::gateway::{Edges, build_all};
use crate::{queue, store};

/// A gateway whose providers refuse what says "no" and take everything else.
async fn gateway(folder: &tempfile::TempDir) -> Gateway {
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    let store = store::open(&url, store::LOCK_WAIT).unwrap();
    let edges = Edges {
        clock: Clock::manual(from_millis(1_700_000_000_000)),
        dice: Dice::seeded(1),
        cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
        queue: queue::open("memory:", 10_000).await.unwrap(),
        store: Arc::clone(&store),
    };
    let config = Config::sandbox();
    let adapters = build_all(&config, &edges.cache).unwrap();
    Gateway::wire(config, edges, adapters)
}

async fn send(gateway: &Gateway, number: &str, user: &str) {
    let request = Request {
        body: "hello".to_owned(),
        to: vec![("sms".to_owned(), number.to_owned())],
        user: Some(user.to_owned()),
        ..Request::default()
    };
    accept::accept(gateway, request).await.unwrap();
}

async fn users(gateway: &Gateway, wanted: Wanted) -> Vec<String> {
    let found = deliveries(gateway, &wanted, None, 100).await.unwrap();
    let lines = found.lines.into_iter();
    lines.map(|line| line.user.unwrap_or_default()).collect()
}

#[tokio::test]
async fn deliveries_are_found_by_person_address_and_provider() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(&folder).await;
    for (number, user) in [
        ("09122222221", "ann"),
        ("09122222222", "bob"),
        ("09122222222", "ann"),
    ] {
        send(&gateway, number, user).await;
    }
    let user = |name: &str| Wanted {
        user: Some(name.to_owned()),
        ..Wanted::default()
    };
    assert_eq!(users(&gateway, Wanted::default()).await, ["ann", "bob", "ann"]);
    assert_eq!(users(&gateway, user("bob")).await, ["bob"]);
    assert_eq!(users(&gateway, user("eve")).await, [""; 0]);
    let to = Wanted {
        to: Some("+989122222222".to_owned()),
        ..user("ann")
    };
    assert_eq!(users(&gateway, to).await, ["ann"]);
    while deliver::step(&gateway, 100, Duration::ZERO).await != Step::Idle {}
    let mut by_provider = 0;
    for lane in gateway.lanes() {
        let wanted = Wanted {
            provider: Some(lane.name.clone()),
            ..Wanted::default()
        };
        by_provider += users(&gateway, wanted).await.len();
    }
    assert!(by_provider >= 3, "each was taken by somebody: {by_provider}");
}

#[tokio::test]
async fn one_look_goes_through_a_bounded_number_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(&folder).await;
    send(&gateway, "09122222222", "first").await;
    while deliver::step(&gateway, 100, Duration::ZERO).await != Step::Idle {}
    for _ in 0..EXAMINED_MAX {
        send(&gateway, "09122222223", "other").await;
    }
    let first = Wanted {
        user: Some("first".to_owned()),
        ..Wanted::default()
    };
    let found = deliveries(&gateway, &first, None, 10).await.unwrap();
    assert_eq!(
        (found.lines.len(), found.is_cut),
        (1, false),
        "a person is found at once"
    );
    let wanted = Wanted {
        provider: found.lines[0].call.as_ref().unwrap().provider.clone(),
        ..Wanted::default()
    };
    let cut = deliveries(&gateway, &wanted, None, 10).await.unwrap();
    assert!(cut.lines.is_empty() && cut.is_cut, "{cut:?}");
    let rest = deliveries(&gateway, &wanted, cut.next, 10).await.unwrap();
    assert_eq!((rest.lines.len(), rest.next, rest.is_cut), (1, None, false));
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(&folder).await;
    for number in 0..7 {
        send(&gateway, "09122222222", &number.to_string()).await;
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let found = deliveries(&gateway, &Wanted::default(), before, 3).await.unwrap();
        seen.extend(found.lines.into_iter().filter_map(|line| line.user));
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}
