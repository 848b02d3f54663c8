//! Spending limits of a key: text parts per minute, day and month, countries, and premium-rate numbers.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use std::time::Duration;

use super::{TestResponse, TestServer, api_key};
use postrider_core::address::AddressKind;
use postrider_core::address::PhoneRegion;
use postrider_core::channel::Addressing;
use postrider_engine::config::{ApiKey, ApiKeyLimits, Config, Scope};

fn region(code: &str) -> Vec<PhoneRegion> {
    vec![PhoneRegion::parse(code).unwrap()]
}

/// Takes phone numbers only, with a limited key and one without limits.
fn with_limits(config: &mut Config, limits: ApiKeyLimits) {
    config.channels[0].addressing = Addressing::Only(AddressKind::Phone);
    config.keys = vec![
        ApiKey { limits, ..api_key("shop", "shop", Scope::Admin) },
        api_key("bank", "bank", Scope::Admin),
    ];
}

async fn post(server: &TestServer, key: &str, path: &str, body: &Value) -> TestResponse {
    let request = Request::post(path).header("x-api-key", key).header("content-type", "application/json");
    server.request(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn send_to(server: &TestServer, key: &str, number: &str) -> TestResponse {
    post(server, key, "/v1/messages", &json!({"to": number, "body": "hi"})).await
}

#[tokio::test]
async fn a_key_at_its_limit_per_minute_gets_429_in_every_api() {
    let limits = ApiKeyLimits { per_minute: Some(3), ..ApiKeyLimits::default() };
    let server = TestServer::with_manual_clock(|config| with_limits(config, limits)).await;
    // The manual clock begins 20 s after a full minute.
    for _ in 0..3 {
        assert_eq!(send_to(&server, "shop", "09122222222").await.status, 201);
    }
    let refused = send_to(&server, "shop", "09122222222").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("40")));
    assert_eq!(refused.json()["title"], "A spending limit of the API key is reached");
    assert_eq!(refused.json()["detail"], "a spending limit of this API key is reached; try again in 40s");
    let simple = Request::get("/sms/send?number=09122222222&body=hi").header("x-api-key", "shop");
    let simple = server.request(simple.body(Body::empty()).unwrap()).await;
    let texting_message = json!({"phone_number": "09122222222", "message_body": "hi"});
    let texting = post(&server, "shop", "/messages", &texting_message).await;
    let inbox_message = json!({"userId": "ana", "message": "hi", "phone": "09122222222"});
    let inbox = post(&server, "shop", "/inbox/send", &inbox_message).await;
    for response in [simple, texting] {
        assert_eq!((response.status.as_u16(), response.header("retry-after")), (429, Some("40")));
    }
    assert!(inbox.status != 201, "{}", inbox.text());
    assert_eq!(server.message_count().await, 3);
    assert_eq!(send_to(&server, "bank", "09122222222").await.status, 201);
    server.gateway.clock.advance(Duration::from_secs(40));
    assert_eq!(send_to(&server, "shop", "09122222222").await.status, 201);
}

#[tokio::test]
async fn a_day_counts_the_parts_of_every_recipient() {
    let limits = ApiKeyLimits { per_day: Some(10), ..ApiKeyLimits::default() };
    let server = TestServer::with_manual_clock(|config| with_limits(config, limits)).await;
    let long = json!({"to": "09122222222", "body": "x".repeat(161)});
    for _ in 0..5 {
        assert_eq!(post(&server, "shop", "/v1/messages", &long).await.status, 201);
    }
    let refused = send_to(&server, "shop", "09122222222").await;
    // 22:13:20 UTC: the next day begins in 6,400 s.
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("6400")));
}

#[tokio::test]
async fn a_month_ends_with_the_calendar() {
    let limits = ApiKeyLimits { per_month: Some(2), ..ApiKeyLimits::default() };
    let server = TestServer::with_manual_clock(|config| with_limits(config, limits)).await;
    for _ in 0..2 {
        assert_eq!(send_to(&server, "shop", "09122222222").await.status, 201);
    }
    let refused = send_to(&server, "shop", "09122222222").await;
    // 14 November, 22:13:20 UTC: December begins in 1,388,800 s.
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("1388800")));
    server.gateway.clock.advance(Duration::from_secs(1_388_800));
    assert_eq!(send_to(&server, "shop", "09122222222").await.status, 201);
}

#[tokio::test]
async fn a_broadcast_over_the_limit_is_refused_as_a_whole() {
    let limits = ApiKeyLimits { per_day: Some(2), ..ApiKeyLimits::default() };
    let server = TestServer::with_manual_clock(|config| with_limits(config, limits)).await;
    let users = ["ana", "ben", "cid"].map(|id| json!({"id": id, "contacts": {"phone": "09122222222"}}));
    assert_eq!(post(&server, "shop", "/v1/users", &json!(users)).await.status, 201);
    let refused = post(&server, "shop", "/v1/broadcasts", &json!({"body": "hi", "all": true})).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("6400")));
    let to_two = json!({"body": "hi", "users": ["ana", "ben"]});
    assert_eq!(post(&server, "shop", "/v1/broadcasts", &to_two).await.status, 202);
    // Its messages were counted when it was published.
    assert_eq!(postrider_engine::fan_out::fan_out_all(&server.gateway, || true).await.unwrap(), 2);
    assert_eq!(send_to(&server, "shop", "09122222222").await.status, 429);
}

#[tokio::test]
async fn numbers_of_other_countries_and_premium_numbers_are_refused() {
    let limits = ApiKeyLimits { countries: region("DE"), ..ApiKeyLimits::default() };
    let server = TestServer::with(|config| with_limits(config, limits)).await;
    for (key, number, status) in [
        ("shop", "+491711234567", 201),
        ("shop", "+989122222222", 422),
        ("bank", "+989122222222", 201),
        ("bank", "+19002345678", 422),
        ("bank", "+979123456789", 422),
        ("bank", "+448431234567", 422),
    ] {
        let response = send_to(&server, key, number).await;
        assert_eq!(response.status, status, "{key} {number}: {}", response.text());
    }
    let server = TestServer::with(|config| {
        with_limits(config, ApiKeyLimits::default());
        config.allow_premium_numbers = true;
        config.channels[0].countries = region("US");
    })
    .await;
    assert_eq!(send_to(&server, "bank", "+19002345678").await.status, 201);
    let refused = send_to(&server, "bank", "+989122222222").await;
    assert_eq!(super::broadcasts::violation(&refused), "to: phone numbers of this country are not allowed");
}
