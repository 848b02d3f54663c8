//! The rows of the table: what is measured, how, and the floor it must reach.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::load::{self, Load, Measured};
use crate::peers::{self, Peer};
use crate::{alert, channels, footprint, postgres};

/// One line of the table.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure with its unit.
    pub measured: String,
    /// The ratio to the bare server, where the row has one.
    pub ratio: String,
    /// What it must reach.
    pub floor: String,
    /// Whether it reached that.
    pub good: bool,
}

impl Row {
    /// Whether the floor was reached.
    pub fn verdict(&self) -> &'static str {
        if self.good { "ok" } else { "BELOW" }
    }
}

type Measure = fn() -> Pin<Box<dyn Future<Output = Vec<Row>>>>;

/// Every row by the name it is asked for with.
pub const ALL: [(&str, Measure); 19] = [
    ("intake", || Box::pin(intake())),
    ("through", || Box::pin(through())),
    ("http", || Box::pin(http())),
    ("smpp", || Box::pin(channels::smpp())),
    ("smpp-receipts", || Box::pin(channels::smpp_receipts())),
    ("three-channels", || Box::pin(channels::three_channels())),
    ("slow", || Box::pin(slow_flush())),
    ("page", || Box::pin(page())),
    ("report", || Box::pin(million())),
    ("start", || Box::pin(start())),
    ("produce", || Box::pin(alert::produce())),
    ("simulate", || Box::pin(alert::simulate())),
    ("senders", || Box::pin(alert::senders())),
    ("postgres-intake", || Box::pin(postgres::intake())),
    ("postgres-through", || Box::pin(postgres::through())),
    ("postgres-claim", || Box::pin(postgres::claim())),
    ("postgres-workers", || Box::pin(postgres::workers())),
    ("footprint", || Box::pin(footprint::on_sqlite())),
    ("postgres-footprint", || Box::pin(footprint::on_postgres_server())),
];

/// One provider that takes everything at once.
pub const MOCK: &str = "[providers.mock]\nkind = \"mock\"\nconcurrency = 1024\n\
                    [channels.sms]\nproviders = [\"mock\"]\nstrategy = \"failover\"\n";

/// The request that sends the message with that running number.
pub fn send(n: u64) -> String {
    let number = 9_120_000_000 + n % 10_000_000;
    format!("GET /sms/send?number=0{number}&body=hello+{n} HTTP/1.1\r\nHost: bench\r\n\r\n")
}

fn root(_: u64) -> String {
    "GET / HTTP/1.1\r\nHost: bench\r\n\r\n".to_owned()
}

/// A load of so many seconds on a server.
pub fn load(to: &Peer, connections: usize, seconds: u64, request: fn(u64) -> String) -> Load {
    let duration = Duration::from_secs(seconds);
    Load {
        to: to.at,
        connections,
        duration,
        requests_max: u64::MAX,
        request,
    }
}

/// The bare server under the same number of connections, in the same run.
pub async fn bare(connections: usize) -> Measured {
    let server = peers::this_as("bare");
    load::run(load(&server, connections, 1, root)).await;
    load::run(load(&server, connections, 5, root)).await
}

/// A row that compares a rate with the bare server's.
pub fn ratio_row(what: &str, measured: &Measured, bare: &Measured, floor: f64) -> Row {
    let ratio = measured.rate() / bare.rate();
    let unit = format!(
        "{:.0}/s, p99 {:.1} ms, {} refused",
        measured.rate(),
        measured.p99_ms,
        measured.bad
    );
    Row {
        what: format!("{what} (bare {:.0}/s)", bare.rate()),
        measured: unit,
        ratio: format!("{ratio:.3}"),
        floor: format!("{floor:.2}"),
        good: ratio >= floor && measured.bad == 0,
    }
}

async fn intake() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = bare(64).await;
    let gateway = peers::gateway(folder.path(), MOCK, &["--workers", "0"], false);
    load::run(load(&gateway, 64, 2, send)).await;
    let measured = load::run(load(&gateway, 64, 10, send)).await;
    vec![ratio_row("intake, on disk", &measured, &bare, 0.40)]
}

/// Accepted and sent in the same 20 seconds; what still waits at the end does not count.
pub async fn sent_while_loaded(gateway: &Peer) -> (Measured, i64) {
    load::run(load(gateway, 64, 2, send)).await;
    let before = gateway.metric(SENT);
    let mut measured = load::run(load(gateway, 64, 20, send)).await;
    let sent = gateway.metric(SENT) - before;
    let backlog = i64::try_from(measured.good).unwrap_or(i64::MAX) - i64::try_from(sent).unwrap_or(0);
    measured.good = sent;
    (measured, backlog)
}

/// The series that counts what was sent.
pub const SENT: &str = "postrider_state_changes_total{channel=\"sms\",state=\"sent\"}";

