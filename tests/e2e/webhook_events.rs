//! Webhook events: each state change is posted once, signed, by any of the hosts on a store, and again when an operator
//! replays it.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Map, Value, json};

use super::peer_programs::peers_folder;
use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, wait_until};
use postrider_core::testing::postgres_server::new_database;
use postrider_providers::testing::http_stub::{HttpStub, response};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ROTATED_SECRET: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

/// The headers of a call, with names in lower case, and its body.
type WebhookCall = (Map<String, Value>, String);

/// A webhook endpoint that answers with a configurable status and records every call.
struct WebhookEndpoint {
    stub: HttpStub,
    status: Arc<AtomicU16>,
}

impl WebhookEndpoint {
    fn new(initial_status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(initial_status));
        let current_status = Arc::clone(&status);
        let stub = HttpStub::in_background(Ipv4Addr::LOCALHOST.into(), move |_, _| {
            response(current_status.load(Ordering::SeqCst), "", "")
        });
        Self { stub, status }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.stub.address)
    }

    fn calls(&self) -> Vec<WebhookCall> {
        self.stub.requests().iter().map(|request| webhook_call(request)).collect()
    }

    /// Returns sequence and type of every call, sorted.
    fn event_types(&self) -> Vec<(u64, String)> {
        let mut types = Vec::new();
        for (_, body) in self.calls() {
            let body: Value = serde_json::from_str(&body).unwrap();
            let event_type = body["type"].as_str().unwrap().to_owned();
            types.push((body["data"]["sequence"].as_u64().unwrap(), event_type));
        }
        types.sort();
        types
    }
}

fn webhook_call(request: &str) -> WebhookCall {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    (headers.map(|(name, value)| (name.to_lowercase(), value.into())).collect(), body.to_owned())
}

fn config(provider: &StubProvider, more: &str) -> String {
    format!(
        "{}[channels.sms]\nproviders = [\"red\"]\n[events]\nsecrets = [\"{ROTATED_SECRET}\", \"{SECRET}\"]\n\
         networks = [\"127.0.0.1\"]\nretry_schedule = [\"50ms\", \"50ms\"]\n{more}",
        provider.texting_config("red")
    )
}

fn send_with_callback(gateway: &TestGateway, callback: &str) -> String {
    let submission = json!({"to": "09122222222", "body": "hello", "callback_url": callback});
    let response = gateway.post("/v1/messages", &submission.to_string()).expect("a response");
    assert_eq!(response.status, 201, "{response:?}");
    response.json()["id"].as_str().unwrap().to_owned()
}

fn report_delivered(gateway: &TestGateway, provider: &StubProvider, id: &str) {
    let reference = gateway.message(id)["deliveries"][0]["reference"].clone();
    let receipt = json!({"status": "delivered", "message_id": reference});
    let response = gateway.post(&provider.last_callback_path(), &receipt.to_string()).expect("a response");
    assert_eq!(response.json()["status"], "ok", "{response:?}");
}

const VERIFY_SCRIPT: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook
for headers, body in json.load(sys.stdin):
    for secret in sys.argv[1:]:
        Webhook(secret).verify(body, headers)
print("verified")
"#;

/// Verifies the signature of every call with each secret, with the Python library of Standard Webhooks.
fn expect_verified(calls: &[WebhookCall], secrets: &[&str]) {
    let python = peers_folder().join("python/bin/python");
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
    let (provider, endpoint) = (StubProvider::new(StubBehavior::Accept), WebhookEndpoint::new(204));
    let gateway = TestGateway::new(&config(&provider, ""));
    let _console = gateway.start_serve(&[]);
    let id = send_with_callback(&gateway, &endpoint.url());
    let sent = (1, "message.sent".to_owned());
    wait_until("message.sent was posted", || endpoint.event_types() == [sent.clone()]);
    report_delivered(&gateway, &provider, &id);
    let both = [sent, (2, "message.delivered".to_owned())];
    wait_until("message.delivered was posted", || endpoint.event_types() == both);
    let calls = endpoint.calls();
    expect_verified(&calls, &[SECRET, ROTATED_SECRET]);
    let body: Value = serde_json::from_str(&calls[1].1).unwrap();
    assert_eq!(body["data"]["message_id"], id.as_str());
    assert_eq!(body["data"]["to"], "09122222222");
    assert!(!calls[1].1.contains("hello"), "events do not contain the message body");
    // A message without a callback creates no events.
    let without_callback = gateway.send("09122222222", "hello");
    gateway.wait_for_state(&without_callback, &["sent"]);
    assert_eq!(gateway.query_number("SELECT count(*) FROM events"), 2);
}

