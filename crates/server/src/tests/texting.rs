//! The texting face, word for word.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{TestResponse, TestServer, accepting_provider};
use postrider_core::channel::ConfigName;
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::gateway::callback_token;
use postrider_providers::CallbackMode;

const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn assert_error(reply: &TestResponse, sentence: &str) {
    reply.assert_response(200, &format!(r#"{{"status":"error","message":"{sentence}"}}"#));
}

/// A message that its provider has.
struct Sent {
    /// The provider's id of it.
    reference: String,
    /// The callback URL that the provider was given, from the path on.
    callback: String,
}

async fn send_message(world: &TestServer) -> Sent {
    let body = json!({"phone_number": "1231233211", "message_body": "Hello World"});
    let request = Request::post("/messages")
        .header("content-type", "application/json")
        .header("x-api-key", "all");
    let reply = world
        .request(request.body(Body::from(body.to_string())).unwrap())
        .await;
    let id = reply.json()["message_id"].as_str().unwrap().parse().unwrap();
    world.deliver_all().await;
    let message = world.gateway.store.find_message(id).await.unwrap().unwrap();
    let delivery = &message.deliveries[0];
    Sent {
        reference: delivery.reference.clone().unwrap(),
        callback: callback(world, delivery.provider.as_ref().unwrap()),
    }
}

/// Where that provider reports to.
fn callback(world: &TestServer, provider: &ConfigName) -> String {
    let token = callback_token(&world.gateway.cache, provider);
    format!("/messages/delivery_status?token={token}")
}

fn first_callback(world: &TestServer) -> String {
    callback(world, &world.gateway.providers()[0].name)
}

#[tokio::test]
async fn json_form_and_query_are_taken() {
    let world = TestServer::new().await;
    let body = json!({"phone_number": "1231233211", "message_body": "Hello World"});
    let replies = [
        world.post_json("/messages", &body).await,
        world
            .post_json(
                "/messages",
                &json!({"phone_number": 1_231_233_211, "message_body": "x"}),
            )
            .await,
        world
            .post(
                "/messages",
                FORM,
                "phone_number=1231233211&message_body=Hello+World",
            )
            .await,
        world
            .post("/messages?phone_number=1231233211&message_body=Hello", "", "")
            .await,
    ];
    for reply in &replies {
        let id = reply.json()["message_id"].as_str().unwrap().to_owned();
        reply.assert_response(200, &format!(r#"{{"status":"ok","message_id":"{id}"}}"#));
    }
    assert_eq!(world.message_count().await, 4);
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_in_a_sentence_with_200() {
    let world = TestServer::new().await;
    let ask = async |body: serde_json::Value| world.post_json("/messages", &body).await;
    assert_error(&ask(json!({})).await, "There must be a phone_number");
    assert_error(
        &ask(json!({"phone_number": "1231233211"})).await,
        "There must be a message_body",
    );
    assert_error(
        &ask(json!({"phone_number": []})).await,
        "The field phone_number must be a text",
    );
    for (content_type, body) in [
        ("application/json", &b"{broken"[..]),
        ("application/json", b"[]"),
        ("application/json", b"{\"phone_number\":\"\xff\"}"),
        ("text/xml", b"<a/>"),
        (FORM, b"phone_number=%zz"),
        (FORM, b"phone_number=1231233211&message_body=%FF"),
        (FORM, b"phone_number=abc&message_body=hi"),
    ] {
        let reply = world.post("/messages", content_type, body.to_vec()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["status"]),
            (200, &json!("error"))
        );
    }
    let reply = world
        .post("/messages", "application/json", vec![b'x'; 100_000])
        .await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["status"]),
        (413, &json!("error"))
    );
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn a_receipt_is_applied_and_shows_the_message_to_callers_with_a_key_only() {
    let key = |name: &str, secret: &str, scope| ApiKey {
        name: name.to_owned(),
        sha256: Sha256::digest(secret).into(),
        scopes: vec![scope],
        user_per_hour: None,
        events: Default::default(),
    };
    let keys = || vec![key("boss", "all", Scope::Admin), key("shop", "s3nd", Scope::Send)];
    let shown = r#"{"status":"ok","message":{"phone_number":"1231233211","body":"Hello World"}}"#;
    let hidden = r#"{"status":"ok"}"#;
    for (secret, answer) in [("", hidden), ("wrong", hidden), ("s3nd", hidden), ("all", shown)] {
        let world = TestServer::with_texting_callbacks(|config| config.keys = keys()).await;
        let sent = send_message(&world).await;
        let body = json!({"status": "delivered", "message_id": sent.reference}).to_string();
        let request = || {
            Request::post(&sent.callback)
                .header("content-type", "application/json")
                .header("x-api-key", secret)
                .body(Body::from(body.clone()))
                .unwrap()
        };
        world.request(request()).await.assert_response(200, answer);
        let again = world.request(request()).await;
        assert_error(&again, "This message is finished already; nothing was changed");
    }
    let keyless = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&keyless).await;
    let body = json!({"status": "delivered", "message_id": sent.reference});
    let reply = keyless.post_json(&sent.callback, &body).await;
    reply.assert_response(200, hidden);
}

#[tokio::test]
async fn without_the_token_nothing_is_changed_kept_or_found_out() {
    let world = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&world).await;
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
            let reply = world.post_json(&path, &body).await;
            reply.assert_response(401, refused);
            assert!(reply.header("www-authenticate").is_some());
        }
        let long = world.post(&path, "application/json", vec![b'x'; 100_000]).await;
        long.assert_response(401, refused);
    }
    let store = rusqlite::Connection::open(world.dir.path().join("postrider.db")).unwrap();
    let kept: i64 = store
        .query_row("SELECT count(*) FROM unmatched_receipts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 0);
    let body = json!({"phone_number": "1231233211", "message_body": "once more"});
    let reply = world.post_json("/messages", &body).await;
    assert_eq!(reply.json()["status"], "ok", "the number stays active");
}

