//! The native API: submit, show, list and cancel messages; receipts, providers, report.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer};
use postrider_engine::{resend, sync_report};

pub(super) async fn submit(server: &TestServer, body: &Value) -> TestResponse {
    server.post_json("/v1/messages", body).await
}

async fn submit_ok(server: &TestServer, body: &Value) -> String {
    let response = submit(server, body).await;
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()["id"].as_str().unwrap().to_owned()
}

pub(super) fn violation_fields(response: &TestResponse) -> Vec<String> {
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let violations = response.json()["violations"].as_array().unwrap().clone();
    violations.iter().map(|violation| violation["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_created_with_a_location() {
    let server = TestServer::new().await;
    let response = submit(&server, &json!({"to": "09122222222", "body": "hi"})).await;
    let json = response.json();
    let id = json["id"].as_str().unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.header("location"), Some(format!("/v1/messages/{id}").as_str()));
    assert!(response.header("x-request-id").is_some());
    let deliveries = json!([{"id": 64, "channel": "sms"}]);
    assert_eq!(json, json!({"id": id, "status": "accepted", "parts": 1, "deliveries": deliveries}));
}

#[tokio::test]
async fn a_message_is_shown_with_all_fields() {
    let server = TestServer::new().await;
    let id = submit_ok(&server, &json!({"to": {"sms": "09122222222"}, "body": "hi"})).await;
    let waiting = server.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(waiting["deliveries"][0]["state"], "waiting");
    assert!(waiting["deliveries"][0]["due_at"].as_str().unwrap().ends_with('Z'));
    server.deliver_all().await;
    let mut message = server.get(&format!("/v1/messages/{id}")).await.json();
    let provider = message["deliveries"][0]["provider"].clone();
    assert!(message["created_at"].take().as_str().unwrap().contains('.'));
    assert!(message["deliveries"][0]["attempts"][0]["started_at"].take().is_string());
    assert!(message["deliveries"][0]["attempts"][0]["duration_ms"].take().is_u64());
    assert!(message["deliveries"][0]["next_step"].take().as_str().unwrap().contains("sends a receipt"));
    let attempt = json!({"provider": provider, "outcome": "accepted", "code": null, "reason": null,
        "started_at": null, "duration_ms": null, "recipient": null});
    let delivery = json!({"id": 64, "channel": "sms", "recipient": "+989122222222", "state": "sent",
        "failure": null, "round": 1, "due_at": null, "provider": provider, "reference": "ref-64",
        "opened_at": null, "parts": 1, "next_step": null, "attempts": [attempt]});
    assert_eq!(
        message,
        json!({"id": id, "subject": null, "from": null, "body": "hi", "created_at": null, "deliveries": [delivery]})
    );
}

#[tokio::test]
async fn a_message_waits_for_its_send_time() {
    let server = TestServer::new().await;
    let later = json!({"to": "09122222222", "body": "hi", "send_at": "2099-01-01T00:00:00+01:00", "ttl": 60});
    let id = submit_ok(&server, &later).await;
    server.deliver_all().await;
    let message = server.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(message["deliveries"][0]["due_at"], "2098-12-31T23:00:00.000Z");
    assert_eq!(message["deliveries"][0]["attempts"], json!([]));
}

#[tokio::test]
async fn a_waiting_message_can_be_cancelled_once() {
    let server = TestServer::new().await;
    let delete = async |id: &str| {
        let request = Request::delete(format!("/v1/messages/{id}"));
        server.request(request.body(Body::empty()).unwrap()).await
    };
    let id = submit_ok(&server, &json!({"to": "09122222222", "body": "hi"})).await;
    assert_eq!(delete(&id).await.json(), json!({"id": id, "cancelled": 1}));
    let metrics = server.get("/metrics").await.text();
    let line = r#"postrider_state_changes_total{channel="sms",state="failed"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    let again = delete(&id).await;
    assert_eq!((again.status.as_u16(), &again.json()["type"]), (409, &json!("/problems/not-cancellable")));
    assert_eq!(delete("0190b6a0-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(delete("%ff").await.status, 404);
    assert_eq!(server.get("/v1/messages/nonsense").await.json()["type"], "/problems/not-found");
}

#[tokio::test]
async fn a_requeued_delivery_is_counted() {
    let server = TestServer::new().await;
    let later = json!({"to": "09122222222", "body": "hi", "send_at": "2099-01-01T00:00:00Z"});
    let id = submit_ok(&server, &later).await;
    let message = server.gateway.store.find_message(id.parse().unwrap()).await.unwrap();
    let delivery = message.unwrap().deliveries[0].id;
    let expires_at = server.gateway.clock.now();
    let requeued = resend::requeue(&server.gateway, &[delivery], expires_at, |_| {}).await;
    assert_eq!(requeued.unwrap(), 1);
    let metrics = server.get("/metrics").await.text();
    let line = r#"postrider_state_changes_total{channel="sms",state="waiting"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn a_list_is_paged_by_its_cursor() {
    let server = TestServer::new().await;
    for body in ["one", "two", "three"] {
        submit_ok(&server, &json!({"to": "09122222222", "body": body})).await;
    }
    submit_ok(&server, &json!({"to": "09133333333", "body": "other"})).await;
    let mut bodies = Vec::new();
    let mut path = "/v1/messages?to=0912+222+2222&state=waiting&limit=2".to_owned();
    loop {
        let page = server.get(&path).await.json();
        for message in page["messages"].as_array().unwrap() {
            bodies.push(message["body"].as_str().unwrap().to_owned());
            assert!(message["deliveries"][0].get("attempts").is_none());
        }
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/messages?to=%2B989122222222&state=waiting&limit=2&cursor={next}");
    }
    assert_eq!(bodies, ["three", "two", "one"]);
    for to in ["+989122222222", "+09122222222", "%2B989122222222"] {
        let page = server.get(&format!("/v1/messages?to={to}")).await.json();
        assert_eq!(page["messages"].as_array().unwrap().len(), 3, "{to}");
    }
}

#[tokio::test]
async fn an_invalid_parameter_is_reported_with_valid_values() {
    let server = TestServer::new().await;
    for (query, field, part) in [
        ("state=lost", "state", "waiting, sent"),
        ("limit=0", "limit", "1 to 100"),
        ("limit=101", "limit", "1 to 100"),
        ("since=yesterday", "since", "2030-"),
        ("cursor=x", "cursor", "next_cursor"),
        ("to=abc", "to", "address"),
        ("page=2", "page", "known are"),
        ("to=%zz", "query", "hexadecimal"),
    ] {
        let response = server.get(&format!("/v1/messages?{query}")).await;
        assert_eq!((response.status.as_u16(), violation_fields(&response)), (400, vec![field.to_owned()]));
        assert!(response.json()["detail"].as_str().unwrap().contains(part), "{}", response.text());
    }
}

#[tokio::test]
async fn a_receipt_is_verified_parsed_and_applied() {
    let server = TestServer::new().await;
    let id = submit_ok(&server, &json!({"to": "09122222222", "body": "hi"})).await;
    server.deliver_all().await;
    let delivery = server.get(&format!("/v1/messages/{id}")).await.json()["deliveries"][0].clone();
    let provider = delivery["provider"].as_str().unwrap();
    let call = async |provider: &str, secret: &str, body: String| {
        let request = Request::post(format!("/v1/receipts/{provider}")).header("x-secret", secret);
        server.request(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(call("nobody", "sesame", String::new()).await.status, 404);
    assert_eq!(call(provider, "guess", String::new()).await.status, 403);
    assert_eq!(call(provider, "sesame", "?".to_owned()).await.status, 400);
    let received = call(provider, "sesame", "delivered ref-64".to_owned()).await;
    received.assert_response(200, r#"{"received":1}"#);
    let message = server.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(message["deliveries"][0]["state"], "delivered");
}

#[tokio::test]
async fn providers_and_report_show_what_happened() {
    let server = TestServer::new().await;
    assert_eq!(server.get("/v1/report").await.json()["type"], "/problems/not-found");
    submit_ok(&server, &json!({"to": "09122222222", "body": "hi"})).await;
    server.deliver_all().await;
    sync_report::sync(&server.gateway, |_| {}).await.unwrap();
    let report = server.get("/v1/report").await.json();
    assert_eq!((&report["messages"], &report["totals"]["sent"]), (&json!(1), &json!(1)));
    assert!(report["as_of"].is_string() && report["next_due_at"].is_string());
    let row = &report["providers"][0];
    assert_eq!((&row["attempts"], &row["fault_percent"]), (&json!(1), &json!(0.0)));
    assert!(row["p95_ms"].is_u64());
    let providers = server.get("/v1/providers").await.json();
    let blue = &providers["providers"][0];
    assert_eq!((&blue["name"], &blue["kind"]), (&json!("mock-blue"), &json!("mock")));
    let channel = json!({"channel": "sms", "strategy": "round_robin", "weight": null, "share_percent": 50.0});
    assert_eq!(blue["channels"], json!([channel]));
}

#[tokio::test]
async fn an_unavailable_store_is_a_problem_without_internals() {
    let server = TestServer::new().await;
    let _lock = server.lock_store();
    let response = submit(&server, &json!({"to": "09122222222", "body": "hi"})).await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, Some("2")));
    assert_eq!(response.json()["type"], "/problems/unavailable");
    assert!(!response.text().contains("database"), "{}", response.text());
}

#[tokio::test]
async fn a_repeated_idempotency_key_gets_the_same_response_and_refuses_another_request() {
    let server = TestServer::new().await;
    let send = async |body: Value| {
        let request = Request::post("/v1/messages")
            .header("content-type", "application/json; charset=utf-8")
            .header("idempotency-key", "order-7");
        server.request(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let first = send(json!({"to": "09122222222", "body": "hi"})).await;
    let again = send(json!({"body": "hi", "to": "09122222222"})).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(first.text(), again.text());
    let changed_body = send(json!({"to": "09122222222", "body": "ho"})).await;
    assert_eq!(
        (changed_body.status.as_u16(), &changed_body.json()["type"]),
        (422, &json!("/problems/idempotency-key-reused"))
    );
}
