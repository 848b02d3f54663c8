use super::*;
use crate::config::Config;
use crate::testing::{GatewayBuilder, open_store, request_over};
use postrider_core::attempt::Outcome;
use postrider_core::clock::from_millis;

const START_MS: i64 = 1_777_000_000_000;

async fn manual_gateway(folder: &tempfile::TempDir) -> Gateway {
    let clock = Clock::manual(from_millis(START_MS));
    GatewayBuilder::new(Config::test_mode()).clock(&clock).wire(&open_store(folder.path())).await
}

#[tokio::test]
async fn a_channel_without_a_worker_is_named_after_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = manual_gateway(&folder).await;
    crate::accept::accept(&gateway, request_over("sms")).await.unwrap();
    assert_eq!(current_problems(&gateway).await, [""; 0]);
    gateway.clock.advance(Duration::from_secs(305));
    let expected = "channel sms: its oldest delivery has been due for 5m 5s; is a worker running?";
    assert_eq!(current_problems(&gateway).await, [expected]);
}

#[tokio::test]
async fn a_channel_without_a_usable_provider_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = manual_gateway(&folder).await;
    let now = gateway.clock.now();
    let refused = Outcome::Unavailable { reason: "connection refused".to_owned() };
    for provider in gateway.providers() {
        for _ in 0..100 {
            provider.complete(&refused.clone().into(), None, now);
        }
    }
    let problems = current_problems(&gateway).await;
    let expected = "channel sms: no provider can be called, its deliveries wait".to_owned();
    assert!(problems.contains(&expected), "{problems:?}");
}

#[test]
fn a_large_write_ahead_log_is_named() {
    assert_eq!(wal_problem(None), None);
    assert_eq!(wal_problem(Some(WAL_BYTES_LARGE)), None);
    assert!(wal_problem(Some(2_600_000_000)).unwrap().contains("2600000000 bytes"));
}
