//! Rows of the load commands: rates of `produce`, `simulate` and mock senders, and the cost of `monitor`.
//!
//! Runs commands of the release binary in a temporary folder and measures them from outside.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::processes::cpu_ticks;
use crate::row::BenchRow;

/// Configuration with one mock provider.
const MOCK_ONLY_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Sender processes, as in system D.
const SENDER_PROCESSES: u32 = 8;

/// Measuring time of senders, in which chance changes the number of messages by less than 2 %.
const MEASURE_DURATION: Duration = Duration::from_secs(60);

fn config_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("console.toml"), MOCK_ONLY_CONFIG).expect("write the configuration");
    folder
}

fn console_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command.current_dir(folder).args(arguments).env("RUST_LOG", "error");
    command.env("TMPDIR", folder).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs a command that must succeed and returns its duration.
fn run_timed(folder: &Path, arguments: &[&str]) -> Duration {
    let watch = Instant::now();
    let status = console_command(folder, arguments).status().expect("run console");
    assert!(status.success(), "{arguments:?}");
    watch.elapsed()
}

/// A console process; killed on drop.
struct BackgroundConsole(Child);

impl BackgroundConsole {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self(console_command(folder, arguments).spawn().expect("start console"))
    }

    /// Returns the processor time used so far, in seconds.
    fn cpu_seconds(&self) -> f64 {
        cpu_ticks(self.0.id()) as f64 / 100.0
    }
}

impl Drop for BackgroundConsole {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the number of finished deliveries in the store.
fn ended_deliveries(folder: &Path) -> f64 {
    let store = rusqlite::Connection::open(folder.join("postrider.db")).expect("open the store");
    let sql = "SELECT count(*) FROM deliveries INDEXED BY deliveries_ended WHERE state <> 'waiting'";
    store.query_row(sql, [], |row| row.get(0)).expect("count")
}

/// Rate of `console produce --messages 1000000`, then the cost of a monitor of these messages.
pub async fn produce_and_monitor() -> Vec<BenchRow> {
    let folder = config_folder();
    let rate = 1e6 / run_timed(folder.path(), &["produce", "--messages", "1000000"]).as_secs_f64();
    // The first update of the report counts all messages once; it is not part of the monitor's cost.
    run_timed(folder.path(), &["sync:report"]);
    let monitor = BackgroundConsole::start(folder.path(), &["monitor", "--interval", "5s"]);
    let _sender = BackgroundConsole::start(folder.path(), &["work", "--mean-time", "100ms"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, watch) = (monitor.cpu_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(30)).await;
    let share = 100.0 * (monitor.cpu_seconds() - before) / watch.elapsed().as_secs_f64();
    vec![
        BenchRow::new("produce, 1,000,000 messages", format!("{rate:.0}/s"), "≥ 60,000/s", rate >= 60_000.0),
        BenchRow::new(
            "monitor of 1,000,000 messages, one sender at work",
            format!("{share:.2} % of a core"),
            "< 1 %",
            share < 1.0,
        ),
    ]
}

/// Rate of `console simulate --messages 1000000 --mean-time 0 --failure-rate 0`.
pub async fn simulate() -> Vec<BenchRow> {
    let folder = config_folder();
    let arguments = ["simulate", "--messages", "1000000", "--mean-time", "0", "--failure-rate", "0"];
    let rate = 1e6 / run_timed(folder.path(), &arguments).as_secs_f64();
    vec![BenchRow::new(
        "simulate, 1,000,000 messages, no time, no failures",
        format!("{rate:.0}/s"),
        "≥ 25,000/s",
        rate >= 25_000.0,
    )]
}

/// Compares senders with one call in flight each, and one sender with 256, with the rates of theory.
pub async fn sender_throughput() -> Vec<BenchRow> {
    let single = send_rate(SENDER_PROCESSES, &["work", "--mean-time", "100ms", "--failure-rate", "0"]).await;
    let parallel = ["work", "--mean-time", "100ms", "--failure-rate", "0", "--concurrency", "256"];
    let parallel = send_rate(1, &parallel).await;
    [
        (
            format!("{SENDER_PROCESSES} senders, mean 0.1 s, one at a time"),
            single,
            f64::from(SENDER_PROCESSES) / 0.1,
        ),
        ("one sender, mean 0.1 s, 256 at a time".to_owned(), parallel, 256.0 / 0.1),
    ]
    .map(|(name, rate, ideal)| {
        let share = 100.0 * rate / ideal;
        BenchRow::new(&name, format!("{rate:.0}/s, {share:.1} % of the ideal"), "≥ 95 %", share >= 95.0)
    })
    .into()
}

async fn send_rate(processes: u32, arguments: &[&str]) -> f64 {
    let folder = config_folder();
    run_timed(folder.path(), &["produce", "--messages", "200000"]);
    let _senders: Vec<_> =
        (0..processes).map(|_| BackgroundConsole::start(folder.path(), arguments)).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, watch) = (ended_deliveries(folder.path()), Instant::now());
    tokio::time::sleep(MEASURE_DURATION).await;
    (ended_deliveries(folder.path()) - before) / watch.elapsed().as_secs_f64()
}
