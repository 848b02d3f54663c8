//! Broadcasts and user inboxes in the native API, and the broadcast pages.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer};
use postrider_core::broadcast::{BroadcastAudience, NewBroadcast};
use postrider_core::capacity::Capacity;
use postrider_core::delivery::DeliveryState;
use postrider_core::id::MessageId;
use postrider_core::priority::Priority;
use postrider_core::round::CompletedRound;
use postrider_engine::fan_out;

async fn register(server: &TestServer, ids: &[&str]) {
    let users = ids.iter().map(|id| json!({"id": id}));
    let response = server.post_json("/v1/users", &users.collect::<Value>()).await;
    assert_eq!(response.status, 201, "{}", response.text());
}

async fn publish(server: &TestServer, broadcast: Value) -> String {
    let response = server.post_json("/v1/broadcasts", &broadcast).await;
    assert_eq!(response.status, 202, "{}", response.text());
    let id = response.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(response.header("location"), Some(format!("/v1/broadcasts/{id}").as_str()));
    id
}

async fn fan_out_all(server: &TestServer) -> u64 {
    fan_out::fan_out_all(&server.gateway, || true).await.unwrap()
}

/// The newest message in a user's inbox.
async fn newest(server: &TestServer, user: &str) -> Value {
    let inbox = server.get(&format!("/v1/users/{user}/inbox")).await;
    assert_eq!(inbox.status, 200, "{}", inbox.text());
    inbox.json()["messages"][0].clone()
}

async fn mark_read(server: &TestServer, user: &str, message: &Value) -> TestResponse {
    let path = format!("/v1/users/{user}/inbox/{}/read", message.as_str().unwrap());
    server.request(Request::post(path).body(Body::empty()).unwrap()).await
}

pub(super) fn violation(response: &TestResponse) -> String {
    assert_eq!(response.status, 422, "{}", response.text());
    let first = &response.json()["violations"][0];
    format!("{}: {}", first["field"].as_str().unwrap(), first["detail"].as_str().unwrap())
}

#[tokio::test]
async fn a_broadcast_to_all_goes_to_the_users_registered_when_it_was_accepted() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    register(&server, &["ana", "ben"]).await;
    let id = publish(&server, json!({"body": "hello", "all": true})).await;
    register(&server, &["cid"]).await;
    assert_eq!(fan_out_all(&server).await, 2);
    assert_eq!(fan_out_all(&server).await, 0);
    server.deliver_all().await;
    assert_eq!(newest(&server, "ana").await["broadcast_id"], json!(id));
    assert_eq!(newest(&server, "cid").await, Value::Null);
    let counts = server.get(&format!("/v1/broadcasts/{id}")).await.json();
    let expected = json!({"id": id, "body": "hello", "channel": "sms", "created_at": "2023-11-14T22:13:20.000Z",
        "fanned_out": true, "users": 2, "sent": 2, "received": 0, "opened": 0, "unconfirmed": 2, "waiting": 0, "failed": 0,
        "unreachable": 0, "refused": 0, "pruned": 0, "received_ratio": "0.00", "opened_ratio": null});
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn an_invalid_field_of_a_broadcast_is_reported() {
    let server = TestServer::with_manual_clock(|config| config.limits.body_bytes_max = 1 << 20).await;
    register(&server, &["ana"]).await;
    let long = "x".repeat(server.gateway.config.limits.message_chars_max + 1);
    let too_many_users = (0..=10_000).map(|number| number.to_string()).collect::<Vec<_>>();
    for (broadcast, expected) in [
        (json!({"all": true}), "body: is missing"),
        (json!({"body": "", "all": true}), "body: there must be a body"),
        (json!({"body": long, "all": true}), "body: the body is longer than"),
        (json!({"body": "a\u{0}", "all": true}), "body: the body must not contain"),
        (json!({"body": "a"}), "users: is missing"),
        (json!({"body": "a", "all": false}), "users: is missing"),
        (json!({"body": "a", "all": true, "users": ["ana"]}), "users: cannot be combined with all"),
        (json!({"body": "a", "all": "yes"}), "all: must be true or false"),
        (json!({"body": "a", "users": []}), "users: must name at least one"),
        (json!({"body": "a", "users": "ana"}), "users: must be a list of strings"),
        (json!({"body": "a", "users": too_many_users}), "users: must not name more than 10000"),
        (json!({"body": "a", "users": ["ana", "zoe"]}), "users: contains unregistered users: \"zoe\""),
        (
            json!({"body": "a", "users": (10..21).map(|number| number.to_string()).collect::<Vec<_>>()}),
            "users: contains unregistered users: \"10\", \"11\", \"12\", \"13\", \"14\", \"15\", \"16\", \"17\", \"18\", \
             \"19\" and one other",
        ),
        (json!({"body": "a", "all": true, "channel": "pigeon"}), "channel: unknown channel \"pigeon\""),
        (json!({"body": "a", "all": true, "when": 1}), "when: unknown field"),
    ] {
        let reported = violation(&server.post_json("/v1/broadcasts", &broadcast).await);
        assert!(reported.starts_with(expected), "{broadcast}: {reported}");
    }
    assert_eq!(server.gateway.store.broadcasts(None, None, 9).await.unwrap(), []);
    for id in ["nothing", "0190b2a0-0000-7000-8000-000000000000"] {
        assert_eq!(server.get(&format!("/v1/broadcasts/{id}")).await.status, 404);
    }
}

