//! Rows of the HTTP API and the report page on SQLite.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::http_load::{self, HttpLoad};
use crate::processes;
use crate::row::BenchRow;
use crate::workload::{
    MOCK_CONFIG, Measurement, SENT_METRIC, compare_with_bare_server, http_load, measure_state_changes,
    mixed_countries_request, report_request, send_request,
};

/// Accepts messages with 64 connections.
pub async fn intake() -> Vec<BenchRow> {
    vec![intake_row("intake, on disk", 64, 0.45, false, send_request).await]
}

/// Accepts messages to numbers of 44 countries in turn.
pub async fn intake_mixed_countries() -> Vec<BenchRow> {
    vec![intake_row("intake, 44 countries mixed", 64, 0.40, false, mixed_countries_request).await]
}

/// Accepts messages with 256 connections while every fsync takes 5 ms longer.
pub async fn intake_slow_fsync() -> Vec<BenchRow> {
    let name = "intake, every fsync 5 ms slower, 256 connections";
    vec![intake_row(name, 256, 0.10, true, send_request).await]
}

async fn intake_row(
    name: &str,
    connections: usize,
    floor: f64,
    is_fsync_slow: bool,
    request: fn(u64) -> String,
) -> BenchRow {
    compare_with_bare_server(name, connections, floor, async || {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = ["--concurrency", "0"];
        let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &arguments, is_fsync_slow);
        http_load::run(http_load(&gateway, connections, 2, request)).await;
        Measurement::new(http_load::run(http_load(&gateway, connections, 10, request)).await)
    })
    .await
}

/// Accepts and sends messages through a mock provider.
pub async fn end_to_end() -> Vec<BenchRow> {
    vec![end_to_end_row("end to end, mock", 0.20, MOCK_CONFIG).await]
}

/// Accepts and sends messages through an HTTP provider.
pub async fn end_to_end_http() -> Vec<BenchRow> {
    let stub = processes::spawn_self_as("stub");
    let configuration = format!(
        "[providers.stub]\nkind = \"http\"\nconcurrency = 1024\nurl = \"http://{}/messages\"\n\
         json = {{ to_number = \"{{to}}\", message = \"{{body}}\", callback_url = \"{{callback_url}}\" }}\n\
         reference = \"json:message_id\"\n[channels.sms]\nproviders = [\"stub\"]\nstrategy = \"failover\"\n",
        stub.address
    );
    vec![end_to_end_row("end to end, http stub", 0.13, &configuration).await]
}

async fn end_to_end_row(name: &str, floor: f64, configuration: &str) -> BenchRow {
    compare_with_bare_server(name, 64, floor, async || {
        let folder = tempfile::tempdir().expect("a folder");
        let gateway = processes::spawn_gateway(folder.path(), configuration, &[], false);
        Measurement::with_backlog(measure_state_changes(&gateway, &[SENT_METRIC], 1, send_request).await)
    })
    .await
}

/// Serves the report page from memcached.
pub async fn report_page() -> Vec<BenchRow> {
    let row = compare_with_bare_server("report page from memcached", 64, 0.20, async || {
        let folder = tempfile::tempdir().expect("a folder");
        let memcached = processes::spawn_memcached();
        let configuration = format!("[cache]\nurl = \"memcache://{}\"\n{MOCK_CONFIG}", memcached.address);
        let arguments = ["--concurrency", "0"];
        let gateway = processes::spawn_gateway(folder.path(), &configuration, &arguments, false);
        http_load::run(http_load(&gateway, 64, 2, send_request)).await;
        run_sync_report(folder.path(), &[]);
        http_load::run(http_load(&gateway, 64, 2, report_request)).await;
        Measurement::new(http_load::run(http_load(&gateway, 64, 5, report_request)).await)
    });
    vec![row.await]
}

/// Runs `sync:report` in the folder of a gateway and returns its duration.
fn run_sync_report(folder: &Path, arguments: &[&str]) -> Duration {
    let watch = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command.current_dir(folder).args(["--config", "console.toml", "sync:report"]).args(arguments);
    let output = command.output().expect("run sync:report");
    assert!(output.status.success(), "sync:report: {}", String::from_utf8_lossy(&output.stderr));
    watch.elapsed()
}

/// Memory, report update and report page with 1,000,000 waiting messages.
pub async fn one_million_waiting() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &["--concurrency", "0"], false);
    let fill = |requests_max| HttpLoad { requests_max, ..http_load(&gateway, 64, 300, send_request) };
    let filled = http_load::run(fill(1_000_000)).await;
    let memory = gateway.resident_mib();
    run_sync_report(folder.path(), &[]);
    let full = run_sync_report(folder.path(), &["--full"]);
    http_load::run(fill(1_000)).await;
    let changed = run_sync_report(folder.path(), &[]);
    let share = 100.0 * changed.as_secs_f64() / full.as_secs_f64();
    http_load::run(http_load(&gateway, 64, 1, report_request)).await;
    let page = http_load::run(http_load(&gateway, 64, 3, report_request)).await;
    vec![
        BenchRow::new(
            &format!("resident memory, {} messages waiting", filled.ok_count),
            format!("{memory:.0} MiB"),
            "≤ 100 MiB",
            memory <= 100.0 && filled.error_count == 0,
        ),
        BenchRow::new(
            "sync:report, 1,000 changes among 1,000,000",
            format!(
                "{:.0} ms, full {:.0} ms, {share:.2} %",
                changed.as_secs_f64() * 1e3,
                full.as_secs_f64() * 1e3
            ),
            "≤ 2 %",
            share <= 2.0,
        ),
        BenchRow::new(
            "report page among 1,000,000",
            format!("{:.0}/s", page.rate()),
            "as above",
            page.error_count == 0,
        ),
    ]
}

/// Time until ready and memory of an idle gateway.
pub async fn startup() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &[], false);
    let ready = gateway.ready_after.as_secs_f64() * 1e3;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let memory = gateway.resident_mib();
    vec![
        BenchRow::new("ready to serve, new store", format!("{ready:.0} ms"), "≤ 100 ms", ready <= 100.0),
        BenchRow::new("resident memory, idle", format!("{memory:.0} MiB"), "≤ 25 MiB", memory <= 25.0),
    ]
}
