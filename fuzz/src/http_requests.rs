//! Requests to every HTTP API: paths, query strings, forms and JSON bodies.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use postrider_engine::config::Config;
use postrider_engine::testing::{GatewayBuilder, open_store};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::{RUNTIME, texts};

/// Routes of a gateway in test mode, and the folder of its store.
static SERVER: LazyLock<(Router, TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = RUNTIME.block_on(GatewayBuilder::new(Config::test_mode()).wire(&open_store(folder.path())));
    (postrider_server::testing::router(&Arc::new(gateway)), folder)
});

/// Sends the input as a request: method and path with query in the first line, content type in the second, then the body.
pub fn run(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut next_part = || parts.next().unwrap_or_default();
    let (target, content_type, body) = (next_part(), next_part(), next_part());
    let target = String::from_utf8_lossy(target);
    let Some((method, path)) = target.split_once(' ') else { return };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", content_type)
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return };
    let path = request.uri().path().to_owned();
    if path.ends_with("/events") {
        // An event stream never ends.
        return;
    }
    let response = RUNTIME.block_on(SERVER.0.clone().oneshot(request)).expect("a response");
    assert!(!response.status().is_server_error(), "{method} {path}: {}", response.status());
}

/// Returns valid requests to each API.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "GET /sms/send?number=09122222222&body=hello+world\n\n",
        "POST /sms/send\napplication/x-www-form-urlencoded\nnumber=09122222222&body=50%25+off",
        "POST /messages\napplication/x-www-form-urlencoded\nphone_number=09122222222&message_body=hello",
        "POST /messages\napplication/json\n{\"phone_number\":\"09122222222\",\"message_body\":\"hello\"}",
        "POST /messages/delivery_status?token=x\napplication/x-www-form-urlencoded\nstatus=delivered&message_id=1",
        "POST /inbox/send\napplication/json\n{\"userId\":\"5689c3cf-4a5c-4b3e-9a51-0e3c6a2f1b77\",\"title\":\"a\",\"body\":\"b\"}",
        "POST /v1/messages\napplication/json\n{\"to\":{\"phone\":\"09122222222\"},\"body\":\"hello\",\"ttl\":\"10m\",\"priority\":\"high\"}",
        "POST /v1/messages\napplication/json\n{\"to\":\"09122222222\",\"body\":\"hello\",\"send_at\":\"2099-01-01T00:00:00Z\"}",
        "POST /v1/users\napplication/json\n{\"id\":\"ana\",\"contacts\":{\"phone\":\"09122222222\"}}",
        "POST /v1/broadcasts\napplication/json\n{\"body\":\"hello\",\"all\":true,\"channels\":[\"sms\"]}",
        "GET /v1/messages?to=09122222222&state=sent&since=2026-05-01T00:00:00Z&limit=10\n\n",
        "GET /v1/usage/totals?user=ana&since=2026-05-01\n\n",
        "PUT /v1/recipients/sms/09122222222\napplication/json\n{\"status\":\"opted_out\",\"reason\":\"asked\"}",
        "GET /operate/messages?q=state%3Afailed+since%3A2h\n\n",
        "POST /v1/receipts/mock-blue?token=x\napplication/json\n{}",
    ])
}
