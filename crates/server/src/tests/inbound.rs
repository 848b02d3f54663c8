//! `GET /v1/inbound` and `/operate/inbound`: filters, pages, and the scopes and owners that may read the texts.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use postrider_core::clock::from_millis;
use postrider_core::inbound::InboundMessage;
use postrider_engine::config::{ApiKey, Config, InboundRoute, Scope};
use postrider_engine::inbound;

use super::{TestResponse, TestServer, api_key};

/// The routes of the accounts `shop` and `bank`, by keyword.
fn add_keys_and_routes(config: &mut Config) {
    let key = |name: &str, scope| ApiKey { is_shared: false, ..api_key(name, name, scope) };
    config.keys = vec![
        key("shop", Scope::Read),
        key("bank", Scope::Read),
        key("sender", Scope::Send),
        api_key("shared", "shared", Scope::Read),
        key("operator", Scope::Admin),
    ];
    let route = |account: &str| InboundRoute {
        name: format!("route-{account}"),
        keywords: vec![account.to_owned()],
        account: account.to_owned(),
        ..InboundRoute::default()
    };
    config.inbound_routes = vec![route("shop"), route("bank")];
}

/// Receives texts, one in each second.
async fn server_with_texts(texts: &[(&str, &str)]) -> TestServer {
    let server = TestServer::with_manual_clock(add_keys_and_routes).await;
    let runtime = server.gateway.providers()[0].clone();
    for (index, (from, body)) in texts.iter().enumerate() {
        let message = InboundMessage {
            reference: Some(format!("mo-{index}")),
            from: (*from).to_owned(),
            to: "983000".to_owned(),
            body: (*body).to_owned(),
            at: from_millis(0),
            is_incomplete: false,
        };
        inbound::store(&server.gateway, &runtime, vec![message]).await.unwrap();
        server.gateway.clock.advance(Duration::from_secs(1));
    }
    server
}

async fn get(server: &TestServer, key: &str, path: &str) -> TestResponse {
    let request = Request::get(path).header("x-api-key", key).body(Body::empty()).unwrap();
    server.request(request).await
}

async fn bodies(server: &TestServer, key: &str, query: &str) -> Vec<String> {
    let response = get(server, key, &format!("/v1/inbound{query}")).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let page = response.json();
    let messages = page["messages"].as_array().unwrap().iter();
    messages.map(|message| message["body"].as_str().unwrap().to_owned()).collect()
}

const ADA: &str = "+989122222222";
const BOB: &str = "+989123333333";

#[tokio::test]
async fn a_key_sees_the_texts_of_its_own_routes() {
    let server = server_with_texts(&[(ADA, "shop 1"), (ADA, "bank 2"), (BOB, "hello")]).await;
    assert_eq!(bodies(&server, "shop", "").await, ["shop 1"]);
    assert_eq!(bodies(&server, "bank", "").await, ["bank 2"]);
    assert_eq!(bodies(&server, "shop", "?from=%2B989123333333").await, Vec::<String>::new());
    assert_eq!(bodies(&server, "operator", "").await, ["hello", "bank 2", "shop 1"]);
    assert_eq!(bodies(&server, "shared", "").await, Vec::<String>::new());
    assert_eq!(bodies(&server, "shared", "?from=%2B989123333333").await, Vec::<String>::new());
    assert_eq!(get(&server, "sender", "/v1/inbound").await.status, 403);
    assert_eq!(server.get("/v1/inbound").await.status, 401);
}

#[tokio::test]
async fn texts_are_filtered_and_paged() {
    let server = server_with_texts(&[(ADA, "one"), (BOB, "two"), (ADA, "three")]).await;
    let since = "?since=2023-11-14T22:13:21Z";
    for (query, expected) in [
        ("?from=+989122222222", vec!["three", "one"]),
        ("?to=983000&limit=2", vec!["three", "two"]),
        ("?to=983001", vec![]),
        ("?provider=mock-blue", vec!["three", "two", "one"]),
        ("?provider=other", vec![]),
        (since, vec!["three", "two"]),
        ("?until=2023-11-14T22:13:21Z", vec!["one"]),
    ] {
        assert_eq!(bodies(&server, "operator", query).await, expected, "{query}");
    }
    let first = get(&server, "operator", "/v1/inbound?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(bodies(&server, "operator", &format!("?limit=2&cursor={cursor}")).await, ["one"]);
    let last = get(&server, "operator", &format!("/v1/inbound?limit=1&cursor={cursor}")).await.json();
    assert!(last["next_cursor"].is_null());
    for invalid in ["?cursor=x", "?limit=0", "?since=soon", "?state=kept", "?provider=a%20b"] {
        assert_eq!(get(&server, "operator", &format!("/v1/inbound{invalid}")).await.status, 400, "{invalid}");
    }
}

#[tokio::test]
async fn a_text_has_its_fields() {
    let server = server_with_texts(&[(ADA, "shop 1")]).await;
    let page = get(&server, "shop", "/v1/inbound").await.json();
    let message = &page["messages"][0];
    for (field, expected) in [
        ("from", ADA),
        ("to", "983000"),
        ("account", "shop"),
        ("route", "route-shop"),
        ("state", "kept"),
        ("action", "none"),
        ("reference", "mo-0"),
        ("received_at", "2023-11-14T22:13:20.000Z"),
    ] {
        assert_eq!(message[field], expected, "{field}");
    }
}

#[tokio::test]
async fn the_page_shows_texts_to_operators_only() {
    let server = server_with_texts(&[(ADA, "shop <1>"), (BOB, "STOP")]).await;
    let page = get(&server, "operator", "/operate/inbound").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    for shown in ["shop &#60;1&#62;", "+98912***2222", "opt out", "route-shop"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let found = get(&server, "operator", "/operate/inbound?from=%2B989123333333").await.text();
    assert!(found.contains("STOP") && !found.contains("shop &#60;1&#62;"), "{found}");
    assert_eq!(get(&server, "operator", "/operate/inbound?before=x").await.status, 400);
    assert_eq!(get(&server, "shop", "/operate/inbound").await.status, 403);
}
