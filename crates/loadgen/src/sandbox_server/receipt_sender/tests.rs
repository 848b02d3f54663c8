use super::*;
use crate::sandbox_server::api::{SandboxApi, SubmittedMessage};
use crate::sandbox_server::call_result::SandboxReceiptStatus;

fn receipt(url: &str) -> SandboxReceipt {
    SandboxReceipt {
        api: SandboxApi::Texting,
        id: "id-1".to_owned(),
        status: SandboxReceiptStatus::Delivered,
        url: url.to_owned(),
        message: SubmittedMessage::default(),
    }
}

#[tokio::test]
async fn a_receipt_that_cannot_be_sent_is_given_up_and_counted() {
    let mut sender = ReceiptSender::new(Duration::ZERO).unwrap();
    sender.retry_delays = [Duration::ZERO; 4];
    let counters = SandboxCounters::default();
    for url in ["nowhere", "http://127.0.0.1:1/"] {
        sender.deliver(&counters, &receipt(url)).await;
    }
    let receipts = counters.to_json(0)["receipts"].clone();
    assert_eq!((&receipts["retries"], &receipts["given_up"]), (&8.into(), &2.into()), "{receipts}");
}

#[tokio::test]
async fn closing_discards_pending_receipts_without_waiting() {
    let sender = Arc::new(ReceiptSender::new(Duration::from_secs(3_600)).unwrap());
    let counters = Arc::new(SandboxCounters::default());
    for _ in 0..3 {
        sender.schedule(&counters, receipt("http://127.0.0.1:1/"));
    }
    assert_eq!(sender.pending(), 3);
    sender.close().await;
    assert_eq!(counters.to_json(0)["receipts"]["given_up"], 0);
}
