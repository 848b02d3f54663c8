//! Broadcasts in the real program: nobody gets two and nobody is left out, whoever is killed meanwhile.

use std::collections::HashSet;

use super::raw_http::{self, RawResponse};
use super::test_gateway::{TestGateway, wait_until};

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Users in a broadcast that is interrupted: more than a few steps.
const USER_COUNT: usize = 20_000;

fn post_expecting(world: &TestGateway, path: &str, json: &str, status: u16) -> RawResponse {
    let answer = world.post(path, json).expect("an answer");
    assert_eq!(answer.status, status, "{answer:?}");
    answer
}

fn publish_broadcast(world: &TestGateway, json: &str) -> String {
    let answer = post_expecting(world, "/v1/broadcasts", json, 202);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn broadcast_counts(world: &TestGateway, id: &str) -> serde_json::Value {
    world
        .get(&format!("/v1/broadcasts/{id}"))
        .expect("an answer")
        .json()
}

fn register_users(world: &TestGateway, users: usize) {
    for first in (0..users).step_by(1_000) {
        let list = (first..users.min(first + 1_000)).map(|user| format!("{{\"id\":\"user-{user}\"}}"));
        let list = format!("[{}]", list.collect::<Vec<_>>().join(","));
        post_expecting(world, "/v1/users", &list, 201);
    }
}

#[test]
fn a_broadcast_continues_where_a_killed_process_stopped() {
    let world = TestGateway::new(CONFIG);
    let mut console = world.start_serve(&["--concurrency", "0"]);
    register_users(&world, USER_COUNT);
    let id = publish_broadcast(&world, r#"{"body":"storm tonight","all":true}"#);
    post_expecting(&world, "/v1/users", r#"{"id":"too late"}"#, 201);
    let mut kills = 0;
    for reached in [3_000, 9_000] {
        // Somewhere in the middle of a step. Who comes next waits until the turn of the dead has ended.
        wait_until("a part of it is spread", || {
            world.query_number("SELECT count(*) FROM messages") >= reached
        });
        console.kill();
        kills += 1 - world.query_number("SELECT sum(is_fanned_out) FROM broadcasts");
        console = world.start_serve(&["--concurrency", "0"]);
    }
    assert!(kills > 0, "it was never interrupted");
    wait_until("it is spread", || {
        world.query_number("SELECT sum(is_fanned_out) FROM broadcasts") == 1
    });
    let counted = broadcast_counts(&world, &id);
    assert_eq!(
        (
            &counted["fanned_out"],
            &counted["users"],
            &counted["sent"],
            &counted["waiting"]
        ),
        (
            &true.into(),
            &USER_COUNT.into(),
            &USER_COUNT.into(),
            &USER_COUNT.into()
        )
    );
    let store = world.open_store();
    let mut statement = store.prepare("SELECT user FROM messages").unwrap();
    let users = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let users = users.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(users.len(), USER_COUNT, "nobody gets two");
    assert_eq!(
        users.iter().collect::<HashSet<_>>().len(),
        USER_COUNT,
        "nobody is left out"
    );
    assert!(!users.contains(&"too late".to_owned()));
    println!("{USER_COUNT} users, {kills} kills in the middle of a broadcast");
    assert!(console.terminate().success());
}

#[test]
fn another_process_continues_a_broadcast_and_no_step_is_done_twice() {
    let world = TestGateway::new(CONFIG);
    let console = world.start_serve(&["--concurrency", "0"]);
    register_users(&world, 5_000);
    let _work = world.start(&["work"]);
    let id = publish_broadcast(&world, r#"{"body":"storm tonight","all":true}"#);
    console.kill();
    wait_until("the other has finished it", || {
        world.query_number("SELECT sum(is_fanned_out) FROM broadcasts") == 1
    });
    wait_until("everything has left", || {
        world.query_number("SELECT count(*) FROM deliveries WHERE state = 'sent'") == 5_000
    });
    let _console = world.start_serve(&["--concurrency", "0"]);
    let counted = broadcast_counts(&world, &id);
    assert_eq!(
        (&counted["sent"], &counted["unconfirmed"]),
        (&5_000.into(), &5_000.into())
    );
    assert_eq!(
        world.query_number("SELECT count(DISTINCT user) FROM messages"),
        5_000
    );
}

#[test]
fn reading_a_message_twice_counts_once() {
    let world = TestGateway::new(CONFIG);
    let console = world.start_serve(&[]);
    post_expecting(&world, "/v1/users", r#"{"id":"ana/1 ö","name":"Ana"}"#, 201);
    post_expecting(&world, "/v1/users", r#"{"id":"ana/1 ö","name":"Ana"}"#, 200);
    post_expecting(&world, "/v1/users", r#"{"id":"ben"}"#, 201);
    let id = publish_broadcast(&world, r#"{"body":"storm tonight","all":true}"#);
    post_expecting(&world, "/v1/users", r#"{"id":"too late"}"#, 201);
    wait_until("it has left", || {
        broadcast_counts(&world, &id)["unconfirmed"] == 2
    });
    let inbox = "/v1/users/ana%2F1%20%C3%B6/inbox";
    let letter = world.get(inbox).unwrap().json()["messages"][0].clone();
    assert_eq!(
        (&letter["body"], &letter["broadcast_id"]),
        (&"storm tonight".into(), &id.clone().into())
    );
    let path = format!("{inbox}/{}/read", letter["id"].as_str().unwrap());
    let read = || {
        let answer = raw_http::send_request(world.address, "POST", &path, &[], "").expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let first = read();
    assert_eq!(first["state"], "delivered");
    assert!(first["opened_at"].is_string(), "{first}");
    assert_eq!(read(), first);
    let counted = broadcast_counts(&world, &id);
    assert_eq!(
        (&counted["sent"], &counted["received"], &counted["opened"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(
        (&counted["received_ratio"], &counted["opened_ratio"]),
        (&"0.50".into(), &"1.00".into())
    );
    assert_eq!(
        world.get("/v1/users/too%20late/inbox").unwrap().json()["messages"],
        serde_json::json!([])
    );
    world.run_ok(&["sync:report"]);
    assert!(console.terminate().success());
}
