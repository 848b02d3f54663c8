//! How many messages that expect an answer a user may get, and what each face says above it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{TestResponse, TestServer};
use postrider_engine::config::{ApiKey, Config, Scope};

const THROTTLE_MESSAGE: &str = "his user has had as many messages as an hour allows; try again in 1h";

/// A gateway whose clock stands still and whose users may have so many messages an hour.
async fn server_with_limit(user_per_hour: u32) -> TestServer {
    TestServer::with_manual_clock(|config| config.user_per_hour = user_per_hour).await
}

fn question(more: &Value) -> Value {
    let mut body = json!({"to": "09122222222", "body": "yes or no?", "expects_reply": true});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn submit(world: &TestServer, more: &Value) -> TestResponse {
    world.post_json("/v1/messages", &question(more)).await
}

async fn submit_with_key(world: &TestServer, secret: &str) -> TestResponse {
    let request = Request::post("/v1/messages")
        .header("content-type", "application/json")
        .header("x-api-key", secret);
    let body = question(&json!({})).to_string();
    world.request(request.body(Body::from(body)).unwrap()).await
}

async fn statuses(world: &TestServer, questions: &[Value]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for more in questions {
        statuses.push(submit(world, more).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn above_the_limit_a_problem_says_when_to_come_back() {
    let world = server_with_limit(300).await;
    for _ in 0..300 {
        assert_eq!(submit(&world, &json!({})).await.status, 201);
    }
    let refused = submit(&world, &json!({})).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(
        refused.json(),
        json!({"type": "/problems/throttled", "title": "Too many messages to this user", "status": 429,
            "detail": format!("t{THROTTLE_MESSAGE}")})
    );
    assert_eq!(world.message_count().await, 300);
    world.gateway.clock.advance(Duration::from_millis(3_599_001));
    assert_eq!(submit(&world, &json!({})).await.header("retry-after"), Some("1"));
    world.gateway.clock.advance(Duration::from_millis(999));
    assert_eq!(submit(&world, &json!({})).await.status, 201);
    let metrics = world.get("/metrics").await.text();
    assert!(
        metrics.contains("postrider_refused_total{reason=\"throttled\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn only_messages_that_expect_an_answer_count() {
    let world = server_with_limit(1).await;
    let quiet = json!({"expects_reply": false});
    let silent = json!({"expects_reply": null});
    let asked = [quiet.clone(), silent.clone(), json!({}), json!({}), quiet, silent];
    assert_eq!(statuses(&world, &asked).await, [201, 201, 201, 429, 201, 201]);
    let wrong = submit(&world, &json!({"expects_reply": "yes"})).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json()["violations"][0]["field"], "expects_reply");
}

#[tokio::test]
async fn a_user_is_known_by_the_clients_name_or_by_the_address() {
    let world = server_with_limit(1).await;
    let asked = [
        json!({"user_id": "ann"}),
        json!({"user_id": "bob"}),
        json!({"user_id": "ann", "to": "09123333333"}),
        json!({}),
        json!({"to": "+989122222222"}),
        json!({"to": "09123333333"}),
    ];
    assert_eq!(statuses(&world, &asked).await, [201, 201, 429, 201, 429, 201]);
}

#[tokio::test]
async fn zero_is_no_limit() {
    let world = server_with_limit(0).await;
    let asked = vec![json!({}); 20];
    assert_eq!(statuses(&world, &asked).await, [201; 20]);
}

#[tokio::test]
async fn a_repetition_is_answered_at_the_limit() {
    let world = server_with_limit(1).await;
    let ask = async || {
        let request = Request::post("/v1/messages")
            .header("content-type", "application/json")
            .header("idempotency-key", "order-17");
        let body = question(&json!({})).to_string();
        world.request(request.body(Body::from(body)).unwrap()).await
    };
    let first = ask().await;
    assert_eq!(first.status, 201);
    assert_eq!(submit(&world, &json!({})).await.status, 429);
    let again = ask().await;
    assert_eq!((again.status.as_u16(), again.text()), (201, first.text()));
}

#[tokio::test]
async fn a_key_with_a_number_of_its_own_counts_by_itself() {
    let key = |name: &str, secret: &str, user_per_hour| ApiKey {
        name: name.to_owned(),
        sha256: Sha256::digest(secret).into(),
        scopes: vec![Scope::Send],
        user_per_hour,
        events: Default::default(),
    };
    let keys = vec![key("shop", "one", None), key("bank", "two", Some(2))];
    let world = TestServer::with_manual_clock(|config| {
        config.user_per_hour = 1;
        config.keys = keys;
    })
    .await;
    let mut statuses = Vec::new();
    for secret in ["one", "one", "two", "two", "two"] {
        statuses.push(submit_with_key(&world, secret).await.status.as_u16());
    }
    assert_eq!(statuses, [201, 429, 201, 201, 429]);
}

/// One general message an hour, and two over the channel `sms`, which always expects an answer.
fn limit_sms_channel(config: &mut Config) {
    config.user_per_hour = 1;
    let mut quiet = config.channels[0].clone();
    quiet.name = "quiet".parse().unwrap();
    config.channels[0].expects_reply = true;
    config.channels[0].user_per_hour = Some(2);
    config.channels.push(quiet);
}

#[tokio::test]
async fn a_channel_with_a_number_of_its_own_counts_by_itself() {
    let world = TestServer::with_manual_clock(limit_sms_channel).await;
    let both = json!({"channels": ["sms", "quiet"]});
    let quiet = json!({"channels": ["quiet"]});
    let sms = json!({});
    let asked = [both.clone(), quiet, sms.clone(), sms, both];
    assert_eq!(statuses(&world, &asked).await, [201, 429, 201, 429, 429]);
}

#[tokio::test]
async fn the_simple_and_the_texting_face_ask_where_the_channel_says_so() {
    let world = TestServer::with_manual_clock(limit_sms_channel).await;
    let simple = "/sms/send?number=09122222222&body=hi";
    let text = json!({"phone_number": "09122222222", "message_body": "hi"});
    assert_eq!(world.get(simple).await.status, 200);
    assert_eq!(world.post_json("/messages", &text).await.status, 200);
    let refused = world.get(simple).await;
    refused.assert_response(
        429,
        &format!(r#"{{"Data":[],"Message":["t{THROTTLE_MESSAGE}"]}}"#),
    );
    assert_eq!(refused.header("retry-after"), Some("3600"));
    let refused = world.post_json("/messages", &text).await;
    refused.assert_response(
        429,
        &format!(r#"{{"status":"error","message":"T{THROTTLE_MESSAGE}"}}"#),
    );
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(world.message_count().await, 2);
}
