use super::*;
use crate::accept::accept;
use crate::config::Config;
use crate::testing::{GatewayBuilder, open_store, request_over};
use postrider_core::clock::{Clock, from_millis};
use std::time::Duration;

#[tokio::test]
async fn the_latest_failure_is_first_although_its_message_is_older() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(from_millis(1_777_000_000_000));
    let gateway =
        GatewayBuilder::new(Config::test_mode()).clock(&clock).wire(&open_store(folder.path())).await;
    let mut messages = Vec::new();
    for _ in 0..12 {
        messages.push(accept(&gateway, request_over("sms")).await.unwrap().id);
    }
    for id in messages.into_iter().rev() {
        clock.advance(Duration::from_secs(1));
        gateway.store.cancel_message(id, clock.now()).await.unwrap();
    }
    let failures = read_overview(&*gateway.store).await.unwrap().failures;
    assert_eq!(failures.len(), FAILURES_SHOWN_MAX);
    assert_eq!(failures[0].at, clock.now(), "the message that was accepted first failed last");
}
