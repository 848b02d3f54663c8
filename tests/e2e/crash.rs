//! `kill -9` at varying moments under load: every message answered with 2xx is stored and sent, and every attempt that
//! may have been repeated is shown as `unknown`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::raw_http;
use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, wait_until};

/// Maximum number of calls in flight, and so of second sends per kill.
const CONCURRENCY: usize = 8;

/// Returns the number of kills: `POSTRIDER_TEST_KILLS`, or 20 when it is not set.
fn kill_count() -> u64 {
    std::env::var("POSTRIDER_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn no_accepted_message_is_lost_and_every_possible_second_send_is_shown() {
    let stub = StubProvider::new(StubBehavior::AcceptAfterMs(3));
    let configuration = format!(
        "{}\n[work]\nlease = \"16s\"\nconcurrency = {CONCURRENCY}\n[channels.sms]\nproviders = [\"red\"]\n\
         [retry]\nbase = \"100ms\"\ncap = \"1s\"\n",
        stub.texting_config("red")
    );
    let gateway = TestGateway::new(&configuration);
    let accepted = kill_under_load(&gateway, kill_count());
    let console = gateway.start_serve(&[]);
    wait_until("no delivery is waiting", || {
        gateway.query_number("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
    });
    console.terminate();
    let ids: HashSet<String> = stored_message_ids(&gateway);
    let lost: Vec<&String> = accepted.keys().filter(|id| !ids.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} accepted messages are lost: {lost:?}", lost.len(), accepted.len());
    assert_eq!(gateway.query_number("SELECT count(*) FROM deliveries WHERE state <> 'sent'"), 0);
    let unknown = gateway.query_number("SELECT count(*) FROM attempts WHERE outcome = 'unknown'");
    let duplicates = duplicate_sends(&stub, &accepted);
    let unknown_max = i64::try_from(kill_count() * CONCURRENCY as u64).unwrap();
    assert!(duplicates <= unknown, "{duplicates} second sends, but only {unknown} are shown as unknown");
    assert!(
        unknown <= unknown_max,
        "{unknown} unknown attempts after {} kills of {CONCURRENCY} calls",
        kill_count()
    );
    println!(
        "{} accepted, {} kills, {unknown} unknown, {duplicates} sent twice",
        accepted.len(),
        kill_count()
    );
}

/// Kills the program `kills` times while clients send; returns the accepted ids with their bodies.
fn kill_under_load(gateway: &TestGateway, kills: u64) -> HashMap<String, String> {
    let accepted = Arc::new(Mutex::new(HashMap::new()));
    let number = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (at, accepted, number, stop) =
                (gateway.address, accepted.clone(), number.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    send_one(at, &number, &accepted);
                }
            })
        })
        .collect();
    for kill in 0..kills {
        let console = gateway.start_serve(&[]);
        let enough = accepted.lock().unwrap().len() + 20 + usize::try_from(kill * 7 % 60).unwrap();
        let started = Instant::now();
        while accepted.lock().unwrap().len() < enough && started.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        console.kill();
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    Arc::try_unwrap(accepted).unwrap().into_inner().unwrap()
}

fn send_one(at: std::net::SocketAddr, number: &AtomicU64, accepted: &Mutex<HashMap<String, String>>) {
    let body = format!("message-{}", number.fetch_add(1, Ordering::SeqCst));
    let response = raw_http::get(at, &format!("/sms/send?number=09122222222&body={body}"));
    match response {
        Some(response) if response.status == 200 && response.body.ends_with('}') => {
            let id = response.json()["Data"][0]["id"].as_str().unwrap().to_owned();
            accepted.lock().unwrap().insert(id, body);
        }
        _ => std::thread::sleep(Duration::from_millis(5)),
    }
}

fn stored_message_ids(gateway: &TestGateway) -> HashSet<String> {
    let store = gateway.open_store();
    let mut statement = store.prepare("SELECT lower(hex(id)) FROM messages").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|hex| uuid::Uuid::parse_str(&hex.unwrap()).unwrap().to_string()).collect()
}

/// Returns the number of calls that repeat a message; panics when an accepted message has no call.
pub fn duplicate_sends(stub: &StubProvider, accepted: &HashMap<String, String>) -> i64 {
    let mut calls: HashMap<String, i64> = HashMap::new();
    for call in stub.calls() {
        let call: serde_json::Value = serde_json::from_str(&call).unwrap();
        *calls.entry(call["message"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for body in accepted.values() {
        assert!(calls.contains_key(body), "{body} was accepted and did not reach the provider");
    }
    calls.values().map(|count| count - 1).sum()
}
