//! `kill -9` at random moments under load: what was answered with 2xx is there afterwards and is delivered, and
//! what may have been sent twice is shown as `unknown`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::raw_http;
use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, wait_until};

/// Calls in flight at most, and so second sends at most for each kill.
const CONCURRENCY: usize = 8;

/// How often the program is killed: `POSTRIDER_TEST_KILLS`, 20 when it is not set.
fn kill_count() -> u64 {
    std::env::var("POSTRIDER_TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20)
}

#[test]
fn no_accepted_message_is_lost_and_every_possible_second_send_is_shown() {
    let stub = StubProvider::new(StubBehavior::AcceptAfterMs(3));
    let configuration = format!(
        "{}\n[work]\nlease = \"16s\"\nconcurrency = {CONCURRENCY}\n[channels.sms]\nproviders = [\"red\"]\n\
         [retry]\nbase = \"100ms\"\ncap = \"1s\"\n",
        stub.texting_config("red")
    );
    let world = TestGateway::new(&configuration);
    let accepted = kill_under_load(&world, kill_count());
    let console = world.start_serve(&[]);
    wait_until("nothing waits any more", || {
        world.query_number("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
    });
    console.terminate();
    let ids: HashSet<String> = stored_message_ids(&world);
    let lost: Vec<&String> = accepted.keys().filter(|id| !ids.contains(*id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} accepted messages are lost: {lost:?}",
        lost.len(),
        accepted.len()
    );
    assert_eq!(
        world.query_number("SELECT count(*) FROM deliveries WHERE state <> 'sent'"),
        0
    );
    let unknown = world.query_number("SELECT count(*) FROM attempts WHERE outcome = 'unknown'");
    let seconds = duplicate_sends(&stub, &accepted);
    let most = i64::try_from(kill_count() * CONCURRENCY as u64).unwrap();
    assert!(
        seconds <= unknown,
        "{seconds} second sends, but only {unknown} are shown as unknown"
    );
    assert!(
        unknown <= most,
        "{unknown} rounds in doubt after {} kills of {CONCURRENCY} calls",
        kill_count()
    );
    println!(
        "{} accepted, {} kills, {unknown} unknown, {seconds} sent twice",
        accepted.len(),
        kill_count()
    );
}

/// Kills the program again and again while clients send; the ids answered with 200, and their bodies.
fn kill_under_load(world: &TestGateway, kills: u64) -> HashMap<String, String> {
    let accepted = Arc::new(Mutex::new(HashMap::new()));
    let number = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (at, accepted, number, stop) =
                (world.address, accepted.clone(), number.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    send_one(at, &number, &accepted);
                }
            })
        })
        .collect();
    for kill in 0..kills {
        let console = world.start_serve(&[]);
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
    let answer = raw_http::get(at, &format!("/sms/send?number=09122222222&body={body}"));
    match answer {
        Some(answer) if answer.status == 200 && answer.body.ends_with('}') => {
            let id = answer.json()["Data"][0]["id"].as_str().unwrap().to_owned();
            accepted.lock().unwrap().insert(id, body);
        }
        _ => std::thread::sleep(Duration::from_millis(5)),
    }
}

fn stored_message_ids(world: &TestGateway) -> HashSet<String> {
    let store = world.open_store();
    let mut statement = store.prepare("SELECT lower(hex(id)) FROM messages").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|hex| uuid::Uuid::parse_str(&hex.unwrap()).unwrap().to_string())
        .collect()
}

/// How many more calls the provider got than there are different messages.
fn duplicate_sends(stub: &StubProvider, accepted: &HashMap<String, String>) -> i64 {
    let mut calls: HashMap<String, i64> = HashMap::new();
    for call in stub.calls() {
        let call: serde_json::Value = serde_json::from_str(&call).unwrap();
        *calls
            .entry(call["message"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    for body in accepted.values() {
        assert!(
            calls.contains_key(body),
            "{body} was accepted and never reached the provider"
        );
    }
    calls.values().map(|count| count - 1).sum()
}
