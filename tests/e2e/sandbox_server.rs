//! `console sandbox` with a gateway: the gateway runs with the configuration that the sandbox server prints, and
//! the results match the tables of docs/src/sandbox-server.md.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use super::raw_http;
use super::test_gateway::{ConsoleProcess, TestGateway, free_address, wait_until};

const APIS: [&str; 3] = ["simple", "texting", "twilio"];

/// Options of a sandbox server that responds at once, never fails and reports every message as delivered.
const RELIABLE_OPTIONS: [&str; 8] =
    ["--mean-time", "0", "--failure-rate", "0", "--receipts", "delivered=1", "--receipt-delay", "100ms"];

/// A gateway whose providers are the APIs of one sandbox server.
struct SandboxTest {
    gateway: TestGateway,
    sandbox_address: SocketAddr,
    sandbox_process: ConsoleProcess,
    gateway_process: ConsoleProcess,
}

impl SandboxTest {
    /// Starts a sandbox server and a gateway; `edit` may change the configuration that the sandbox server printed.
    fn new(options: &[&str], edit: impl FnOnce(&str) -> String) -> Self {
        let (gateway, sandbox_address) = (TestGateway::new(""), free_address());
        let printed = gateway.folder.path().join("printed.toml");
        let (listen, url) = (sandbox_address.to_string(), format!("http://{}", gateway.address));
        let mut arguments = vec!["sandbox", "--listen", &listen, "--gateway-url", &url];
        arguments.extend(options);
        let sandbox = gateway
            .command(&arguments)
            .stdout(std::fs::File::create(&printed).unwrap())
            .stderr(Stdio::null())
            .spawn();
        let sandbox_process = ConsoleProcess::from_child(sandbox.unwrap());
        wait_until("the sandbox server responds", || raw_http::get(sandbox_address, "/").is_some());
        let configuration = edit(&std::fs::read_to_string(printed).unwrap());
        let file = gateway.folder.path().join("console.toml");
        std::fs::write(file, format!("listen = \"{}\"\n{configuration}", gateway.address)).unwrap();
        let gateway_process = gateway.start_serve(&[]);
        Self { gateway, sandbox_address, sandbox_process, gateway_process }
    }

    /// Starts a reliable sandbox server and a gateway that uses only one of its APIs.
    fn with_api(api: &str) -> Self {
        Self::new(&RELIABLE_OPTIONS, |printed| {
            // Shortens calls that hang; a slow response takes one second.
            let printed = with_providers(printed, &[api]);
            let name = format!("[providers.sandbox_{api}]\n");
            printed.replace(&name, &format!("{name}timeout = \"5s\"\n"))
        })
    }

    fn set_fault(&self, method: &str, body: &str) {
        let response =
            raw_http::send_request(self.sandbox_address, method, "/faults", &[], body).expect("a response");
        assert_eq!(response.status, 200, "{response:?}");
    }

    fn counters(&self) -> Value {
        raw_http::get(self.sandbox_address, "/counters").expect("a response").json()
    }

    /// Sends to a number that is not in the table of test numbers, so that the options decide the result.
    fn send_message(&self) -> String {
        self.gateway.send("09122222222", "hello")
    }

    /// Returns the value of a sample of the gateway's metrics, or 0 when it is missing.
    fn metric(&self, sample: &str) -> u64 {
        let metrics = self.gateway.get("/metrics").expect("a response").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(sample)).unwrap_or("0");
        line.trim().parse().unwrap_or_else(|_| panic!("{sample}: {line}"))
    }

    /// Returns whether the gateway counted the same attempts for every API as the sandbox server counted calls.
    fn counters_agree(&self) -> bool {
        let calls = self.counters()["calls"].clone();
        APIS.iter().all(|api| {
            [
                ("accepted", &["accepted"][..]),
                ("invalid_recipient", &["invalid_number"]),
                ("unavailable", &["server_error"]),
                ("throttled", &["throttled"]),
                ("unknown", &["no_response", "garbage", "reset"]),
                ("rejected", &["invalid_request"]),
            ]
            .iter()
            .all(|(outcome, results)| {
                let called: u64 = results.iter().map(|result| calls[api][result].as_u64().unwrap()).sum();
                let attempts =
                    format!("postrider_attempts_total{{provider=\"sandbox_{api}\",outcome=\"{outcome}\"}}");
                self.metric(&attempts) == called
            })
        })
    }

    /// Returns whether all receipts were sent and the gateway counted the same number.
    fn receipt_counters_agree(&self) -> bool {
        let receipts = self.counters()["receipts"].clone();
        let sent = receipts["sent"].as_object().unwrap().values();
        let sent: u64 = sent.map(|count| count.as_u64().unwrap()).sum();
        let results = ["applied", "unmatched", "unchanged", "dropped"];
        let received =
            results.map(|result| self.metric(&format!("postrider_receipts_total{{result=\"{result}\"}}")));
        receipts["pending"] == 0 && sent == received.iter().sum::<u64>()
    }
}

