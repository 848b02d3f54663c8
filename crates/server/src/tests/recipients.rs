//! Reading and changing the status of recipients.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer, api_key};
use postrider_core::address::AddressKind;
use postrider_core::channel::{Addressing, Channel};
use postrider_engine::config::Scope;

async fn put(server: &TestServer, path: &str, key: Option<&str>, body: &Value) -> TestResponse {
    let mut request = Request::put(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    server.request(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn an_unknown_recipient_is_active() {
    let server = TestServer::new().await;
    let response = server.get("/v1/recipients/sms/09122222222").await;
    assert_eq!(response.status, 200);
    let expected = json!({
        "channel": "sms", "address": "+989122222222", "status": "active",
        "reason": null, "changed_by": null, "changed_at": null,
    });
    assert_eq!(response.json(), expected);
}

#[tokio::test]
async fn a_change_is_stored_with_key_and_reason_and_takes_effect_at_once() {
    let server = TestServer::with(|config| {
        config.keys = vec![api_key("support", "all", Scope::Admin), api_key("reader", "r3ad", Scope::Read)];
    })
    .await;
    let path = "/v1/recipients/sms/0912-222-2222";
    let change = json!({"status": "opted_out", "reason": "called and asked for it"});
    assert_eq!(put(&server, path, Some("r3ad"), &change).await.status, 403);
    let response = put(&server, path, Some("all"), &change).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let recipient = response.json();
    assert_eq!(recipient["changed_by"], "support");
    assert_eq!((&recipient["status"], &recipient["reason"]), (&change["status"], &change["reason"]));
    let request = Request::get("/v1/recipients/sms/%2B989122222222").header("x-api-key", "r3ad");
    assert_eq!(server.request(request.body(Body::empty()).unwrap()).await.json(), recipient);
    let message = json!({"to": "+98 912 222 2222", "body": "hi"});
    let request =
        Request::post("/v1/messages").header("content-type", "application/json").header("x-api-key", "all");
    let refused = server.request(request.body(Body::from(message.to_string())).unwrap()).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
}

#[tokio::test]
async fn a_change_without_key_and_reason_is_recorded_as_an_operators() {
    let server = TestServer::new().await;
    let response = put(&server, "/v1/recipients/sms/09122222222", None, &json!({"status": "inactive"})).await;
    let recipient = response.json();
    assert_eq!(
        (recipient["changed_by"].as_str(), recipient["reason"].as_str()),
        (Some("operator"), Some("changed manually"))
    );
}

#[tokio::test]
async fn a_number_is_the_same_in_every_local_spelling() {
    let server = TestServer::new().await;
    put(&server, "/v1/recipients/sms/09122222222", None, &json!({"status": "inactive", "reason": "gone"}))
        .await;
    for spelling in [
        "09122222222",
        "%2B989122222222",
        "+989122222222",
        "00989122222222",
        "9122222222",
        "989122222222",
        "0912%20222%2022%2022",
        "(0912)%20222-2222",
        "0912.222.2222",
        "%2B98%20(0)912%20222%202222",
        "%DB%B0%DB%B9%DB%B1%DB%B2%DB%B2%DB%B2%DB%B2%DB%B2%DB%B2%DB%B2%DB%B2",
        "%D9%A0%D9%A9%D9%A1%D9%A2%D9%A2%D9%A2%D9%A2%D9%A2%D9%A2%D9%A2%D9%A2",
        "%E2%80%8E0912%C2%A0222%E2%80%912222",
    ] {
        let response = server.get(&format!("/v1/recipients/sms/{spelling}")).await;
        assert_eq!(response.json()["status"], "inactive", "{spelling}: {}", response.text());
    }
}

#[tokio::test]
async fn all_invalid_fields_are_reported_at_once() {
    let server = TestServer::new().await;
    let path = "/v1/recipients/sms/09122222222";
    for (path, body, status, fields) in [
        (path, json!({}), 422, vec!["status"]),
        (path, json!({"status": "dead", "reason": 1, "by": "me"}), 422, vec!["by", "status", "reason"]),
        (path, json!({"status": "active", "reason": "x".repeat(501)}), 422, vec!["reason"]),
        (path, json!({"status": "active", "reason": "a\nb"}), 422, vec!["reason"]),
        ("/v1/recipients/sms/12", json!({"status": "active"}), 422, vec!["address"]),
        ("/v1/recipients/pigeon/1", json!({"status": "active"}), 404, vec![]),
    ] {
        let response = put(&server, path, None, &body).await;
        assert_eq!(response.status, status, "{path} {body}: {}", response.text());
        let violations = response.json()["violations"].as_array().cloned().unwrap_or_default();
        let reported =
            violations.iter().map(|violation| violation["field"].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(reported, fields, "{body}");
    }
    assert_eq!(server.get(path).await.json()["status"], "active");
}

#[tokio::test]
async fn an_address_may_contain_slashes() {
    let server = TestServer::with(|config| {
        let mut hooks: Channel = config.channels[0].clone();
        hooks.name = "hooks".parse().unwrap();
        hooks.addressing = Addressing::Only(AddressKind::Url);
        config.channels.push(hooks);
    })
    .await;
    let path = "/v1/recipients/hooks/https://Example.org/a/b";
    put(&server, path, None, &json!({"status": "inactive"})).await;
    let encoded = "/v1/recipients/hooks/https%3A%2F%2Fexample.org%2Fa%2Fb";
    for path in [path, encoded] {
        let recipient = server.get(path).await.json();
        assert_eq!(
            (&recipient["address"], &recipient["status"]),
            (&json!("https://example.org/a/b"), &json!("inactive"))
        );
    }
}
