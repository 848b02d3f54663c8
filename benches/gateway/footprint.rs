//! Rows of the cost of a message: processor time of all processes except the load generator, and bytes on disk.
//!
//! `docs/src/scaling.md` computes sizes and costs from these rows. They have no floor.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::http_load::{self, HttpLoad};
use crate::postgres_server::{BenchPostgres, postgres_config};
use crate::processes::{self, BenchProcess, cpu_ticks};
use crate::row::BenchRow;
use crate::workload::{MOCK_CONFIG, SENT_METRIC, http_load, send_request};

/// Number of messages accepted and sent.
const MESSAGE_COUNT: u64 = 200_000;

/// Clock ticks of processor time per second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Cost on SQLite, where one process does everything.
pub async fn cost_on_sqlite() -> Vec<BenchRow> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = processes::spawn_gateway(folder.path(), MOCK_CONFIG, &[], false);
    let before = cpu_ticks(gateway.id());
    send_all(&gateway).await;
    let spent = micros_per_message(cpu_ticks(gateway.id()) - before);
    let bytes = ["postrider.db", "postrider.db-wal"].map(|name| file_bytes(&folder.path().join(name)));
    vec![cost_row(
        &format!("one message, SQLite, {MESSAGE_COUNT} of them"),
        &format!("{spent:.0} µs of a core"),
        bytes[0] as f64 / MESSAGE_COUNT as f64,
    )]
}

/// Cost on PostgreSQL, with the database server's part.
pub async fn cost_on_postgres() -> Vec<BenchRow> {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), BenchPostgres::start());
    let configuration = postgres_config(&server.create_database("footprint"));
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
    let query = |sql: &str| server.query_number("footprint", sql);
    let (size, log) = (
        "SELECT pg_database_size(current_database())",
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::BIGINT",
    );
    let before = (cpu_ticks(gateway.id()), server.server_cpu_ticks(), query(size), query(log));
    send_all(&gateway).await;
    let gateway_spent = micros_per_message(cpu_ticks(gateway.id()) - before.0);
    let server_spent = micros_per_message(server.server_cpu_ticks() - before.1);
    let bytes = (query(size) - before.2) as f64 / MESSAGE_COUNT as f64;
    let logged = (query(log) - before.3) as f64 / MESSAGE_COUNT as f64;
    vec![cost_row(
        &format!("one message, PostgreSQL, {MESSAGE_COUNT} of them"),
        &format!(
            "{gateway_spent:.0} µs of a core in the gateway, {server_spent:.0} µs in the server, {logged:.0} bytes of log"
        ),
        bytes,
    )]
}

/// Sends all messages and waits until they are sent.
async fn send_all(gateway: &BenchProcess) {
    let all = HttpLoad { requests_max: MESSAGE_COUNT, ..http_load(gateway, 64, 600, send_request) };
    let measured = http_load::run(all).await;
    assert_eq!(measured.ok_count, MESSAGE_COUNT, "{} errors", measured.error_count);
    let deadline = Instant::now() + Duration::from_secs(600);
    while gateway.metric_sum(SENT_METRIC) < MESSAGE_COUNT {
        assert!(Instant::now() < deadline, "messages left after 600 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn cost_row(name: &str, spent: &str, bytes: f64) -> BenchRow {
    BenchRow::new(name, format!("{spent}, {bytes:.0} bytes on disk"), "–", true)
}

fn micros_per_message(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND * 1e6 / MESSAGE_COUNT as f64
}

fn file_bytes(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |about| about.len())
}
