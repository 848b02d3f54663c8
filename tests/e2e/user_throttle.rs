//! The user throttle counts the messages of all processes on one store together, including the command line.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::test_gateway::TestGateway;
use postrider_core::testing::postgres_server::new_database;

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
                             expects_reply = true\n[schedule]\nresend = \"never\"\nreport = \"never\"\n";

const REPLY_EXPECTED_BODY: &str = r#"{"to":"09122222222","body":"yes or no?","user_id":"5689c3cf"}"#;

/// Sends from eight clients at once, half of them to each gateway; returns the numbers accepted and refused.
fn send_from_eight_clients(gateways: [&TestGateway; 2]) -> (usize, usize) {
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (gateway, accepted, refused) = (gateways[client % 2], &accepted, &refused);
            scope.spawn(move || {
                for _ in 0..50 {
                    let response = gateway.post("/v1/messages", REPLY_EXPECTED_BODY).expect("a response");
                    match response.status {
                        201 => accepted.fetch_add(1, Ordering::Relaxed),
                        429 => {
                            let wait = response.header("retry-after").expect("seconds").parse::<u64>();
                            assert!((3_000..=3_600).contains(&wait.unwrap()), "{response:?}");
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        _ => panic!("{response:?}"),
                    };
                }
            });
        }
    });
    (accepted.into_inner(), refused.into_inner())
}

#[test]
fn eight_clients_on_two_hosts_get_exactly_three_hundred_through() {
    let store = format!("[store]\nurl = \"{}\"\n{CONFIG}", new_database());
    let gateways = [TestGateway::new(&store), TestGateway::new(&store)];
    let _hosts = gateways.each_ref().map(|gateway| gateway.start_serve(&["--concurrency", "0"]));
    assert_eq!(send_from_eight_clients([&gateways[0], &gateways[1]]), (300, 100));
    // Another user is not limited.
    gateways[0].send("09123333333", "hello");
}

#[test]
fn eight_clients_on_two_processes_on_one_file_get_exactly_three_hundred_through() {
    let one = TestGateway::new(CONFIG);
    let file = one.folder.path().join("postrider.db");
    let other = TestGateway::new(&format!("[store]\nurl = \"sqlite:{}\"\n{CONFIG}", file.display()));
    let _hosts = [&one, &other].map(|gateway| gateway.start_serve(&["--concurrency", "0"]));
    assert_eq!(send_from_eight_clients([&one, &other]), (300, 100));
    assert_eq!(one.query_number("SELECT count(*) FROM messages"), 300);
}

#[test]
fn the_command_line_reports_when_to_retry() {
    let gateway = TestGateway::new(&format!("{CONFIG}[throttle]\nuser_per_hour = 1\n"));
    gateway.run_ok(&["send", "09122222222", "yes or no?"]);
    let refused = gateway.run(&["send", "09122222222", "yes or no?"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("nothing was stored") && stderr.contains("UTC"), "{stderr}");
}
