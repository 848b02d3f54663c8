//! The rows on PostgreSQL: a server of its own beside the gateway, every answer after the server's own flush.
//!
//! What is measured here shares the two cores with the server, the load generator and the provider, so only the ratios
//! say something.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postrider_core::capacity::Capacity;
use postrider_core::delivery::DeliveryState;
use postrider_core::id::DeliveryId;
use postrider_core::message::{ClaimedDelivery, CompletedRound};
use postrider_store::Store;

use crate::footprint::cpu_ticks;
use crate::http_load::{self, HttpLoad};
use crate::processes::{self, BenchProcess};
use crate::rows::{
    BenchRow, MOCK_CONFIG, http_load, measure_bare_server, ratio_row, send_request, sent_while_loaded,
};

/// A server that ends, with its files, when it is dropped.
pub struct BenchPostgres {
    program_dir: PathBuf,
    data_dir: PathBuf,
    port: u16,
    supervisor: Child,
}

/// What a server on a machine with two cores and some memory is usually set to.
const SERVER_SETTINGS: [&str; 10] = [
    "-c",
    "fsync=on",
    "-c",
    "full_page_writes=on",
    "-c",
    "shared_buffers=1GB",
    "-c",
    "max_wal_size=8GB",
    "-c",
    "wal_compression=on",
];

impl BenchPostgres {
    /// A new one on a free port.
    pub fn start() -> Self {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let places = versions.flatten().map(|version| version.path().join("bin"));
        let programs = places.max().expect("PostgreSQL; ./start.sh test installs it");
        let port = processes::free_address().port();
        let place = std::env::temp_dir().join(format!("postrider-bench-{port}"));
        std::fs::create_dir_all(&place).expect("a folder");
        let keeper = Command::new("sh")
            .args([
                "-c",
                include_str!("../../crates/core/src/testing/database.sh"),
                "database.sh",
            ])
            .arg(&programs)
            .arg(&place)
            .arg(port.to_string())
            .args(SERVER_SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self {
            program_dir: programs,
            data_dir: place,
            port,
            supervisor: keeper.expect("a shell"),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.run("pg_isready", &["-q"], "") {
            assert!(Instant::now() < deadline, "postgres was not ready within 60 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Runs one of its programs; whether it succeeded.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> bool {
        let port = self.port.to_string();
        let mut child = Command::new(self.program_dir.join(program))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("start a program of PostgreSQL's");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(input.as_bytes()).expect("write to it");
        drop(stdin);
        child.wait().is_ok_and(|status| status.success())
    }

    /// A new, empty database.
    pub fn create_database(&self, name: &str) -> String {
        assert!(self.run("createdb", &[name], ""), "createdb {name}");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// The number that is the answer to a question in SQL.
    pub fn query_number(&self, name: &str, sql: &str) -> i64 {
        let port = self.port.to_string();
        let place = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-d", name];
        let mut command = Command::new(self.program_dir.join("psql"));
        let output = command
            .args(place)
            .args(["-Atc", sql])
            .output()
            .expect("run psql");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse().expect("a number")
    }

    /// Processor time of all its processes so far.
    pub fn server_cpu_ticks(&self) -> u64 {
        let file = std::fs::read_to_string(self.data_dir.join("data/postmaster.pid")).expect("its id");
        let id = file
            .lines()
            .next()
            .and_then(|line| line.parse().ok())
            .expect("its id");
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = list.split_whitespace().filter_map(|child| child.parse().ok());
        cpu_ticks(id) + children.map(cpu_ticks).sum::<u64>()
    }

    /// Runs SQL.
    fn run_sql(&self, name: &str, sql: &str) {
        let arguments = ["-q", "-v", "ON_ERROR_STOP=1", "-d", name];
        assert!(
            self.run("psql", &arguments, sql),
            "psql could not run what it was given"
        );
    }
}

impl Drop for BenchPostgres {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// The configuration of a gateway on that database.
pub fn postgres_config(url: &str) -> String {
    format!("[store]\nurl = \"{url}\"\n{MOCK_CONFIG}")
}

/// Accepted on PostgreSQL.
pub async fn intake() -> Vec<BenchRow> {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), BenchPostgres::start());
    let bare = measure_bare_server(64).await;
    let configuration = postgres_config(&server.create_database("intake"));
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &["--concurrency", "0"], false);
    http_load::run(http_load(&gateway, 64, 2, send_request)).await;
    let measured = http_load::run(http_load(&gateway, 64, 10, send_request)).await;
    vec![ratio_row("intake, PostgreSQL", &measured, &bare, 0.10)]
}

/// Accepted and sent on PostgreSQL.
pub async fn end_to_end() -> Vec<BenchRow> {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), BenchPostgres::start());
    let bare = measure_bare_server(64).await;
    let configuration = postgres_config(&server.create_database("through"));
    let gateway = processes::spawn_gateway(folder.path(), &configuration, &[], false);
    let (measured, backlog) = sent_while_loaded(&gateway).await;
    let what = format!("end to end, PostgreSQL, mock, 20 s, {backlog} left waiting");
    vec![ratio_row(&what, &measured, &bare, 0.05)]
}

/// Deliveries of a batch.
const CLAIM_BATCH_DELIVERIES: usize = 100;

/// Batches that are timed.
const CLAIM_BATCHES: usize = 200;

/// The time to find and claim a batch, among few and among many that wait.
pub async fn claim_latency() -> Vec<BenchRow> {
    let server = BenchPostgres::start();
    let few = measure_claim(&server, "few", 10_000).await;
    let many = measure_claim(&server, "many", 5_000_000).await;
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    vec![BenchRow {
        name: format!(
            "PostgreSQL, due and claim of {CLAIM_BATCH_DELIVERIES} among 5,000,000 (among 10,000: {})",
            shown(few)
        ),
        measured: shown(many),
        ratio: format!("{ratio:.2} × few"),
        floor: "≤ 1.20".to_owned(),
        is_met: ratio <= 1.20,
    }]
}

/// The median of the times for a batch.
async fn measure_claim(server: &BenchPostgres, name: &str, waiting: usize) -> Duration {
    let url = server.create_database(name);
    let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).expect("open the store");
    let filled = include_str!("waiting.sql").replace("{waiting}", &waiting.to_string());
    server.run_sql(name, &filled);
    let mut times = Vec::new();
    // Half as many batches as wait among the few, so that they do not run out.
    for _ in 0..CLAIM_BATCHES.min(waiting / CLAIM_BATCH_DELIVERIES / 2) {
        let began = Instant::now();
        let claimed = claim_batch(&*store).await;
        times.push(began.elapsed());
        assert_eq!(claimed.len(), CLAIM_BATCH_DELIVERIES, "a whole batch is claimed");
        // As a worker does, which claims no more than it can call at once.
        let ends = claimed.iter().map(completed_round).collect();
        store.record(ends).await.expect("record");
    }
    times.sort();
    times[times.len() / 2]
}

