//! Tests of a round while the store is unavailable.

mod copies_and_expiry;
mod mixed_addresses;
mod rate_limits;

use postrider_core::clock::{Clock, sleep_thread};
use postrider_core::{attempt::SendResult, id::MessageId};
use std::path::{Path, PathBuf};
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::*;
use crate::accept::{self, AcceptRequest};
use crate::config::Config;
use crate::testing::{
    FixedOutcomeProvider, GatewayBuilder, open_store, open_store_with_timeout, request_over,
};
use postrider_providers::Provider;

/// Accepts every message, and lets another connection lock the store for a while.
struct StoreLockingProvider {
    store: PathBuf,
}

#[async_trait]
impl Provider for StoreLockingProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        let other_connection = rusqlite::Connection::open(&self.store).unwrap();
        other_connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::thread::spawn(move || {
            sleep_thread(Duration::from_millis(1_200));
            other_connection.execute_batch("COMMIT").unwrap();
        });
        let reference = Some("accepted".to_owned());
        Outcome::Accepted { reference }.into()
    }

    fn endpoint(&self) -> (String, u16) {
        ("store-locking".to_owned(), 0)
    }
}

/// Returns a gateway with store-locking providers and one waiting message.
async fn gateway_with_message(clock: Clock, folder: &Path) -> (Gateway, MessageId) {
    let lock_timeout = Duration::from_millis(50);
    gateway_with_config(Config::test_mode(), lock_timeout, clock, folder).await
}

async fn gateway_with_config(
    config: Config,
    lock_timeout: Duration,
    clock: Clock,
    folder: &Path,
) -> (Gateway, MessageId) {
    let store = folder.join("postrider.db");
    let provider = || -> Arc<dyn Provider> { Arc::new(StoreLockingProvider { store: store.clone() }) };
    let gateway = GatewayBuilder::new(config)
        .clock(&clock)
        .providers(vec![provider(), provider()])
        .wire(&open_store_with_timeout(folder, lock_timeout))
        .await;
    let id = accept::accept(&gateway, request_over("sms")).await.unwrap().id;
    (gateway, id)
}

#[tokio::test]
async fn a_round_is_recorded_after_the_store_was_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, id) = gateway_with_message(Clock::System, folder.path()).await;
    assert_eq!(step(&gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    let message = gateway.store.find_message(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!(delivery.state.kind().as_str(), "sent", "{delivery:?}");
    assert_eq!(delivery.attempts.len(), 1, "{delivery:?}");
}

#[tokio::test]
async fn a_late_worker_skips_providers_whose_call_could_outlast_the_lease() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual("2026-05-01T12:00:00Z".parse().unwrap());
    let (gateway, id) = gateway_with_message(clock, folder.path()).await;
    let due = find_due(&gateway, &1, Duration::ZERO).await;
    let claimed = claim(&gateway, due.ids).await.pop().unwrap();
    gateway.clock.advance(gateway.config.work.lease - Duration::from_secs(1));
    run_round(&gateway, claimed).await;
    let message = gateway.store.find_message(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!(delivery.state.kind().as_str(), "waiting", "{delivery:?}");
    assert!(delivery.attempts.is_empty(), "{delivery:?}");
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(step(&gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    let message = gateway.store.find_message(id).await.unwrap().unwrap();
    let outcomes = message.deliveries[0].attempts.iter().map(|attempt| attempt.outcome.as_str());
    assert_eq!(outcomes.collect::<Vec<_>>(), ["accepted"], "once, and not unknown");
}

/// Answers nothing, and may not be asked again.
struct SilentMailServer;

#[async_trait]
impl Provider for SilentMailServer {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        Outcome::Unknown { reason: "no reply to the mail".to_owned() }.into()
    }

    fn extra_call_time(&self) -> Duration {
        Duration::from_secs(600)
    }

    fn repeats_unknown(&self) -> bool {
        false
    }

    fn endpoint(&self) -> (String, u16) {
        ("mail".to_owned(), 25)
    }
}

#[tokio::test]
async fn a_message_without_a_reply_of_a_mail_server_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::test_mode();
    let providers = config.providers.iter().map(|_| -> Arc<dyn Provider> { Arc::new(SilentMailServer) });
    let providers = providers.collect();
    let gateway = GatewayBuilder::new(config).providers(providers).wire(&open_store(folder.path())).await;
    let id = accept::accept(&gateway, request_over("sms")).await.unwrap().id;
    assert_eq!(step(&gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    let message = gateway.store.find_message(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!((delivery.state.kind().as_str(), delivery.attempts.len()), ("failed", 1), "{delivery:?}");
}

#[tokio::test]
async fn a_worker_that_waited_for_the_rate_limiter_skips_a_call_that_could_outlast_the_lease() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::test_mode();
    config.work.lease = Duration::from_millis(1_500);
    for provider in &mut config.providers {
        provider.timeout = Duration::ZERO;
        provider.rate = Some(100.0);
    }
    let lock_timeout = Duration::from_secs(30);
    let (gateway, id) = gateway_with_config(config, lock_timeout, Clock::System, folder.path()).await;
    let due = find_due(&gateway, &1, Duration::ZERO).await;
    let claimed = claim(&gateway, due.ids).await.pop().unwrap();
    let other_connection = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    other_connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::spawn(move || {
        sleep_thread(Duration::from_millis(1_200));
        other_connection.execute_batch("COMMIT").unwrap();
    });
    run_round(&gateway, claimed).await;
    let message = gateway.store.find_message(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    assert_eq!(delivery.state.kind().as_str(), "waiting", "{delivery:?}");
    assert!(delivery.attempts.is_empty(), "{delivery:?}");
}
