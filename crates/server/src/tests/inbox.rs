//! The inbox API: its exact responses.

use serde_json::{Value, json};

use super::{TestResponse, TestServer};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::message::Message;
use postrider_engine::config::{Config, Environment};
use postrider_store::MessageQuery;

const LEGACY_VARIABLES: [(&str, &str); 4] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService,BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    ("USED_CHANNELS", "CHANNEL_SMS,CHANNEL_EMAIL,CHANNEL_PUSH"),
];

/// A gateway configured only by the environment variables of the replaced service.
async fn server_with_legacy_variables() -> TestServer {
    TestServer::with(|config| {
        let store_url = config.store_url.clone();
        let (loaded, _) = Config::load(None, &Environment::from(LEGACY_VARIABLES), &[]).unwrap();
        *config = loaded;
        config.store_url = store_url;
    })
    .await
}

fn example() -> Value {
    json!({"userId": "5689c3cf-5acf-4c14-bc32-8e0e6927a061", "email": "user@test.com", "pushToken": "123",
        "phoneNumber": "+48-123-456-789", "message": "Simple test message"})
}

/// Returns the example with some fields changed.
fn with(changes: &Value) -> Value {
    let mut body = example();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn send(server: &TestServer, body: &Value) -> TestResponse {
    server.post_json("/inbox/send", body).await
}

async fn newest(server: &TestServer) -> Message {
    let query = MessageQuery { limit: 1, ..MessageQuery::default() };
    let id = server.gateway.store.search(query).await.unwrap().messages[0].id;
    server.gateway.store.find_message(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_message_goes_over_every_used_channel_and_gets_a_running_number() {
    let server = server_with_legacy_variables().await;
    for number in 1..=2 {
        let response = send(&server, &example()).await;
        response.assert_response(201, &format!(r#"{{"status":"success","data":{{"id":{number}}}}}"#));
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    let message = newest(&server).await;
    assert_eq!(message.user.as_deref(), Some("5689c3cf-5acf-4c14-bc32-8e0e6927a061"));
    let to = message.deliveries.iter();
    let to = to.map(|delivery| (delivery.channel.as_str(), delivery.address.as_str()));
    let expected = [("sms", "+48123456789"), ("email", "user@test.com"), ("push", "123")];
    assert_eq!(to.collect::<Vec<_>>(), expected);
    server.deliver_all().await;
    let sent = newest(&server).await.deliveries;
    assert!(sent.iter().all(|delivery| matches!(delivery.state, DeliveryState::Sent { .. })));
}

#[tokio::test]
async fn a_channel_without_a_contact_fails_without_the_others() {
    let server = server_with_legacy_variables().await;
    let body = with(&json!({"email": null, "phoneNumber": "not a number", "unknown": [1]}));
    assert_eq!(send(&server, &body).await.status, 201);
    server.deliver_all().await;
    let deliveries = newest(&server).await.deliveries;
    let reason = |index: usize| match &deliveries[index].state {
        DeliveryState::Failed { failure: Failure::InvalidRecipient, reason, .. } => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(1), "missing address for this channel");
    assert!(!reason(0).is_empty());
    assert!(matches!(deliveries[2].state, DeliveryState::Sent { .. }), "{deliveries:?}");
    let no_contact = with(&json!({"email": null, "phoneNumber": null, "pushToken": null}));
    assert_eq!(send(&server, &no_contact).await.status, 201);
}

#[tokio::test]
async fn one_violation_is_written_as_promised() {
    let server = server_with_legacy_variables().await;
    let response = send(&server, &with(&json!({"userId": "5689c3cf"}))).await;
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let mut problem = response.json();
    assert!(problem["type"].take().is_string());
    assert_eq!(
        problem,
        json!({"type": null, "title": "Validation Failed", "status": 422,
            "detail": "userId: This is not a valid UUID.",
            "violations": [{"propertyPath": "userId", "title": "This is not a valid UUID."}]})
    );
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn every_violation_is_listed() {
    let server = server_with_legacy_variables().await;
    let long = "x".repeat(1_001);
    for (body, expected) in [
        (json!({}), vec!["userId", "message"]),
        (
            json!({"userId": 7, "message": null, "email": "a@", "phoneNumber": "12", "pushToken": "x"}),
            vec!["userId", "message", "email", "phoneNumber", "pushToken"],
        ),
        (with(&json!({"message": ""})), vec!["message"]),
        (with(&json!({"message": long})), vec!["message"]),
        (with(&json!({"message": "nul \u{0}"})), vec!["message"]),
        (with(&json!({"email": 7, "pushToken": "x".repeat(256)})), vec!["email", "pushToken"]),
        (with(&json!({"userId": "{689c3cf-5acf-4c14-bc32-8e0e6927a06}"})), vec!["userId"]),
    ] {
        let response = send(&server, &body).await;
        assert_eq!(response.status, 422, "{body}");
        let violations = response.json()["violations"].as_array().unwrap().clone();
        let property_paths =
            violations.iter().map(|violation| violation["propertyPath"].as_str().unwrap().to_owned());
        assert_eq!(property_paths.collect::<Vec<_>>(), expected, "{body}");
    }
    assert_eq!(server.message_count().await, 0);
    let longest = with(&json!({"message": "é".repeat(1_000)}));
    assert_eq!(send(&server, &longest).await.status, 201);
}

#[tokio::test]
async fn an_unreadable_request_is_a_problem() {
    let server = server_with_legacy_variables().await;
    let text = example().to_string();
    for (response, status) in [
        (server.post("/inbox/send", "application/json", "{\"userId\":").await, 400),
        (server.post("/inbox/send", "application/json", "[1]").await, 400),
        (server.post("/inbox/send", "text/plain", text.clone()).await, 415),
        (server.post("/inbox/send", "", text).await, 415),
        (server.get("/inbox/send").await, 405),
    ] {
        assert_eq!(response.status.as_u16(), status, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_eq!(response.json()["status"], status);
    }
}

#[tokio::test]
async fn above_the_limit_of_a_user_the_problem_has_a_retry_after() {
    let server = TestServer::with_manual_clock(|config| {
        config.user_per_hour = 1;
        config.channels[0].expects_reply = true;
    })
    .await;
    assert_eq!(send(&server, &example()).await.status, 201);
    let refused = send(&server, &example()).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["type"], "/problems/throttled");
    assert_eq!(server.message_count().await, 1);
    let other = with(&json!({"userId": "5689c3cf-5acf-4c14-bc32-8e0e6927a062"}));
    assert_eq!(send(&server, &other).await.status, 201);
    assert_eq!(server.message_count().await, 2);
}
