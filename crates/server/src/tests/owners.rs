//! Messages, users and broadcasts of one API key are out of reach of the other keys: they get the same response as for what does not exist.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer, accepting_provider, api_key};
use postrider_core::clock::Clock;
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::{fan_out, sync_report};
use postrider_providers::CallbackMode;

/// Secrets of the keys: two of different parties, two that share, and the operator's.
const KEYS: [&str; 5] = ["shop", "bank", "share", "team", "admin"];

async fn server_of_parties() -> TestServer {
    TestServer::build(accepting_provider(CallbackMode::Texting), Clock::System, |config| {
        let key = |name: &str, scopes: &[Scope], is_shared| ApiKey {
            scopes: scopes.to_vec(),
            is_shared,
            account: Default::default(),
            ..api_key(name, name, Scope::Send)
        };
        let both = [Scope::Send, Scope::Read];
        config.keys = vec![
            key(KEYS[0], &both, false),
            key(KEYS[1], &both, false),
            key(KEYS[2], &both, true),
            key(KEYS[3], &both, true),
            key(KEYS[4], &[Scope::Admin], false),
        ];
    })
    .await
}

async fn call(server: &TestServer, key: &str, method: &str, path: &str, body: &Value) -> TestResponse {
    let request = Request::builder().method(method).uri(path).header("x-api-key", key);
    let request = request.header("content-type", "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    server.request(request.body(body).unwrap()).await
}

async fn get(server: &TestServer, key: &str, path: &str) -> TestResponse {
    call(server, key, "GET", path, &Value::Null).await
}

/// Sends a message to the user "ana" and returns its id.
async fn send(server: &TestServer, key: &str) -> String {
    let message = json!({"to": "09122222222", "body": format!("code of {key}"), "user_id": "ana"});
    let response = call(server, key, "POST", "/v1/messages", &message).await;
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()["id"].as_str().unwrap().to_owned()
}

async fn register_ana(server: &TestServer, key: &str, phone: &str) -> TestResponse {
    let ana = json!({"id": "ana", "contacts": {"phone": phone}});
    call(server, key, "POST", "/v1/users", &ana).await
}

/// Returns the texts that a response contains, of those that the keys have sent.
fn bodies_in(response: &TestResponse) -> Vec<&'static str> {
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.text();
    KEYS.into_iter().filter(|key| text.contains(&format!("code of {key}"))).collect()
}

#[tokio::test]
async fn a_foreign_message_is_as_unknown_as_one_that_does_not_exist() {
    let server = server_of_parties().await;
    let id = send(&server, "shop").await;
    let unknown = "01890000-0000-7000-8000-000000000000";
    for (method, path) in [("GET", "/v1/messages/ID"), ("DELETE", "/v1/messages/ID"), ("GET", "/messages/ID")]
    {
        for key in ["bank", "share"] {
            let of = async |id: &str| call(&server, key, method, &path.replace("ID", id), &Value::Null).await;
            let (foreign, missing) = (of(&id).await, of(unknown).await);
            assert_eq!((foreign.status.as_u16(), missing.status.as_u16()), (404, 404), "{method} {path}");
            assert_eq!(foreign.text().replace(&id, unknown), missing.text(), "{method} {path}");
        }
    }
    for key in ["shop", "admin"] {
        assert_eq!(bodies_in(&get(&server, key, &format!("/v1/messages/{id}")).await), ["shop"]);
        assert_eq!(bodies_in(&get(&server, key, &format!("/messages/{id}")).await), ["shop"]);
    }
    let cancelled = call(&server, "shop", "DELETE", &format!("/v1/messages/{id}"), &Value::Null).await;
    assert_eq!(cancelled.json()["cancelled"], 1);
}

#[tokio::test]
async fn lists_searches_and_totals_contain_own_messages_only() {
    let server = server_of_parties().await;
    for key in KEYS {
        send(&server, key).await;
    }
    for path in [
        "/v1/messages",
        "/v1/messages?to=09122222222",
        "/v1/messages?state=waiting",
        "/v1/usage",
        "/v1/usage?user_id=ana",
        "/v1/usage?format=csv",
        "/?search=09122222222",
        "/usage",
        "/usage?user_id=ana",
    ] {
        for (key, expected) in [
            ("shop", &["shop"][..]),
            ("bank", &["bank"]),
            ("share", &["share", "team"]),
            ("team", &["share", "team"]),
            ("admin", &KEYS),
        ] {
            assert_eq!(bodies_in(&get(&server, key, path).await), expected, "{key}: {path}");
        }
    }
    for (key, count) in [("shop", 1), ("share", 2), ("admin", 5)] {
        for path in ["/v1/usage/totals", "/v1/usage/totals?user_id=ana"] {
            let totals = get(&server, key, path).await.json();
            assert_eq!(totals["rows"][0]["deliveries"], count, "{key}: {path}");
        }
    }
}

