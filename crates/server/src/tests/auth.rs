//! API keys, cross-site requests, unknown paths and unsupported methods, in every API.

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{TestResponse, TestServer, accepting_provider, api_key};
use postrider_engine::config::Scope;
use postrider_providers::CallbackMode;

async fn server_with_keys() -> TestServer {
    TestServer::with(|config| {
        config.keys = vec![
            api_key("shop", "s3nd", Scope::Send),
            api_key("reader", "r3ad", Scope::Read),
            api_key("admin", "all", Scope::Admin),
        ];
    })
    .await
}

async fn send_request(server: &TestServer, method: &str, path: &str, key: Option<&str>) -> TestResponse {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    server.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_route_requires_its_scope() {
    let server = server_with_keys().await;
    for (method, path, scope) in [
        ("GET", "/sms/send", "s3nd"),
        ("POST", "/messages", "s3nd"),
        ("POST", "/inbox/send", "s3nd"),
        ("POST", "/v1/messages", "s3nd"),
        ("DELETE", "/v1/messages/x", "s3nd"),
        ("GET", "/v1/messages", "r3ad"),
        ("GET", "/v1/messages/x", "r3ad"),
        ("GET", "/v1/providers", "r3ad"),
        ("GET", "/v1/report", "r3ad"),
        ("GET", "/v1/recipients/sms/09122222222", "r3ad"),
        ("POST", "/v1/users", "s3nd"),
        ("POST", "/v1/broadcasts", "s3nd"),
        ("POST", "/v1/users/x/inbox/x/read", "s3nd"),
        ("GET", "/v1/users/x", "r3ad"),
        ("GET", "/v1/users/x/inbox", "r3ad"),
        ("GET", "/v1/broadcasts/x", "r3ad"),
        ("GET", "/broadcasts", "r3ad"),
        ("GET", "/metrics", "r3ad"),
        ("GET", "/", "r3ad"),
        ("GET", "/messages/x", "r3ad"),
    ] {
        let key_without_scope = if scope == "s3nd" { "r3ad" } else { "s3nd" };
        let response = send_request(&server, method, path, None).await;
        assert_eq!(response.status, 401, "{method} {path}");
        assert!(response.header("www-authenticate").is_some(), "{method} {path}");
        assert_eq!(send_request(&server, method, path, Some("wrong")).await.status, 401, "{method} {path}");
        assert_eq!(
            send_request(&server, method, path, Some(key_without_scope)).await.status,
            403,
            "{method} {path}"
        );
        for key in [scope, "all"] {
            let status = send_request(&server, method, path, Some(key)).await.status.as_u16();
            assert!(![401, 403].contains(&status), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn a_key_that_may_only_send_does_not_get_stored_user_data() {
    let server = server_with_keys().await;
    let register = |key: &str, user: &'static str| {
        let request = Request::post("/v1/users").header("content-type", "application/json");
        let request = request.header("x-api-key", key.to_owned());
        server.request(request.body(Body::from(user)).unwrap())
    };
    let stored_user = register("all", r#"{"id":"ana","contacts":{"phone":"09122222222"}}"#).await;
    assert_eq!(stored_user.json()["contacts"]["phone"], "+989122222222");
    let counts = register("s3nd", r#"{"id":"ana"}"#).await;
    assert_eq!(counts.text(), r#"{"added":0,"changed":0,"unchanged":1}"#);
}

#[tokio::test]
async fn each_api_refuses_in_its_own_envelope_and_pages_send_a_basic_challenge() {
    let server = server_with_keys().await;
    let simple = send_request(&server, "GET", "/sms/send?number=1&body=x", None).await;
    assert!(simple.json()["Message"][0].as_str().unwrap().contains("X-Api-Key"));
    let texting = send_request(&server, "POST", "/messages", None).await;
    assert_eq!(texting.json()["status"], "error");
    let native = send_request(&server, "GET", "/v1/report", None).await;
    assert_eq!(native.header("content-type"), Some("application/problem+json"));
    assert!(native.header("www-authenticate").unwrap().starts_with("Bearer"));
    let page = send_request(&server, "GET", "/", None).await;
    assert!(page.header("www-authenticate").unwrap().starts_with("Basic"));
}

#[tokio::test]
async fn health_needs_no_key_and_callbacks_need_their_own_authentication() {
    let server = server_with_keys().await;
    assert_eq!(send_request(&server, "GET", "/healthz", None).await.status, 200);
    assert_eq!(send_request(&server, "POST", "/messages/delivery_status", None).await.status, 401);
    let forged = send_request(&server, "POST", "/v1/receipts/mock-red", None).await;
    assert_eq!(forged.json()["type"], "/problems/invalid-signature");
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_api_key() {
    let server = server_with_keys().await;
    for key in ["s3nd", "all"] {
        let request = Request::get("/sms/send?number=09122222222&body=hi")
            .header("x-api-key", key)
            .header("idempotency-key", "same");
        let response = server.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!((response.status.as_u16(), response.header("idempotency-replayed")), (200, None));
    }
    assert_eq!(server.message_count().await, 2);
}

#[tokio::test]
async fn the_type_of_a_problem_is_an_address_with_a_page() {
    let server = server_with_keys().await;
    let problem_type = server.get("/v1/nowhere").await.json()["type"].as_str().unwrap().to_owned();
    let response = server.get(&problem_type).await;
    assert_eq!((response.status.as_u16(), response.text().contains("title and detail")), (200, true));
}

#[tokio::test]
async fn a_browser_gets_a_page_for_an_unknown_path() {
    let server = TestServer::new().await;
    for path in ["/nothing", "/operate/xyz"] {
        let request = Request::get(path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let response = server.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status, 404);
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(response.text().contains("/api.html"), "{}", response.text());
    }
}

#[tokio::test]
async fn unknown_paths_and_unsupported_methods_are_problems() {
    let server = TestServer::new().await;
    for path in ["/nowhere", "/v1/nowhere", "/v1/messages/x/y"] {
        let response = server.get(path).await;
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(response.json()["type"], "/problems/not-found", "{path}");
    }
    for (path, allow) in [("/v1/messages", "POST"), ("/v1/report", "GET"), ("/healthz", "GET"), ("/", "GET")]
    {
        let response = send_request(&server, "PATCH", path, None).await;
        assert_eq!(response.status, 405, "{path}");
        assert!(response.header("allow").unwrap().contains(allow), "{path}");
        assert_eq!(response.json()["type"], "/problems/method-not-allowed", "{path}");
    }
}

#[tokio::test]
async fn without_a_key_readiness_has_no_details() {
    let server = server_with_keys().await;
    send_request(&server, "GET", "/readyz", None).await.assert_response(200, r#"{"ready":true}"#);
    let detailed = r#"{"ready":true,"degraded":[]}"#;
    send_request(&server, "GET", "/readyz", Some("r3ad")).await.assert_response(200, detailed);
    assert_eq!(send_request(&server, "GET", "/readyz", Some("wrong")).await.status, 401);
    assert_eq!(send_request(&server, "GET", "/readyz", Some("s3nd")).await.status, 403);
    // The result without a key is cached for a moment, so that frequent requests cost the store nothing.
    let _lock = server.lock_store();
    send_request(&server, "GET", "/readyz", None).await.assert_response(200, r#"{"ready":true}"#);
    assert_eq!(send_request(&server, "GET", "/readyz", Some("r3ad")).await.status, 503);
}

/// Headers that show that a browser may have sent a request for another site, with the expected status.
const FOREIGN: [(&str, &str, u16); 6] = [
    ("host", "evil.example:8080", 421),
    ("host", "localhost.evil.example", 421),
    ("sec-fetch-site", "cross-site", 403),
    ("sec-fetch-site", "same-site", 403),
    ("origin", "https://evil.example", 403),
    ("origin", "null", 403),
];

async fn request_with(
    server: &TestServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> TestResponse {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn without_keys_every_route_refuses_cross_site_requests() {
    let server = TestServer::new().await;
    let described = server.get("/api.json").await.json();
    let mut paths = described["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let others = [
        "/",
        "/usage",
        "/operate",
        "/operate/events",
        "/operate/apply",
        "/sign-in",
        "/style.css",
        "/nowhere",
    ];
    paths.extend(others.map(str::to_owned));
    for path in paths.iter().map(|path| path.replace(['{', '}'], "")) {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            for (name, value, status) in FOREIGN {
                let response = request_with(&server, method, &path, &[(name, value)]).await;
                assert_eq!(response.status, status, "{method} {path} {name}: {value}");
            }
        }
    }
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn without_keys_curl_the_address_bar_and_same_site_pages_work() {
    let server =
        TestServer::with(|config| config.public_url = "https://gw.example.org/base".to_owned()).await;
    for headers in [
        &[("host", "127.0.0.1:8080")][..],
        &[("host", "gw.example.org")],
        &[("host", "localhost:8080"), ("sec-fetch-site", "none")],
        &[("host", "[::1]:8080"), ("sec-fetch-site", "same-origin"), ("origin", "http://[::1]:8080")],
        &[],
    ] {
        let response = request_with(&server, "GET", "/sms/send?number=09122222222&body=hi", headers).await;
        assert_eq!(response.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn with_keys_basic_credentials_authorize_no_cross_site_change() {
    let server = server_with_keys().await;
    let basic = format!("Basic {}", STANDARD.encode("x:all"));
    let (basic, bearer) = (("authorization", basic.as_str()), ("authorization", "Bearer all"));
    for (method, path) in [
        ("GET", "/sms/send?number=09122222222&body=csrf"),
        ("POST", "/sms/send?number=09122222222&body=csrf"),
        ("POST", "/messages?phone_number=09122222222&message_body=csrf"),
        ("POST", "/inbox/send"),
        ("POST", "/v1/messages"),
        ("DELETE", "/v1/messages/x"),
        ("PUT", "/v1/recipients/sms/09122222222"),
        ("POST", "/v1/users"),
        ("POST", "/v1/broadcasts"),
        ("POST", "/v1/users/x/inbox/x/read"),
        ("POST", "/operate/apply"),
        ("POST", "/operate/confirm"),
        ("POST", "/operate/providers/mock-red/pause"),
    ] {
        for foreign in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "null")]
        {
            let response = request_with(&server, method, path, &[basic, foreign]).await;
            assert_eq!(response.status, 403, "{method} {path} {foreign:?}");
            let explicit = request_with(&server, method, path, &[bearer, foreign]).await;
            let passes = path.starts_with("/operate") || explicit.status != 403;
            assert!(passes, "{method} {path} {foreign:?}");
        }
    }
    assert!(server.gateway.store.provider_controls().await.unwrap().is_empty());
    let send = "/sms/send?number=09122222222&body=hi";
    for own in [("sec-fetch-site", "none"), ("sec-fetch-site", "same-origin"), ("user-agent", "curl/8")] {
        assert_eq!(request_with(&server, "GET", send, &[basic, own]).await.status, 200, "{own:?}");
    }
    let link = request_with(&server, "GET", "/operate", &[basic, ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(link.status, 200, "a link changes nothing");
}

#[tokio::test]
async fn receipts_for_a_provider_without_a_secret_are_404() {
    for callbacks in [CallbackMode::Disabled, CallbackMode::Texting] {
        let server = TestServer::with_provider(accepting_provider(callbacks)).await;
        let request = Request::post("/v1/receipts/mock-red").header("x-secret", "sesame");
        let response = server.request(request.body(Body::from("delivered ref-64")).unwrap()).await;
        assert_eq!(response.status, 404, "{callbacks:?}");
    }
}

#[tokio::test]
async fn an_unsigned_receipt_for_an_unknown_reference_is_counted_and_not_stored() {
    let server = TestServer::with_provider(accepting_provider(CallbackMode::Unsigned)).await;
    let request = Request::post("/v1/receipts/mock-red").header("x-secret", "sesame");
    let response = server.request(request.body(Body::from("delivered ref-64")).unwrap()).await;
    response.assert_response(200, r#"{"received":1}"#);
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("postrider_receipts_total{result=\"dropped\"} 1"), "{metrics}");
    let body = r#"{"to":"09122222222","body":"hi"}"#;
    let id = server.post("/v1/messages", "application/json", body).await.json()["id"].clone();
    server.deliver_all().await;
    let message = server.get(&format!("/v1/messages/{}", id.as_str().unwrap())).await.json();
    assert_eq!(message["deliveries"][0]["state"], "sent", "{message}");
}
