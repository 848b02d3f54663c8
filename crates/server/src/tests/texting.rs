//! The texting API: its exact responses.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::{TestResponse, TestServer, accepting_provider, api_key};
use postrider_core::name::ConfigName;
use postrider_engine::config::Scope;
use postrider_engine::gateway::callback_token;
use postrider_providers::CallbackMode;

const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn assert_error(response: &TestResponse, message: &str) {
    response.assert_response(200, &format!(r#"{{"status":"error","message":"{message}"}}"#));
}

/// A message that its provider accepted.
struct Sent {
    /// The provider's id of the message.
    reference: String,
    /// Path and query of the provider's callback URL.
    callback: String,
}

async fn send_message(server: &TestServer) -> Sent {
    let body = json!({"phone_number": "1231233211", "message_body": "Hello World"});
    let request =
        Request::post("/messages").header("content-type", "application/json").header("x-api-key", "all");
    let response = server.request(request.body(Body::from(body.to_string())).unwrap()).await;
    let id = response.json()["message_id"].as_str().unwrap().parse().unwrap();
    server.deliver_all().await;
    let message = server.gateway.store.find_message(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    Sent {
        reference: delivery.reference.clone().unwrap(),
        callback: callback(server, delivery.provider.as_ref().unwrap()),
    }
}

/// Returns path and query of a provider's callback URL.
fn callback(server: &TestServer, provider: &ConfigName) -> String {
    let token = callback_token(&server.gateway.secret, provider);
    format!("/messages/delivery_status?token={token}")
}

fn first_callback(server: &TestServer) -> String {
    callback(server, &server.gateway.providers()[0].name)
}

#[tokio::test]
async fn json_form_and_query_are_accepted() {
    let server = TestServer::new().await;
    let body = json!({"phone_number": "1231233211", "message_body": "Hello World"});
    let responses = [
        server.post_json("/messages", &body).await,
        server.post_json("/messages", &json!({"phone_number": 1_231_233_211, "message_body": "x"})).await,
        server.post("/messages", FORM, "phone_number=1231233211&message_body=Hello+World").await,
        server.post("/messages?phone_number=1231233211&message_body=Hello", "", "").await,
    ];
    for response in &responses {
        let id = response.json()["message_id"].as_str().unwrap().to_owned();
        response.assert_response(200, &format!(r#"{{"status":"ok","message_id":"{id}"}}"#));
    }
    assert_eq!(server.message_count().await, 4);
}

#[tokio::test]
async fn an_invalid_request_gets_an_error_message_with_status_200() {
    let server = TestServer::new().await;
    let send = async |body: serde_json::Value| server.post_json("/messages", &body).await;
    assert_error(&send(json!({})).await, "There must be a phone_number");
    assert_error(&send(json!({"phone_number": "1231233211"})).await, "There must be a message_body");
    assert_error(&send(json!({"phone_number": []})).await, "The field phone_number must be a string");
    for (content_type, body) in [
        ("application/json", &b"{broken"[..]),
        ("application/json", b"[]"),
        ("application/json", b"{\"phone_number\":\"\xff\"}"),
        ("text/xml", b"<a/>"),
        (FORM, b"phone_number=%zz"),
        (FORM, b"phone_number=1231233211&message_body=%FF"),
        (FORM, b"phone_number=abc&message_body=hi"),
    ] {
        let response = server.post("/messages", content_type, body.to_vec()).await;
        assert_eq!((response.status.as_u16(), &response.json()["status"]), (200, &json!("error")));
    }
    let response = server.post("/messages", "application/json", vec![b'x'; 100_000]).await;
    assert_eq!((response.status.as_u16(), &response.json()["status"]), (413, &json!("error")));
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn a_status_is_applied_and_only_a_caller_with_a_key_gets_the_message() {
    let keys = || vec![api_key("admin", "all", Scope::Admin), api_key("shop", "s3nd", Scope::Send)];
    let shown = r#"{"status":"ok","message":{"phone_number":"1231233211","body":"Hello World"}}"#;
    let hidden = r#"{"status":"ok"}"#;
    for (secret, expected) in [("", hidden), ("wrong", hidden), ("s3nd", hidden), ("all", shown)] {
        let server = TestServer::with_texting_callbacks(|config| config.keys = keys()).await;
        let sent = send_message(&server).await;
        let body = json!({"status": "delivered", "message_id": sent.reference}).to_string();
        let request = || {
            Request::post(&sent.callback)
                .header("content-type", "application/json")
                .header("x-api-key", secret)
                .body(Body::from(body.clone()))
                .unwrap()
        };
        server.request(request()).await.assert_response(200, expected);
        let again = server.request(request()).await;
        assert_error(&again, "This message is finished already; nothing was changed");
    }
    let keyless = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&keyless).await;
    let body = json!({"status": "delivered", "message_id": sent.reference});
    let response = keyless.post_json(&sent.callback, &body).await;
    response.assert_response(200, hidden);
}

#[tokio::test]
async fn without_the_token_a_status_changes_stores_and_reveals_nothing() {
    let server = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&server).await;
    let right = sent.callback.rsplit_once('=').unwrap().1;
    let refused = r#"{"status":"error","message":"The token of the callback URL is missing or wrong"}"#;
    let wrong = [
        String::new(),
        "?token=".to_owned(),
        "?token=x".to_owned(),
        format!("?token={}", &right[1..]),
        format!("?token={right}A"),
        format!("?token=%00{right}"),
        format!("?other={right}"),
    ];
    for query in wrong {
        let path = format!("/messages/delivery_status{query}");
        for body in [
            json!({"status": "invalid", "message_id": sent.reference}),
            json!({"status": "invalid", "message_id": "made up"}),
            json!({"status": "lost", "token": right}),
        ] {
            let response = server.post_json(&path, &body).await;
            response.assert_response(401, refused);
            assert!(response.header("www-authenticate").is_some());
        }
        let long = server.post(&path, "application/json", vec![b'x'; 100_000]).await;
        long.assert_response(401, refused);
    }
    let store = rusqlite::Connection::open(server.dir.path().join("postrider.db")).unwrap();
    let stored: i64 =
        store.query_row("SELECT count(*) FROM unmatched_receipts", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 0);
    let body = json!({"phone_number": "1231233211", "message_body": "once more"});
    let response = server.post_json("/messages", &body).await;
    assert_eq!(response.json()["status"], "ok", "the number stays active");
}

#[tokio::test]
async fn a_provider_reports_only_about_its_own_messages() {
    let server = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&server).await;
    let providers = server.gateway.providers().iter();
    let callback_of_other_provider = providers
        .map(|provider| callback(&server, &provider.name))
        .find(|callback| *callback != sent.callback)
        .unwrap();
    let body = json!({"status": "delivered", "message_id": sent.reference});
    let response = server.post_json(&callback_of_other_provider, &body).await;
    assert_error(&response, "This message is not known yet; its status is kept until it is");
    server.post_json(&sent.callback, &body).await.assert_response(200, r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn a_provider_without_texting_receipts_has_no_token() {
    for callbacks in [CallbackMode::Disabled, CallbackMode::Authenticated, CallbackMode::Unsigned] {
        let server = TestServer::with_provider(accepting_provider(callbacks)).await;
        let sent = send_message(&server).await;
        let body = json!({"status": "invalid", "message_id": sent.reference});
        let response = server.post_json(&sent.callback, &body).await;
        assert_eq!(response.status, 401, "{callbacks:?}");
    }
}

#[tokio::test]
async fn the_status_is_checked_before_the_id() {
    let server = TestServer::with_texting_callbacks(|_| {}).await;
    let callback = first_callback(&server);
    for body in ["status=lost&message_id=x", "message_id=x", "status=&message_id=", ""] {
        let response = server.post(&callback, FORM, body).await;
        assert_error(&response, "Invalid status");
    }
    let response = server.post(&callback, FORM, "status=failed").await;
    assert_error(&response, "There must be a message_id of at most 255 characters");
}

#[tokio::test]
async fn a_status_that_arrives_before_our_record_is_stored() {
    let server = TestServer::with_texting_callbacks(|_| {}).await;
    let response = server.post(&first_callback(&server), FORM, "status=delivered&message_id=ref-64").await;
    assert_error(&response, "This message is not known yet; its status is kept until it is");
}

#[tokio::test]
async fn an_invalid_number_becomes_inactive() {
    let server = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&server).await;
    let body = json!({"status": "invalid", "message_id": sent.reference});
    let response = server.post_json(&sent.callback, &body).await;
    assert_eq!(response.json()["status"], "ok");
    let body = json!({"phone_number": "1231233211", "message_body": "once more"});
    assert_error(&server.post_json("/messages", &body).await, "Phone number is inactive");
    assert_eq!(server.message_count().await, 1);
}

#[tokio::test]
async fn another_method_is_405_in_the_same_envelope() {
    let server = TestServer::new().await;
    let response = server.get("/messages").await;
    assert_eq!((response.status.as_u16(), response.header("allow")), (405, Some("POST")));
    assert_eq!(response.json()["status"], "error");
}

#[tokio::test]
async fn an_unavailable_store_is_503() {
    let server = TestServer::new().await;
    let _lock = server.lock_store();
    let body = json!({"phone_number": "1231233211", "message_body": "hi"});
    let response = server.post_json("/messages", &body).await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, Some("2")));
    assert_eq!(response.json()["status"], "error");
}