/// Returns the printed configuration with only the providers of these APIs in the channel, in this order.
fn with_providers(printed: &str, apis: &[&str]) -> String {
    let all_providers = "providers = [\"sandbox_simple\", \"sandbox_texting\", \"sandbox_twilio\"]";
    assert!(printed.contains(all_providers), "{printed}");
    let names: Vec<String> = apis.iter().map(|api| format!("\"sandbox_{api}\"")).collect();
    printed.replace(all_providers, &format!("providers = [{}]\nstrategy = \"failover\"", names.join(", ")))
}

/// Returns the cells of a table of docs/src/sandbox-server.md, without backquotes.
fn documented_table(first_cell: &str) -> Vec<Vec<String>> {
    let document = include_str!("../../docs/src/sandbox-server.md");
    let rows = document
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {first_cell} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.map(cells).collect()
}

/// Sends to every test number over one API and expects the states of the table and equal counts on both sides.
fn expect_test_numbers_as_documented(api: &str) {
    let test = SandboxTest::with_api(api);
    let rows = documented_table("number");
    assert_eq!(rows.len(), 10, "{rows:?}");
    // A throttled provider gets no calls for a while, so the numbers that throttle come last.
    let (throttled, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row[2] == "throttled");
    for rows in [others, throttled] {
        let sent: Vec<_> =
            rows.iter().map(|row| (row, test.gateway.send(&row[0].replace('+', "%2B"), "hello"))).collect();
        for (row, id) in sent {
            let [number, behavior, attempt, state] = &row[..] else {
                panic!("{row:?}");
            };
            wait_until(&format!("{api}: the message to {number} ({behavior}) is {state}"), || {
                test.gateway.attempts(&id).first() == Some(&format!("sandbox_{api}: {attempt}"))
                    && test.gateway.state(&id) == *state
            });
        }
    }
    let id = test.send_message();
    test.gateway.wait_for_state(&id, &["delivered"]);
    wait_until("both sides count the same attempts", || test.counters_agree());
    wait_until("both sides count the same receipts", || test.receipt_counters_agree());
    for number in ["+12025550101", "+12025550105"] {
        let output = test.gateway.run_ok(&["recipient", number]);
        assert!(output.contains("is inactive"), "{output}");
    }
}

#[test]
fn every_test_number_ends_as_documented_over_the_simple_wire() {
    expect_test_numbers_as_documented("simple");
}

#[test]
fn every_test_number_ends_as_documented_over_the_texting_wire() {
    expect_test_numbers_as_documented("texting");
}

#[test]
fn every_test_number_ends_as_documented_over_the_twilio_wire() {
    expect_test_numbers_as_documented("twilio");
}

#[test]
fn every_fault_acts_as_documented_and_messages_flow_again_after_it_is_removed() {
    for api in APIS {
        let test = SandboxTest::with_api(api);
        let rows = documented_table("fault");
        assert_eq!(rows.len(), 5, "{rows:?}");
        for row in &rows {
            test.set_fault("PUT", &format!("{{\"fault\":\"{}\",\"retry_after\":1}}", row[0]));
            let id = test.send_message();
            let (outcome, state) = match row[2].split([';', ' ']).next().unwrap() {
                "throttled" => ("throttled", "delivered"),
                "unknown" => ("unknown", "failed"),
                _ => ("accepted", "delivered"),
            };
            wait_until(&format!("{api}: {row:?}"), || {
                test.gateway.attempts(&id).first() == Some(&format!("sandbox_{api}: {outcome}"))
            });
            test.set_fault("DELETE", "");
            let next = test.send_message();
            test.gateway.wait_for_state(&next, &["delivered"]);
            test.gateway.wait_for_state(&id, &[state]);
        }
        wait_until("both sides count the same attempts", || test.counters_agree());
    }
}

