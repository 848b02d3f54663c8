//! Store, report, pages, metrics and monitor report the same counts, during a run and at its end.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Instant;

use super::raw_http;
use super::test_gateway::{ConsoleProcess, TestGateway, WAIT_LIMIT, free_address, poll_pause, wait_until};

/// Mock providers that produce every outcome of an attempt and every receipt.
const ALL_OUTCOMES_CONFIG: &str = "[providers.blue]\nkind = \"mock\"\nmean_time = \"1ms\"\nfailure_rate = 0.1\nrejected = 0.05\n\
                          unknown = 0.02\ninvalid_recipient = 0.01\nbreaker_failure_threshold = 1000000\n\
                          receipts = { delivered = 0.7, bounced = 0.1, invalid = 0.02, opened = 0.5 }\n\
                          [providers.red]\nkind = \"mock\"\nfailure_rate = 0.3\nbreaker_failure_threshold = 1000000\n\
                          receipts = \"delivered\"\n\
                          [channels.sms]\nproviders = [\"blue\", \"red\"]\nbounce = \"resend\"\n\
                          [retry]\nbase = \"10ms\"\ncap = \"50ms\"\nmax_tries = 3\n\
                          [schedule]\nresend = \"never\"\nreport = \"never\"\n[work]\nconcurrency = 8\n";

/// Deliveries by state, as one source reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StateCounts {
    accepted: i64,
    waiting: i64,
    sent: i64,
    delivered: i64,
    failed: i64,
}

impl StateCounts {
    fn is_consistent(self) -> bool {
        self.accepted == self.waiting + self.sent + self.delivered + self.failed
    }
}

/// Counts the rows of the store.
fn counts_in_store(store: &rusqlite::Connection) -> StateCounts {
    let number = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let state = |state| number(&format!("SELECT count(*) FROM deliveries WHERE state = '{state}'"));
    StateCounts {
        accepted: number("SELECT count(*) FROM messages"),
        waiting: state("waiting"),
        sent: state("sent"),
        delivered: state("delivered"),
        failed: state("failed"),
    }
}

/// Reads the counters above a page.
fn counts_on_page(at: SocketAddr, path: &str) -> Option<StateCounts> {
    let page = raw_http::get(at, path)?.body;
    let counter = |name: &str| {
        let (_, rest) = page.split_once(&format!("data-live=\"counter-{name}\">"))?;
        rest.split_once('<')?.0.replace(',', "").parse().ok()
    };
    Some(StateCounts {
        accepted: counter("accepted")?,
        waiting: counter("waiting")?,
        sent: counter("sent")?,
        delivered: counter("delivered")?,
        failed: counter("failed")?,
    })
}

/// Reads the counts of `GET /v1/report`.
fn counts_in_report(at: SocketAddr) -> Option<StateCounts> {
    let report = raw_http::get(at, "/v1/report")?.json();
    let totals = &report["totals"];
    Some(StateCounts {
        accepted: report["messages"].as_i64()?,
        waiting: totals["waiting"].as_i64()?,
        sent: totals["sent"].as_i64()?,
        delivered: totals["delivered"].as_i64()?,
        failed: totals["failed"].as_i64()?,
    })
}

/// Returns the sum of all samples of a metric that contain `label`.
fn metric_sum(at: SocketAddr, name: &str, label: &str) -> i64 {
    let metrics = raw_http::get(at, "/metrics").expect("metrics").body;
    let samples = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    #[allow(clippy::cast_possible_truncation)]
    // Counts are far below 2^53, so the conversion is exact.
    let sum = values.sum::<f64>() as i64;
    sum
}

