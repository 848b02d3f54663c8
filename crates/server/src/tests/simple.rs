//! The simple face, word for word.

use axum::body::Body;
use axum::http::Request;

use super::TestServer;

const WRONG_NUMBER: &str = r#"{"Data":[],"Message":["wrong number"]}"#;
const NO_BODY: &str = r#"{"Data":[],"Message":["there must be a body"]}"#;
const NOT_11: &str = r#"{"Data":[],"Message":["number should be 11"]}"#;

#[tokio::test]
async fn a_message_is_taken_and_named() {
    let world = TestServer::new().await;
    for path in [
        "/sms/send?number=09122222222&body=hi",
        "/sms/send/?body=hi&number=%2B989122222222",
    ] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let json = reply.json();
        let id = json["Data"][0]["id"].as_str().unwrap();
        reply.assert_response(
            200,
            &format!(r#"{{"Data":[{{"id":"{id}","status":"accepted","parts":1}}],"Message":""}}"#),
        );
        let message = world
            .gateway
            .store
            .find_message(id.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(message.body, "hi");
        assert_eq!(message.deliveries[0].address, "+989122222222");
    }
}

#[tokio::test]
async fn the_three_promised_texts_come_in_their_order() {
    let world = TestServer::new().await;
    for (path, text) in [
        ("/sms/send", WRONG_NUMBER),
        ("/sms/send?number=&body=", WRONG_NUMBER),
        ("/sms/send?body=hi", WRONG_NUMBER),
        ("/sms/send?number=09122222222", NO_BODY),
        ("/sms/send?number=123", NO_BODY),
        ("/sms/send?number=123&body=hi", NOT_11),
        ("/sms/send?number=0912222222a&body=hi", NOT_11),
    ] {
        world.get(path).await.assert_response(400, text);
    }
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn a_form_says_the_same_as_a_query() {
    let world = TestServer::new().await;
    let form = "application/x-www-form-urlencoded";
    let reply = world
        .post("/sms/send", form, "number=09122222222&body=a+b%26c")
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    world
        .post("/sms/send/", form, "number=")
        .await
        .assert_response(400, WRONG_NUMBER);
    let reply = world.post("/sms/send?number=09122222222&body=hi", form, "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = world.post("/sms/send", "text/plain", "number=1").await;
    assert_eq!(reply.status, 415);
    assert!(
        reply
            .text()
            .starts_with(r#"{"Data":[],"Message":["send the fields"#),
        "{}",
        reply.text()
    );
    assert_eq!(world.message_count().await, 2);
}

#[tokio::test]
async fn what_is_garbled_or_too_long_is_refused_in_the_same_envelope() {
    let world = TestServer::new().await;
    let long = "x".repeat(world.gateway.config.limits.message_chars_max + 1);
    for (query, part) in [
        ("body=%zz", "two hexadecimal digits"),
        ("body=%", "two hexadecimal digits"),
        ("body=%FF", "UTF-8"),
        ("body=a%00b", "NUL"),
        (&format!("body={long}"), "longer than"),
    ] {
        let reply = world.get(&format!("/sms/send?number=09122222222&{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        let message = &reply.json()["Message"][0];
        assert!(message.as_str().unwrap().contains(part), "{message}");
    }
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_answered_again_and_sent_once() {
    let world = TestServer::new().await;
    let ask = async |path: &str, key: &str| {
        let request = Request::get(path)
            .header("idempotency-key", key)
            .body(Body::empty())
            .unwrap();
        world.request(request).await
    };
    let first = ask("/sms/send?number=09122222222&body=hi", "k-1").await;
    let again = ask("/sms/send?number=09122222222&body=hi", "k-1").await;
    assert_eq!(
        (first.status.as_u16(), first.header("idempotency-replayed")),
        (200, None)
    );
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.text(), again.text());
    let other = ask("/sms/send?number=09122222222&body=ho", "k-1").await;
    assert_eq!(other.status, 422);
    assert_eq!(other.json()["Data"], serde_json::json!([]));
    for bad in ["", "a b", &"k".repeat(256)] {
        assert_eq!(
            ask("/sms/send?number=09122222222&body=hi", bad).await.status,
            400,
            "{bad}"
        );
    }
    assert_eq!(world.message_count().await, 1);
}

#[tokio::test]
async fn a_store_out_of_reach_is_503_and_says_when_to_come_back() {
    let world = TestServer::new().await;
    let lock = world.lock_store();
    let reply = world.get("/sms/send?number=09122222222&body=hi").await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert!(reply.json()["Message"][0].as_str().unwrap().contains("try again"));
    drop(lock);
    assert_eq!(
        world.get("/sms/send?number=09122222222&body=hi").await.status,
        200
    );
    assert_eq!(world.message_count().await, 1);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_in_the_same_envelope() {
    let world = TestServer::new().await;
    for method in ["HEAD", "PUT", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri("/sms/send?number=09122222222&body=hi");
        let reply = world.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 405, "{method}");
        let allow = reply.header("allow").unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }
    let reply = world.get("/sms/receive").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json()["Data"], serde_json::json!([]));
    assert_eq!(world.message_count().await, 0);
}