#[tokio::test]
async fn a_user_of_another_key_can_neither_be_read_nor_redirected() {
    let server = server_of_parties().await;
    assert_eq!(register_ana(&server, "shop", "09121111111").await.status, 201);
    let missing = get(&server, "bank", "/v1/users/ana").await;
    missing.assert_response(404, &get(&server, "bank", "/v1/users/zoe").await.text().replace("zoe", "ana"));
    let to_ana = json!({"body": "news", "users": ["ana"]});
    let refused = call(&server, "bank", "POST", "/v1/broadcasts", &to_ana).await;
    assert_eq!(super::broadcasts::violation(&refused), "users: contains unregistered users: \"ana\"");
    // The same id is another user of this key, and nothing tells that the shop has one.
    assert_eq!(register_ana(&server, "bank", "09129999999").await.status, 201);
    let phone_of_ana = async |key: &str| {
        get(&server, key, "/v1/users/ana").await.json()["contacts"]["phone"].as_str().map(str::to_owned)
    };
    assert_eq!(phone_of_ana("shop").await.as_deref(), Some("+989121111111"));
    assert_eq!(phone_of_ana("bank").await.as_deref(), Some("+989129999999"));
    assert_eq!(phone_of_ana("admin").await.as_deref(), Some("+989121111111"), "registered first");
    let published = call(&server, "shop", "POST", "/v1/broadcasts", &to_ana).await;
    assert_eq!(published.status, 202, "{}", published.text());
    fan_out::fan_out_all(&server.gateway, || true).await.unwrap();
    let messages = get(&server, "shop", "/v1/messages").await.json();
    assert_eq!(messages["messages"][0]["deliveries"][0]["recipient"], "+989121111111");
    assert_eq!(get(&server, "bank", "/v1/messages").await.json()["messages"], json!([]));
}

#[tokio::test]
async fn an_inbox_has_the_messages_of_its_own_key_only() {
    let server = server_of_parties().await;
    for key in ["shop", "bank"] {
        register_ana(&server, key, "09121111111").await;
        send(&server, key).await;
    }
    server.deliver_all().await;
    assert_eq!(bodies_in(&get(&server, "shop", "/v1/users/ana/inbox").await), ["shop"]);
    assert_eq!(bodies_in(&get(&server, "bank", "/v1/users/ana/inbox").await), ["bank"]);
    let inbox = get(&server, "shop", "/v1/users/ana/inbox").await.json();
    let read = format!("/v1/users/ana/inbox/{}/read", inbox["messages"][0]["id"].as_str().unwrap());
    assert_eq!(call(&server, "bank", "POST", &read, &Value::Null).await.status, 404);
    assert_eq!(call(&server, "share", "POST", &read, &Value::Null).await.status, 404);
    let inbox = get(&server, "shop", "/v1/users/ana/inbox").await.json();
    assert_eq!(inbox["messages"][0]["opened_at"], Value::Null);
    assert_eq!(call(&server, "shop", "POST", &read, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_broadcast_to_all_reaches_own_users_and_is_visible_to_its_key() {
    let server = server_of_parties().await;
    register_ana(&server, "shop", "09121111111").await;
    register_ana(&server, "bank", "09129999999").await;
    let to_all = json!({"body": "code of bank", "all": true});
    let published = call(&server, "bank", "POST", "/v1/broadcasts", &to_all).await.json();
    let id = published["id"].as_str().unwrap();
    fan_out::fan_out_all(&server.gateway, || true).await.unwrap();
    assert_eq!(get(&server, "bank", &format!("/v1/broadcasts/{id}")).await.json()["users"], 1);
    for path in [format!("/v1/broadcasts/{id}"), format!("/broadcasts/{id}")] {
        assert_eq!(get(&server, "shop", &path).await.status, 404, "{path}");
        assert_eq!(bodies_in(&get(&server, "bank", &path).await), ["bank"], "{path}");
    }
    assert_eq!(bodies_in(&get(&server, "shop", "/broadcasts").await), [""; 0]);
    assert_eq!(bodies_in(&get(&server, "bank", "/broadcasts").await), ["bank"]);
    assert_eq!(bodies_in(&get(&server, "admin", "/broadcasts").await), ["bank"]);
}

#[tokio::test]
async fn the_report_names_addresses_to_operators_only() {
    let server = server_of_parties().await;
    send(&server, "shop").await;
    sync_report::sync(&server.gateway, |_| {}).await.unwrap();
    let recipients = async |key: &str| get(&server, key, "/v1/report").await.json()["top_recipients"].clone();
    assert_eq!(recipients("shop").await, json!([]));
    assert_eq!(recipients("admin").await[0]["address"], "+989122222222");
    for path in ["/", "/?search=09120000000"] {
        assert!(!get(&server, "bank", path).await.text().contains("***2222"), "{path}");
        assert!(get(&server, "admin", path).await.text().contains("***2222"), "{path}");
    }
}

#[tokio::test]
async fn a_status_callback_shows_a_message_only_to_its_own_key() {
    let server = server_of_parties().await;
    let provider = server.gateway.providers()[0].name.clone();
    let token = postrider_engine::gateway::callback_token(&server.gateway.secret, &provider);
    for (key, has_message) in [("shop", true), ("bank", false), ("admin", true)] {
        let id = send(&server, "shop").await;
        server.deliver_all().await;
        let delivery = &get(&server, "shop", &format!("/v1/messages/{id}")).await.json()["deliveries"][0];
        let reference = delivery["reference"].as_str().unwrap();
        let path = format!("/messages/delivery_status?token={token}");
        let status = json!({"status": "delivered", "message_id": reference});
        let applied = call(&server, key, "POST", &path, &status).await.json();
        if delivery["provider"] == provider.as_str() {
            assert_eq!(applied["message"].is_object(), has_message, "{key}: {applied}");
        }
    }
}
