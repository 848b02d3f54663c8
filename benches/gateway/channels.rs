//! What channels cost: text messages over SMPP, with and without receipts, and one message over three channels.
//!
//! The message centre is this binary again (`servers.rs`): it answers everything at once, so what is measured is us.

use crate::load::{self, Measured};
use crate::peers::{self, Peer};
use crate::rows::{self, Row, SENT};

/// The series that counts what a receipt has brought to its end.
const DELIVERED: &str = "postrider_state_changes_total{channel=\"sms\",state=\"delivered\"}";

/// The series that counts what was sent over any channel.
const SENT_ANYWHERE: [&str; 3] = [
    "postrider_state_changes_total{channel=\"sms\",state=\"sent\"}",
    "postrider_state_changes_total{channel=\"email\",state=\"sent\"}",
    "postrider_state_changes_total{channel=\"push\",state=\"sent\"}",
];

/// Every message over one bind with 64 on their way.
pub async fn smpp() -> Vec<Row> {
    vec![over_smpp("end to end, SMPP, one bind, window 64", "smpp", SENT, 0.11).await]
}

/// The same with a receipt for each.
pub async fn smpp_receipts() -> Vec<Row> {
    let what = "delivered, SMPP, one bind, window 64, a receipt for each";
    vec![over_smpp(what, "smpp-receipts", DELIVERED, 0.06).await]
}

async fn over_smpp(what: &str, role: &str, series: &str, floor: f64) -> Row {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = rows::bare(64).await;
    let centre = peers::this_as(role);
    let configuration = format!(
        "[providers.centre]\nkind = \"smpp\"\nconcurrency = 1024\nbase_url = \"smpp://{}\"\nsystem_id = \"bench\"\n\
         from = \"Bench\"\nwindow = 64\nreceipts = {}\n\
         [channels.sms]\nproviders = [\"centre\"]\nstrategy = \"failover\"\n",
        centre.at,
        role == "smpp-receipts"
    );
    let gateway = peers::gateway(folder.path(), &configuration, &[], false);
    let (measured, backlog) = counted_while_loaded(&gateway, &[series], 1, rows::send).await;
    rows::ratio_row(&format!("{what}, 20 s, {backlog} left"), &measured, &bare, floor)
}

/// Accepted and brought to that state in the same 20 seconds; what is left at the end does not count.
async fn counted_while_loaded(
    gateway: &Peer,
    series: &[&str],
    each: u64,
    request: fn(u64) -> String,
) -> (Measured, i64) {
    load::run(rows::load(gateway, 64, 2, request)).await;
    let count = || series.iter().map(|one| gateway.metric(one)).sum::<u64>() / each;
    let before = count();
    let mut measured = load::run(rows::load(gateway, 64, 20, request)).await;
    let done = count() - before;
    let backlog = i64::try_from(measured.good).unwrap_or(i64::MAX) - i64::try_from(done).unwrap_or(0);
    measured.good = done;
    (measured, backlog)
}

/// One message over one used channel, and over three.
pub async fn three_channels() -> Vec<Row> {
    let one = over_channels("\"sms\"", 1).await;
    let three = over_channels("\"sms\", \"email\", \"push\"", 3).await;
    let times = one.rate() / three.rate().max(1e-9);
    vec![Row {
        what: "three used channels for each message, mocks, against one".to_owned(),
        measured: format!(
            "{:.0}/s and {:.0}/s, {} refused",
            three.rate(),
            one.rate(),
            three.bad
        ),
        ratio: format!("{times:.2} times the cost"),
        floor: "≤ 3".to_owned(),
        good: times <= 3.0 && three.bad == 0,
    }]
}

async fn over_channels(used: &str, count: u64) -> Measured {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = [("sms", "phone"), ("email", "email"), ("push", "push")];
    let mut configuration = format!("used_channels = [{used}]\n");
    for (name, kind) in kinds {
        configuration.push_str(&format!(
            "[providers.mock-{name}]\nkind = \"mock\"\naddress = \"{kind}\"\nconcurrency = 1024\n\
             [channels.{name}]\nproviders = [\"mock-{name}\"]\nstrategy = \"failover\"\n"
        ));
    }
    let gateway = peers::gateway(folder.path(), &configuration, &[], false);
    counted_while_loaded(&gateway, &SENT_ANYWHERE, count, inbox)
        .await
        .0
}

/// A message that has an address on every channel.
fn inbox(n: u64) -> String {
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
