//! What is counted at `/metrics`: promtool is content with it, and it has everything that the files in `deploy/` ask for.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::raw_http::{self, RawResponse};
use super::test_gateway::{ConsoleProcess, TestGateway, free_address, wait_until};

const CONFIG: &str = "[providers.blue]\nkind = \"mock\"\nmean_time = \"0s\"\nreceipts = \"delivered\"\n\
                             receipt_delay = \"1ms\"\n[channels.sms]\nproviders = [\"blue\"]\n";

/// The labels that a series may have; none of them takes a number, a person or a message.
const ALLOWED_LABELS: [&str; 7] = [
    "channel", "provider", "outcome", "state", "reason", "result", "le",
];

/// A gateway through which everything has happened that is counted: a message that arrived, and one turned away.
fn busy_gateway() -> (TestGateway, ConsoleProcess) {
    let world = TestGateway::new(CONFIG);
    let serve = world.start_serve(&[]);
    let id = world.send("09122222222", "hello");
    world.wait_for_state(&id, &["delivered"]);
    world.get("/sms/send?number=1&body=hello").expect("an answer");
    (world, serve)
}

fn text_format(world: &TestGateway) -> RawResponse {
    raw_http::send_request(world.address, "GET", "/metrics", &["Accept: */*"], "").expect("an answer")
}

/// What promtool says of metrics; nothing when it is content.
fn promtool_output(metrics: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is not installed: run ./start.sh test");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(metrics.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn promtool_accepts_the_metrics() {
    let (world, _serve) = busy_gateway();
    let answer = text_format(&world);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(promtool_output(&answer.body), "");
    assert_ne!(promtool_output("# TYPE sent counter\nsent 1\n"), "");
}

/// The name of a sample, and the names of its labels.
fn parse_sample(line: &str) -> (&str, Vec<&str>) {
    let (name, labels) = line
        .split_once('{')
        .unwrap_or((line.split(' ').next().unwrap(), ""));
    let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
    let names = labels
        .split(',')
        .filter_map(|part| part.split_once("=\"").map(|(name, _)| name));
    (name, names.collect())
}

/// Every name of ours in the files below a folder.
fn metric_names_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            metric_names_in(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let ours = words.filter(|word| word.starts_with("postrider_"));
        found.extend(ours.map(str::to_owned));
    }
}

#[test]
fn every_metric_of_dashboard_and_alerts_is_exported() {
    let (world, _serve) = busy_gateway();
    let metrics = text_format(&world).body;
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let exported: BTreeSet<&str> = samples.map(|line| parse_sample(line).0).collect();
    let mut asked = BTreeSet::new();
    metric_names_in(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy")),
        &mut asked,
    );
    let missing: Vec<&String> = asked
        .iter()
        .filter(|name| !exported.contains(name.as_str()))
        .collect();
    assert!(asked.len() > 20, "{asked:?}");
    assert_eq!(missing, Vec::<&String>::new(), "{metrics}");
}

#[test]
fn labels_contain_no_recipient() {
    let (world, _serve) = busy_gateway();
    let metrics = text_format(&world).body;
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        for label in parse_sample(line).1 {
            assert!(ALLOWED_LABELS.contains(&label), "{line}");
        }
    }
    assert!(!metrics.contains("9122222222"), "{metrics}");
}

#[test]
fn the_counters_add_up() {
    let (world, _serve) = busy_gateway();
    let metrics = world.get("/metrics").unwrap().body;
    for line in [
        "postrider_accepted_total 1",
        "postrider_attempts_total{provider=\"blue\",outcome=\"accepted\"} 1",
        "postrider_state_changes_total{channel=\"sms\",state=\"sent\"} 1",
        "postrider_state_changes_total{channel=\"sms\",state=\"delivered\"} 1",
        "postrider_refused_total{reason=\"address\"} 1",
        "postrider_receipts_total{result=\"applied\"} 1",
        "postrider_waiting{channel=\"sms\"} 0",
        "postrider_providers_available{channel=\"sms\"} 1",
        "postrider_accept_duration_seconds_count 2",
        "postrider_attempt_duration_seconds_count{provider=\"blue\"} 1",
        "postrider_queue_errors_total 0",
        "postrider_cache_errors_total 0",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} in {metrics}");
    }
}

#[test]
fn errors_of_an_unavailable_queue_and_cache_are_counted() {
    let nobody = free_address();
    let edges =
        format!("{CONFIG}[queue]\nurl = \"redis://{nobody}\"\n[cache]\nurl = \"memcache://{nobody}\"\n");
    let world = TestGateway::new(&edges);
    let _serve = world.start_serve(&[]);
    wait_until("both are counted", || {
        world.get("/readyz").expect("an answer");
        let metrics = world.get("/metrics").expect("an answer").body;
        ["queue", "cache"].iter().all(|edge| {
            let none = format!("postrider_{edge}_errors_total 0");
            metrics.contains(&none[..none.len() - 1]) && !metrics.lines().any(|line| line == none)
        })
    });
}

#[test]
fn workers_export_metrics_and_accept_no_messages() {
    let world = TestGateway::new(CONFIG);
    let _serve = world.start_serve(&["--concurrency", "0"]);
    let at = free_address();
    let _work = world.start(&["work", "--listen", &at.to_string()]);
    let id = world.send("09122222222", "hello");
    world.wait_for_state(&id, &["sent", "delivered"]);
    let counted = "postrider_attempts_total{provider=\"blue\",outcome=\"accepted\"} 1";
    wait_until("the call is counted where it was made", || {
        raw_http::get(at, "/metrics").is_some_and(|answer| answer.body.contains(counted))
    });
    assert!(!world.get("/metrics").unwrap().body.contains(counted));
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/sms/send?number=09122222222&body=hi", 404),
        ("/", 404),
    ] {
        assert_eq!(raw_http::get(at, path).unwrap().status, status, "{path}");
    }
}

#[test]
fn workers_listening_beyond_loopback_require_keys() {
    let world = TestGateway::new(CONFIG);
    let output = world.run(&["work", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("[[keys]]"), "{said}");
}