/// Returns the counts of sent and failed messages that `console monitor` prints.
fn counts_in_monitor(gateway: &TestGateway, store: &str) -> (i64, i64) {
    let mut command = gateway.command(&["monitor", "--interval", "1h"]);
    command.env("POSTRIDER_STORE_URL", format!("sqlite:{store}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let printed: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    assert_eq!(ConsoleProcess::from_child(child).terminate().code(), Some(0));
    let number = |line: &str, prefix: &str| line.strip_prefix(prefix).unwrap().parse().unwrap();
    assert!(
        printed[2].starts_with("Average time per message: ") && printed[2].ends_with(" seconds"),
        "{printed:?}"
    );
    (number(&printed[0], "Total messages sent: "), number(&printed[1], "Total messages failed: "))
}

/// Updates the report and returns the counts of every source, with its name.
fn all_counts(gateway: &TestGateway, store: &str) -> Vec<(&'static str, Option<StateCounts>)> {
    let mut command = gateway.command(&["sync:report"]);
    command.env("POSTRIDER_STORE_URL", format!("sqlite:{store}"));
    assert!(command.output().unwrap().status.success());
    let connection = rusqlite::Connection::open(gateway.folder.path().join(store)).unwrap();
    let in_store = counts_in_store(&connection);
    let (sent, failed) = counts_in_monitor(gateway, store);
    let monitored = StateCounts { sent: sent - in_store.delivered, failed, ..in_store };
    let gauge =
        StateCounts { waiting: metric_sum(gateway.address, "postrider_waiting{", "channel="), ..in_store };
    vec![
        ("store", Some(in_store)),
        ("report", counts_in_report(gateway.address)),
        ("page", counts_on_page(gateway.address, "/")),
        ("usage", counts_on_page(gateway.address, "/usage")),
        ("broadcasts", counts_on_page(gateway.address, "/broadcasts")),
        ("operate", counts_on_page(gateway.address, "/operate")),
        ("monitor", Some(monitored)),
        ("metrics", Some(gauge)),
    ]
}

/// Waits until all sources agree and returns their counts; pages are cached for a second.
fn wait_until_counts_agree(gateway: &TestGateway, store: &str) -> StateCounts {
    let began = Instant::now();
    loop {
        let counts = all_counts(gateway, store);
        let agreed = counts[0].1.unwrap();
        if counts.iter().all(|(_, other)| *other == Some(agreed)) {
            assert!(agreed.is_consistent(), "{agreed:?}");
            return agreed;
        }
        assert!(began.elapsed() < WAIT_LIMIT, "{counts:#?}");
        poll_pause();
    }
}

/// Starts `serve` without workers on the given store.
fn serve_store(gateway: &TestGateway, store: &str) -> ConsoleProcess {
    std::fs::write(
        gateway.folder.path().join("console.toml"),
        format!("listen = \"{}\"\n[schedule]\nresend = \"never\"\nreport = \"never\"\n[store]\nurl = \"sqlite:{store}\"\n", gateway.address),
    )
    .unwrap();
    gateway.start_serve(&["--concurrency", "0"])
}

#[test]
fn all_counts_agree_during_and_after_a_run_with_every_outcome() {
    let gateway = TestGateway::new(ALL_OUTCOMES_CONFIG);
    let _serve = gateway.start_serve(&["--concurrency", "0"]);
    let output = gateway.run_ok(&["produce", "--messages", "3000"]);
    assert!(output.starts_with("produced 3000 messages"), "{output}");

    let first = gateway.start(&["work"]);
    let ended = "SELECT count(*) FROM deliveries WHERE state <> 'waiting'";
    wait_until("some deliveries have ended", || gateway.query_number(ended) > 500);
    assert_eq!(first.terminate().code(), Some(0));
    let middle = wait_until_counts_agree(&gateway, "postrider.db");
    assert!(middle.accepted == 3_000 && middle.waiting > 0, "{middle:?}");

    let at = free_address();
    let _second = gateway.start(&["work", "--listen", &at.to_string()]);
    let changes =
        |state: &str| metric_sum(at, "postrider_state_changes_total{", &format!("state=\"{state}\""));
    wait_until("all deliveries have ended", || {
        gateway.query_number("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
    });
    let began = Instant::now();
    loop {
        let end = wait_until_counts_agree(&gateway, "postrider.db");
        let both = (end.delivered - middle.delivered, end.failed - middle.failed);
        if end.waiting == 0 && (changes("delivered"), changes("failed")) == both {
            let unknown = gateway.query_number("SELECT count(*) FROM attempts WHERE outcome = 'unknown'");
            assert!(both.0 > 0 && both.1 > 0 && unknown > 0, "{end:?}");
            break;
        }
        assert!(
            began.elapsed() < WAIT_LIMIT,
            "{middle:?} {end:?} {} {}",
            changes("delivered"),
            changes("failed")
        );
        poll_pause();
    }
}

#[test]
fn all_counts_agree_on_a_store_kept_by_a_simulation() {
    for (store, arguments) in [
        ("retried.db", &["--messages", "3000", "--mean-time", "0", "--failure-rate", "0.3"][..]),
        ("unretried.db", &["--messages", "3000", "--mean-time", "0", "--no-retry"]),
        ("users.db", &["--users", "600", "--loss-ratio", "0.2"]),
    ] {
        let gateway = TestGateway::new("");
        let keep = format!("--keep=sqlite:{store}");
        let printed = gateway.run_ok(&[&["simulate", "--seed", "5", &keep], arguments].concat());
        let _serve = serve_store(&gateway, store);
        let agreed = wait_until_counts_agree(&gateway, store);
        let row = |source: &str| {
            let line = printed.lines().find(|line| line.starts_with(source));
            let cells = line.unwrap().split_whitespace().skip(1);
            cells.map(|word| word.parse::<i64>().unwrap()).collect::<Vec<_>>()
        };
        let all = [agreed.accepted, agreed.waiting, agreed.sent, agreed.delivered, agreed.failed];
        assert_eq!(row("report"), all, "{printed}");
        assert_eq!(row("metrics"), all, "{printed}");
    }
}

#[test]
fn all_counts_agree_after_an_interrupted_simulation() {
    for arguments in
        [&["--messages", "4000", "--mean-time", "3ms"][..], &["--users", "800", "--mean-time", "3ms"]]
    {
        let gateway = TestGateway::new("");
        let store = gateway.folder.path().join("kept.db");
        let mut command = gateway.command(&[&["simulate", "--keep=sqlite:kept.db"], arguments].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let ended = || {
            let store = rusqlite::Connection::open(&store).ok()?;
            let sql = "SELECT count(*) FROM deliveries WHERE state <> 'waiting'";
            store.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
        };
        wait_until("some deliveries have ended", || ended().is_some_and(|ended| ended > 50));
        let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && !table.contains("mismatch:"), "{table}");
        let _serve = serve_store(&gateway, "kept.db");
        let agreed = wait_until_counts_agree(&gateway, "kept.db");
        assert!(agreed.waiting > 0 && agreed.accepted > agreed.waiting, "{agreed:?}");
    }
}