#[test]
fn while_one_provider_throttles_or_answers_garbage_the_next_one_sends() {
    let test = SandboxTest::new(&RELIABLE_OPTIONS, |printed| with_providers(printed, &["simple", "twilio"]));
    test.set_fault("POST", "{\"fault\":\"throttle\",\"api\":\"simple\",\"calls\":1,\"retry_after\":1}");
    let id = test.send_message();
    test.gateway.wait_for_state(&id, &["delivered"]);
    assert_eq!(test.gateway.attempts(&id), ["sandbox_simple: throttled", "sandbox_twilio: accepted"]);
    let open = "postrider_provider_circuit{provider=\"sandbox_simple\",state=\"open\"}";
    test.set_fault("PUT", "{\"fault\":\"garbage\",\"api\":\"simple\"}");
    wait_until("its circuit breaker opens", || {
        let id = test.send_message();
        test.gateway.wait_for_state(&id, &["failed", "delivered"]);
        test.metric(open) == 1
    });
    let id = test.send_message();
    test.gateway.wait_for_state(&id, &["delivered"]);
    assert_eq!(test.gateway.attempts(&id), ["sandbox_twilio: accepted"]);
}

#[test]
fn with_random_results_on_all_three_wires_both_sides_count_the_same() {
    let options = [
        "--mean-time",
        "5ms",
        "--failure-rate",
        "0.3",
        "--receipts",
        "delivered=0.5,failed=0.3",
        "--receipt-delay",
        "0",
        "--seed",
        "7",
    ];
    let test = SandboxTest::new(&options, |printed| {
        let tolerant = printed.replace("kind = ", "breaker_failure_threshold = 1000\nkind = ");
        format!("{tolerant}\n[retry]\nbase = \"100ms\"\ncap = \"100ms\"\n")
    });
    for _ in 0..90 {
        test.send_message();
    }
    let waiting = || test.gateway.query_number("SELECT count(*) FROM deliveries WHERE state = 'waiting'");
    wait_until("all deliveries have ended", || waiting() == 0);
    wait_until("both sides count the same attempts", || test.counters_agree());
    wait_until("both sides count the same receipts", || test.receipt_counters_agree());
    let counters = test.counters();
    for state in ["delivered", "failed"] {
        let ended =
            test.gateway.query_number(&format!("SELECT count(*) FROM deliveries WHERE state = '{state}'"));
        assert_eq!(counters["receipts"]["sent"][state], ended, "{state}: {counters}");
    }
}

#[test]
fn the_sandbox_server_stops_at_once_despite_hanging_calls_and_waiting_receipts() {
    for signal in ["TERM", "INT"] {
        let options = ["--failure-rate", "0", "--receipts", "delivered=1", "--receipt-delay", "1h"];
        let test = SandboxTest::new(&options, |printed| with_providers(printed, &["texting"]));
        test.gateway.wait_for_state(&test.send_message(), &["sent"]);
        test.set_fault("PUT", "{\"fault\":\"hang\"}");
        test.send_message();
        wait_until("one call hangs and one receipt is pending", || {
            let counters = test.counters();
            counters["calls"]["texting"]["no_response"] == 1 && counters["receipts"]["pending"] == 1
        });
        test.sandbox_process.signal(signal);
        assert_eq!(test.sandbox_process.wait_for_exit().code(), Some(0), "{signal}");
        assert_eq!(raw_http::get(test.sandbox_address, "/"), None);
        drop(test.gateway_process);
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_the_range() {
    let gateway = TestGateway::new("");
    for (option, value, range) in [
        ("--failure-rate", "1.5", "from 0 to 1"),
        ("--mean-time", "61s", "from 0s to 1m"),
        ("--receipt-delay", "2h", "from 0s to 1h"),
        ("--receipts", "delivered=0.9,failed=0.9", "from 0 to 1"),
        ("--gateway-url", "gateway", "http://HOST:PORT"),
        ("--listen", "nowhere", "--listen"),
    ] {
        let output = gateway.run(&["sandbox", option, value]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{option}: {stderr}");
        assert!(stderr.contains(range), "{option}: {stderr}");
    }
}
