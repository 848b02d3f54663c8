//! Numbers that do not add up are bugs: whoever counts, the store, the report, its page, the metrics, the operator's page
//! and the monitor come to the same numbers, at the end of a simulation and in its middle.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Instant;

use super::wire;
use super::world::{Console, DEADLINE, World, breathe, free_address, until};

/// Everything that can become of a message: fails, is refused, is unknown, is delivered, is lost after all, is opened.
const EVERYTHING: &str = "[providers.blue]\nkind = \"mock\"\nmean_time = \"1ms\"\nfailure_rate = 0.1\nrejected = 0.05\n\
                          unknown = 0.02\ninvalid_recipient = 0.01\nrest_after = 1000000\n\
                          receipts = { delivered = 0.7, bounced = 0.1, invalid = 0.02, opened = 0.5 }\n\
                          [providers.red]\nkind = \"mock\"\nfailure_rate = 0.3\nrest_after = 1000000\n\
                          receipts = \"delivered\"\n\
                          [channels.sms]\nproviders = [\"blue\", \"red\"]\nbounce = \"resend\"\n\
                          [retry]\nbase = \"10ms\"\ncap = \"50ms\"\nmax_tries = 3\n\
                          [schedule]\nresend = \"never\"\nreport = \"never\"\n[work]\nconcurrency = 8\n";

/// What somebody counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    accepted: i64,
    waiting: i64,
    sent: i64,
    delivered: i64,
    failed: i64,
}

impl Sums {
    fn add_up(self) -> bool {
        self.accepted == self.waiting + self.sent + self.delivered + self.failed
    }
}

/// By the store itself.
fn of_store(store: &rusqlite::Connection) -> Sums {
    let number = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let state = |state| {
        number(&format!(
            "SELECT count(*) FROM deliveries WHERE state = '{state}'"
        ))
    };
    Sums {
        accepted: number("SELECT count(*) FROM messages"),
        waiting: state("waiting"),
        sent: state("sent"),
        delivered: state("delivered"),
        failed: state("failed"),
    }
}

/// By the counters above a page.
fn of_strip(at: SocketAddr, path: &str) -> Option<Sums> {
    let page = wire::get(at, path)?.body;
    let counter = |name: &str| {
        let (_, rest) = page.split_once(&format!("data-live=\"counter-{name}\">"))?;
        rest.split_once('<')?.0.replace(',', "").parse().ok()
    };
    Some(Sums {
        accepted: counter("accepted")?,
        waiting: counter("waiting")?,
        sent: counter("sent")?,
        delivered: counter("delivered")?,
        failed: counter("failed")?,
    })
}

/// By the report as machines read it.
fn of_report(at: SocketAddr) -> Option<Sums> {
    let report = wire::get(at, "/v1/report")?.json();
    let totals = &report["totals"];
    Some(Sums {
        accepted: report["messages"].as_i64()?,
        waiting: totals["waiting"].as_i64()?,
        sent: totals["sent"].as_i64()?,
        delivered: totals["delivered"].as_i64()?,
        failed: totals["failed"].as_i64()?,
    })
}

/// The sum of all samples of a metric with such a label.
fn metric(at: SocketAddr, name: &str, label: &str) -> i64 {
    let metrics = wire::get(at, "/metrics").expect("metrics").body;
    let samples = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    #[allow(clippy::cast_possible_truncation)]
    // Counts, far below what a fraction can hold.
    let sum = values.sum::<f64>() as i64;
    sum
}

/// What the monitor says of sent and failed.
fn of_monitor(world: &World, store: &str) -> (i64, i64) {
    let mut command = world.command(&["monitor", "--interval", "1h"]);
    command.env("POSTRIDER_STORE_URL", format!("sqlite:{store}"));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let said: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    assert_eq!(Console::of(child).stop().code(), Some(0));
    let number = |line: &str, prefix: &str| line.strip_prefix(prefix).unwrap().parse().unwrap();
    assert!(
        said[2].starts_with("Average time per message: ") && said[2].ends_with(" seconds"),
        "{said:?}"
    );
    (
        number(&said[0], "Total messages sent: "),
        number(&said[1], "Total messages failed: "),
    )
}

/// All that anybody says of this store, by who says it, once the report was brought up to date.
fn told(world: &World, store: &str) -> Vec<(&'static str, Option<Sums>)> {
    let mut command = world.command(&["sync:report"]);
    command.env("POSTRIDER_STORE_URL", format!("sqlite:{store}"));
    assert!(command.output().unwrap().status.success());
    let connection = rusqlite::Connection::open(world.folder.path().join(store)).unwrap();
    let in_store = of_store(&connection);
    let (sent, failed) = of_monitor(world, store);
    let watched = Sums {
        sent: sent - in_store.delivered,
        failed,
        ..in_store
    };
    let gauge = Sums {
        waiting: metric(world.at, "postrider_waiting{", "channel="),
        ..in_store
    };
    vec![
        ("store", Some(in_store)),
        ("report", of_report(world.at)),
        ("page", of_strip(world.at, "/")),
        ("usage", of_strip(world.at, "/usage")),
        ("broadcasts", of_strip(world.at, "/broadcasts")),
        ("operate", of_strip(world.at, "/operate")),
        ("monitor", Some(watched)),
        ("metrics", Some(gauge)),
    ]
}

