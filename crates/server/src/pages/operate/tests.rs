//! The operator's pages through the real route table: authorization, form tokens, and actions.

mod actions;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;

use super::live_updates;
use crate::tests::{TestResponse, TestServer, api_key};
use postrider_core::name::ConfigName;
use postrider_engine::config::{Config, Scope};

/// Maximum time for a test to wait for an expected event.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

const FORM_URLENCODED: &str = "application/x-www-form-urlencoded";

fn add_keys(config: &mut Config) {
    config.keys = vec![
        api_key("reader", "r3ad", Scope::Read),
        api_key("admin", "all", Scope::Admin),
        api_key("shop", "s3nd", Scope::Send),
    ];
}

async fn browse(server: &TestServer, path: &str, cookie: Option<&str>) -> TestResponse {
    let mut request = Request::get(path).header("accept", "text/html,*/*");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    server.request(request.body(Body::empty()).unwrap()).await
}

async fn send_form(server: &TestServer, path: &str, headers: &[(&str, &str)], form: &str) -> TestResponse {
    let mut request = Request::post(path).header("content-type", FORM_URLENCODED);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.request(request.body(Body::from(form.to_owned())).unwrap()).await
}

/// Signs in and returns the cookie as the browser sends it back.
async fn sign_in(server: &TestServer, key: &str) -> String {
    let response = send_form(server, "/sign-in", &[], &format!("key={key}&next=%2Foperate")).await;
    assert_eq!((response.status.as_u16(), response.header("location")), (303, Some("/operate")));
    let cookie = response.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// Returns the form token of a page.
fn form_token(page: &TestResponse) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"token\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_signs_in_and_out() {
    let server = TestServer::with(add_keys).await;
    for path in ["/operate", "/", "/operate/messages?q=state%3Afailed"] {
        let response = browse(&server, path, None).await;
        assert_eq!(response.status, 303, "{path}");
        assert!(response.header("location").unwrap().starts_with("/sign-in?next=%2F"));
    }
    let wrong = send_form(&server, "/sign-in", &[], "key=wrong").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (401, None));
    let cookie = sign_in(&server, "all").await;
    let page = browse(&server, "/operate", Some(&cookie)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<strong>admin</strong>"));
    assert_eq!(browse(&server, "/", Some(&cookie)).await.status, 200);
    let forged = cookie.replace('.', ".A");
    assert_eq!(browse(&server, "/operate", Some(&forged)).await.status, 303);
    let out = send_form(&server, "/sign-out", &[], "").await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn operators_need_the_scope_admin() {
    let server = TestServer::with(add_keys).await;
    let cookie = sign_in(&server, "r3ad").await;
    assert_eq!(browse(&server, "/", Some(&cookie)).await.status, 200);
    for path in ["/operate", "/operate/messages", "/operate/events"] {
        assert_eq!(browse(&server, path, Some(&cookie)).await.status, 403, "{path}");
    }
    let send_only = send_form(&server, "/sign-in", &[], "key=s3nd").await;
    assert_eq!(send_only.status, 401, "a key that only sends opens no page");
    for path in ["/operate/confirm", "/operate/apply", "/operate/providers/mock-red/pause"] {
        assert_eq!(send_form(&server, path, &[], "").await.status, 401, "{path}");
        let response = send_form(&server, path, &[("cookie", &cookie)], "").await;
        assert_eq!(response.status, 403, "{path}");
    }
    // A cookie does not authorize changes in the APIs.
    let admin = sign_in(&server, "all").await;
    let request = Request::post("/v1/messages").header("cookie", &admin);
    let response = server.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let server = TestServer::with(add_keys).await;
    let cookie = sign_in(&server, "all").await;
    let pause = "/operate/providers/mock-red/pause";
    let valid_form = format!("token={}", form_token(&browse(&server, "/operate", Some(&cookie)).await));
    for (headers, form) in [
        (vec![("cookie", cookie.as_str())], "token="),
        (vec![("cookie", &cookie)], "token=1.x"),
        (vec![("cookie", &cookie), ("sec-fetch-site", "cross-site")], &valid_form),
        (vec![("cookie", &cookie), ("sec-fetch-site", "same-site")], &valid_form),
        (vec![("cookie", &cookie), ("host", "a"), ("origin", "http://b")], &valid_form),
        (vec![("cookie", &cookie), ("host", "a"), ("origin", "null")], &valid_form),
    ] {
        let response = send_form(&server, pause, &headers, form).await;
        assert_eq!(response.status, 403, "{headers:?} {form}");
    }
    assert!(server.gateway.store.provider_controls().await.unwrap().is_empty());
    let headers = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("host", "a"),
        ("origin", "http://a"),
    ];
    assert_eq!(send_form(&server, pause, &headers, &valid_form).await.status, 303);
    assert_eq!(server.gateway.store.provider_controls().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_keys_a_foreign_host_name_is_refused() {
    let server = TestServer::new().await;
    let status_for = async |host: &str| {
        let request = Request::get("/operate").header("host", host);
        server.request(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    for (host, status) in [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
    ] {
        assert_eq!(status_for(host).await, status, "{host}");
    }
}

#[tokio::test]
async fn a_provider_is_paused_and_resumed() {
    let server = TestServer::new().await;
    let name: ConfigName = "mock-red".parse().unwrap();
    let form = format!("token={}", form_token(&server.get("/operate").await));
    let is_available = || server.gateway.provider(&name).unwrap().is_available(server.gateway.clock.now());
    let paused = server.post("/operate/providers/mock-red/pause", FORM_URLENCODED, form.clone()).await;
    assert_eq!(paused.status, 303);
    assert!(!is_available());
    let page = server.get(paused.header("location").unwrap()).await.text();
    assert!(page.contains("</strong> is paused.") && page.contains("class=\"state paused\""), "{page}");
    server.post("/operate/providers/mock-red/resume", FORM_URLENCODED, form.clone()).await;
    assert!(is_available());
    let unknown = server.post("/operate/providers/unknown/pause", FORM_URLENCODED, form).await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn event_streams_are_limited_and_end_at_the_stop_signal() {
    let server = TestServer::new().await;
    let (stop, stop_signal) = tokio::sync::watch::channel(false);
    let (live, reports) = (Arc::default(), Arc::default());
    let open = || {
        let gateway = Arc::clone(&server.gateway);
        live_updates::open_stream(Arc::clone(&live), gateway, Arc::clone(&reports), stop_signal.clone())
    };
    let streams: Vec<_> = (0..64).map(|_| open()).collect();
    assert!(streams.iter().all(|stream| stream.status() == 200));
    assert_eq!(open().status(), 503);
    let mut bodies: Vec<_> = streams.into_iter().map(|stream| stream.into_body()).collect();
    for body in &mut bodies {
        let frame = tokio::time::timeout(TEST_TIMEOUT, body.frame()).await;
        let event = frame.unwrap().unwrap().unwrap().into_data().unwrap();
        assert!(event.starts_with(b"data: {"), "{event:?}");
    }
    stop.send(true).unwrap();
    for body in bodies {
        let rest = axum::body::to_bytes(body, usize::MAX);
        let rest = tokio::time::timeout(TEST_TIMEOUT, rest).await;
        rest.expect("the stream does not end").unwrap();
    }
}

#[tokio::test]
async fn an_invalid_search_gets_the_valid_terms() {
    let server = TestServer::new().await;
    let response = server.get("/operate/messages?q=colour%3Ared+state%3Alost").await;
    assert_eq!(response.status, 400);
    for text in ["“colour:” is unknown", "“lost” is not a state"] {
        assert!(response.text().contains(text), "{}", response.text());
    }
    let twice = server.get("/operate/messages?q=state%3Afailed+State%3Awaiting").await;
    assert_eq!(twice.status, 400);
    assert!(twice.text().contains("“state:” is given twice"), "{}", twice.text());
    let hostile = server.get("/operate/messages?q=%3Cscript%3E").await.text();
    assert!(!hostile.contains("<script>") && hostile.contains("&#60;script&#62;"), "{hostile}");
}

#[tokio::test]
async fn only_the_script_of_the_gateway_may_run() {
    let server = TestServer::new().await;
    let page = server.get("/operate").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains(" style=") && !page.text().contains(" onclick="));
    let report = server.get("/").await;
    assert!(!report.header("content-security-policy").unwrap().contains("script-src"));
    let script = server.get("/operate.js").await;
    assert!(script.header("content-type").unwrap().starts_with("text/javascript"));
}
