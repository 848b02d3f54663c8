//! The user throttle, and the response of each API above the limit.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer, api_key};
use postrider_engine::config::{ApiKey, Config, Scope};

const THROTTLE_MESSAGE: &str = "he hourly message limit of this user is reached; try again in 1h";

/// A gateway with a manual clock and this limit of messages per user and hour.
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

async fn submit(server: &TestServer, more: &Value) -> TestResponse {
    server.post_json("/v1/messages", &question(more)).await
}

async fn submit_with_key(server: &TestServer, secret: &str) -> TestResponse {
    let request =
        Request::post("/v1/messages").header("content-type", "application/json").header("x-api-key", secret);
    let body = question(&json!({})).to_string();
    server.request(request.body(Body::from(body)).unwrap()).await
}

async fn statuses(server: &TestServer, questions: &[Value]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for more in questions {
        statuses.push(submit(server, more).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn above_the_limit_a_problem_has_a_retry_after() {
    let server = server_with_limit(300).await;
    for _ in 0..300 {
        assert_eq!(submit(&server, &json!({})).await.status, 201);
    }
    let refused = submit(&server, &json!({})).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(
        refused.json(),
        json!({"type": "/problems/throttled", "title": "Too many messages to this user", "status": 429,
            "detail": format!("t{THROTTLE_MESSAGE}")})
    );
    assert_eq!(server.message_count().await, 300);
    server.gateway.clock.advance(Duration::from_millis(3_599_001));
    assert_eq!(submit(&server, &json!({})).await.header("retry-after"), Some("1"));
    server.gateway.clock.advance(Duration::from_millis(999));
    assert_eq!(submit(&server, &json!({})).await.status, 201);
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("postrider_refused_total{reason=\"throttled\"} 2"), "{metrics}");
}

#[tokio::test]
async fn only_messages_that_expect_a_reply_count() {
    let server = server_with_limit(1).await;
    let quiet = json!({"expects_reply": false});
    let silent = json!({"expects_reply": null});
    let requests = [quiet.clone(), silent.clone(), json!({}), json!({}), quiet, silent];
    assert_eq!(statuses(&server, &requests).await, [201, 201, 201, 429, 201, 201]);
    let wrong = submit(&server, &json!({"expects_reply": "yes"})).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json()["violations"][0]["field"], "expects_reply");
}

#[tokio::test]
async fn a_user_is_identified_by_user_id_or_by_address() {
    let server = server_with_limit(1).await;
    let requests = [
        json!({"user_id": "ann"}),
        json!({"user_id": "bob"}),
        json!({"user_id": "ann", "to": "09123333333"}),
        json!({}),
        json!({"to": "+989122222222"}),
        json!({"to": "09123333333"}),
    ];
    assert_eq!(statuses(&server, &requests).await, [201, 201, 429, 201, 429, 201]);
}

#[tokio::test]
async fn zero_means_no_limit() {
    let server = server_with_limit(0).await;
    let requests = vec![json!({}); 20];
    assert_eq!(statuses(&server, &requests).await, [201; 20]);
}

#[tokio::test]
async fn a_repeated_request_is_answered_at_the_limit() {
    let server = server_with_limit(1).await;
    let send = async || {
        let request = Request::post("/v1/messages")
            .header("content-type", "application/json")
            .header("idempotency-key", "order-17");
        let body = question(&json!({})).to_string();
        server.request(request.body(Body::from(body)).unwrap()).await
    };
    let first = send().await;
    assert_eq!(first.status, 201);
    assert_eq!(submit(&server, &json!({})).await.status, 429);
    let again = send().await;
    assert_eq!((again.status.as_u16(), again.text()), (201, first.text()));
}

#[tokio::test]
async fn a_key_with_its_own_limit_counts_separately() {
    let key = |name: &str, secret: &str, user_per_hour| ApiKey {
        user_per_hour,
        ..api_key(name, secret, Scope::Send)
    };
    let keys = vec![key("shop", "one", None), key("bank", "two", Some(2))];
    let server = TestServer::with_manual_clock(|config| {
        config.user_per_hour = 1;
        config.keys = keys;
    })
    .await;
    let mut statuses = Vec::new();
    for secret in ["one", "one", "two", "two", "two"] {
        statuses.push(submit_with_key(&server, secret).await.status.as_u16());
    }
    assert_eq!(statuses, [201, 429, 201, 201, 429]);
}

/// One message per hour in general, and two over the channel `sms`, which always expects a reply.
fn limit_sms_channel(config: &mut Config) {
    config.user_per_hour = 1;
    let mut quiet = config.channels[0].clone();
    quiet.name = "quiet".parse().unwrap();
    config.channels[0].expects_reply = true;
    config.channels[0].user_per_hour = Some(2);
    config.channels.push(quiet);
}

#[tokio::test]
async fn a_channel_with_its_own_limit_counts_separately() {
    let server = TestServer::with_manual_clock(limit_sms_channel).await;
    let both = json!({"channels": ["sms", "quiet"]});
    let quiet = json!({"channels": ["quiet"]});
    let sms = json!({});
    let requests = [both.clone(), quiet, sms.clone(), sms, both];
    assert_eq!(statuses(&server, &requests).await, [201, 429, 201, 429, 429]);
}

#[tokio::test]
async fn simple_and_texting_messages_count_if_the_channel_expects_a_reply() {
    let server = TestServer::with_manual_clock(limit_sms_channel).await;
    let simple = "/sms/send?number=09122222222&body=hi";
    let texting_message = json!({"phone_number": "09122222222", "message_body": "hi"});
    assert_eq!(server.get(simple).await.status, 200);
    assert_eq!(server.post_json("/messages", &texting_message).await.status, 200);
    let refused = server.get(simple).await;
    refused.assert_response(429, &format!(r#"{{"Data":[],"Message":["t{THROTTLE_MESSAGE}"]}}"#));
    assert_eq!(refused.header("retry-after"), Some("3600"));
    let refused = server.post_json("/messages", &texting_message).await;
    refused.assert_response(429, &format!(r#"{{"status":"error","message":"T{THROTTLE_MESSAGE}"}}"#));
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(server.message_count().await, 2);
}
