//! Rows on PostgreSQL. Every response comes after the server's own fsync.
//!
//! Gateway, database server, load generator and provider share the cores of the machine, so only the ratios are
//! meaningful.

use std::time::{Duration, Instant};

use postrider_core::capacity::Capacity;
use postrider_core::delivery::DeliveryState;
use postrider_core::id::DeliveryId;
use postrider_core::round::{ClaimedDelivery, CompletedRound};
use postrider_store::Store;

use crate::http_load::{self, HttpLoad};
use crate::postgres_server::{BenchPostgres, postgres_config};
use crate::processes::{self, BenchProcess};
use crate::row::BenchRow;
use crate::workload::{
    Measurement, SENT_METRIC, compare_with_bare_server, http_load, measure_state_changes, send_request,
};

/// Accepts messages.
pub async fn intake() -> Vec<BenchRow> {
    let server = BenchPostgres::start();
    let mut databases = 0;
    let row = compare_with_bare_server("intake, PostgreSQL", 64, 0.10, async || {
        databases += 1;
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = postgres_config(&server.create_database(&format!("intake_{databases}")));
        let arguments = ["--concurrency", "0"];
        let gateway = processes::spawn_gateway(folder.path(), &configuration, &arguments, false);
        http_load::run(http_load(&gateway, 64, 2, send_request)).await;
        Measurement::new(http_load::run(http_load(&gateway, 64, 10, send_request)).await)
    });
    vec![row.await]
}

/// Accepts and sends messages.
pub async fn end_to_end() -> Vec<BenchRow> {
    let server = BenchPostgres::start();
    let mut databases = 0;
    let row = compare_with_bare_server("end to end, PostgreSQL, mock", 64, 0.05, async || {
        databases += 1;
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = postgres_config(&server.create_database(&format!("through_{databases}")));
        let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
        Measurement::with_backlog(measure_state_changes(&gateway, &[SENT_METRIC], 1, send_request).await)
    });
    vec![row.await]
}

/// Deliveries of one batch.
const CLAIM_BATCH_DELIVERIES: usize = 100;

/// Number of batches that are timed.
const CLAIM_BATCHES: usize = 200;

/// Time to select and claim a batch among few and among many waiting deliveries.
pub async fn claim_latency() -> Vec<BenchRow> {
    let server = BenchPostgres::start();
    let few = measure_claim(&server, "few", 10_000).await;
    let many = measure_claim(&server, "many", 5_000_000).await;
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let format_ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let name = format!(
        "PostgreSQL, due and claim of {CLAIM_BATCH_DELIVERIES} among 5,000,000 (among 10,000: {})",
        format_ms(few)
    );
    vec![
        BenchRow::new(&name, format_ms(many), "≤ 1.20", ratio <= 1.20)
            .with_ratio(format!("{ratio:.2} × few")),
    ]
}

/// Returns the median time for a batch.
async fn measure_claim(server: &BenchPostgres, name: &str, waiting: usize) -> Duration {
    let url = server.create_database(name);
    let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).expect("open the store");
    let fill = include_str!("waiting.sql").replace("{waiting}", &waiting.to_string());
    server.run_sql(name, &fill);
    let mut times = Vec::new();
    // At most half of the waiting deliveries are claimed, so that enough are left for every batch.
    for _ in 0..CLAIM_BATCHES.min(waiting / CLAIM_BATCH_DELIVERIES / 2) {
        let watch = Instant::now();
        let claimed = claim_batch(&*store).await;
        times.push(watch.elapsed());
        assert_eq!(claimed.len(), CLAIM_BATCH_DELIVERIES, "a whole batch");
        // Recorded before the next claim, as a worker does.
        let rounds = claimed.iter().map(completed_round).collect();
        store.record(rounds).await.expect("record");
    }
    times.sort();
    times[times.len() / 2]
}

/// Returns a round that sent the delivery.
fn completed_round(claim: &ClaimedDelivery) -> CompletedRound {
    let at = chrono::Utc::now();
    CompletedRound {
        id: claim.id,
        round: claim.round,
        attempts: Vec::new(),
        state: DeliveryState::Sent { provider: "mock".parse().expect("a name"), reference: None, at },
        tries: 1,
        expires_at: claim.expires_at,
        event_target: None,
        at,
    }
}

async fn claim_batch(store: &dyn Store) -> Vec<ClaimedDelivery> {
    let now = chrono::Utc::now();
    let due = store.due(now, &Capacity::total(CLAIM_BATCH_DELIVERIES)).await.expect("select due deliveries");
    let ids = due.iter().map(|entry| entry.id).collect::<Vec<DeliveryId>>();
    let lease = Duration::from_secs(600);
    store.claim(ids, now, lease).await.expect("claim")
}

/// Messages waiting when the workers start; more than the workers send while they are measured.
const WAITING_MESSAGES: u64 = 80_000;

/// Compares three worker processes with one, each with 100 calls of 50 ms in flight.
pub async fn worker_scaling() -> Vec<BenchRow> {
    let server = BenchPostgres::start();
    let one = measure_workers(&server, "one", 1).await;
    let three = measure_workers(&server, "three", 3).await;
    let ratio = three / one;
    let name = format!("PostgreSQL and Redis, three workers, calls of 50 ms (one: {one:.0}/s)");
    vec![
        BenchRow::new(&name, format!("{three:.0}/s"), "2.90", ratio >= 2.90)
            .with_ratio(format!("{ratio:.2} × one")),
    ]
}

/// Returns the rate of messages sent by `workers` processes.
async fn measure_workers(server: &BenchPostgres, name: &str, workers: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = processes::spawn_redis();
    let configuration = format!(
        "[store]\nurl = \"{}\"\n[queue]\nurl = \"redis://{}\"\n[work]\nconcurrency = 100\n[providers.mock]\n\
         kind = \"mock\"\nconcurrency = 100\nmean_time = \"50ms\"\n[channels.sms]\nproviders = [\"mock\"]\n\
         strategy = \"failover\"\n",
        server.create_database(name),
        redis.address
    );
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &["--concurrency", "0"], false);
    let fill = HttpLoad { requests_max: WAITING_MESSAGES, ..http_load(&gateway, 64, 120, send_request) };
    http_load::run(fill).await;
    let _workers =
        (0..workers).map(|_| processes::spawn_worker(folder.path())).collect::<Vec<BenchProcess>>();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (watch, before) = (Instant::now(), sent_count(server, name));
    tokio::time::sleep(Duration::from_secs(8)).await;
    let sent = sent_count(server, name) - before;
    sent as f64 / watch.elapsed().as_secs_f64()
}

/// Returns the number of messages sent so far.
fn sent_count(server: &BenchPostgres, name: &str) -> i64 {
    server.query_number(name, "SELECT count(*) FROM deliveries WHERE state <> 'waiting'")
}
