//! What a round does when the truth is out of reach at the wrong moment.

mod crowd;
mod limits;
mod mixed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::cache::{self, Sealed};
use crate::clock::{Clock, pause_thread};
use crate::config::Config;
use crate::dice::Dice;
use crate::domain::attempt::Answer;
use crate::domain::id::MessageId;
use crate::domain::inbound::Incoming;
use crate::flow::accept::{self, Request};
use crate::gateway::Edges;
use crate::provider::{Call, Provider, Refusal};
use crate::{queue, store};

/// Takes every message, and as soon as it has one another program takes the store's lock for a while.
struct Locksmith {
    store: PathBuf,
}

#[async_trait]
impl Provider for Locksmith {
    async fn send(&self, _: &Parcel) -> Answer {
        let other = rusqlite::Connection::open(&self.store).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::thread::spawn(move || {
            pause_thread(Duration::from_millis(1_200));
            other.execute_batch("COMMIT").unwrap();
        });
        let reference = Some("taken".to_owned());
        Outcome::Accepted { reference }.into()
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn place(&self) -> (String, u16) {
        ("locksmith".to_owned(), 0)
    }
}

/// A gateway whose providers are locksmiths, and a message that waits in it.
async fn waiting(clock: Clock, folder: &Path) -> (Gateway, MessageId) {
    let patience = Duration::from_millis(50);
    waiting_with(Config::sandbox(), patience, clock, folder).await
}

async fn waiting_with(
    config: Config,
    lock_wait: Duration,
    clock: Clock,
    folder: &Path,
) -> (Gateway, MessageId) {
    let file = folder.join("postrider.db");
    let store = store::open(&format!("sqlite:{}", file.display()), lock_wait).unwrap();
    let edges = Edges {
        clock,
        dice: Dice::seeded(1),
        cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
        queue: queue::open("memory:", 10).await.unwrap(),
        store,
    };
    let locksmith = || -> Arc<dyn Provider> { Arc::new(Locksmith { store: file.clone() }) };
    let gateway = Gateway::wire(config, edges, vec![locksmith(), locksmith()]);
    let request = Request {
        body: "hello".to_owned(),
        to: vec![("sms".to_owned(), "09122222222".to_owned())],
        ..Request::default()
    };
    let id = accept::accept(&gateway, request).await.unwrap().id;
    (gateway, id)
}

#[tokio::test]
async fn what_was_sent_while_the_store_was_away_is_recorded_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, id) = waiting(Clock::System, folder.path()).await;
    assert_eq!(step(&gateway, 1, Duration::ZERO).await, Step::Delivered(1));
    let message = gateway.store.find(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!(delivery.state.standing().word(), "sent", "{delivery:?}");
    assert_eq!(delivery.attempts.len(), 1, "{delivery:?}");
}

#[tokio::test]
async fn a_worker_that_wakes_late_asks_nobody_for_whom_its_lease_has_no_time_left() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual("2026-05-01T12:00:00Z".parse().unwrap());
    let (gateway, id) = waiting(clock, folder.path()).await;
    let found = next(&gateway, &1, Duration::ZERO).await;
    let held = claim(&gateway, found.ids).await.pop().unwrap();
    gateway
        .clock
        .advance(gateway.config.work.lease - Duration::from_secs(1));
    round(&gateway, held).await;
    let message = gateway.store.find(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!(delivery.state.standing().word(), "waiting", "{delivery:?}");
    assert!(delivery.attempts.is_empty(), "{delivery:?}");
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(step(&gateway, 1, Duration::ZERO).await, Step::Delivered(1));
    let message = gateway.store.find(id).await.unwrap().unwrap();
    let outcomes = message.deliveries[0]
        .attempts
        .iter()
        .map(|attempt| attempt.outcome.as_str());
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        ["accepted"],
        "once, and not unknown"
    );
}

#[tokio::test]
async fn a_worker_whom_the_store_kept_waiting_for_the_pace_asks_nobody_for_whom_its_lease_has_no_time_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::sandbox();
    config.work.lease = Duration::from_millis(1_500);
    for provider in &mut config.providers {
        provider.timeout = Duration::ZERO;
        provider.rate = Some(100.0);
    }
    let patient = Duration::from_secs(30);
    let (gateway, id) = waiting_with(config, patient, Clock::System, folder.path()).await;
    let found = next(&gateway, &1, Duration::ZERO).await;
    let held = claim(&gateway, found.ids).await.pop().unwrap();
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::spawn(move || {
        pause_thread(Duration::from_millis(1_200));
        other.execute_batch("COMMIT").unwrap();
    });
    round(&gateway, held).await;
    let message = gateway.store.find(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!(delivery.state.standing().word(), "waiting", "{delivery:?}");
    assert!(delivery.attempts.is_empty(), "{delivery:?}");
}
