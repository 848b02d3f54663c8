//! The rows of the table: what is measured, how, and the floor it must reach.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::http_load::{self, HttpLoad, LoadResult};
use crate::processes::{self, BenchProcess};
use crate::{channels, footprint, load_commands, postgres};

/// One line of the table.
pub struct BenchRow {
    /// What was measured.
    pub name: String,
    /// The figure with its unit.
    pub measured: String,
    /// The ratio to the bare server, where the row has one.
    pub ratio: String,
    /// What it must reach.
    pub floor: String,
    /// Whether it reached that.
    pub is_met: bool,
}

impl BenchRow {
    /// Whether the floor was reached.
    pub fn verdict(&self) -> &'static str {
        if self.is_met { "ok" } else { "BELOW" }
    }
}

type BenchFn = fn() -> Pin<Box<dyn Future<Output = Vec<BenchRow>>>>;

/// Every row by the name it is asked for with.
pub const BENCHMARKS: [(&str, BenchFn); 19] = [
    ("intake", || Box::pin(intake())),
    ("through", || Box::pin(end_to_end())),
    ("http", || Box::pin(end_to_end_http())),
    ("smpp", || Box::pin(channels::smpp())),
    ("smpp-receipts", || Box::pin(channels::smpp_receipts())),
    ("three-channels", || Box::pin(channels::three_channels())),
    ("slow", || Box::pin(intake_slow_fsync())),
    ("page", || Box::pin(report_page())),
    ("report", || Box::pin(one_million_waiting())),
    ("start", || Box::pin(startup())),
    ("produce", || Box::pin(load_commands::produce_and_monitor())),
    ("simulate", || Box::pin(load_commands::simulate())),
    ("senders", || Box::pin(load_commands::sender_throughput())),
    ("postgres-intake", || Box::pin(postgres::intake())),
    ("postgres-through", || Box::pin(postgres::end_to_end())),
    ("postgres-claim", || Box::pin(postgres::claim_latency())),
    ("postgres-workers", || Box::pin(postgres::worker_scaling())),
    ("footprint", || Box::pin(footprint::cost_on_sqlite())),
    ("postgres-footprint", || Box::pin(footprint::cost_on_postgres())),
];

/// One provider that takes everything at once.
pub const MOCK_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\nconcurrency = 1024\n\
                    [channels.sms]\nproviders = [\"mock\"]\nstrategy = \"failover\"\n";

/// The request that sends the message with that running number.
pub fn send_request(n: u64) -> String {
    let number = 9_120_000_000 + n % 10_000_000;
    format!("GET /sms/send?number=0{number}&body=hello+{n} HTTP/1.1\r\nHost: bench\r\n\r\n")
}

fn report_request(_: u64) -> String {
    "GET / HTTP/1.1\r\nHost: bench\r\n\r\n".to_owned()
}

/// A load of so many seconds on a server.
pub fn http_load(
    to: &BenchProcess,
    connections: usize,
    seconds: u64,
    request: fn(u64) -> String,
) -> HttpLoad {
    let duration = Duration::from_secs(seconds);
    HttpLoad {
        target: to.address,
        connections,
        duration,
        requests_max: u64::MAX,
        request,
    }
}

/// The bare server under the same number of connections, in the same run.
pub async fn measure_bare_server(connections: usize) -> LoadResult {
    let server = processes::spawn_self_as("bare");
    http_load::run(http_load(&server, connections, 1, report_request)).await;
    http_load::run(http_load(&server, connections, 5, report_request)).await
}

/// A row that compares a rate with the bare server's.
pub fn ratio_row(what: &str, measured: &LoadResult, bare: &LoadResult, floor: f64) -> BenchRow {
    let ratio = measured.rate() / bare.rate();
    let unit = format!(
        "{:.0}/s, p99 {:.1} ms, {} refused",
        measured.rate(),
        measured.p99_ms,
        measured.error_count
    );
    BenchRow {
        name: format!("{what} (bare {:.0}/s)", bare.rate()),
        measured: unit,
        ratio: format!("{ratio:.3}"),
        floor: format!("{floor:.2}"),
        is_met: ratio >= floor && measured.error_count == 0,
    }
}

async fn intake() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = measure_bare_server(64).await;
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &["--concurrency", "0"], false);
    http_load::run(http_load(&gateway, 64, 2, send_request)).await;
    let measured = http_load::run(http_load(&gateway, 64, 10, send_request)).await;
    vec![ratio_row("intake, on disk", &measured, &bare, 0.40)]
}

