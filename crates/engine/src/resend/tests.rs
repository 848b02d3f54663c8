use super::*;
use crate::testing::{GatewayBuilder, open_store, request_over};
use crate::{accept, config::Config};

#[tokio::test]
async fn a_run_pushes_no_more_entries_than_the_queue_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::test_mode();
    config.queue_window = 5;
    let gateway = GatewayBuilder::new(config).wire(&open_store(folder.path())).await;
    for _ in 0..12 {
        accept::accept(&gateway, request_over("sms")).await.unwrap();
    }
    let resend = enqueue_due(&gateway).await.unwrap();
    assert_eq!(resend.enqueued, 5);
    assert_eq!(resend.backlog.due, 12);
    assert_eq!(gateway.queue.depth().await, Some(5));
}
