//! Clients hear what becomes of their messages: signed, once for each change, from whichever host is there, and again
//! when an operator says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, wait_until};
use postrider_core::testing::postgres_server::new_database;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ROTATED_SECRET: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

/// A call: its headers, in lower case, and its body.
type WebhookCall = (Map<String, Value>, String);

/// A client's endpoint.
struct WebhookReceiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    calls: Arc<Mutex<Vec<WebhookCall>>>,
}

impl WebhookReceiver {
    fn new(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(status)),
            calls: Arc::default(),
        };
        let (status, calls) = (Arc::clone(&receiver.status), Arc::clone(&receiver.calls));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (status, calls) = (Arc::clone(&status), Arc::clone(&calls));
                std::thread::spawn(move || serve_connection(stream, &status, &calls));
            }
        });
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn calls(&self) -> Vec<WebhookCall> {
        self.calls.lock().unwrap().clone()
    }

    /// Type and sequence of every call, in the order of both.
    fn event_types(&self) -> Vec<(u64, String)> {
        let mut told = Vec::new();
        for (_, body) in self.calls() {
            let body: Value = serde_json::from_str(&body).unwrap();
            let word = body["type"].as_str().unwrap().to_owned();
            told.push((body["data"]["sequence"].as_u64().unwrap(), word));
        }
        told.sort();
        told
    }
}

fn serve_connection(stream: TcpStream, status: &AtomicU16, calls: &Mutex<Vec<WebhookCall>>) -> Option<()> {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut headers = Map::new();
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            headers.insert(name.to_lowercase(), value.into());
        }
        let length = headers["content-length"].as_str()?.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        calls.lock().unwrap().push((headers, body));
        let status = status.load(Ordering::SeqCst);
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        writer.write_all(answer.as_bytes()).ok()?;
    }
}

fn config(provider: &StubProvider, more: &str) -> String {
    format!(
        "{}[channels.sms]\nproviders = [\"red\"]\n[events]\nsecrets = [\"{ROTATED_SECRET}\", \"{SECRET}\"]\n\
         networks = [\"127.0.0.1\"]\nwaits = [\"50ms\", \"50ms\"]\n{more}",
        provider.texting_config("red")
    )
}

fn send_with_callback(world: &TestGateway, callback: &str) -> String {
    let wanted = json!({"to": "09122222222", "body": "hello", "callback_url": callback});
    let answer = world
        .post("/v1/messages", &wanted.to_string())
        .expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn report_delivered(world: &TestGateway, provider: &StubProvider, id: &str) {
    let reference = world.message(id)["deliveries"][0]["reference"].clone();
    let receipt = json!({"status": "delivered", "message_id": reference});
    let answer = world
        .post(&provider.last_callback_path(), &receipt.to_string())
        .expect("an answer");
    assert_eq!(answer.json()["status"], "ok", "{answer:?}");
}

const VERIFY_SCRIPT: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook
for headers, body in json.load(sys.stdin):
    for secret in sys.argv[1:]:
        Webhook(secret).verify(body, headers)
print("verified")
"#;

/// The library of Standard Webhooks for Python believes every call, with each of the secrets.
fn expect_verified(calls: &[WebhookCall], secrets: &[&str]) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/python");
    let mut child = Command::new(&python)
        .args(["-c", VERIFY_SCRIPT])
        .args(secrets)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run ./start.sh test", python.display()));
    let text = serde_json::to_string(calls).unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "verified");
}

#[test]
fn a_callback_receives_every_change_signed_with_either_secret() {
    let (provider, receiver) = (StubProvider::new(StubBehavior::Accept), WebhookReceiver::new(204));
    let world = TestGateway::new(&config(&provider, ""));
    let _console = world.start_serve(&[]);
    let id = send_with_callback(&world, &receiver.url());
    let sent = (1, "message.sent".to_owned());
    wait_until("the send was told", || receiver.event_types() == [sent.clone()]);
    report_delivered(&world, &provider, &id);
    let both = [sent, (2, "message.delivered".to_owned())];
    wait_until("the delivery was told", || receiver.event_types() == both);
    let calls = receiver.calls();
    expect_verified(&calls, &[SECRET, ROTATED_SECRET]);
    let body: Value = serde_json::from_str(&calls[1].1).unwrap();
    assert_eq!(body["data"]["message_id"], id.as_str());
    assert_eq!(body["data"]["to"], "09122222222");
    assert!(!calls[1].1.contains("hello"), "what the message says stays here");
    // A message that asks for nothing leaves nothing.
    let silent = world.send("09122222222", "hello");
    world.wait_for_state(&silent, &["sent"]);
    assert_eq!(world.query_number("SELECT count(*) FROM events"), 2);
}

