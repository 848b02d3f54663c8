//! The inbox face, word for word.

use serde_json::{Value, json};

use super::{TestResponse, TestServer};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::message::Message;
use postrider_engine::config::{Config, Environment};
use postrider_store::MessageQuery;

const SERVICE: [(&str, &str); 4] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService,BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    ("USED_CHANNELS", "CHANNEL_SMS,CHANNEL_EMAIL,CHANNEL_PUSH"),
];

/// A gateway configured by the service's own variables alone.
async fn world() -> TestServer {
    TestServer::with(|config| {
        let store_url = config.store_url.clone();
        let (loaded, _) = Config::load(None, &Environment::from(SERVICE), &[]).unwrap();
        *config = loaded;
        config.store_url = store_url;
    })
    .await
}

fn example() -> Value {
    json!({"userId": "5689c3cf-5acf-4c14-bc32-8e0e6927a061", "email": "user@test.com", "pushToken": "123",
        "phoneNumber": "+48-123-456-789", "message": "Simple test message"})
}

/// The example with some fields changed; null takes one away.
fn with(changes: &Value) -> Value {
    let mut body = example();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn send(world: &TestServer, body: &Value) -> TestResponse {
    world.post_json("/inbox/send", body).await
}

async fn newest(world: &TestServer) -> Message {
    let query = MessageQuery {
        limit: 1,
        ..MessageQuery::default()
    };
    let id = world.gateway.store.search(query).await.unwrap().messages[0].id;
    world.gateway.store.find_message(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_message_goes_over_every_used_channel_under_a_running_number() {
    let world = world().await;
    for number in 1..=2 {
        let reply = send(&world, &example()).await;
        reply.assert_response(
            201,
            &format!(r#"{{"status":"success","data":{{"id":{number}}}}}"#),
        );
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let message = newest(&world).await;
    assert_eq!(
        message.user.as_deref(),
        Some("5689c3cf-5acf-4c14-bc32-8e0e6927a061")
    );
    let to = message.deliveries.iter();
    let to = to.map(|delivery| (delivery.channel.as_str(), delivery.address.as_str()));
    let expected = [
        ("sms", "+48123456789"),
        ("email", "user@test.com"),
        ("push", "123"),
    ];
    assert_eq!(to.collect::<Vec<_>>(), expected);
    world.deliver_all().await;
    let sent = newest(&world).await.deliveries;
    assert!(
        sent.iter()
            .all(|delivery| matches!(delivery.state, DeliveryState::Sent { .. }))
    );
}

#[tokio::test]
async fn a_channel_without_a_contact_fails_alone() {
    let world = world().await;
    let body = with(&json!({"email": null, "phoneNumber": "not a number", "unknown": [1]}));
    assert_eq!(send(&world, &body).await.status, 201);
    world.deliver_all().await;
    let deliveries = newest(&world).await.deliveries;
    let reason = |place: usize| match &deliveries[place].state {
        DeliveryState::Failed {
            failure: Failure::InvalidRecipient,
            reason,
            ..
        } => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(1), "missing address for this channel");
    assert!(!reason(0).is_empty());
    assert!(
        matches!(deliveries[2].state, DeliveryState::Sent { .. }),
        "{deliveries:?}"
    );
    let nobody = with(&json!({"email": null, "phoneNumber": null, "pushToken": null}));
    assert_eq!(send(&world, &nobody).await.status, 201);
}

#[tokio::test]
async fn one_violation_reads_as_promised() {
    let world = world().await;
    let reply = send(&world, &with(&json!({"userId": "5689c3cf"}))).await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let mut problem = reply.json();
    assert!(problem["type"].take().is_string());
    assert_eq!(
        problem,
        json!({"type": null, "title": "Validation Failed", "status": 422,
            "detail": "userId: This is not a valid UUID.",
            "violations": [{"propertyPath": "userId", "title": "This is not a valid UUID."}]})
    );
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn every_violation_is_listed() {
    let world = world().await;
    let long = "x".repeat(1_001);
    for (body, wrong) in [
        (json!({}), vec!["userId", "message"]),
        (
            json!({"userId": 7, "message": null, "email": "a@", "phoneNumber": "12", "pushToken": "x"}),
            vec!["userId", "message", "email", "phoneNumber", "pushToken"],
        ),
        (with(&json!({"message": ""})), vec!["message"]),
        (with(&json!({"message": long})), vec!["message"]),
        (with(&json!({"message": "nul \u{0}"})), vec!["message"]),
        (
            with(&json!({"email": 7, "pushToken": "x".repeat(256)})),
            vec!["email", "pushToken"],
        ),
        (
            with(&json!({"userId": "{689c3cf-5acf-4c14-bc32-8e0e6927a06}"})),
            vec!["userId"],
        ),
    ] {
        let reply = send(&world, &body).await;
        assert_eq!(reply.status, 422, "{body}");
        let listed = reply.json()["violations"].as_array().unwrap().clone();
        let listed = listed
            .iter()
            .map(|one| one["propertyPath"].as_str().unwrap().to_owned());
        assert_eq!(listed.collect::<Vec<_>>(), wrong, "{body}");
    }
    assert_eq!(world.message_count().await, 0);
    let longest = with(&json!({"message": "é".repeat(1_000)}));
    assert_eq!(send(&world, &longest).await.status, 201);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_too() {
    let world = world().await;
    let text = example().to_string();
    for (reply, status) in [
        (
            world
                .post("/inbox/send", "application/json", "{\"userId\":")
                .await,
            400,
        ),
        (world.post("/inbox/send", "application/json", "[1]").await, 400),
        (world.post("/inbox/send", "text/plain", text.clone()).await, 415),
        (world.post("/inbox/send", "", text).await, 415),
        (world.get("/inbox/send").await, 405),
    ] {
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(reply.json()["status"], status);
    }
}

#[tokio::test]
async fn a_user_who_has_had_enough_is_told_so_with_429() {
    let world = TestServer::with_manual_clock(|config| {
        config.user_per_hour = 1;
        config.channels[0].expects_reply = true;
    })
    .await;
    assert_eq!(send(&world, &example()).await.status, 201);
    let refused = send(&world, &example()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (429, Some("3600"))
    );
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(world.message_count().await, 1);
}

#[tokio::test]
async fn above_a_users_limit_a_problem_says_when_to_come_back() {
    let world = TestServer::with_manual_clock(|config| {
        config.user_per_hour = 1;
        config.channels[0].expects_reply = true;
    })
    .await;
    assert_eq!(send(&world, &example()).await.status, 201);
    let refused = send(&world, &example()).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["type"], "/problems/throttled");
    let other = with(&json!({"userId": "5689c3cf-5acf-4c14-bc32-8e0e6927a062"}));
    assert_eq!(send(&world, &other).await.status, 201);
    assert_eq!(world.message_count().await, 2);
}
