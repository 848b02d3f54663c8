//! Users, broadcasts and inboxes on the native face, and the pages that show them.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer};
use postrider_core::broadcast::{BroadcastAudience, NewBroadcast};
use postrider_core::id::MessageId;
use postrider_core::priority::Priority;
use postrider_engine::fan_out;

async fn register(world: &TestServer, ids: &[&str]) {
    let users = ids.iter().map(|id| json!({"id": id}));
    let reply = world.post_json("/v1/users", &users.collect::<Value>()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

async fn publish(world: &TestServer, broadcast: Value) -> String {
    let reply = world.post_json("/v1/broadcasts", &broadcast).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        reply.header("location"),
        Some(format!("/v1/broadcasts/{id}").as_str())
    );
    id
}

async fn spread(world: &TestServer) -> u64 {
    fan_out::fan_out_all(&world.gateway, || true).await.unwrap()
}

/// The newest message in a user's inbox.
async fn newest(world: &TestServer, user: &str) -> Value {
    let inbox = world.get(&format!("/v1/users/{user}/inbox")).await;
    assert_eq!(inbox.status, 200, "{}", inbox.text());
    inbox.json()["messages"][0].clone()
}

async fn read(world: &TestServer, user: &str, message: &Value) -> TestResponse {
    let path = format!("/v1/users/{user}/inbox/{}/read", message.as_str().unwrap());
    world
        .request(Request::post(path).body(Body::empty()).unwrap())
        .await
}

fn violation(reply: &TestResponse) -> String {
    assert_eq!(reply.status, 422, "{}", reply.text());
    let first = &reply.json()["violations"][0];
    format!(
        "{}: {}",
        first["field"].as_str().unwrap(),
        first["detail"].as_str().unwrap()
    )
}

#[tokio::test]
async fn a_user_registers_once_and_is_changed_in_what_is_given() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    let ana = json!({"id": "ana", "name": "Ana", "contacts": {"phone": "0912 222 2222", "email": null}});
    let first = world.post_json("/v1/users", &ana).await;
    assert_eq!(first.status, 201);
    let known = json!({"id": "ana", "name": "Ana", "contacts": {"phone": "+989122222222"},
        "registered_at": "2023-11-14T22:13:20.000Z"});
    assert_eq!(first.json(), known);
    let again = world
        .post_json("/v1/users", &json!({"id": "ana", "name": null}))
        .await;
    assert_eq!((again.status.as_u16(), again.json()), (200, known.clone()));
    assert_eq!(world.get("/v1/users/ana").await.json(), known);
    let renamed = world
        .post_json("/v1/users", &json!({"id": "ana", "name": "Anna", "contacts": {}}))
        .await;
    assert_eq!(renamed.status, 200);
    assert_eq!(
        (&renamed.json()["name"], &renamed.json()["contacts"]),
        (&json!("Anna"), &json!({}))
    );
    assert_eq!(world.get("/v1/users/nobody").await.status, 404);
    let odd = json!([{"id": "ana", "contacts": {"phone": "0912 222 2222\n"}}]);
    for changed in [1, 0] {
        let reply = world.post_json("/v1/users", &odd).await;
        assert_eq!(reply.json()["changed"], json!(changed), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_list_of_users_is_registered_altogether_or_not_at_all() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    let list = json!([{"id": "ana"}, {"id": "ben"}, {"id": "ana", "name": "Ana"}]);
    let first = world.post_json("/v1/users", &list).await;
    assert_eq!(
        (first.status.as_u16(), first.json()),
        (201, json!({"added": 2, "changed": 1, "unchanged": 0}))
    );
    let again = world.post_json("/v1/users", &list).await;
    assert_eq!(
        (again.status.as_u16(), again.json()),
        (200, json!({"added": 0, "changed": 0, "unchanged": 3}))
    );
    let half = json!([{"id": "cid"}, {"id": "dan", "contacts": {"email": "nobody"}}]);
    let refused = violation(&world.post_json("/v1/users", &half).await);
    assert!(refused.starts_with("1.contacts.email: "), "{refused}");
    assert_eq!(world.get("/v1/users/cid").await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_user_is_named() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    for (user, wrong) in [
        (json!({}), "id: is missing"),
        (json!({"id": 7}), "id: must be a text"),
        (json!({"id": ""}), "id: must be one line"),
        (json!({"id": "a".repeat(256)}), "id: must be one line"),
        (json!({"id": "a", "name": " "}), "name: must be one line"),
        (json!({"id": "a", "nick": "x"}), "nick: there is no such field"),
        (json!({"id": "a", "contacts": "x"}), "contacts: must be an object"),
        (
            json!({"id": "a", "contacts": {"pigeon": "x"}}),
            "contacts.pigeon: must be phone",
        ),
        (
            json!({"id": "a", "contacts": {"phone": 7}}),
            "contacts.phone: must be a text",
        ),
        (json!([]), "body: must be a list of 1 to 1000 users"),
        (json!([7]), "0: must be an object"),
        (json!(7), "body: must be a user or a list"),
    ] {
        let said = violation(&world.post_json("/v1/users", &user).await);
        assert!(said.starts_with(wrong), "{user}: {said}");
    }
}

#[tokio::test]
async fn a_broadcast_to_all_is_for_those_registered_at_that_moment() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    register(&world, &["ana", "ben"]).await;
    let id = publish(&world, json!({"body": "hello", "all": true})).await;
    register(&world, &["cid"]).await;
    assert_eq!(spread(&world).await, 2);
    assert_eq!(spread(&world).await, 0);
    world.deliver_all().await;
    assert_eq!(newest(&world, "ana").await["broadcast"], json!(id));
    assert_eq!(newest(&world, "cid").await, Value::Null);
    let counts = world.get(&format!("/v1/broadcasts/{id}")).await.json();
    let wanted = json!({"id": id, "body": "hello", "channel": "sms", "created_at": "2023-11-14T22:13:20.000Z",
        "spread": true, "users": 2, "sent": 2, "received": 0, "opened": 0, "unconfirmed": 2, "waiting": 0, "failed": 0,
        "unreachable": 0, "refused": 0, "forgotten": 0, "received_ratio": "0.00", "opened_ratio": null});
    assert_eq!(counts, wanted);
}

#[tokio::test]
async fn what_is_wrong_with_a_broadcast_is_named() {
    let world = TestServer::with_manual_clock(|config| config.limits.body_bytes_max = 1 << 20).await;
    register(&world, &["ana"]).await;
    let long = "x".repeat(world.gateway.config.limits.message_chars_max + 1);
    let many = (0..=10_000).map(|which| which.to_string()).collect::<Vec<_>>();
    for (broadcast, wrong) in [
        (json!({"all": true}), "body: is missing"),
        (json!({"body": "", "all": true}), "body: there must be a body"),
        (
            json!({"body": long, "all": true}),
            "body: the body is longer than",
        ),
        (
            json!({"body": "a\u{0}", "all": true}),
            "body: the body must not contain",
        ),
        (json!({"body": "a"}), "users: is missing"),
        (json!({"body": "a", "all": false}), "users: is missing"),
        (
            json!({"body": "a", "all": true, "users": ["ana"]}),
            "users: must not stand beside all",
        ),
        (json!({"body": "a", "all": "yes"}), "all: must be true or false"),
        (json!({"body": "a", "users": []}), "users: must name at least one"),
        (
            json!({"body": "a", "users": "ana"}),
            "users: must be a list of texts",
        ),
        (
            json!({"body": "a", "users": many}),
            "users: must not name more than 10000",
        ),
        (
            json!({"body": "a", "users": ["ana", "zoe"]}),
            "users: names who has not registered: \"zoe\"",
        ),
        (
            json!({"body": "a", "users": (10..21).map(|which| which.to_string()).collect::<Vec<_>>()}),
            "users: names who has not registered: \"10\", \"11\", \"12\", \"13\", \"14\", \"15\", \"16\", \"17\", \"18\", \
             \"19\" and one other",
        ),
        (
            json!({"body": "a", "all": true, "channel": "pigeon"}),
            "channel: there is no channel \"pigeon\"",
        ),
        (
            json!({"body": "a", "all": true, "when": 1}),
            "when: there is no such field",
        ),
    ] {
        let said = violation(&world.post_json("/v1/broadcasts", &broadcast).await);
        assert!(said.starts_with(wrong), "{broadcast}: {said}");
    }
    assert_eq!(world.gateway.store.broadcasts(None, 9).await.unwrap(), []);
    for id in ["nothing", "0190b2a0-0000-7000-8000-000000000000"] {
        assert_eq!(world.get(&format!("/v1/broadcasts/{id}")).await.status, 404);
    }
}

#[tokio::test]
async fn a_broadcast_is_published_once_under_its_key() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    register(&world, &["ana"]).await;
    let publish = |body: &str| {
        let request = Request::post("/v1/broadcasts")
            .header("content-type", "application/json")
            .header("idempotency-key", "monday");
        let body = json!({"body": body, "all": true}).to_string();
        world.request(request.body(Body::from(body)).unwrap())
    };
    let first = publish("news").await;
    let again = publish("news").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.json(), again.json());
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    let other = publish("other news").await;
    assert_eq!(other.status, 422, "{}", other.text());
    assert_eq!(spread(&world).await, 1);
}

