//! Rows of channels: text messages over SMPP, with and without receipts, and one message over three channels.
//!
//! The SMSC is this binary again (`servers.rs`). It responds at once, so the rows measure the gateway.

use crate::http_load::LoadResult;
use crate::processes;
use crate::row::BenchRow;
use crate::workload::{
    Measurement, SENT_METRIC, compare_with_bare_server, measure_state_changes, send_request,
};

/// Series that counts delivered messages.
const DELIVERED_METRIC: &str = "postrider_state_changes_total{channel=\"sms\",state=\"delivered\"}";

/// Series that count sent messages of each channel.
const SENT_METRICS_ALL_CHANNELS: [&str; 3] = [
    "postrider_state_changes_total{channel=\"sms\",state=\"sent\"}",
    "postrider_state_changes_total{channel=\"email\",state=\"sent\"}",
    "postrider_state_changes_total{channel=\"push\",state=\"sent\"}",
];

/// Sends over one bind with a window of 64.
pub async fn smpp() -> Vec<BenchRow> {
    let name = "end to end, SMPP, one bind, window 64";
    vec![smpp_row(name, "smpp", SENT_METRIC, 0.11).await]
}

/// Sends over one bind with a receipt for each message.
pub async fn smpp_receipts() -> Vec<BenchRow> {
    let name = "delivered, SMPP, one bind, window 64, a receipt for each";
    vec![smpp_row(name, "smpp-receipts", DELIVERED_METRIC, 0.06).await]
}

async fn smpp_row(name: &str, role: &str, metric: &str, floor: f64) -> BenchRow {
    compare_with_bare_server(name, 64, floor, async || {
        let folder = tempfile::tempdir().expect("a folder");
        let smsc = processes::spawn_self_as(role);
        let configuration = format!(
            "[providers.smsc]\nkind = \"smpp\"\nconcurrency = 1024\nbase_url = \"smpp://{}\"\nsystem_id = \"bench\"\n\
             from = \"Bench\"\nwindow = 64\nreceipts = {}\n\
             [channels.sms]\nproviders = [\"smsc\"]\nstrategy = \"failover\"\n",
            smsc.address,
            role == "smpp-receipts"
        );
        let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
        Measurement::with_backlog(measure_state_changes(&gateway, &[metric], 1, send_request).await)
    })
    .await
}

/// Compares one message over three channels with one message over one channel.
pub async fn three_channels() -> Vec<BenchRow> {
    let one = measure_channels("\"sms\"", 1).await;
    let three = measure_channels("\"sms\", \"email\", \"push\"", 3).await;
    let cost = one.rate() / three.rate().max(1e-9);
    let rates = format!("{:.0}/s and {:.0}/s, {} errors", three.rate(), one.rate(), three.error_count);
    let name = "three used channels for each message, mocks, against one";
    vec![
        BenchRow::new(name, rates, "≤ 3", cost <= 3.0 && three.error_count == 0)
            .with_ratio(format!("{cost:.2} times the cost")),
    ]
}

async fn measure_channels(used_channels: &str, deliveries: u64) -> LoadResult {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = [("sms", "phone"), ("email", "email"), ("push", "push")];
    let mut configuration = format!("used_channels = [{used_channels}]\n");
    for (name, kind) in kinds {
        configuration.push_str(&format!(
            "[providers.mock-{name}]\nkind = \"mock\"\naddress = \"{kind}\"\nconcurrency = 1024\n\
             [channels.{name}]\nproviders = [\"mock-{name}\"]\nstrategy = \"failover\"\n"
        ));
    }
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
    measure_state_changes(&gateway, &SENT_METRICS_ALL_CHANNELS, deliveries, inbox_request).await.0
}

/// Returns the request for a message with an address on every channel.
fn inbox_request(n: u64) -> String {
    let number = 9_120_000_000 + n % 10_000_000;
    let body = format!(
        "{{\"userId\":\"5689c3cf-5acf-4c14-bc32-8e0e6927a061\",\"message\":\"hello {n}\",\"phoneNumber\":\"0{number}\",\
         \"email\":\"a{n}@example.org\",\"pushToken\":\"token-{n}\"}}"
    );
    format!(
        "POST /inbox/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