#[test]
fn a_failing_endpoint_is_retried_with_the_same_id_and_then_given_up() {
    let (provider, receiver) = (StubProvider::new(StubBehavior::Accept), WebhookReceiver::new(500));
    let world = TestGateway::new(&config(&provider, ""));
    let _console = world.start_serve(&[]);
    send_with_callback(&world, &receiver.url());
    let dead = || world.query_number("SELECT count(*) FROM events WHERE state = 'dead'");
    wait_until("it was given up", || dead() == 1);
    let calls = receiver.calls();
    assert_eq!(calls.len(), 3, "once, and after each wait");
    let names = calls.iter().map(|(headers, _)| headers["webhook-id"].clone());
    let mut names = names.collect::<Vec<_>>();
    names.dedup();
    assert_eq!(names.len(), 1);
    let listed = world.run_ok(&["events", "list", "--state", "dead"]);
    let name = names[0].as_str().unwrap();
    assert!(listed.contains(name) && listed.contains("HTTP 500"), "{listed}");
    assert!(world.run_ok(&["events", "show", name]).contains("message.sent"));
    receiver.status.store(200, Ordering::SeqCst);
    assert!(world.run_ok(&["events", "replay", "--dead"]).contains("1 event "));
    wait_until("it was told", || {
        world.query_number("SELECT count(*) FROM events WHERE state = 'delivered'") == 1
    });
    assert_eq!(receiver.calls().last().unwrap().0["webhook-id"], name);
}

#[test]
fn private_addresses_are_refused_when_accepting_and_when_calling() {
    let (provider, receiver) = (StubProvider::new(StubBehavior::Accept), WebhookReceiver::new(200));
    let text = config(&provider, "").replace("networks = [\"127.0.0.1\"]", "networks = [\"10.0.0.0/8\"]");
    let world = TestGateway::new(&text);
    let _console = world.start_serve(&[]);
    for wrong in [
        receiver.url(),
        "https://169.254.169.254/".to_owned(),
        "ftp://a.example/".to_owned(),
    ] {
        let wanted = json!({"to": "09122222222", "body": "x", "callback_url": wrong});
        let answer = world
            .post("/v1/messages", &wanted.to_string())
            .expect("an answer");
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.body.contains("callback_url"), "{answer:?}");
    }
    send_with_callback(
        &world,
        &format!("http://localhost:{}/hook", receiver.address.port()),
    );
    wait_until("it was given up", || {
        world.query_number("SELECT count(*) FROM events WHERE state = 'dead'") == 1
    });
    assert_eq!(receiver.calls().len(), 0);
}

#[test]
fn a_key_receives_events_of_its_messages_and_a_dead_endpoint_delays_no_other() {
    let (provider, receiver) = (StubProvider::new(StubBehavior::Accept), WebhookReceiver::new(200));
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = format!(
        "concurrency = 2\nconcurrency_per_endpoint = 2\ntimeout = \"30s\"\n[[keys]]\nname = \"shop\"\n\
         key = \"SHOP-KEY-0123456789\"\nscopes = [\"admin\"]\nevents_url = \"{}\"\nevents_secrets = [\"{SECRET}\"]\n",
        receiver.url()
    );
    let world = TestGateway::new(&config(&provider, &key));
    let _console = world.start_serve(&[]);
    let hand_in = |more: Value| {
        let mut wanted = json!({"to": "09122222222", "body": "hello"});
        wanted
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let headers = [
            "Content-Type: application/json",
            "Authorization: Bearer SHOP-KEY-0123456789",
        ];
        let answer = super::raw_http::send_request(
            world.address,
            "POST",
            "/v1/messages",
            &headers,
            &wanted.to_string(),
        );
        assert_eq!(answer.expect("an answer").status, 201);
    };
    let dead_end = format!("http://{}/", mute.local_addr().unwrap());
    for _ in 0..5 {
        hand_in(json!({"callback_url": dead_end}));
    }
    wait_until("the dead neighbour has what it may have", || {
        world.query_number("SELECT count(*) FROM events WHERE claims > 0") == 1
    });
    for _ in 0..3 {
        hand_in(json!({}));
    }
    wait_until("the key has heard of its three", || receiver.calls().len() == 3);
    expect_verified(&receiver.calls(), &[SECRET]);
}

#[test]
fn two_hosts_post_each_event_once() {
    let (provider, receiver) = (StubProvider::new(StubBehavior::Accept), WebhookReceiver::new(200));
    let url = new_database();
    let text = format!("[store]\nurl = \"{url}\"\n{}", config(&provider, ""));
    let worlds = [TestGateway::new(&text), TestGateway::new(&text)];
    let _hosts = worlds.each_ref().map(|world| world.start_serve(&[]));
    for turn in 0..20 {
        send_with_callback(&worlds[turn % 2], &receiver.url());
    }
    wait_until("all were told", || receiver.calls().len() >= 20);
    let taken = || {
        worlds[0]
            .run_ok(&["events", "list", "--state", "delivered"])
            .lines()
            .count()
    };
    wait_until("all were recorded", || taken() == 20);
    assert_eq!(receiver.calls().len(), 20);
}