#[tokio::test]
async fn a_provider_speaks_for_its_own_messages_only() {
    let world = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&world).await;
    let lanes = world.gateway.providers().iter();
    let other = lanes
        .map(|lane| callback(&world, &lane.name))
        .find(|callback| *callback != sent.callback)
        .unwrap();
    let body = json!({"status": "delivered", "message_id": sent.reference});
    let reply = world.post_json(&other, &body).await;
    assert_error(
        &reply,
        "This message is not known yet; its status is kept until it is",
    );
    world
        .post_json(&sent.callback, &body)
        .await
        .assert_response(200, r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn no_other_kind_of_provider_is_spoken_for() {
    for callbacks in [
        CallbackMode::Disabled,
        CallbackMode::Authenticated,
        CallbackMode::Unsigned,
    ] {
        let world = TestServer::with_provider(accepting_provider(callbacks)).await;
        let sent = send_message(&world).await;
        let body = json!({"status": "invalid", "message_id": sent.reference});
        let reply = world.post_json(&sent.callback, &body).await;
        assert_eq!(reply.status, 401, "{callbacks:?}");
    }
}

#[tokio::test]
async fn the_status_is_checked_before_the_id() {
    let world = TestServer::with_texting_callbacks(|_| {}).await;
    let callback = first_callback(&world);
    for body in [
        "status=lost&message_id=x",
        "message_id=x",
        "status=&message_id=",
        "",
    ] {
        let reply = world.post(&callback, FORM, body).await;
        assert_error(&reply, "Invalid status");
    }
    let reply = world.post(&callback, FORM, "status=failed").await;
    assert_error(&reply, "There must be a message_id of at most 255 characters");
}

#[tokio::test]
async fn a_receipt_that_comes_too_early_is_kept() {
    let world = TestServer::with_texting_callbacks(|_| {}).await;
    let reply = world
        .post(
            &first_callback(&world),
            FORM,
            "status=delivered&message_id=ref-64",
        )
        .await;
    assert_error(
        &reply,
        "This message is not known yet; its status is kept until it is",
    );
}

#[tokio::test]
async fn an_invalid_number_is_inactive_from_then_on() {
    let world = TestServer::with_texting_callbacks(|_| {}).await;
    let sent = send_message(&world).await;
    let body = json!({"status": "invalid", "message_id": sent.reference});
    let reply = world.post_json(&sent.callback, &body).await;
    assert_eq!(reply.json()["status"], "ok");
    let body = json!({"phone_number": "1231233211", "message_body": "once more"});
    assert_error(
        &world.post_json("/messages", &body).await,
        "Phone number is inactive",
    );
    assert_eq!(world.message_count().await, 1);
}

#[tokio::test]
async fn another_method_is_405_in_the_same_envelope() {
    let world = TestServer::new().await;
    let reply = world.get("/messages").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("allow")),
        (405, Some("POST"))
    );
    assert_eq!(reply.json()["status"], "error");
}

#[tokio::test]
async fn a_store_out_of_reach_is_503() {
    let world = TestServer::new().await;
    let _lock = world.lock_store();
    let body = json!({"phone_number": "1231233211", "message_body": "hi"});
    let reply = world.post_json("/messages", &body).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (503, Some("2"))
    );
    assert_eq!(reply.json()["status"], "error");
}
