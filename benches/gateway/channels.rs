//! What channels cost: text messages over SMPP, with and without receipts, and one message over three channels.
//!
//! The message centre is this binary again (`servers.rs`): it answers everything at once, so what is measured is us.

use crate::http_load::{self, LoadResult};
use crate::processes::{self, BenchProcess};
use crate::rows::{self, BenchRow, SENT_METRIC};

/// The series that counts what a receipt has brought to its end.
const DELIVERED_METRIC: &str = "postrider_state_changes_total{channel=\"sms\",state=\"delivered\"}";

/// The series that counts what was sent over any channel.
const SENT_METRICS_ALL_CHANNELS: [&str; 3] = [
    "postrider_state_changes_total{channel=\"sms\",state=\"sent\"}",
    "postrider_state_changes_total{channel=\"email\",state=\"sent\"}",
    "postrider_state_changes_total{channel=\"push\",state=\"sent\"}",
];

/// Every message over one bind with 64 on their way.
pub async fn smpp() -> Vec<BenchRow> {
    vec![measure_smpp("end to end, SMPP, one bind, window 64", "smpp", SENT_METRIC, 0.11).await]
}

/// The same with a receipt for each.
pub async fn smpp_receipts() -> Vec<BenchRow> {
    let what = "delivered, SMPP, one bind, window 64, a receipt for each";
    vec![measure_smpp(what, "smpp-receipts", DELIVERED_METRIC, 0.06).await]
}

async fn measure_smpp(what: &str, role: &str, series: &str, floor: f64) -> BenchRow {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = rows::measure_bare_server(64).await;
    let centre = processes::spawn_self_as(role);
    let configuration = format!(
        "[providers.centre]\nkind = \"smpp\"\nconcurrency = 1024\nbase_url = \"smpp://{}\"\nsystem_id = \"bench\"\n\
         from = \"Bench\"\nwindow = 64\nreceipts = {}\n\
         [channels.sms]\nproviders = [\"centre\"]\nstrategy = \"failover\"\n",
        centre.address,
        role == "smpp-receipts"
    );
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
    let (measured, backlog) = measure_state_changes(&gateway, &[series], 1, rows::send_request).await;
    rows::ratio_row(&format!("{what}, 20 s, {backlog} left"), &measured, &bare, floor)
}

/// Accepted and brought to that state in the same 20 seconds; what is left at the end does not count.
async fn measure_state_changes(
    gateway: &BenchProcess,
    series: &[&str],
    each: u64,
    request: fn(u64) -> String,
) -> (LoadResult, i64) {
    http_load::run(rows::http_load(gateway, 64, 2, request)).await;
    let count = || series.iter().map(|one| gateway.metric_sum(one)).sum::<u64>() / each;
    let before = count();
    let mut measured = http_load::run(rows::http_load(gateway, 64, 20, request)).await;
    let done = count() - before;
    let backlog = i64::try_from(measured.ok_count).unwrap_or(i64::MAX) - i64::try_from(done).unwrap_or(0);
    measured.ok_count = done;
    (measured, backlog)
}

/// One message over one used channel, and over three.
pub async fn three_channels() -> Vec<BenchRow> {
    let one = measure_channels("\"sms\"", 1).await;
    let three = measure_channels("\"sms\", \"email\", \"push\"", 3).await;
    let times = one.rate() / three.rate().max(1e-9);
    vec![BenchRow {
        name: "three used channels for each message, mocks, against one".to_owned(),
        measured: format!(
            "{:.0}/s and {:.0}/s, {} refused",
            three.rate(),
            one.rate(),
            three.error_count
        ),
        ratio: format!("{times:.2} times the cost"),
        floor: "≤ 3".to_owned(),
        is_met: times <= 3.0 && three.error_count == 0,
    }]
}

async fn measure_channels(used: &str, count: u64) -> LoadResult {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = [("sms", "phone"), ("email", "email"), ("push", "push")];
    let mut configuration = format!("used_channels = [{used}]\n");
    for (name, kind) in kinds {
        configuration.push_str(&format!(
            "[providers.mock-{name}]\nkind = \"mock\"\naddress = \"{kind}\"\nconcurrency = 1024\n\
             [channels.{name}]\nproviders = [\"mock-{name}\"]\nstrategy = \"failover\"\n"
        ));
    }
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
    measure_state_changes(&gateway, &SENT_METRICS_ALL_CHANNELS, count, inbox_request)
        .await
        .0
}

/// A message that has an address on every channel.
fn inbox_request(n: u64) -> String {
    let number = 9_120_000_000 + n % 10_000_000;
    let body = format!(
        "{{\"userId\":\"5689c3cf-5acf-4c14-bc32-8e0e6927a061\",\"message\":\"hello {n}\",\"phoneNumber\":\"0{number}\",\
         \"email\":\"a{n}@example.org\",\"pushToken\":\"token-{n}\"}}"
    );
    format!(
        "POST /inbox/send HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
