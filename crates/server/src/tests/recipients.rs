//! Reading and changing whether an address may be written to.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{TestResponse, TestServer};
use postrider_core::address::AddressKind;
use postrider_core::channel::{Addressing, Channel};
use postrider_engine::config::{ApiKey, Scope};

async fn put(world: &TestServer, path: &str, key: Option<&str>, body: &Value) -> TestResponse {
    let mut request = Request::put(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    world
        .request(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn nothing_said_means_active() {
    let world = TestServer::new().await;
    let reply = world.get("/v1/recipients/sms/09122222222").await;
    assert_eq!(reply.status, 200);
    let expected = json!({
        "channel": "sms", "address": "+989122222222", "standing": "active",
        "reason": null, "changed_by": null, "changed_at": null,
    });
    assert_eq!(reply.json(), expected);
}

#[tokio::test]
async fn a_change_is_kept_with_who_and_why_and_counts_at_once() {
    let key = |name: &str, secret: &str, scope| ApiKey {
        name: name.to_owned(),
        sha256: Sha256::digest(secret).into(),
        scopes: vec![scope],
        user_per_hour: None,
        events: postrider_engine::config::ApiKeyEvents::default(),
    };
    let world = TestServer::with(|config| {
        config.keys = vec![key("desk", "all", Scope::Admin), key("eyes", "r3ad", Scope::Read)];
    })
    .await;
    let path = "/v1/recipients/sms/0912-222-2222";
    let word = json!({"standing": "opted_out", "reason": "called and asked for it"});
    assert_eq!(put(&world, path, Some("r3ad"), &word).await.status, 403);
    let reply = put(&world, path, Some("all"), &word).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let said = reply.json();
    assert_eq!(said["changed_by"], "desk");
    assert_eq!(
        (&said["standing"], &said["reason"]),
        (&word["standing"], &word["reason"])
    );
    let request = Request::get("/v1/recipients/sms/%2B989122222222").header("x-api-key", "r3ad");
    assert_eq!(
        world.request(request.body(Body::empty()).unwrap()).await.json(),
        said
    );
    let message = json!({"to": "+98 912 222 2222", "body": "hi"});
    let request = Request::post("/v1/messages")
        .header("content-type", "application/json")
        .header("x-api-key", "all");
    let refused = world
        .request(request.body(Body::from(message.to_string())).unwrap())
        .await;
    assert_eq!(refused.status, 422, "{}", refused.text());
}

#[tokio::test]
async fn who_gives_no_reason_is_noted_as_an_operator() {
    let world = TestServer::new().await;
    let reply = put(
        &world,
        "/v1/recipients/sms/09122222222",
        None,
        &json!({"standing": "inactive"}),
    )
    .await;
    let said = reply.json();
    assert_eq!(
        (said["changed_by"].as_str(), said["reason"].as_str()),
        (Some("operator"), Some("changed manually"))
    );
}

#[tokio::test]
async fn a_number_is_the_same_in_every_local_spelling() {
    let world = TestServer::new().await;
    put(
        &world,
        "/v1/recipients/sms/09122222222",
        None,
        &json!({"standing": "inactive", "reason": "gone"}),
    )
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
        let reply = world.get(&format!("/v1/recipients/sms/{spelling}")).await;
        assert_eq!(
            reply.json()["standing"],
            "inactive",
            "{spelling}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn wrong_words_are_told_all_at_once() {
    let world = TestServer::new().await;
    let path = "/v1/recipients/sms/09122222222";
    for (path, body, status, fields) in [
        (path, json!({}), 422, vec!["standing"]),
        (
            path,
            json!({"standing": "dead", "reason": 1, "who": "me"}),
            422,
            vec!["standing", "reason", "who"],
        ),
        (
            path,
            json!({"standing": "active", "reason": "x".repeat(501)}),
            422,
            vec!["reason"],
        ),
        (
            path,
            json!({"standing": "active", "reason": "a\nb"}),
            422,
            vec!["reason"],
        ),
        (
            "/v1/recipients/sms/12",
            json!({"standing": "active"}),
            422,
            vec!["address"],
        ),
        (
            "/v1/recipients/pigeon/1",
            json!({"standing": "active"}),
            404,
            vec![],
        ),
    ] {
        let reply = put(&world, path, None, &body).await;
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.text());
        let violations = reply.json()["violations"].as_array().cloned().unwrap_or_default();
        let named = violations
            .iter()
            .map(|one| one["field"].as_str().unwrap())
            .collect::<Vec<_>>();
        assert_eq!(named, fields, "{body}");
    }
    assert_eq!(world.get(path).await.json()["standing"], "active");
}

#[tokio::test]
async fn an_address_may_have_slashes_in_it() {
    let world = TestServer::with(|config| {
        let mut hooks: Channel = config.channels[0].clone();
        hooks.name = "hooks".parse().unwrap();
        hooks.addressing = Addressing::Only(AddressKind::Url);
        config.channels.push(hooks);
    })
    .await;
    let path = "/v1/recipients/hooks/https://Example.org/a/b";
    put(&world, path, None, &json!({"standing": "inactive"})).await;
    let encoded = "/v1/recipients/hooks/https%3A%2F%2Fexample.org%2Fa%2Fb";
    for path in [path, encoded] {
        let said = world.get(path).await.json();
        assert_eq!(
            (&said["address"], &said["standing"]),
            (&json!("https://example.org/a/b"), &json!("inactive"))
        );
    }
}
