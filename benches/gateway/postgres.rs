//! The rows on PostgreSQL: a server of its own beside the gateway, every answer after the server's own flush.
//!
//! What is measured here shares the two cores with the server, the load generator and the provider, so only the ratios
//! say something.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postrider::domain::delivery::State;
use postrider::domain::id::DeliveryId;
use postrider::domain::message::{Claimed, Round};
use postrider::domain::wish::Wish;
use postrider::store::{self, Store};

use crate::footprint::ticks;
use crate::load::{self, Load};
use crate::peers::{self, Peer};
use crate::rows::{MOCK, Row, bare, load, ratio_row, send, sent_while_loaded};

/// A server that ends, with its files, when it is dropped.
pub struct Server {
    programs: PathBuf,
    place: PathBuf,
    port: u16,
    keeper: Child,
}

/// What a server on a machine with two cores and some memory is usually set to.
const SETTINGS: [&str; 10] = [
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

impl Server {
    /// A new one on a free port.
    pub fn start() -> Self {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let places = versions.flatten().map(|version| version.path().join("bin"));
        let programs = places.max().expect("PostgreSQL; ./start.sh test installs it");
        let port = peers::free_address().port();
        let place = std::env::temp_dir().join(format!("postrider-bench-{port}"));
        std::fs::create_dir_all(&place).expect("a folder");
        let keeper = Command::new("sh")
            .args(["-c", include_str!("../../tests/e2e/database.sh"), "database.sh"])
            .arg(&programs)
            .arg(&place)
            .arg(port.to_string())
            .args(SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self {
            programs,
            place,
            port,
            keeper: keeper.expect("a shell"),
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
        let mut child = Command::new(self.programs.join(program))
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
    pub fn database(&self, name: &str) -> String {
        assert!(self.run("createdb", &[name], ""), "createdb {name}");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// The number that is the answer to a question in SQL.
    pub fn ask(&self, name: &str, sql: &str) -> i64 {
        let port = self.port.to_string();
        let place = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-d", name];
        let mut command = Command::new(self.programs.join("psql"));
        let output = command
            .args(place)
            .args(["-Atc", sql])
            .output()
            .expect("run psql");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse().expect("a number")
    }

    /// Processor time of all its processes so far.
    pub fn ticks(&self) -> u64 {
        let file = std::fs::read_to_string(self.place.join("data/postmaster.pid")).expect("its id");
        let id = file
            .lines()
            .next()
            .and_then(|line| line.parse().ok())
            .expect("its id");
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = list.split_whitespace().filter_map(|child| child.parse().ok());
        ticks(id) + children.map(ticks).sum::<u64>()
    }

    /// Runs SQL.
    fn sql(&self, name: &str, sql: &str) {
        let arguments = ["-q", "-v", "ON_ERROR_STOP=1", "-d", name];
        assert!(
            self.run("psql", &arguments, sql),
            "psql could not run what it was given"
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The configuration of a gateway on that database.
pub fn on_postgres(url: &str) -> String {
    format!("[store]\nurl = \"{url}\"\n{MOCK}")
}

/// Accepted on PostgreSQL.
pub async fn intake() -> Vec<Row> {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), Server::start());
    let bare = bare(64).await;
    let configuration = on_postgres(&server.database("intake"));
    let gateway = peers::gateway(folder.path(), &configuration, &["--workers", "0"], false);
    load::run(load(&gateway, 64, 2, send)).await;
    let measured = load::run(load(&gateway, 64, 10, send)).await;
    vec![ratio_row("intake, PostgreSQL", &measured, &bare, 0.10)]
}

/// Accepted and sent on PostgreSQL.
pub async fn through() -> Vec<Row> {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), Server::start());
    let bare = bare(64).await;
    let configuration = on_postgres(&server.database("through"));
    let gateway = peers::gateway(folder.path(), &configuration, &[], false);
    let (measured, backlog) = sent_while_loaded(&gateway).await;
    let what = format!("end to end, PostgreSQL, mock, 20 s, {backlog} left waiting");
    vec![ratio_row(&what, &measured, &bare, 0.05)]
}

/// Deliveries of a batch.
const BATCH: usize = 100;

/// Batches that are timed.
const BATCHES: usize = 200;

/// The time to find and claim a batch, among few and among many that wait.
pub async fn claim() -> Vec<Row> {
    let server = Server::start();
    let few = claim_among(&server, "few", 10_000).await;
    let many = claim_among(&server, "many", 5_000_000).await;
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    vec![Row {
        what: format!(
            "PostgreSQL, due and claim of {BATCH} among 5,000,000 (among 10,000: {})",
            shown(few)
        ),
        measured: shown(many),
        ratio: format!("{ratio:.2} × few"),
        floor: "≤ 1.20".to_owned(),
        good: ratio <= 1.20,
    }]
}

/// The median of the times for a batch.
async fn claim_among(server: &Server, name: &str, waiting: usize) -> Duration {
    let url = server.database(name);
    let store = store::open(&url, store::LOCK_WAIT).expect("open the store");
    let filled = include_str!("waiting.sql").replace("{waiting}", &waiting.to_string());
    server.sql(name, &filled);
    let mut times = Vec::new();
    // Half as many batches as wait among the few, so that they do not run out.
    for _ in 0..BATCHES.min(waiting / BATCH / 2) {
        let began = Instant::now();
        let claimed = claim_batch(&*store).await;
        times.push(began.elapsed());
        assert_eq!(claimed.len(), BATCH, "a whole batch is claimed");
        // As a worker does, which claims no more than it can call at once.
        let ends = claimed.iter().map(end).collect();
        store.record(ends).await.expect("record");
    }
    times.sort();
    times[times.len() / 2]
}

/// The end of a round that went well.
fn end(of: &Claimed) -> Round {
    let at = chrono::Utc::now();
    Round {
        id: of.id,
        round: of.round,
        attempts: Vec::new(),
        state: State::Sent {
            provider: "mock".parse().expect("a name"),
            reference: None,
            at,
        },
        tries: 1,
        watch: None,
        at,
    }
}

async fn claim_batch(store: &dyn Store) -> Vec<Claimed> {
    let now = chrono::Utc::now();
    let due = store
        .due(now, &Wish::up_to(BATCH))
        .await
        .expect("ask what is due");
    let ids = due.iter().map(|nudge| nudge.id).collect::<Vec<DeliveryId>>();
    let lease = Duration::from_secs(600);
    store.claim(ids, now, lease).await.expect("claim")
}

/// Messages that wait before the workers start; the windows below must not drain them.
const WAITING: u64 = 80_000;

/// Three worker processes against one, each with 100 calls of 50 ms in flight.
pub async fn workers() -> Vec<Row> {
    let server = Server::start();
    let one = workers_rate(&server, "one", 1).await;
    let three = workers_rate(&server, "three", 3).await;
    let ratio = three / one;
    vec![Row {
        what: format!("PostgreSQL and Redis, three workers, calls of 50 ms (one: {one:.0}/s)"),
        measured: format!("{three:.0}/s"),
        ratio: format!("{ratio:.2} × one"),
        floor: "2.90".to_owned(),
        good: ratio >= 2.90,
    }]
}

/// Messages sent in a second by so many workers that have enough to do.
async fn workers_rate(server: &Server, name: &str, workers: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = peers::redis();
    let configuration = format!(
        "[store]\nurl = \"{}\"\n[queue]\nurl = \"redis://{}\"\n[work]\nconcurrency = 100\n[providers.mock]\n\
         kind = \"mock\"\nconcurrency = 100\nmean_time = \"50ms\"\n[channels.sms]\nproviders = [\"mock\"]\n\
         strategy = \"failover\"\n",
        server.database(name),
        redis.at
    );
    let gateway = peers::gateway(folder.path(), &configuration, &["--workers", "0"], false);
    let fill = Load {
        requests_max: WAITING,
        ..load(&gateway, 64, 120, send)
    };
    load::run(fill).await;
    let _workers = (0..workers)
        .map(|_| peers::worker(folder.path()))
        .collect::<Vec<Peer>>();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), sent(server, name));
    tokio::time::sleep(Duration::from_secs(8)).await;
    let sent = sent(server, name) - before;
    sent as f64 / began.elapsed().as_secs_f64()
}

/// Messages that have been sent so far.
fn sent(server: &Server, name: &str) -> i64 {
    server.ask(name, "SELECT count(*) FROM deliveries WHERE state <> 'waiting'")
}
