//! A gateway tried with `console sandbox`: what the sandbox printed is its configuration, and the tables of docs/SANDBOX.md
//! are what is expected.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use super::raw_http;
use super::test_gateway::{ConsoleProcess, TestGateway, free_address, wait_until};

const APIS: [&str; 3] = ["simple", "texting", "twilio"];

/// Answers at once, never fails, and every receipt says that it has arrived.
const RELIABLE_OPTIONS: [&str; 8] = [
    "--mean-time",
    "0",
    "--failure-rate",
    "0",
    "--receipts",
    "delivered=1",
    "--receipt-delay",
    "100ms",
];

/// A gateway with a sandbox as its only provider.
struct SandboxTest {
    gateway: TestGateway,
    sandbox_address: SocketAddr,
    /// Killed when dropped, as is the gateway.
    sandbox_process: ConsoleProcess,
    gateway_process: ConsoleProcess,
}

impl SandboxTest {
    /// With what the sandbox printed, once `edit` has seen it.
    fn new(options: &[&str], edit: impl FnOnce(&str) -> String) -> Self {
        let (world, sandbox) = (TestGateway::new(""), free_address());
        let printed = world.folder.path().join("printed.toml");
        let (at, gateway) = (sandbox.to_string(), format!("http://{}", world.address));
        let mut words = vec!["sandbox", "--listen", &at, "--gateway-url", &gateway];
        words.extend(options);
        let playing = world
            .command(&words)
            .stdout(std::fs::File::create(&printed).unwrap())
            .stderr(Stdio::null())
            .spawn();
        let playing = ConsoleProcess::from_child(playing.unwrap());
        wait_until("the sandbox answers", || raw_http::get(sandbox, "/").is_some());
        let configuration = edit(&std::fs::read_to_string(printed).unwrap());
        let file = world.folder.path().join("console.toml");
        std::fs::write(file, format!("listen = \"{}\"\n{configuration}", world.address)).unwrap();
        let serving = world.start_serve(&[]);
        Self {
            gateway: world,
            sandbox_address: sandbox,
            sandbox_process: playing,
            gateway_process: serving,
        }
    }

    /// The same with one wire only.
    fn with_api(wire: &str) -> Self {
        Self::new(&RELIABLE_OPTIONS, |printed| {
            // A call that hangs need not hang for long here; a slow answer takes one second.
            let printed = with_providers(printed, &[wire]);
            let name = format!("[providers.sandbox_{wire}]\n");
            printed.replace(&name, &format!("{name}timeout = \"5s\"\n"))
        })
    }

    fn set_fault(&self, method: &str, body: &str) {
        let answer =
            raw_http::send_request(self.sandbox_address, method, "/faults", &[], body).expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    fn counters(&self) -> Value {
        raw_http::get(self.sandbox_address, "/counters")
            .expect("an answer")
            .json()
    }

    /// A message to a number that leaves everything to the sandbox's luck.
    fn send_message(&self) -> String {
        self.gateway.send("09122222222", "hello")
    }

    /// What the gateway's counters say.
    fn metric(&self, sample: &str) -> u64 {
        let metrics = self.gateway.get("/metrics").expect("an answer").body;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(sample))
            .unwrap_or("0");
        line.trim().parse().unwrap_or_else(|_| panic!("{sample}: {line}"))
    }

    /// Both say the same of every wire: what the sandbox did, and what the gateway made of it.
    fn counters_agree(&self) -> bool {
        let calls = self.counters()["calls"].clone();
        APIS.iter().all(|wire| {
            [
                ("accepted", &["accepted"][..]),
                ("invalid_recipient", &["invalid_number"]),
                ("unavailable", &["server_error"]),
                ("throttled", &["throttled"]),
                ("unknown", &["no_response", "garbage", "reset"]),
                ("rejected", &["invalid_request"]),
            ]
            .iter()
            .all(|(outcome, words)| {
                let played: u64 = words.iter().map(|word| calls[wire][word].as_u64().unwrap()).sum();
                let attempts =
                    format!("postrider_attempts_total{{provider=\"sandbox_{wire}\",outcome=\"{outcome}\"}}");
                self.metric(&attempts) == played
            })
        })
    }