async fn through() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = bare(64).await;
    let gateway = peers::gateway(folder.path(), MOCK, &[], false);
    let (measured, backlog) = sent_while_loaded(&gateway).await;
    let what = format!("end to end, mock, 20 s, {backlog} left waiting");
    vec![ratio_row(&what, &measured, &bare, 0.20)]
}

async fn http() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = bare(64).await;
    let stub = peers::this_as("stub");
    let configuration = format!(
        "[providers.stub]\nkind = \"http\"\nconcurrency = 1024\nurl = \"http://{}/messages\"\n\
         json = {{ to_number = \"{{to}}\", message = \"{{body}}\", callback_url = \"{{callback_url}}\" }}\n\
         reference = \"json:message_id\"\n[channels.sms]\nproviders = [\"stub\"]\nstrategy = \"failover\"\n",
        stub.at
    );
    let gateway = peers::gateway(folder.path(), &configuration, &[], false);
    let (measured, backlog) = sent_while_loaded(&gateway).await;
    let what = format!("end to end, http stub, 20 s, {backlog} left waiting");
    vec![ratio_row(&what, &measured, &bare, 0.13)]
}

async fn slow_flush() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = bare(256).await;
    let gateway = peers::gateway(folder.path(), MOCK, &["--workers", "0"], true);
    load::run(load(&gateway, 256, 2, send)).await;
    let measured = load::run(load(&gateway, 256, 10, send)).await;
    vec![ratio_row(
        "intake, every flush 5 ms slower, 256 connections",
        &measured,
        &bare,
        0.10,
    )]
}

async fn page() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = bare(64).await;
    let memcached = peers::memcached();
    let configuration = format!("[cache]\nurl = \"memcache://{}\"\n{MOCK}", memcached.at);
    let gateway = peers::gateway(folder.path(), &configuration, &["--workers", "0"], false);
    load::run(load(&gateway, 64, 2, send)).await;
    sync(folder.path(), &[]);
    load::run(load(&gateway, 64, 2, root)).await;
    let measured = load::run(load(&gateway, 64, 5, root)).await;
    vec![ratio_row("report page from memcached", &measured, &bare, 0.20)]
}

/// Runs `sync:report` in the gateway's folder; how long it took.
fn sync(folder: &std::path::Path, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    let console = env!("CARGO_BIN_EXE_console");
    let mut command = std::process::Command::new(console);
    command
        .current_dir(folder)
        .args(["--config", "console.toml", "sync:report"])
        .args(arguments);
    let output = command.output().expect("run sync:report");
    assert!(
        output.status.success(),
        "sync:report: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    started.elapsed()
}

/// With 1,000,000 messages waiting: resident memory, the cost of a small change, the page.
async fn million() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = peers::gateway(folder.path(), MOCK, &["--workers", "0"], false);
    let fill = |requests_max| Load {
        requests_max,
        ..load(&gateway, 64, 300, send)
    };
    let filled = load::run(fill(1_000_000)).await;
    let memory = gateway.resident_mib();
    sync(folder.path(), &[]);
    let full = sync(folder.path(), &["--full"]);
    load::run(fill(1_000)).await;
    let changed = sync(folder.path(), &[]);
    let share = 100.0 * changed.as_secs_f64() / full.as_secs_f64();
    load::run(load(&gateway, 64, 1, root)).await;
    let page = load::run(load(&gateway, 64, 3, root)).await;
    let plain = |what: &str, measured: String, floor: &str, good| Row {
        what: what.to_owned(),
        measured,
        ratio: "–".to_owned(),
        floor: floor.to_owned(),
        good,
    };
    let waiting = format!("resident memory, {} messages waiting", filled.good);
    vec![
        plain(
            &waiting,
            format!("{memory:.0} MiB"),
            "≤ 100 MiB",
            memory <= 100.0 && filled.bad == 0,
        ),
        plain(
            "sync:report, 1,000 changes among 1,000,000",
            format!(
                "{:.0} ms, full {:.0} ms, {share:.2} %",
                changed.as_secs_f64() * 1e3,
                full.as_secs_f64() * 1e3
            ),
            "≤ 2 %",
            share <= 2.0,
        ),
        plain(
            "report page among 1,000,000",
            format!("{:.0}/s", page.rate()),
            "as above",
            page.bad == 0,
        ),
    ]
}

async fn start() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = peers::gateway(folder.path(), MOCK, &[], false);
    let ready = gateway.ready_after.as_secs_f64() * 1e3;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let memory = gateway.resident_mib();
    let row = |what: &str, measured: String, floor: &str, good| Row {
        what: what.to_owned(),
        measured,
        ratio: "–".to_owned(),
        floor: floor.to_owned(),
        good,
    };
    vec![
        row(
            "ready to serve, new store",
            format!("{ready:.0} ms"),
            "≤ 100 ms",
            ready <= 100.0,
        ),
        row(
            "resident memory, idle",
            format!("{memory:.0} MiB"),
            "≤ 25 MiB",
            memory <= 25.0,
        ),
    ]
}