/// Accepted and sent in the same 20 seconds; what still waits at the end does not count.
pub async fn sent_while_loaded(gateway: &BenchProcess) -> (LoadResult, i64) {
    http_load::run(http_load(gateway, 64, 2, send_request)).await;
    let before = gateway.metric_sum(SENT_METRIC);
    let mut measured = http_load::run(http_load(gateway, 64, 20, send_request)).await;
    let sent = gateway.metric_sum(SENT_METRIC) - before;
    let backlog = i64::try_from(measured.ok_count).unwrap_or(i64::MAX) - i64::try_from(sent).unwrap_or(0);
    measured.ok_count = sent;
    (measured, backlog)
}

/// The series that counts what was sent.
pub const SENT_METRIC: &str = "postrider_state_changes_total{channel=\"sms\",state=\"sent\"}";

async fn end_to_end() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = measure_bare_server(64).await;
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &[], false);
    let (measured, backlog) = sent_while_loaded(&gateway).await;
    let what = format!("end to end, mock, 20 s, {backlog} left waiting");
    vec![ratio_row(&what, &measured, &bare, 0.20)]
}

async fn end_to_end_http() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = measure_bare_server(64).await;
    let stub = processes::spawn_self_as("stub");
    let configuration = format!(
        "[providers.stub]\nkind = \"http\"\nconcurrency = 1024\nurl = \"http://{}/messages\"\n\
         json = {{ to_number = \"{{to}}\", message = \"{{body}}\", callback_url = \"{{callback_url}}\" }}\n\
         reference = \"json:message_id\"\n[channels.sms]\nproviders = [\"stub\"]\nstrategy = \"failover\"\n",
        stub.address
    );
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
    let (measured, backlog) = sent_while_loaded(&gateway).await;
    let what = format!("end to end, http stub, 20 s, {backlog} left waiting");
    vec![ratio_row(&what, &measured, &bare, 0.13)]
}

async fn intake_slow_fsync() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = measure_bare_server(256).await;
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &["--concurrency", "0"], true);
    http_load::run(http_load(&gateway, 256, 2, send_request)).await;
    let measured = http_load::run(http_load(&gateway, 256, 10, send_request)).await;
    vec![ratio_row(
        "intake, every flush 5 ms slower, 256 connections",
        &measured,
        &bare,
        0.10,
    )]
}

async fn report_page() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = measure_bare_server(64).await;
    let memcached = processes::spawn_memcached();
    let configuration = format!(
        "[cache]\nurl = \"memcache://{}\"\n{MOCK_CONFIG}",
        memcached.address
    );
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &["--concurrency", "0"], false);
    http_load::run(http_load(&gateway, 64, 2, send_request)).await;
    run_sync_report(folder.path(), &[]);
    http_load::run(http_load(&gateway, 64, 2, report_request)).await;
    let measured = http_load::run(http_load(&gateway, 64, 5, report_request)).await;
    vec![ratio_row("report page from memcached", &measured, &bare, 0.20)]
}

/// Runs `sync:report` in the gateway's folder; how long it took.
fn run_sync_report(folder: &std::path::Path, arguments: &[&str]) -> Duration {
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
async fn one_million_waiting() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &["--concurrency", "0"], false);
    let fill = |requests_max| HttpLoad {
        requests_max,
        ..http_load(&gateway, 64, 300, send_request)
    };
    let filled = http_load::run(fill(1_000_000)).await;
    let memory = gateway.resident_mib();
    run_sync_report(folder.path(), &[]);
    let full = run_sync_report(folder.path(), &["--full"]);
    http_load::run(fill(1_000)).await;
    let changed = run_sync_report(folder.path(), &[]);
    let share = 100.0 * changed.as_secs_f64() / full.as_secs_f64();
    http_load::run(http_load(&gateway, 64, 1, report_request)).await;
    let page = http_load::run(http_load(&gateway, 64, 3, report_request)).await;
    let plain = |what: &str, measured: String, floor: &str, good| BenchRow {
        name: what.to_owned(),
        measured,
        ratio: "–".to_owned(),
        floor: floor.to_owned(),
        is_met: good,
    };
    let waiting = format!("resident memory, {} messages waiting", filled.ok_count);
    vec![
        plain(
            &waiting,
            format!("{memory:.0} MiB"),
            "≤ 100 MiB",
            memory <= 100.0 && filled.error_count == 0,
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
            page.error_count == 0,
        ),
    ]
}

async fn startup() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &[], false);
    let ready = gateway.ready_after.as_secs_f64() * 1e3;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let memory = gateway.resident_mib();
    let row = |what: &str, measured: String, floor: &str, good| BenchRow {
        name: what.to_owned(),
        measured,
        ratio: "–".to_owned(),
        floor: floor.to_owned(),
        is_met: good,
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