/// The end of a round that went well.
fn completed_round(of: &ClaimedDelivery) -> CompletedRound {
    let at = chrono::Utc::now();
    CompletedRound {
        id: of.id,
        round: of.round,
        attempts: Vec::new(),
        state: DeliveryState::Sent {
            provider: "mock".parse().expect("a name"),
            reference: None,
            at,
        },
        tries: 1,
        event_target: None,
        at,
    }
}

async fn claim_batch(store: &dyn Store) -> Vec<ClaimedDelivery> {
    let now = chrono::Utc::now();
    let due = store
        .due(now, &Capacity::total(CLAIM_BATCH_DELIVERIES))
        .await
        .expect("ask what is due");
    let ids = due.iter().map(|nudge| nudge.id).collect::<Vec<DeliveryId>>();
    let lease = Duration::from_secs(600);
    store.claim(ids, now, lease).await.expect("claim")
}

/// Messages that wait before the workers start; the windows below must not drain them.
const WAITING_MESSAGES: u64 = 80_000;

/// Three worker processes against one, each with 100 calls of 50 ms in flight.
pub async fn worker_scaling() -> Vec<BenchRow> {
    let server = BenchPostgres::start();
    let one = measure_workers(&server, "one", 1).await;
    let three = measure_workers(&server, "three", 3).await;
    let ratio = three / one;
    vec![BenchRow {
        name: format!("PostgreSQL and Redis, three workers, calls of 50 ms (one: {one:.0}/s)"),
        measured: format!("{three:.0}/s"),
        ratio: format!("{ratio:.2} × one"),
        floor: "2.90".to_owned(),
        is_met: ratio >= 2.90,
    }]
}

/// Messages sent in a second by so many workers that have enough to do.
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
    let fill = HttpLoad {
        requests_max: WAITING_MESSAGES,
        ..http_load(&gateway, 64, 120, send_request)
    };
    http_load::run(fill).await;
    let _workers = (0..workers)
        .map(|_| processes::spawn_worker(folder.path()))
        .collect::<Vec<BenchProcess>>();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), sent_count(server, name));
    tokio::time::sleep(Duration::from_secs(8)).await;
    let sent = sent_count(server, name) - before;
    sent as f64 / began.elapsed().as_secs_f64()
}

/// Messages that have been sent so far.
fn sent_count(server: &BenchPostgres, name: &str) -> i64 {
    server.query_number(name, "SELECT count(*) FROM deliveries WHERE state <> 'waiting'")
}