/// Waits until all of them say the same: pages are remembered for a second. What they agree on.
fn agreed(world: &World, store: &str) -> Sums {
    let began = Instant::now();
    loop {
        let told = told(world, store);
        let sums = told[0].1.unwrap();
        if told.iter().all(|(_, other)| *other == Some(sums)) {
            assert!(sums.add_up(), "{sums:?}");
            return sums;
        }
        assert!(began.elapsed() < DEADLINE, "{told:#?}");
        breathe();
    }
}

/// `serve` that only answers, on that store.
fn shown(world: &World, store: &str) -> Console {
    std::fs::write(
        world.folder.path().join("console.toml"),
        format!("listen = \"{}\"\n[schedule]\nresend = \"never\"\nreport = \"never\"\n[store]\nurl = \"sqlite:{store}\"\n", world.at),
    )
    .unwrap();
    world.serve(&["--workers", "0"])
}

#[test]
fn after_everything_that_can_happen_all_count_alike_in_the_middle_and_at_the_end() {
    let world = World::new(EVERYTHING);
    let _serve = world.serve(&["--workers", "0"]);
    let made = world.say(&["produce", "--messages", "3000"]);
    assert!(made.starts_with("produced 3000 messages"), "{made}");

    let first = world.start(&["work"]);
    let ended = "SELECT count(*) FROM deliveries WHERE state <> 'waiting'";
    until("some have ended", || world.count(ended) > 500);
    assert_eq!(first.stop().code(), Some(0));
    let middle = agreed(&world, "postrider.db");
    assert!(middle.accepted == 3_000 && middle.waiting > 0, "{middle:?}");

    let at = free_address();
    let _second = world.start(&["work", "--listen", &at.to_string()]);
    let counted = |state: &str| {
        metric(
            at,
            "postrider_state_changes_total{",
            &format!("state=\"{state}\""),
        )
    };
    until("all have ended", || {
        world.count("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
    });
    let began = Instant::now();
    loop {
        let end = agreed(&world, "postrider.db");
        let both = (end.delivered - middle.delivered, end.failed - middle.failed);
        if end.waiting == 0 && (counted("delivered"), counted("failed")) == both {
            let unknown = world.count("SELECT count(*) FROM attempts WHERE outcome = 'unknown'");
            assert!(both.0 > 0 && both.1 > 0 && unknown > 0, "{end:?}");
            break;
        }
        assert!(
            began.elapsed() < DEADLINE,
            "{middle:?} {end:?} {} {}",
            counted("delivered"),
            counted("failed")
        );
        breathe();
    }
}

#[test]
fn a_store_that_a_simulation_leaves_behind_is_told_alike_by_all() {
    for (store, arguments) in [
        (
            "retried.db",
            &["--messages", "3000", "--mean-time", "0", "--failure-rate", "0.3"][..],
        ),
        (
            "alert.db",
            &["--messages", "3000", "--mean-time", "0", "--no-retry"],
        ),
        ("users.db", &["--users", "600", "--loss-ratio", "0.2"]),
    ] {
        let world = World::new("");
        let keep = format!("--keep=sqlite:{store}");
        let printed = world.say(&[&["simulate", "--seed", "5", &keep], arguments].concat());
        let _serve = shown(&world, store);
        let sums = agreed(&world, store);
        let line = |who: &str| {
            let line = printed.lines().find(|line| line.starts_with(who));
            let words = line.unwrap().split_whitespace().skip(1);
            words.map(|word| word.parse::<i64>().unwrap()).collect::<Vec<_>>()
        };
        let all = [
            sums.accepted,
            sums.waiting,
            sums.sent,
            sums.delivered,
            sums.failed,
        ];
        assert_eq!(line("report"), all, "{printed}");
        assert_eq!(line("metrics"), all, "{printed}");
    }
}

#[test]
fn an_interrupted_simulation_is_told_alike_by_all() {
    for arguments in [
        &["--messages", "4000", "--mean-time", "3ms"][..],
        &["--users", "800", "--mean-time", "3ms"],
    ] {
        let world = World::new("");
        let store = world.folder.path().join("kept.db");
        let mut command = world.command(&[&["simulate", "--keep=sqlite:kept.db"], arguments].concat());
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ended = || {
            let store = rusqlite::Connection::open(&store).ok()?;
            let sql = "SELECT count(*) FROM deliveries WHERE state <> 'waiting'";
            store.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
        };
        until("some have ended", || ended().is_some_and(|ended| ended > 50));
        let interrupt = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(interrupt.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.code() == Some(1) && !table.contains("wrong:"),
            "{table}"
        );
        let _serve = shown(&world, "kept.db");
        let sums = agreed(&world, "kept.db");
        assert!(sums.waiting > 0 && sums.accepted > sums.waiting, "{sums:?}");
    }
}