#[test]
fn a_failing_endpoint_is_retried_with_the_same_id_and_then_given_up() {
    let (provider, endpoint) = (StubProvider::new(StubBehavior::Accept), WebhookEndpoint::new(500));
    let gateway = TestGateway::new(&config(&provider, ""));
    let _console = gateway.start_serve(&[]);
    send_with_callback(&gateway, &endpoint.url());
    let dead = || gateway.query_number("SELECT count(*) FROM events WHERE state = 'dead'");
    wait_until("the event is dead", || dead() == 1);
    let calls = endpoint.calls();
    assert_eq!(calls.len(), 3, "one call, and one after each delay");
    let ids = calls.iter().map(|(headers, _)| headers["webhook-id"].clone());
    let mut ids = ids.collect::<Vec<_>>();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let listed = gateway.run_ok(&["events", "list", "--state", "dead"]);
    let id = ids[0].as_str().unwrap();
    assert!(listed.contains(id) && listed.contains("HTTP 500"), "{listed}");
    assert!(gateway.run_ok(&["events", "show", id]).contains("message.sent"));
    endpoint.status.store(200, Ordering::SeqCst);
    assert!(gateway.run_ok(&["events", "replay", "--dead"]).contains("1 event "));
    wait_until("the event is delivered", || {
        gateway.query_number("SELECT count(*) FROM events WHERE state = 'delivered'") == 1
    });
    assert_eq!(endpoint.calls().last().unwrap().0["webhook-id"], id);
}

#[test]
fn private_addresses_are_refused_when_accepting() {
    let (provider, endpoint) = (StubProvider::new(StubBehavior::Accept), WebhookEndpoint::new(200));
    let text = config(&provider, "").replace("networks = [\"127.0.0.1\"]", "networks = [\"10.0.0.0/8\"]");
    let gateway = TestGateway::new(&text);
    let _console = gateway.start_serve(&[]);
    let local_name = format!("http://localhost:{}/hook", endpoint.stub.address.port());
    for url in
        [endpoint.url(), "https://169.254.169.254/".to_owned(), "ftp://a.example/".to_owned(), local_name]
    {
        let submission = json!({"to": "09122222222", "body": "x", "callback_url": url});
        let response = gateway.post("/v1/messages", &submission.to_string()).expect("a response");
        assert_eq!(response.status, 422, "{response:?}");
        assert!(response.body.contains("callback_url"), "{response:?}");
    }
    // A name that resolves to a private address at the call is a unit test of the egress policy.
    assert_eq!(endpoint.calls().len(), 0);
}

#[test]
fn a_key_receives_events_of_its_messages_and_a_dead_endpoint_delays_no_other() {
    let (provider, endpoint) = (StubProvider::new(StubBehavior::Accept), WebhookEndpoint::new(200));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = format!(
        "concurrency = 2\nconcurrency_per_endpoint = 2\ntimeout = \"30s\"\n[[keys]]\nname = \"shop\"\n\
         key = \"webhook-key-0123456789\"\nscopes = [\"admin\"]\nevents_url = \"{}\"\nevents_secrets = [\"{SECRET}\"]\n",
        endpoint.url()
    );
    let gateway = TestGateway::new(&config(&provider, &key));
    let _console = gateway.start_serve(&[]);
    let submit = |more: Value| {
        let mut submission = json!({"to": "09122222222", "body": "hello"});
        submission.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let headers = ["Content-Type: application/json", "Authorization: Bearer webhook-key-0123456789"];
        let response = super::raw_http::send_request(
            gateway.address,
            "POST",
            "/v1/messages",
            &headers,
            &submission.to_string(),
        );
        assert_eq!(response.expect("a response").status, 201);
    };
    let dead_url = format!("http://{}/", silent.local_addr().unwrap());
    for _ in 0..5 {
        submit(json!({"callback_url": dead_url}));
    }
    wait_until("the dead endpoint has a call in flight", || {
        gateway.query_number("SELECT count(*) FROM events WHERE claims > 0") == 1
    });
    for _ in 0..3 {
        submit(json!({}));
    }
    wait_until("the endpoint of the key received its three events", || endpoint.calls().len() == 3);
    expect_verified(&endpoint.calls(), &[SECRET]);
}

#[test]
fn two_hosts_post_each_event_once() {
    let (provider, endpoint) = (StubProvider::new(StubBehavior::Accept), WebhookEndpoint::new(200));
    let url = new_database();
    let text = format!("[store]\nurl = \"{url}\"\n{}", config(&provider, ""));
    let gateways = [TestGateway::new(&text), TestGateway::new(&text)];
    let _hosts = gateways.each_ref().map(|gateway| gateway.start_serve(&[]));
    for number in 0..20 {
        send_with_callback(&gateways[number % 2], &endpoint.url());
    }
    wait_until("all events were posted", || endpoint.calls().len() >= 20);
    let delivered = || gateways[0].run_ok(&["events", "list", "--state", "delivered"]).lines().count();
    wait_until("all events are recorded as delivered", || delivered() == 20);
    assert_eq!(endpoint.calls().len(), 20);
}
