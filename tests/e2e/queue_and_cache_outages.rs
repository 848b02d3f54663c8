//! Redis and memcached are killed, restarted empty, flushed, suspended or filled with garbage: no message is lost,
//! intake continues to response 2xx, the report page stays correct, and every message is sent.

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
    let gateway = TestGateway::new(&format!("[queue]\nurl = \"{}\"\n{MOCK_CONFIG}", redis.url()));
    let intake = gateway.start_serve(&["--concurrency", "0"]);
    let mut ids: Vec<String> =
        (0..20).map(|n| gateway.send("09122222222", &format!("before the outage {n}"))).collect();
    redis.kill();
    ids.extend((0..20).map(|n| gateway.send("09122222222", &format!("during the outage {n}"))));
    let mut worker = gateway.start(&["work"]);
    for id in &ids {
        gateway.wait_for_state(id, &["sent"]);
    }
    redis.restart();
    ids.extend((0..20).map(|n| gateway.send("09122222222", &format!("restarted empty {n}"))));
    redis.send_command("FLUSHALL\r\n");
    redis.suspend();
    ids.extend((0..20).map(|n| gateway.send("09122222222", &format!("slow {n}"))));
    redis.resume();
    for id in &ids {
        gateway.wait_for_state(id, &["sent"]);
        assert_eq!(gateway.attempts(id), ["mock: accepted"], "{id}");
    }
    assert!(worker.is_alive());
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages"), i64::try_from(ids.len()).unwrap());
    assert_eq!(intake.terminate().code(), Some(0));
    assert_eq!(worker.terminate().code(), Some(0));
}

#[test]
fn the_gateway_starts_while_redis_is_down() {
    let address = super::test_gateway::free_address();
    let gateway = TestGateway::new(&format!("[queue]\nurl = \"redis://{address}\"\n{MOCK_CONFIG}"));
    let _console = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "without redis");
    gateway.wait_for_state(&id, &["sent"]);
    assert!(gateway.get("/readyz").unwrap().body.contains("queue"), "/readyz names the degraded part");
}

#[test]
fn the_queue_follows_a_sentinel_failover() {
    let mut master = BackendServer::redis();
    let replica = BackendServer::redis_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let sentinel = BackendServer::sentinel(master.port());
    wait_until("the sentinel lists the replica", || sentinel.send_command("SENTINEL REPLICAS main") == "*1");
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let gateway = TestGateway::new(&format!("[queue]\nurl = \"{url}\"\n{MOCK_CONFIG}"));
    let _intake = gateway.start_serve(&["--concurrency", "0"]);
    let _worker = gateway.start(&["work"]);
    gateway.wait_for_state(&gateway.send("09122222222", "the first master"), &["sent"]);
    master.kill();
    gateway.wait_for_state(&gateway.send("09122222222", "no master"), &["sent"]);
    wait_until("the replica is the master", || {
        replica.send_command("ROLE") == "*3" && replica.send_command("SET probe 1") == "+OK"
    });
    wait_until("the gateway uses the new master", || {
        gateway.get("/readyz").is_some_and(|response| !response.body.contains("queue"))
    });
    gateway.wait_for_state(&gateway.send("09122222222", "the next master"), &["sent"]);
}

#[test]
fn the_page_is_correct_whatever_happens_to_memcached() {
    let mut memcached = BackendServer::memcached();
    let gateway = TestGateway::new(&format!("[cache]\nurl = \"{}\"\n{MOCK_CONFIG}", memcached.url()));
    let console = gateway.start_serve(&[]);
    for n in 0..7 {
        let id = gateway.send("09122222222", &format!("message {n}"));
        gateway.wait_for_state(&id, &["sent"]);
    }
    gateway.run_ok(&["sync:report"]);
    let page = || without_problems(&gateway.get("/").map(|response| response.body).unwrap_or_default());
    wait_until("the new report is shown", || page().contains('7') && !page().contains("No report yet"));
    let expected = page();
    overwrite_all_keys(&memcached);
    assert_eq!(page(), expected, "garbage values");
    memcached.send_command("flush_all\r\n");
    assert_eq!(page(), expected, "an empty cache");
    memcached.kill();
    assert_eq!(page(), expected, "no cache");
    console.kill();
    let _console = gateway.start_serve(&[]);
    assert_eq!(page(), expected, "no cache and a new process");
    gateway.send("09122222222", "intake continues");
    memcached.restart();
    assert_eq!(page(), expected, "a new, empty cache");
}

/// Returns the page without the list of current problems, which names a cache that is down.
fn without_problems(page: &str) -> String {
    match page.split_once("<aside class=\"banner problems\"") {
        Some((before, rest)) => {
            let after = rest.split_once("</aside>\n\n").map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => page.to_owned(),
    }
}

/// Overwrites the value of every key in memcached with garbage, as soon as it has one: pages are stored after the response.
fn overwrite_all_keys(memcached: &BackendServer) {
    let mut keys = Vec::new();
    wait_until("memcached has keys", || {
        keys = list_keys(memcached);
        !keys.is_empty()
    });
    for key in keys {
        assert_eq!(memcached.send_command(&format!("set {key} 0 0 7\r\ngarbage\r\n")).trim(), "STORED");
    }
}

fn list_keys(memcached: &BackendServer) -> Vec<String> {
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
    listed
        .lines()
        .filter_map(|line| line.strip_prefix("key=")?.split(' ').next())
        .map(decode_percent)
        .collect()
}

/// Decodes a key of `lru_crawler metadump`, which lists keys percent-encoded.
fn decode_percent(text: &str) -> String {
    text.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/")
}
