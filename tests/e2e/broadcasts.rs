//! Broadcasts with the real program: every user gets exactly one message, also when processes are killed meanwhile.

use std::collections::HashSet;

use super::raw_http::{self, RawResponse};
use super::test_gateway::{TestGateway, wait_until};

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Users of a broadcast that is interrupted; its fan-out takes many steps.
const USER_COUNT: usize = 20_000;

fn post_expecting(gateway: &TestGateway, path: &str, json: &str, status: u16) -> RawResponse {
    let response = gateway.post(path, json).expect("a response");
    assert_eq!(response.status, status, "{response:?}");
    response
}

fn publish_broadcast(gateway: &TestGateway, json: &str) -> String {
    let response = post_expecting(gateway, "/v1/broadcasts", json, 202);
    response.json()["id"].as_str().unwrap().to_owned()
}

fn broadcast_counts(gateway: &TestGateway, id: &str) -> serde_json::Value {
    gateway.get(&format!("/v1/broadcasts/{id}")).expect("a response").json()
}

fn register_users(gateway: &TestGateway, users: usize) {
    for first in (0..users).step_by(1_000) {
        let entries = (first..users.min(first + 1_000)).map(|user| format!("{{\"id\":\"user-{user}\"}}"));
        let batch = format!("[{}]", entries.collect::<Vec<_>>().join(","));
        post_expecting(gateway, "/v1/users", &batch, 201);
    }
}

#[test]
fn a_broadcast_continues_where_a_killed_process_stopped() {
    let gateway = TestGateway::new(CONFIG);
    let mut console = gateway.start_serve(&["--concurrency", "0"]);
    register_users(&gateway, USER_COUNT);
    let id = publish_broadcast(&gateway, r#"{"body":"storm tonight","all":true}"#);
    post_expecting(&gateway, "/v1/users", r#"{"id":"registered later"}"#, 201);
    let mut kills = 0;
    for reached in [3_000, 9_000] {
        // The kill can hit the middle of a step. The next process waits until the job lock of the killed one expires.
        wait_until("part of the broadcast is fanned out", || {
            gateway.query_number("SELECT count(*) FROM messages") >= reached
        });
        console.kill();
        kills += 1 - gateway.query_number("SELECT sum(is_fanned_out) FROM broadcasts");
        console = gateway.start_serve(&["--concurrency", "0"]);
    }
    assert!(kills > 0, "no kill interrupted the fan-out");
    wait_until("the broadcast is fanned out", || {
        gateway.query_number("SELECT sum(is_fanned_out) FROM broadcasts") == 1
    });
    let counts = broadcast_counts(&gateway, &id);
    assert_eq!(
        (&counts["fanned_out"], &counts["users"], &counts["sent"], &counts["waiting"]),
        (&true.into(), &USER_COUNT.into(), &USER_COUNT.into(), &USER_COUNT.into())
    );
    let store = gateway.open_store();
    let mut statement = store.prepare("SELECT user FROM messages").unwrap();
    let users = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let users = users.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(users.len(), USER_COUNT, "no user gets two messages");
    assert_eq!(users.iter().collect::<HashSet<_>>().len(), USER_COUNT, "no user is left out");
    assert!(!users.contains(&"registered later".to_owned()));
    println!("{USER_COUNT} users, {kills} kills in the middle of a broadcast");
    assert!(console.terminate().success());
}

#[test]
fn another_process_continues_a_broadcast_and_no_step_is_done_twice() {
    let gateway = TestGateway::new(CONFIG);
    let console = gateway.start_serve(&["--concurrency", "0"]);
    register_users(&gateway, 5_000);
    let _work = gateway.start(&["work"]);
    let id = publish_broadcast(&gateway, r#"{"body":"storm tonight","all":true}"#);
    console.kill();
    wait_until("the other process has finished the fan-out", || {
        gateway.query_number("SELECT sum(is_fanned_out) FROM broadcasts") == 1
    });
    wait_until("all deliveries are sent", || {
        gateway.query_number("SELECT count(*) FROM deliveries WHERE state = 'sent'") == 5_000
    });
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    let counts = broadcast_counts(&gateway, &id);
    assert_eq!((&counts["sent"], &counts["unconfirmed"]), (&5_000.into(), &5_000.into()));
    assert_eq!(gateway.query_number("SELECT count(DISTINCT user) FROM messages"), 5_000);
}

#[test]
fn reading_a_message_twice_counts_once() {
    let gateway = TestGateway::new(CONFIG);
    let console = gateway.start_serve(&[]);
    post_expecting(&gateway, "/v1/users", r#"{"id":"ana/1 ö","name":"Ana"}"#, 201);
    post_expecting(&gateway, "/v1/users", r#"{"id":"ana/1 ö","name":"Ana"}"#, 200);
    post_expecting(&gateway, "/v1/users", r#"{"id":"ben"}"#, 201);
    let id = publish_broadcast(&gateway, r#"{"body":"storm tonight","all":true}"#);
    post_expecting(&gateway, "/v1/users", r#"{"id":"registered later"}"#, 201);
    wait_until("the broadcast is sent", || broadcast_counts(&gateway, &id)["unconfirmed"] == 2);
    let inbox = "/v1/users/ana%2F1%20%C3%B6/inbox";
    let message = gateway.get(inbox).unwrap().json()["messages"][0].clone();
    assert_eq!((&message["body"], &message["broadcast_id"]), (&"storm tonight".into(), &id.clone().into()));
    let path = format!("{inbox}/{}/read", message["id"].as_str().unwrap());
    let read = || {
        let response = raw_http::send_request(gateway.address, "POST", &path, &[], "").expect("a response");
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    };
    let first = read();
    assert_eq!(first["state"], "delivered");
    assert!(first["opened_at"].is_string(), "{first}");
    assert_eq!(read(), first);
    let counts = broadcast_counts(&gateway, &id);
    assert_eq!((&counts["sent"], &counts["received"], &counts["opened"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&counts["received_ratio"], &counts["opened_ratio"]), (&"0.50".into(), &"1.00".into()));
    assert_eq!(
        gateway.get("/v1/users/registered%20later/inbox").unwrap().json()["messages"],
        serde_json::json!([])
    );
    gateway.run_ok(&["sync:report"]);
    assert!(console.terminate().success());
}
