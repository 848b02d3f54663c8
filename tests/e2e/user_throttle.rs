//! A user's limit holds for all intake processes on one store together, and for whoever sends from the command line.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::test_gateway::TestGateway;
use postrider_core::testing::postgres_server::new_database;

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
                             expects_reply = true\n[schedule]\nresend = \"never\"\nreport = \"never\"\n";

const REPLY_EXPECTED_BODY: &str = r#"{"to":"09122222222","body":"yes or no?","user_id":"5689c3cf"}"#;

/// Eight clients at once, half of them at each door; how many messages got through, and how many were refused.
fn send_from_eight_clients(doors: [&TestGateway; 2]) -> (usize, usize) {
    let (taken, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (door, taken, refused) = (doors[client % 2], &taken, &refused);
            scope.spawn(move || {
                for _ in 0..50 {
                    let answer = door.post("/v1/messages", REPLY_EXPECTED_BODY).expect("an answer");
                    match answer.status {
                        201 => taken.fetch_add(1, Ordering::Relaxed),
                        429 => {
                            let wait = answer.header("retry-after").expect("a time").parse::<u64>();
                            assert!((3_000..=3_600).contains(&wait.unwrap()), "{answer:?}");
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        _ => panic!("{answer:?}"),
                    };
                }
            });
        }
    });
    (taken.into_inner(), refused.into_inner())
}

#[test]
fn eight_clients_on_two_hosts_get_exactly_three_hundred_through() {
    let store = format!("[store]\nurl = \"{}\"\n{CONFIG}", new_database());
    let doors = [TestGateway::new(&store), TestGateway::new(&store)];
    let _hosts = doors
        .each_ref()
        .map(|door| door.start_serve(&["--concurrency", "0"]));
    assert_eq!(send_from_eight_clients([&doors[0], &doors[1]]), (300, 100));
    // Another user is not touched by it.
    doors[0].send("09123333333", "hello");
}

#[test]
fn eight_clients_on_two_processes_on_one_file_get_exactly_three_hundred_through() {
    let one = TestGateway::new(CONFIG);
    let file = one.folder.path().join("postrider.db");
    let other = TestGateway::new(&format!("[store]\nurl = \"sqlite:{}\"\n{CONFIG}", file.display()));
    let _hosts = [&one, &other].map(|door| door.start_serve(&["--concurrency", "0"]));
    assert_eq!(send_from_eight_clients([&one, &other]), (300, 100));
    assert_eq!(one.query_number("SELECT count(*) FROM messages"), 300);
}

#[test]
fn the_command_line_reports_when_to_retry() {
    let world = TestGateway::new(&format!("{CONFIG}[throttle]\nuser_per_hour = 1\n"));
    world.run_ok(&["send", "09122222222", "yes or no?"]);
    let refused = world.run(&["send", "09122222222", "yes or no?"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(
        words.contains("nothing was stored") && words.contains("UTC"),
        "{words}"
    );
}
