//! What a message costs: processor time of every process it passes, and bytes it leaves on disk.
//!
//! `docs/SCALING.md` computes sizes and costs from these rows. They have no floor: they say what is, not whether it is
//! enough. The load generator's own time does not count.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{self, Load};
use crate::peers::{self, Peer};
use crate::postgres::{Server, on_postgres};
use crate::rows::{MOCK, Row, SENT, load, send};

/// Messages that are accepted and sent.
const MESSAGES: u64 = 200_000;

/// Ticks of the kernel's clock of processor time in a second.
const TICKS: f64 = 100.0;

/// A message on SQLite: one process does everything.
pub async fn on_sqlite() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = peers::gateway(folder.path(), MOCK, &[], false);
    let before = ticks(gateway.id());
    through(&gateway).await;
    let spent = per_message(ticks(gateway.id()) - before);
    let bytes = ["postrider.db", "postrider.db-wal"].map(|name| size(&folder.path().join(name)));
    vec![row(
        &format!("one message, SQLite, {MESSAGES} of them"),
        format!("{spent:.0} µs of a core"),
        bytes[0] as f64 / MESSAGES as f64,
    )]
}

/// A message on PostgreSQL, with the server's part apart.
pub async fn on_postgres_server() -> Vec<Row> {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), Server::start());
    let configuration = on_postgres(&server.database("footprint"));
    let gateway = peers::gateway(folder.path(), &configuration, &[], false);
    let number = |sql: &str| server.ask("footprint", sql);
    let (size, log) = (
        "SELECT pg_database_size(current_database())",
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::BIGINT",
    );
    let before = (ticks(gateway.id()), server.ticks(), number(size), number(log));
    through(&gateway).await;
    let gateway_spent = per_message(ticks(gateway.id()) - before.0);
    let server_spent = per_message(server.ticks() - before.1);
    let bytes = (number(size) - before.2) as f64 / MESSAGES as f64;
    let logged = (number(log) - before.3) as f64 / MESSAGES as f64;
    vec![row(
        &format!("one message, PostgreSQL, {MESSAGES} of them"),
        format!(
            "{gateway_spent:.0} µs of a core in the gateway, {server_spent:.0} µs in the server, {logged:.0} bytes of log"
        ),
        bytes,
    )]
}

/// Sends all messages and waits until they are through.
async fn through(gateway: &Peer) {
    let all = Load {
        requests_max: MESSAGES,
        ..load(gateway, 64, 600, send)
    };
    let measured = load::run(all).await;
    assert_eq!(measured.good, MESSAGES, "{} were refused", measured.bad);
    let deadline = Instant::now() + Duration::from_secs(600);
    while gateway.metric(SENT) < MESSAGES {
        assert!(Instant::now() < deadline, "some were never sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn row(what: &str, spent: String, bytes: f64) -> Row {
    Row {
        what: what.to_owned(),
        measured: format!("{spent}, {bytes:.0} bytes on disk"),
        ratio: "–".to_owned(),
        floor: "–".to_owned(),
        good: true,
    }
}

fn per_message(ticks: u64) -> f64 {
    ticks as f64 / TICKS * 1e6 / MESSAGES as f64
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |about| about.len())
}

/// Processor time a process and its ended children have taken so far.
pub fn ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name before the last bracket may hold blanks; user, system, children's user and system time are the 14th
    // to 17th fields.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(4);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}