#[tokio::test]
async fn a_broadcast_is_published_once_for_its_idempotency_key() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    register(&server, &["ana"]).await;
    let publish = |body: &str| {
        let request = Request::post("/v1/broadcasts")
            .header("content-type", "application/json")
            .header("idempotency-key", "monday");
        let body = json!({"body": body, "all": true}).to_string();
        server.request(request.body(Body::from(body)).unwrap())
    };
    let first = publish("news").await;
    let again = publish("news").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.json(), again.json());
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        (None, Some("true"))
    );
    let changed_body = publish("other news").await;
    assert_eq!(changed_body.status, 422, "{}", changed_body.text());
    assert_eq!(fan_out_all(&server).await, 1);
}

#[tokio::test]
async fn a_user_without_an_address_on_the_channel_is_unreachable() {
    let server = TestServer::with_phone_channels().await;
    let users = json!([{"id": "ana", "contacts": {"phone": "09122222222"}}, {"id": "ben"},
        {"id": "cid", "contacts": {"email": "cid@example.org"}}]);
    assert_eq!(server.post_json("/v1/users", &users).await.status, 201);
    let id = publish(&server, json!({"body": "hello", "users": ["cid", "ana", "ben"]})).await;
    assert_eq!(fan_out_all(&server).await, 1);
    let counts = server.get(&format!("/v1/broadcasts/{id}")).await.json();
    let counted =
        ["users", "sent", "unreachable", "refused", "waiting"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!(counted, [3, 1, 2, 0, 1]);
}

#[tokio::test]
async fn a_broadcast_over_an_unconfigured_channel_does_not_block_others() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    register(&server, &["ana"]).await;
    let unconfigured = NewBroadcast {
        id: MessageId::new(server.gateway.clock.now(), server.gateway.random.bytes()),
        body: "news".to_owned(),
        channel: "pigeon".parse().unwrap(),
        audience: BroadcastAudience::All,
        caller: String::new(),
        owner: String::new(),
        throttles: vec![],
        idempotency: None,
        created_at: server.gateway.clock.now(),
    };
    let waiting = unconfigured.id;
    server.gateway.store.create_broadcast(unconfigured).await.unwrap();
    publish(&server, json!({"body": "hello", "all": true})).await;
    assert_eq!(fan_out_all(&server).await, 1, "only the second");
    let counts = server.get(&format!("/v1/broadcasts/{waiting}")).await.json();
    assert_eq!((&counts["fanned_out"], &counts["unreachable"]), (&json!(false), &json!(0)));
    let page = server.get(&format!("/broadcasts/{waiting}")).await.text();
    assert!(page.contains("waiting for a configuration"), "{page}");
}

#[tokio::test]
async fn a_broadcast_has_normal_priority_also_on_a_high_priority_channel() {
    let server = TestServer::with_manual_clock(|config| {
        for channel in &mut config.channels {
            channel.priority = Priority::High;
        }
    })
    .await;
    register(&server, &["ana"]).await;
    publish(&server, json!({"body": "news", "all": true})).await;
    fan_out_all(&server).await;
    let query = postrider_store::UsageQuery { user: Some("ana".to_owned()), limit: 1, ..Default::default() };
    let store = &server.gateway.store;
    let delivery = store.usage(query).await.unwrap().messages[0].deliveries[0].id;
    let (now, lease) = (server.gateway.clock.now(), std::time::Duration::from_secs(9));
    let claimed = store.claim(vec![delivery], now, lease).await.unwrap();
    assert_eq!(claimed[0].priority, Priority::Normal);
}