    /// All receipts were handed over, and the gateway has heard as many.
    fn receipt_counters_agree(&self) -> bool {
        let receipts = self.counters()["receipts"].clone();
        let sent = receipts["sent"].as_object().unwrap().values();
        let sent: u64 = sent.map(|count| count.as_u64().unwrap()).sum();
        let results = ["applied", "unmatched", "unchanged", "dropped"];
        let heard =
            results.map(|result| self.metric(&format!("postrider_receipts_total{{result=\"{result}\"}}")));
        receipts["pending"] == 0 && sent == heard.iter().sum::<u64>()
    }
}

/// The printed configuration with these wires' providers in the channel, in this order.
fn with_providers(printed: &str, wires: &[&str]) -> String {
    let usual = "providers = [\"sandbox_simple\", \"sandbox_texting\", \"sandbox_twilio\"]";
    assert!(printed.contains(usual), "{printed}");
    let names: Vec<String> = wires.iter().map(|wire| format!("\"sandbox_{wire}\"")).collect();
    printed.replace(
        usual,
        &format!("providers = [{}]\nstrategy = \"failover\"", names.join(", ")),
    )
}

/// The cells of a table of docs/SANDBOX.md, without their quotes.
fn documented_table(first_cell: &str) -> Vec<Vec<String>> {
    let document = include_str!("../../docs/SANDBOX.md");
    let rows = document
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {first_cell} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    rows.map(cells).collect()
}

