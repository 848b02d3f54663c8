//! `/metrics`: promtool accepts the output, and every metric that the files in `deploy/` use is exported.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::raw_http::{self, RawResponse};
use super::test_gateway::{ConsoleProcess, TestGateway, free_address, wait_until};

const CONFIG: &str = "[providers.blue]\nkind = \"mock\"\nmean_time = \"0s\"\nreceipts = \"delivered\"\n\
                             receipt_delay = \"1ms\"\n[channels.sms]\nproviders = [\"blue\"]\n";

/// The allowed labels; none of them contains a phone number, a user or a message id.
const ALLOWED_LABELS: [&str; 10] =
    ["channel", "provider", "outcome", "state", "reason", "result", "le", "version", "commit", "commit_date"];

/// Starts a gateway that has delivered one message and refused another, so that every metric has a value.
fn busy_gateway() -> (TestGateway, ConsoleProcess) {
    let gateway = TestGateway::new(CONFIG);
    let serve = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "hello");
    gateway.wait_for_state(&id, &["delivered"]);
    gateway.get("/sms/send?number=1&body=hello").expect("a response");
    (gateway, serve)
}

fn text_format(gateway: &TestGateway) -> RawResponse {
    raw_http::send_request(gateway.address, "GET", "/metrics", &["Accept: */*"], "").expect("a response")
}

/// Returns the output of `promtool check metrics`; empty when it accepts the metrics.
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
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.success(), text.is_empty(), "{text}");
    text
}

#[test]
fn promtool_accepts_the_metrics() {
    let (gateway, _serve) = busy_gateway();
    let response = text_format(&gateway);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(promtool_output(&response.body), "");
    assert_ne!(promtool_output("# TYPE sent counter\nsent 1\n"), "");
}

/// Returns the name of a sample and the names of its labels.
fn parse_sample(line: &str) -> (&str, Vec<&str>) {
    let (name, labels) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), ""));
    let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
    let names = labels.split(',').filter_map(|part| part.split_once("=\"").map(|(name, _)| name));
    (name, names.collect())
}

/// Collects every name that begins with `postrider_` from the files below a folder.
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
    let (gateway, _serve) = busy_gateway();
    let metrics = text_format(&gateway).body;
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let exported: BTreeSet<&str> = samples.map(|line| parse_sample(line).0).collect();
    let mut used = BTreeSet::new();
    metric_names_in(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy")), &mut used);
    let missing: Vec<&String> = used.iter().filter(|name| !exported.contains(name.as_str())).collect();
    assert!(used.len() > 20, "{used:?}");
    assert_eq!(missing, Vec::<&String>::new(), "{metrics}");
}

#[test]
fn labels_contain_no_recipient() {
    let (gateway, _serve) = busy_gateway();
    let metrics = text_format(&gateway).body;
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        for label in parse_sample(line).1 {
            assert!(ALLOWED_LABELS.contains(&label), "{line}");
        }
    }
    assert!(!metrics.contains("9122222222"), "{metrics}");
}

#[test]
fn the_counters_add_up() {
    let (gateway, _serve) = busy_gateway();
    let metrics = gateway.get("/metrics").unwrap().body;
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
    let closed_address = free_address();
    let configuration = format!(
        "{CONFIG}[queue]\nurl = \"redis://{closed_address}\"\n[cache]\nurl = \"memcache://{closed_address}\"\n"
    );
    let gateway = TestGateway::new(&configuration);
    let _serve = gateway.start_serve(&[]);
    wait_until("errors of both backends are counted", || {
        gateway.get("/readyz").expect("a response");
        let metrics = gateway.get("/metrics").expect("a response").body;
        ["queue", "cache"].iter().all(|backend| {
            let none = format!("postrider_{backend}_errors_total 0");
            metrics.contains(&none[..none.len() - 1]) && !metrics.lines().any(|line| line == none)
        })
    });
}

#[test]
fn workers_export_metrics_and_accept_no_messages() {
    let gateway = TestGateway::new(CONFIG);
    let _serve = gateway.start_serve(&["--concurrency", "0"]);
    let at = free_address();
    let _work = gateway.start(&["work", "--listen", &at.to_string()]);
    let id = gateway.send("09122222222", "hello");
    gateway.wait_for_state(&id, &["sent", "delivered"]);
    let sample = "postrider_attempts_total{provider=\"blue\",outcome=\"accepted\"} 1";
    wait_until("the worker process counts the attempt", || {
        raw_http::get(at, "/metrics").is_some_and(|response| response.body.contains(sample))
    });
    assert!(!gateway.get("/metrics").unwrap().body.contains(sample));
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/sms/send?number=09122222222&body=hi", 404), ("/", 404)]
    {
        assert_eq!(raw_http::get(at, path).unwrap().status, status, "{path}");
    }
}

#[test]
fn workers_listening_beyond_loopback_require_keys() {
    let gateway = TestGateway::new(CONFIG);
    let output = gateway.run(&["work", "--listen", "0.0.0.0:0"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("[[keys]]"), "{stderr}");
}