#[tokio::test]
async fn a_message_is_marked_as_read_once_and_only_after_it_was_sent() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    register(&server, &["ana", "ben"]).await;
    let id = publish(&server, json!({"body": "hello", "all": true})).await;
    fan_out_all(&server).await;
    let query = postrider_store::UsageQuery { user: Some("ana".to_owned()), limit: 1, ..Default::default() };
    let waiting = server.gateway.store.usage(query).await.unwrap().messages[0].id;
    let waiting = json!(waiting.to_string());
    assert_eq!(newest(&server, "ana").await, Value::Null, "it was not sent yet");
    let early = mark_read(&server, "ana", &waiting).await;
    assert_eq!(early.status, 200, "{}", early.text());
    assert_eq!(early.json(), json!({"id": waiting, "state": "waiting", "opened_at": null}));
    server.deliver_all().await;
    let message = newest(&server, "ana").await;
    assert_eq!((&message["state"], &message["opened_at"]), (&json!("sent"), &Value::Null));
    let opened = json!({"id": waiting, "state": "delivered", "opened_at": "2023-11-14T22:13:20.000Z"});
    assert_eq!(mark_read(&server, "ana", &waiting).await.json(), opened);
    server.gateway.clock.advance(std::time::Duration::from_secs(9));
    assert_eq!(mark_read(&server, "ana", &waiting).await.json(), opened);
    assert_eq!(mark_read(&server, "ben", &waiting).await.status, 404, "it belongs to another user");
    assert_eq!(mark_read(&server, "zoe", &waiting).await.status, 404, "there is no such user");
    assert_eq!(mark_read(&server, "ana", &json!("nothing")).await.status, 404);
    let counts = server.get(&format!("/v1/broadcasts/{id}")).await.json();
    let ratios = (&counts["received_ratio"], &counts["opened_ratio"]);
    assert_eq!(ratios, (&json!("0.50"), &json!("1.00")));
    assert_eq!(
        (&counts["received"], &counts["opened"], &counts["unconfirmed"]),
        (&json!(1), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn an_inbox_is_read_page_by_page() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    register(&server, &["ana"]).await;
    for body in ["one", "two", "three"] {
        publish(&server, json!({"body": body, "users": ["ana"]})).await;
    }
    fan_out_all(&server).await;
    server.deliver_all().await;
    let first = server.get("/v1/users/ana/inbox?limit=2").await.json();
    let bodies = |page: &Value| {
        let messages = page["messages"].as_array().unwrap().iter();
        messages.map(|message| message["body"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(&first), ["three", "two"]);
    let next = first["next_cursor"].as_str().unwrap();
    let second = server.get(&format!("/v1/users/ana/inbox?limit=2&cursor={next}")).await.json();
    assert_eq!((bodies(&second), &second["next_cursor"]), (vec![json!("one")], &Value::Null));
    for query in ["limit=0", "limit=x", "cursor=x", "user=ana"] {
        assert_eq!(server.get(&format!("/v1/users/ana/inbox?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(server.get("/v1/users/zoe/inbox").await.status, 404);
}

/// Records a round of the only due delivery, which is tried again in an hour.
async fn postpone(server: &TestServer, reason: &str) {
    let (store, now) = (&server.gateway.store, server.gateway.clock.now());
    let due = store.due(now, &Capacity::total(1)).await.unwrap();
    let claim = store.claim(vec![due[0].id], now, Duration::from_secs(60)).await.unwrap().remove(0);
    let state =
        DeliveryState::Waiting { due_at: now + Duration::from_secs(3_600), reason: Some(reason.to_owned()) };
    let round = CompletedRound {
        id: claim.id,
        round: claim.round,
        attempts: Vec::new(),
        state,
        tries: 0,
        expires_at: claim.expires_at,
        at: now,
        event_target: None,
    };
    store.record(vec![round]).await.unwrap();
}

#[tokio::test]
async fn pages_show_a_broadcast_and_escape_its_body() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    let empty = server.get("/broadcasts").await;
    assert_eq!(empty.status, 200);
    assert!(empty.text().contains("No broadcasts yet"), "{}", empty.text());
    register(&server, &["ana"]).await;
    let id = publish(&server, json!({"body": "<script>alert(1)</script>", "all": true})).await;
    let list = server.get("/broadcasts").await.text();
    assert!(list.contains(&format!("/broadcasts/{id}")) && list.contains("0 of 1 users"), "{list}");
    fan_out_all(&server).await;
    let page = server.get(&format!("/broadcasts/{id}")).await.text();
    assert!(page.contains("finished") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("not sent yet; next try 2023-11-14 22:13:20 UTC"), "{page}");
    postpone(&server, "daily quota used up").await;
    let page = server.get(&format!("/broadcasts/{id}")).await.text();
    let meaning =
        "not sent yet; next try 2023-11-14 23:13:20 UTC; wait because, for example: daily quota used up";
    assert!(page.contains(meaning), "{page}");
    for path in ["/broadcasts/nothing", "/broadcasts/%ff", "/broadcasts/0190b2a0-0000-7000-8000-000000000000"]
    {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}
