//! The emergency alert: how fast it is produced, simulated, and sent by senders that take their time; what watching costs.
//!
//! Commands of the release binary in a folder of their own; how long they take is measured from outside.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::rows::BenchRow;

/// Senders that only play, with nothing else on the machine's disk.
const MOCK_ONLY_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Processes of system D.
const SENDER_PROCESSES: u32 = 8;

/// How long senders are watched: so long that luck moves what they send by less than 2 %.
const MEASURE_DURATION: Duration = Duration::from_secs(60);

fn config_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("console.toml"), MOCK_ONLY_CONFIG).expect("write the configuration");
    folder
}

fn console_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command
        .current_dir(folder)
        .args(arguments)
        .env("RUST_LOG", "error");
    command
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Runs a command to its end, which must be a good one; how long it took.
fn run_timed(folder: &Path, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    let status = console_command(folder, arguments).status().expect("run console");
    assert!(status.success(), "{arguments:?}");
    started.elapsed()
}

/// A process that is killed when dropped.
struct BackgroundConsole(Child);

impl BackgroundConsole {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self(console_command(folder, arguments).spawn().expect("start console"))
    }

    /// Seconds of processor time it has used.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("read /proc");
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks: f64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum();
        ticks / 100.0
    }
}

impl Drop for BackgroundConsole {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bench_row(what: &str, measured: String, floor: &str, good: bool) -> BenchRow {
    BenchRow {
        name: what.to_owned(),
        measured,
        ratio: "–".to_owned(),
        floor: floor.to_owned(),
        is_met: good,
    }
}

/// Deliveries in the store that have ended.
fn ended_deliveries(folder: &Path) -> f64 {
    let store = rusqlite::Connection::open(folder.join("postrider.db")).expect("open the store");
    let sql = "SELECT count(*) FROM deliveries INDEXED BY deliveries_ended WHERE state <> 'waiting'";
    store.query_row(sql, [], |row| row.get(0)).expect("count")
}

/// `console produce --messages 1000000`, then what a monitor of those costs.
pub async fn produce_and_monitor() -> Vec<BenchRow> {
    let folder = config_folder();
    let rate = 1e6 / run_timed(folder.path(), &["produce", "--messages", "1000000"]).as_secs_f64();
    // Whoever comes first counts them all; that is once, and not what watching costs.
    run_timed(folder.path(), &["sync:report"]);
    let monitor = BackgroundConsole::start(folder.path(), &["monitor", "--interval", "5s"]);
    let _sender = BackgroundConsole::start(folder.path(), &["work", "--mean-time", "100ms"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, started) = (monitor.cpu_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(30)).await;
    let share = 100.0 * (monitor.cpu_seconds() - before) / started.elapsed().as_secs_f64();
    vec![
        bench_row(
            "produce, 1,000,000 messages",
            format!("{rate:.0}/s"),
            "≥ 60,000/s",
            rate >= 60_000.0,
        ),
        bench_row(
            "monitor of 1,000,000 messages, one sender at work",
            format!("{share:.2} % of a core"),
            "< 1 %",
            share < 1.0,
        ),
    ]
}

/// `console simulate --messages 1000000 --mean-time 0 --failure-rate 0`.
pub async fn simulate() -> Vec<BenchRow> {
    let folder = config_folder();
    let arguments = [
        "simulate",
        "--messages",
        "1000000",
        "--mean-time",
        "0",
        "--failure-rate",
        "0",
    ];
    let rate = 1e6 / run_timed(folder.path(), &arguments).as_secs_f64();
    vec![bench_row(
        "simulate, 1,000,000 messages, no time, no failures",
        format!("{rate:.0}/s"),
        "≥ 25,000/s",
        rate >= 25_000.0,
    )]
}

/// Processes of one place each, and one of 256 places, beside what theory gives them.
pub async fn sender_throughput() -> Vec<BenchRow> {
    let apart = send_rate(
        SENDER_PROCESSES,
        &["work", "--mean-time", "100ms", "--failure-rate", "0"],
    )
    .await;
    let crowd = [
        "work",
        "--mean-time",
        "100ms",
        "--failure-rate",
        "0",
        "--concurrency",
        "256",
    ];
    let crowd = send_rate(1, &crowd).await;
    [
        (
            format!("{SENDER_PROCESSES} senders, mean 0.1 s, one at a time"),
            apart,
            f64::from(SENDER_PROCESSES) / 0.1,
        ),
        (
            "one sender, mean 0.1 s, 256 at a time".to_owned(),
            crowd,
            256.0 / 0.1,
        ),
    ]
    .map(|(what, rate, ideal)| {
        let share = 100.0 * rate / ideal;
        bench_row(
            &what,
            format!("{rate:.0}/s, {share:.1} % of the ideal"),
            "≥ 95 %",
            share >= 95.0,
        )
    })
    .into()
}

async fn send_rate(processes: u32, arguments: &[&str]) -> f64 {
    let folder = config_folder();
    run_timed(folder.path(), &["produce", "--messages", "200000"]);
    let _senders: Vec<_> = (0..processes)
        .map(|_| BackgroundConsole::start(folder.path(), arguments))
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, started) = (ended_deliveries(folder.path()), Instant::now());
    tokio::time::sleep(MEASURE_DURATION).await;
    (ended_deliveries(folder.path()) - before) / started.elapsed().as_secs_f64()
}
