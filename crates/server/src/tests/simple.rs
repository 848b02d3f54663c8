//! The simple API: its exact responses.

use axum::body::Body;
use axum::http::Request;

use super::TestServer;

const WRONG_NUMBER: &str = r#"{"Data":[],"Message":["wrong number"]}"#;
const NO_BODY: &str = r#"{"Data":[],"Message":["there must be a body"]}"#;
const NOT_11: &str = r#"{"Data":[],"Message":["number should be 11"]}"#;

#[tokio::test]
async fn a_message_is_accepted_and_gets_an_id() {
    let server = TestServer::new().await;
    for path in ["/sms/send?number=09122222222&body=hi", "/sms/send/?body=hi&number=%2B989122222222"] {
        let response = server.get(path).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("application/json"));
        let json = response.json();
        let id = json["Data"][0]["id"].as_str().unwrap();
        response.assert_response(
            200,
            &format!(r#"{{"Data":[{{"id":"{id}","status":"accepted","parts":1}}],"Message":""}}"#),
        );
        let message = server.gateway.store.find_message(id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(message.body, "hi");
        assert_eq!(message.deliveries[0].address, "+989122222222");
    }
}

#[tokio::test]
async fn the_three_promised_errors_are_checked_in_order() {
    let server = TestServer::new().await;
    for (path, text) in [
        ("/sms/send", WRONG_NUMBER),
        ("/sms/send?number=&body=", WRONG_NUMBER),
        ("/sms/send?body=hi", WRONG_NUMBER),
        ("/sms/send?number=09122222222", NO_BODY),
        ("/sms/send?number=123", NO_BODY),
        ("/sms/send?number=123&body=hi", NOT_11),
        ("/sms/send?number=0912222222a&body=hi", NOT_11),
    ] {
        server.get(path).await.assert_response(400, text);
    }
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn a_form_works_like_a_query() {
    let server = TestServer::new().await;
    let form = "application/x-www-form-urlencoded";
    let response = server.post("/sms/send", form, "number=09122222222&body=a+b%26c").await;
    assert_eq!(response.status, 200, "{}", response.text());
    server.post("/sms/send/", form, "number=").await.assert_response(400, WRONG_NUMBER);
    let response = server.post("/sms/send?number=09122222222&body=hi", form, "").await;
    assert_eq!(response.status, 200, "{}", response.text());
    let response = server.post("/sms/send", "text/plain", "number=1").await;
    assert_eq!(response.status, 415);
    assert!(response.text().starts_with(r#"{"Data":[],"Message":["send the fields"#), "{}", response.text());
    assert_eq!(server.message_count().await, 2);
}

#[tokio::test]
async fn an_invalid_or_too_long_field_is_refused_in_the_same_envelope() {
    let server = TestServer::new().await;
    let long = "x".repeat(server.gateway.config.limits.message_chars_max + 1);
    for (query, part) in [
        ("body=%zz", "two hexadecimal digits"),
        ("body=%", "two hexadecimal digits"),
        ("body=%FF", "UTF-8"),
        ("body=a%00b", "NUL"),
        (&format!("body={long}"), "longer than"),
    ] {
        let response = server.get(&format!("/sms/send?number=09122222222&{query}")).await;
        assert_eq!(response.status, 400, "{query}");
        let message = &response.json()["Message"][0];
        assert!(message.as_str().unwrap().contains(part), "{message}");
    }
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn a_repeated_request_with_the_same_idempotency_key_is_sent_once() {
    let server = TestServer::new().await;
    let send = async |path: &str, key: &str| {
        let request = Request::get(path).header("idempotency-key", key).body(Body::empty()).unwrap();
        server.request(request).await
    };
    let first = send("/sms/send?number=09122222222&body=hi", "k-1").await;
    let again = send("/sms/send?number=09122222222&body=hi", "k-1").await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (200, None));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.text(), again.text());
    let changed_body = send("/sms/send?number=09122222222&body=ho", "k-1").await;
    assert_eq!(changed_body.status, 422);
    assert_eq!(changed_body.json()["Data"], serde_json::json!([]));
    for bad in ["", "a b", &"k".repeat(256)] {
        assert_eq!(send("/sms/send?number=09122222222&body=hi", bad).await.status, 400, "{bad}");
    }
    assert_eq!(server.message_count().await, 1);
}

#[tokio::test]
async fn an_unavailable_store_is_503_with_retry_after() {
    let server = TestServer::new().await;
    let lock = server.lock_store();
    let response = server.get("/sms/send?number=09122222222&body=hi").await;
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(response.header("retry-after"), Some("2"));
    assert!(response.json()["Message"][0].as_str().unwrap().contains("try again"));
    drop(lock);
    assert_eq!(server.get("/sms/send?number=09122222222&body=hi").await.status, 200);
    assert_eq!(server.message_count().await, 1);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_in_the_same_envelope() {
    let server = TestServer::new().await;
    for method in ["HEAD", "PUT", "DELETE"] {
        let request = Request::builder().method(method).uri("/sms/send?number=09122222222&body=hi");
        let response = server.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status, 405, "{method}");
        let allow = response.header("allow").unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }
    let response = server.get("/sms/receive").await;
    assert_eq!(response.status, 404);
    assert_eq!(response.json()["Data"], serde_json::json!([]));
    assert_eq!(server.message_count().await, 0);
}