/// Every number of the table, over one wire: the messages end as the table says, and both sides count the same.
fn expect_test_numbers_as_documented(wire: &str) {
    let trial = SandboxTest::with_api(wire);
    let rows = documented_table("number");
    assert_eq!(rows.len(), 10, "{rows:?}");
    // A provider that is too busy is left alone, so the numbers that ask for that come last.
    let (busy, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row[2] == "throttled");
    for rows in [others, busy] {
        let sent: Vec<_> = rows
            .iter()
            .map(|row| (row, trial.gateway.send(&row[0].replace('+', "%2B"), "hello")))
            .collect();
        for (row, id) in sent {
            let [number, does, attempt, state] = &row[..] else {
                panic!("{row:?}");
            };
            wait_until(&format!("{wire}: {number}, who {does}, is {state}"), || {
                trial.gateway.attempts(&id).first() == Some(&format!("sandbox_{wire}: {attempt}"))
                    && trial.gateway.state(&id) == *state
            });
        }
    }
    let id = trial.send_message();
    trial.gateway.wait_for_state(&id, &["delivered"]);
    wait_until("both count the same", || trial.counters_agree());
    wait_until("both count the same receipts", || trial.receipt_counters_agree());
    for number in ["+12025550101", "+12025550105"] {
        let told = trial.gateway.run_ok(&["recipient", number]);
        assert!(told.contains("is inactive"), "{told}");
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
    for wire in APIS {
        let trial = SandboxTest::with_api(wire);
        let rows = documented_table("fault");
        assert_eq!(rows.len(), 5, "{rows:?}");
        for row in &rows {
            trial.set_fault("PUT", &format!("{{\"fault\":\"{}\",\"retry_after\":1}}", row[0]));
            let id = trial.send_message();
            let (outcome, state) = match row[2].split([',', ' ']).next().unwrap() {
                "throttled" => ("throttled", "delivered"),
                "unknown" => ("unknown", "failed"),
                _ => ("accepted", "delivered"),
            };
            wait_until(&format!("{wire}: {row:?}"), || {
                trial.gateway.attempts(&id).first() == Some(&format!("sandbox_{wire}: {outcome}"))
            });
            trial.set_fault("DELETE", "");
            let next = trial.send_message();
            trial.gateway.wait_for_state(&next, &["delivered"]);
            trial.gateway.wait_for_state(&id, &[state]);
        }
        wait_until("both count the same", || trial.counters_agree());
    }
}

#[test]
fn while_one_provider_throttles_or_answers_garbage_the_next_one_sends() {
    let trial = SandboxTest::new(&RELIABLE_OPTIONS, |printed| {
        with_providers(printed, &["simple", "twilio"])
    });
    trial.set_fault(
        "POST",
        "{\"fault\":\"throttle\",\"wire\":\"simple\",\"calls\":1,\"retry_after\":1}",
    );
    let id = trial.send_message();
    trial.gateway.wait_for_state(&id, &["delivered"]);
    assert_eq!(
        trial.gateway.attempts(&id),
        ["sandbox_simple: throttled", "sandbox_twilio: accepted"]
    );
    let open = "postrider_provider_circuit{provider=\"sandbox_simple\",state=\"open\"}";
    trial.set_fault("PUT", "{\"fault\":\"garbage\",\"wire\":\"simple\"}");
    wait_until("its circuit breaker opens", || {
        let id = trial.send_message();
        trial.gateway.wait_for_state(&id, &["failed", "delivered"]);
        trial.metric(open) == 1
    });
    let id = trial.send_message();
    trial.gateway.wait_for_state(&id, &["delivered"]);
    assert_eq!(trial.gateway.attempts(&id), ["sandbox_twilio: accepted"]);
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
    let trial = SandboxTest::new(&options, |printed| {
        let patient = printed.replace("kind = ", "breaker_failure_threshold = 1000\nkind = ");
        format!("{patient}\n[retry]\nbase = \"100ms\"\ncap = \"100ms\"\n")
    });
    for _ in 0..90 {
        trial.send_message();
    }
    let left = || {
        trial
            .gateway
            .query_number("SELECT count(*) FROM deliveries WHERE state = 'waiting'")
    };
    wait_until("all have ended", || left() == 0);
    wait_until("both count the same", || trial.counters_agree());
    wait_until("both count the same receipts", || trial.receipt_counters_agree());
    let counters = trial.counters();
    for (state, word) in [("delivered", "delivered"), ("failed", "failed")] {
        let ended = trial.gateway.query_number(&format!(
            "SELECT count(*) FROM deliveries WHERE state = '{state}'"
        ));
        assert_eq!(counters["receipts"]["sent"][word], ended, "{state}: {counters}");
    }
}

#[test]
fn the_sandbox_server_stops_at_once_despite_hanging_calls_and_waiting_receipts() {
    for signal in ["TERM", "INT"] {
        let options = [
            "--failure-rate",
            "0",
            "--receipts",
            "delivered=1",
            "--receipt-delay",
            "1h",
        ];
        let trial = SandboxTest::new(&options, |printed| with_providers(printed, &["texting"]));
        trial.gateway.wait_for_state(&trial.send_message(), &["sent"]);
        trial.set_fault("PUT", "{\"fault\":\"hang\"}");
        trial.send_message();
        wait_until("one hangs, and a receipt waits", || {
            let counters = trial.counters();
            counters["calls"]["texting"]["no_response"] == 1 && counters["receipts"]["pending"] == 1
        });
        trial.sandbox_process.signal(signal);
        assert_eq!(trial.sandbox_process.wait_for_exit().code(), Some(0), "{signal}");
        assert_eq!(raw_http::get(trial.sandbox_address, "/"), None);
        drop(trial.gateway_process);
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_the_range() {
    let world = TestGateway::new("");
    for (option, value, range) in [
        ("--failure-rate", "1.5", "from 0 to 1"),
        ("--mean-time", "61s", "from 0s to 1m"),
        ("--receipt-delay", "2h", "from 0s to 1h"),
        ("--receipts", "delivered=0.9,failed=0.9", "from 0 to 1"),
        ("--gateway-url", "gateway", "http://HOST:PORT"),
        ("--listen", "nowhere", "--listen"),
    ] {
        let output = world.run(&["sandbox", option, value]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{option}: {told}");
        assert!(told.contains(range), "{option}: {told}");
    }
}
