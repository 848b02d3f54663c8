//! Redis and memcached are killed, restarted empty, flushed, slow, full of garbage: nothing is lost, intake keeps
//! answering 2xx, the page stays right, everything is delivered afterwards.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::test_gateway::{TestGateway, wait_until};
use postrider_core::testing::backend_server::BackendServer;

const MOCK_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
                    [schedule]\nresend = \"1s\"\nreport = \"never\"\n";

#[test]
fn redis_may_die_at_any_moment() {
    let mut redis = BackendServer::redis();
    let world = TestGateway::new(&format!("[queue]\nurl = \"{}\"\n{MOCK_CONFIG}", redis.url()));
    let intake = world.start_serve(&["--concurrency", "0"]);
    let mut ids: Vec<String> = (0..20)
        .map(|n| world.send("09122222222", &format!("first {n}")))
        .collect();
    redis.kill();
    ids.extend((0..20).map(|n| world.send("09122222222", &format!("while away {n}"))));
    let mut worker = world.start(&["work"]);
    for id in &ids {
        world.wait_for_state(id, &["sent"]);
    }
    redis.restart();
    ids.extend((0..20).map(|n| world.send("09122222222", &format!("restarted empty {n}"))));
    redis.send_command("FLUSHALL\r\n");
    redis.suspend();
    ids.extend((0..20).map(|n| world.send("09122222222", &format!("slow {n}"))));
    redis.resume();
    for id in &ids {
        world.wait_for_state(id, &["sent"]);
        assert_eq!(world.attempts(id), ["mock: accepted"], "{id}");
    }
    assert!(worker.is_alive());
    assert_eq!(
        world.query_number("SELECT count(*) FROM messages"),
        i64::try_from(ids.len()).unwrap()
    );
    assert_eq!(intake.terminate().code(), Some(0));
    assert_eq!(worker.terminate().code(), Some(0));
}

#[test]
fn the_gateway_starts_while_redis_is_down() {
    let address = super::test_gateway::free_address();
    let world = TestGateway::new(&format!("[queue]\nurl = \"redis://{address}\"\n{MOCK_CONFIG}"));
    let _console = world.start_serve(&[]);
    let id = world.send("09122222222", "no redis at all");
    world.wait_for_state(&id, &["sent"]);
    assert!(
        world.get("/readyz").unwrap().body.contains("queue"),
        "degraded parts are named"
    );
}

#[test]
fn the_queue_follows_a_sentinel_failover() {
    let mut master = BackendServer::redis();
    let replica = BackendServer::redis_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let sentinel = BackendServer::sentinel(master.port());
    wait_until("the sentinel knows the replica", || {
        sentinel.send_command("SENTINEL REPLICAS main") == "*1"
    });
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let world = TestGateway::new(&format!("[queue]\nurl = \"{url}\"\n{MOCK_CONFIG}"));
    let _intake = world.start_serve(&["--concurrency", "0"]);
    let _worker = world.start(&["work"]);
    world.wait_for_state(&world.send("09122222222", "the first master"), &["sent"]);
    master.kill();
    world.wait_for_state(&world.send("09122222222", "no master"), &["sent"]);
    wait_until("the replica leads", || {
        replica.send_command("ROLE") == "*3" && replica.send_command("SET probe 1") == "+OK"
    });
    wait_until("the program has found it", || {
        world
            .get("/readyz")
            .is_some_and(|answer| !answer.body.contains("queue"))
    });
    world.wait_for_state(&world.send("09122222222", "the next master"), &["sent"]);
}

#[test]
fn the_page_is_correct_whatever_happens_to_memcached() {
    let mut memcached = BackendServer::memcached();
    let world = TestGateway::new(&format!("[cache]\nurl = \"{}\"\n{MOCK_CONFIG}", memcached.url()));
    let console = world.start_serve(&[]);
    for n in 0..7 {
        let id = world.send("09122222222", &format!("message {n}"));
        world.wait_for_state(&id, &["sent"]);
    }
    world.run_ok(&["sync:report"]);
    let page = || world.get("/").map(|answer| answer.body).unwrap_or_default();
    wait_until("the new report is shown", || {
        page().contains('7') && !page().contains("No report yet")
    });
    let right = page();
    overwrite_all_keys(&memcached);
    assert_eq!(page(), right, "garbage under our keys");
    memcached.send_command("flush_all\r\n");
    assert_eq!(page(), right, "an empty cache");
    memcached.kill();
    assert_eq!(page(), right, "no cache at all");
    console.kill();
    let _console = world.start_serve(&[]);
    assert_eq!(
        page(),
        right,
        "no cache at all, and a process that remembers nothing"
    );
    world.send("09122222222", "and intake goes on");
    memcached.restart();
    assert_eq!(page(), right, "a new, empty cache");
}

/// Writes nonsense under every key memcached holds.
fn overwrite_all_keys(memcached: &BackendServer) {
    let mut stream = TcpStream::connect(("127.0.0.1", memcached.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(b"lru_crawler metadump all\r\n").unwrap();
    let mut listed = String::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        listed.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if count == 0 || listed.contains("END") {
            break;
        }
    }
    let keys: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("key=")?.split(' ').next())
        .collect();
    assert!(!keys.is_empty(), "the page is kept in memcached: {listed}");
    for key in keys {
        let key = decode_percent(key);
        assert_eq!(
            memcached
                .send_command(&format!("set {key} 0 0 7\r\ngarbage\r\n"))
                .trim(),
            "STORED"
        );
    }
}

/// Keys are listed percent-encoded.
fn decode_percent(text: &str) -> String {
    text.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/")
}
