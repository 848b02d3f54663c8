//! Keys, unknown paths and wrong methods, on every face.

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{TestResponse, TestServer, accepting_provider};
use postrider_engine::config::{ApiKey, Scope};
use postrider_providers::CallbackMode;

async fn server_with_keys() -> TestServer {
    let key = |name: &str, secret: &str, scope| ApiKey {
        name: name.to_owned(),
        sha256: Sha256::digest(secret).into(),
        scopes: vec![scope],
        user_per_hour: None,
        events: Default::default(),
    };
    TestServer::with(|config| {
        config.keys = vec![
            key("shop", "s3nd", Scope::Send),
            key("eyes", "r3ad", Scope::Read),
            key("boss", "all", Scope::Admin),
        ];
    })
    .await
}

async fn send_request(world: &TestServer, method: &str, path: &str, key: Option<&str>) -> TestResponse {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    world.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_door_opens_for_its_scope_only() {
    let world = server_with_keys().await;
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
        let other = if scope == "s3nd" { "r3ad" } else { "s3nd" };
        let reply = send_request(&world, method, path, None).await;
        assert_eq!(reply.status, 401, "{method} {path}");
        assert!(reply.header("www-authenticate").is_some(), "{method} {path}");
        assert_eq!(
            send_request(&world, method, path, Some("wrong")).await.status,
            401,
            "{method} {path}"
        );
        assert_eq!(
            send_request(&world, method, path, Some(other)).await.status,
            403,
            "{method} {path}"
        );
        for key in [scope, "all"] {
            let status = send_request(&world, method, path, Some(key))
                .await
                .status
                .as_u16();
            assert!(![401, 403].contains(&status), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn who_may_only_send_is_not_told_what_is_known_of_a_user() {
    let world = server_with_keys().await;
    let register = |key: &str, user: &'static str| {
        let request = Request::post("/v1/users").header("content-type", "application/json");
        let request = request.header("x-api-key", key.to_owned());
        world.request(request.body(Body::from(user)).unwrap())
    };
    let whole = register("all", r#"{"id":"ana","contacts":{"phone":"09122222222"}}"#).await;
    assert_eq!(whole.json()["contacts"]["phone"], "+989122222222");
    let counts = register("s3nd", r#"{"id":"ana"}"#).await;
    assert_eq!(counts.text(), r#"{"added":0,"changed":0,"unchanged":1}"#);
}

#[tokio::test]
async fn each_face_refuses_in_its_own_envelope_and_pages_ask_the_browser() {
    let world = server_with_keys().await;
    let simple = send_request(&world, "GET", "/sms/send?number=1&body=x", None).await;
    assert!(
        simple.json()["Message"][0]
            .as_str()
            .unwrap()
            .contains("X-Api-Key")
    );
    let texting = send_request(&world, "POST", "/messages", None).await;
    assert_eq!(texting.json()["status"], "error");
    let native = send_request(&world, "GET", "/v1/report", None).await;
    assert_eq!(native.header("content-type"), Some("application/problem+json"));
    assert!(native.header("www-authenticate").unwrap().starts_with("Bearer"));
    let page = send_request(&world, "GET", "/", None).await;
    assert!(page.header("www-authenticate").unwrap().starts_with("Basic"));
}

#[tokio::test]
async fn health_needs_no_key_and_receipts_need_the_providers_proof() {
    let world = server_with_keys().await;
    assert_eq!(send_request(&world, "GET", "/healthz", None).await.status, 200);
    assert_eq!(
        send_request(&world, "POST", "/messages/delivery_status", None)
            .await
            .status,
        401
    );
    let forged = send_request(&world, "POST", "/v1/receipts/mock-red", None).await;
    assert_eq!(forged.json()["type"], "/problems/forged-receipt");
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_clients_is_two_keys() {
    let world = server_with_keys().await;
    for key in ["s3nd", "all"] {
        let request = Request::get("/sms/send?number=09122222222&body=hi")
            .header("x-api-key", key)
            .header("idempotency-key", "same");
        let reply = world.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("idempotency-replayed")),
            (200, None)
        );
    }
    assert_eq!(world.message_count().await, 2);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems() {
    let world = TestServer::new().await;
    for path in ["/nowhere", "/v1/nowhere", "/v1/messages/x/y"] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.json()["type"], "/problems/not-found", "{path}");
    }
    for (path, allow) in [
        ("/v1/messages", "POST"),
        ("/v1/report", "GET"),
        ("/healthz", "GET"),
        ("/", "GET"),
    ] {
        let reply = send_request(&world, "PATCH", path, None).await;
        assert_eq!(reply.status, 405, "{path}");
        assert!(reply.header("allow").unwrap().contains(allow), "{path}");
        assert_eq!(reply.json()["type"], "/problems/wrong-method", "{path}");
    }
}

#[tokio::test]
async fn a_load_balancer_hears_whether_it_is_ready_and_no_more() {
    let world = server_with_keys().await;
    send_request(&world, "GET", "/readyz", None)
        .await
        .assert_response(200, r#"{"ready":true}"#);
    let told = r#"{"ready":true,"degraded":[]}"#;
    send_request(&world, "GET", "/readyz", Some("r3ad"))
        .await
        .assert_response(200, told);
    assert_eq!(
        send_request(&world, "GET", "/readyz", Some("wrong")).await.status,
        401
    );
    assert_eq!(
        send_request(&world, "GET", "/readyz", Some("s3nd")).await.status,
        403
    );
    // The last look counts for a moment, so that asking often costs the store nothing.
    let _lock = world.lock_store();
    send_request(&world, "GET", "/readyz", None)
        .await
        .assert_response(200, r#"{"ready":true}"#);
    assert_eq!(
        send_request(&world, "GET", "/readyz", Some("r3ad")).await.status,
        503
    );
}

/// A request that a browser may have sent for another site, by the headers that show it.
const FOREIGN: [(&str, &str, u16); 6] = [
    ("host", "evil.example:8080", 421),
    ("host", "localhost.evil.example", 421),
    ("sec-fetch-site", "cross-site", 403),
    ("sec-fetch-site", "same-site", 403),
    ("origin", "https://evil.example", 403),
    ("origin", "null", 403),
];

async fn ask_with(world: &TestServer, method: &str, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn without_keys_every_route_refuses_what_another_site_may_have_sent() {
    let world = TestServer::new().await;
    let described = world.get("/api.json").await.json();
    let mut paths = described["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect::<Vec<_>>();
    let others = [
        "/",
        "/usage",
        "/operate",
        "/operate/events",
        "/operate/act",
        "/sign-in",
        "/style.css",
        "/nowhere",
    ];
    paths.extend(others.map(str::to_owned));
    for path in paths.iter().map(|path| path.replace(['{', '}'], "")) {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            for (name, value, status) in FOREIGN {
                let reply = ask_with(&world, method, &path, &[(name, value)]).await;
                assert_eq!(reply.status, status, "{method} {path} {name}: {value}");
            }
        }
    }
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn without_keys_curl_the_address_bar_and_own_pages_work() {
    let world = TestServer::with(|config| config.public_url = "https://gw.example.org/base".to_owned()).await;
    for headers in [
        &[("host", "127.0.0.1:8080")][..],
        &[("host", "gw.example.org")],
        &[("host", "localhost:8080"), ("sec-fetch-site", "none")],
        &[
            ("host", "[::1]:8080"),
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://[::1]:8080"),
        ],
        &[],
    ] {
        let reply = ask_with(&world, "GET", "/sms/send?number=09122222222&body=hi", headers).await;
        assert_eq!(reply.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn with_keys_basic_credentials_authorise_no_change_of_another_site() {
    let world = server_with_keys().await;
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
        ("POST", "/operate/act"),
        ("POST", "/operate/confirm"),
        ("POST", "/operate/providers/mock-red/rest"),
    ] {
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "null"),
        ] {
            let reply = ask_with(&world, method, path, &[basic, foreign]).await;
            assert_eq!(reply.status, 403, "{method} {path} {foreign:?}");
            let explicit = ask_with(&world, method, path, &[bearer, foreign]).await;
            let may_pass = path.starts_with("/operate") || explicit.status != 403;
            assert!(may_pass, "{method} {path} {foreign:?}");
        }
    }
    assert!(world.gateway.store.provider_controls().await.unwrap().is_empty());
    let send = "/sms/send?number=09122222222&body=hi";
    for own in [
        ("sec-fetch-site", "none"),
        ("sec-fetch-site", "same-origin"),
        ("user-agent", "curl/8"),
    ] {
        assert_eq!(
            ask_with(&world, "GET", send, &[basic, own]).await.status,
            200,
            "{own:?}"
        );
    }
    let link = ask_with(
        &world,
        "GET",
        "/operate",
        &[basic, ("sec-fetch-site", "cross-site")],
    )
    .await;
    assert_eq!(link.status, 200, "a link changes nothing");
}

#[tokio::test]
async fn receipts_of_a_provider_without_a_secret_are_not_expected() {
    for callbacks in [CallbackMode::Disabled, CallbackMode::Texting] {
        let world = TestServer::with_provider(accepting_provider(callbacks)).await;
        let request = Request::post("/v1/receipts/mock-red").header("x-secret", "sesame");
        let reply = world
            .request(request.body(Body::from("delivered ref-64")).unwrap())
            .await;
        assert_eq!(reply.status, 404, "{callbacks:?}");
    }
}

#[tokio::test]
async fn an_unsigned_receipt_for_an_unknown_reference_is_counted_and_not_kept() {
    let world = TestServer::with_provider(accepting_provider(CallbackMode::Unsigned)).await;
    let request = Request::post("/v1/receipts/mock-red").header("x-secret", "sesame");
    let reply = world
        .request(request.body(Body::from("delivered ref-64")).unwrap())
        .await;
    reply.assert_response(200, r#"{"received":1}"#);
    let metrics = world.get("/metrics").await.text();
    assert!(
        metrics.contains("postrider_receipts_total{result=\"dropped\"} 1"),
        "{metrics}"
    );
    let body = r#"{"to":"09122222222","body":"hi"}"#;
    let id = world.post("/v1/messages", "application/json", body).await.json()["id"].clone();
    world.deliver_all().await;
    let message = world
        .get(&format!("/v1/messages/{}", id.as_str().unwrap()))
        .await
        .json();
    assert_eq!(message["deliveries"][0]["state"], "sent", "{message}");
}
