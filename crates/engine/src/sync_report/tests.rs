use super::*;
use crate::config::Config;
use crate::testing::{GatewayBuilder, open_store, request_over};
use postrider_core::clock::{Clock, from_millis};

async fn manual_gateway(folder: &tempfile::TempDir) -> Gateway {
    let clock = Clock::manual(from_millis(1_777_000_000_000));
    GatewayBuilder::new(Config::test_mode()).clock(&clock).wire(&open_store(folder.path())).await
}

#[tokio::test]
async fn a_due_report_is_saved_although_its_numbers_have_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = manual_gateway(&folder).await;
    let interval = Duration::from_secs(10);
    crate::accept::accept(&gateway, request_over("sms")).await.unwrap();
    assert!(sync_if_due(&gateway, interval).await.unwrap().unwrap().is_new);
    gateway.clock.advance(interval);
    assert!(sync_if_due(&gateway, interval).await.unwrap().unwrap().is_new);
    assert_eq!(sync_if_due(&gateway, interval).await.unwrap(), None, "not due again at once");
}

#[tokio::test]
async fn an_empty_report_is_made_again_before_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = manual_gateway(&folder).await;
    let interval = Duration::from_secs(1_200);
    sync_if_due(&gateway, interval).await.unwrap().unwrap();
    crate::accept::accept(&gateway, request_over("sms")).await.unwrap();
    gateway.clock.advance(EMPTY_REPORT_INTERVAL);
    assert_eq!(sync_if_due(&gateway, interval).await.unwrap().unwrap().report.messages, 1);
}
