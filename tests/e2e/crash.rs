//! `kill -9` at random moments under load: what was answered with 2xx is there afterwards and is delivered, and
//! what may have been sent twice is shown as `unknown`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::stub::{Mood, Stub};
use super::wire;
use super::world::{World, until};

/// Calls in flight at most, and so second sends at most for each kill.
const IN_FLIGHT: usize = 8;

/// How often the program is killed: `POSTRIDER_TEST_KILLS`, 20 when it is not set.
fn kills() -> u64 {
    std::env::var("POSTRIDER_TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20)
}

#[test]
fn nothing_accepted_is_lost_and_every_second_send_is_shown() {
    let stub = Stub::new(Mood::Slow(3));
    let configuration = format!(
        "{}\n[work]\nlease = \"16s\"\nconcurrency = {IN_FLIGHT}\n[channels.sms]\nproviders = [\"red\"]\n\
         [retry]\nbase = \"100ms\"\ncap = \"1s\"\n",
        stub.texting("red")
    );
    let world = World::new(&configuration);
    let accepted = storm(&world, kills());
    let console = world.serve(&[]);
    until("nothing waits any more", || {
        world.count("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
    });
    console.stop();
    let ids: HashSet<String> = stored_ids(&world);
    let lost: Vec<&String> = accepted.keys().filter(|id| !ids.contains(*id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} accepted messages are lost: {lost:?}",
        lost.len(),
        accepted.len()
    );
    assert_eq!(
        world.count("SELECT count(*) FROM deliveries WHERE state <> 'sent'"),
        0
    );
    let unknown = world.count("SELECT count(*) FROM attempts WHERE outcome = 'unknown'");
    let seconds = second_sends(&stub, &accepted);
    let most = i64::try_from(kills() * IN_FLIGHT as u64).unwrap();
    assert!(
        seconds <= unknown,
        "{seconds} second sends, but only {unknown} are shown as unknown"
    );
    assert!(
        unknown <= most,
        "{unknown} rounds in doubt after {} kills of {IN_FLIGHT} calls",
        kills()
    );
    println!(
        "{} accepted, {} kills, {unknown} unknown, {seconds} sent twice",
        accepted.len(),
        kills()
    );
}

/// Kills the program again and again while clients send; the ids answered with 200, and their bodies.
fn storm(world: &World, kills: u64) -> HashMap<String, String> {
    let accepted = Arc::new(Mutex::new(HashMap::new()));
    let number = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (at, accepted, number, stop) = (world.at, accepted.clone(), number.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    send_one(at, &number, &accepted);
                }
            })
        })
        .collect();
    for kill in 0..kills {
        let console = world.serve(&[]);
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
    let answer = wire::get(at, &format!("/sms/send?number=09122222222&body={body}"));
    match answer {
        Some(answer) if answer.status == 200 && answer.body.ends_with('}') => {
            let id = answer.json()["Data"][0]["id"].as_str().unwrap().to_owned();
            accepted.lock().unwrap().insert(id, body);
        }
        _ => std::thread::sleep(Duration::from_millis(5)),
    }
}

fn stored_ids(world: &World) -> HashSet<String> {
    let store = world.store();
    let mut statement = store.prepare("SELECT lower(hex(id)) FROM messages").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|hex| uuid::Uuid::parse_str(&hex.unwrap()).unwrap().to_string())
        .collect()
}

/// How many more calls the provider got than there are different messages.
fn second_sends(stub: &Stub, accepted: &HashMap<String, String>) -> i64 {
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