#[tokio::test]
async fn who_has_no_address_on_the_channel_is_unreachable() {
    let world = TestServer::with_phone_channels().await;
    let users = json!([{"id": "ana", "contacts": {"phone": "09122222222"}}, {"id": "ben"},
        {"id": "cid", "contacts": {"email": "cid@example.org"}}]);
    assert_eq!(world.post_json("/v1/users", &users).await.status, 201);
    let id = publish(&world, json!({"body": "hello", "users": ["cid", "ana", "ben"]})).await;
    assert_eq!(spread(&world).await, 1);
    let counts = world.get(&format!("/v1/broadcasts/{id}")).await.json();
    let counted =
        ["users", "sent", "unreachable", "refused", "waiting"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!(counted, [3, 1, 2, 0, 1]);
}

#[tokio::test]
async fn a_broadcast_waits_for_a_channel_that_is_not_configured_and_others_pass_it() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    register(&world, &["ana"]).await;
    let elsewhere = NewBroadcast {
        id: MessageId::new(world.gateway.clock.now(), world.gateway.random.bytes()),
        body: "news".to_owned(),
        channel: "pigeon".parse().unwrap(),
        audience: BroadcastAudience::All,
        caller: String::new(),
        idempotency: None,
        created_at: world.gateway.clock.now(),
    };
    let waiting = elsewhere.id;
    world.gateway.store.create_broadcast(elsewhere).await.unwrap();
    publish(&world, json!({"body": "hello", "all": true})).await;
    assert_eq!(spread(&world).await, 1, "only the second");
    let counts = world.get(&format!("/v1/broadcasts/{waiting}")).await.json();
    assert_eq!(
        (&counts["spread"], &counts["unreachable"]),
        (&json!(false), &json!(0))
    );
    let page = world.get(&format!("/broadcasts/{waiting}")).await.text();
    assert!(page.contains("waiting for a configuration"), "{page}");
}

#[tokio::test]
async fn a_broadcast_lets_one_time_codes_go_first_also_on_their_own_channel() {
    let world = TestServer::with_manual_clock(|config| {
        for channel in &mut config.channels {
            channel.priority = Priority::High;
        }
    })
    .await;
    register(&world, &["ana"]).await;
    publish(&world, json!({"body": "news", "all": true})).await;
    spread(&world).await;
    let query = postrider_store::UsageQuery {
        user: Some("ana".to_owned()),
        limit: 1,
        ..Default::default()
    };
    let store = &world.gateway.store;
    let news = store.usage(query).await.unwrap().messages[0].deliveries[0].id;
    let (now, lease) = (world.gateway.clock.now(), std::time::Duration::from_secs(9));
    let claimed = store.claim(vec![news], now, lease).await.unwrap();
    assert_eq!(claimed[0].priority, Priority::Normal);
}

#[tokio::test]
async fn a_message_is_read_once_and_only_when_it_arrived() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    register(&world, &["ana", "ben"]).await;
    let id = publish(&world, json!({"body": "hello", "all": true})).await;
    spread(&world).await;
    let query = postrider_store::UsageQuery {
        user: Some("ana".to_owned()),
        limit: 1,
        ..Default::default()
    };
    let waiting = world.gateway.store.usage(query).await.unwrap().messages[0].id;
    let waiting = json!(waiting.to_string());
    assert_eq!(newest(&world, "ana").await, Value::Null, "it has not left");
    let early = read(&world, "ana", &waiting).await;
    assert_eq!(early.status, 200, "{}", early.text());
    assert_eq!(
        early.json(),
        json!({"id": waiting, "state": "waiting", "opened_at": null})
    );
    world.deliver_all().await;
    let letter = newest(&world, "ana").await;
    assert_eq!(
        (&letter["state"], &letter["opened_at"]),
        (&json!("sent"), &Value::Null)
    );
    let opened = json!({"id": waiting, "state": "delivered", "opened_at": "2023-11-14T22:13:20.000Z"});
    assert_eq!(read(&world, "ana", &waiting).await.json(), opened);
    world.gateway.clock.advance(std::time::Duration::from_secs(9));
    assert_eq!(read(&world, "ana", &waiting).await.json(), opened);
    assert_eq!(read(&world, "ben", &waiting).await.status, 404, "it is not hers");
    assert_eq!(
        read(&world, "zoe", &waiting).await.status,
        404,
        "nobody is called so"
    );
    assert_eq!(read(&world, "ana", &json!("nothing")).await.status, 404);
    let counts = world.get(&format!("/v1/broadcasts/{id}")).await.json();
    let ratios = (&counts["received_ratio"], &counts["opened_ratio"]);
    assert_eq!(ratios, (&json!("0.50"), &json!("1.00")));
    assert_eq!(
        (&counts["received"], &counts["opened"], &counts["unconfirmed"]),
        (&json!(1), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn an_inbox_is_read_page_by_page() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    register(&world, &["ana"]).await;
    for body in ["one", "two", "three"] {
        publish(&world, json!({"body": body, "users": ["ana"]})).await;
    }
    spread(&world).await;
    world.deliver_all().await;
    let first = world.get("/v1/users/ana/inbox?limit=2").await.json();
    let bodies = |page: &Value| {
        let messages = page["messages"].as_array().unwrap().iter();
        messages.map(|one| one["body"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(&first), ["three", "two"]);
    let next = first["next"].as_str().unwrap();
    let second = world
        .get(&format!("/v1/users/ana/inbox?limit=2&cursor={next}"))
        .await
        .json();
    assert_eq!(
        (bodies(&second), &second["next"]),
        (vec![json!("one")], &Value::Null)
    );
    for query in ["limit=0", "limit=x", "cursor=x", "user=ana"] {
        assert_eq!(
            world.get(&format!("/v1/users/ana/inbox?{query}")).await.status,
            400,
            "{query}"
        );
    }
    assert_eq!(world.get("/v1/users/zoe/inbox").await.status, 404);
}

#[tokio::test]
async fn pages_show_a_broadcast_and_escape_what_it_says() {
    let world = TestServer::with_manual_clock(|_| {}).await;
    let empty = world.get("/broadcasts").await;
    assert_eq!(empty.status, 200);
    assert!(
        empty.text().contains("Nothing has been published"),
        "{}",
        empty.text()
    );
    register(&world, &["ana"]).await;
    let id = publish(&world, json!({"body": "<script>alert(1)</script>", "all": true})).await;
    let list = world.get("/broadcasts").await.text();
    assert!(
        list.contains(&format!("/broadcasts/{id}")) && list.contains("0 of 1 users"),
        "{list}"
    );
    spread(&world).await;
    let page = world.get(&format!("/broadcasts/{id}")).await.text();
    assert!(
        page.contains("finished") && !page.contains("<script>alert"),
        "{page}"
    );
    for path in [
        "/broadcasts/nothing",
        "/broadcasts/%ff",
        "/broadcasts/0190b2a0-0000-7000-8000-000000000000",
    ] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}
