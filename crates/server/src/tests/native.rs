//! The native face: submitting, reading, listing, cancelling, receipts, providers, report.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{TestResponse, TestServer};
use postrider_core::address::AddressKind;
use postrider_core::channel::{Addressing, Channel};
use postrider_engine::{resend, sync_report};

async fn submit(world: &TestServer, body: &Value) -> TestResponse {
    world.post_json("/v1/messages", body).await
}

async fn submit_ok(world: &TestServer, body: &Value) -> String {
    let reply = submit(world, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn violation_fields(reply: &TestResponse) -> Vec<String> {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let violations = reply.json()["violations"].as_array().unwrap().clone();
    violations
        .iter()
        .map(|violation| violation["field"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_message_is_created_with_a_location() {
    let world = TestServer::new().await;
    let reply = submit(&world, &json!({"to": "09122222222", "body": "hi"})).await;
    let json = reply.json();
    let id = json["id"].as_str().unwrap();
    assert_eq!(reply.status, 201);
    assert_eq!(
        reply.header("location"),
        Some(format!("/v1/messages/{id}").as_str())
    );
    assert!(reply.header("x-request-id").is_some());
    let deliveries = json!([{"id": 64, "channel": "sms"}]);
    assert_eq!(
        json,
        json!({"id": id, "status": "accepted", "parts": 1, "deliveries": deliveries})
    );
}

#[tokio::test]
async fn a_message_reads_as_promised() {
    let world = TestServer::new().await;
    let id = submit_ok(&world, &json!({"to": {"sms": "09122222222"}, "body": "hi"})).await;
    let waiting = world.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(waiting["deliveries"][0]["state"], "waiting");
    assert!(
        waiting["deliveries"][0]["due_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    world.deliver_all().await;
    let mut read = world.get(&format!("/v1/messages/{id}")).await.json();
    let provider = read["deliveries"][0]["provider"].clone();
    assert!(read["created_at"].take().as_str().unwrap().contains('.'));
    assert!(read["deliveries"][0]["attempts"][0]["at"].take().is_string());
    assert!(
        read["deliveries"][0]["attempts"][0]["duration_ms"]
            .take()
            .is_u64()
    );
    assert!(
        read["deliveries"][0]["next"]
            .take()
            .as_str()
            .unwrap()
            .contains("waits for the receipt")
    );
    let attempt = json!({"provider": provider, "outcome": "accepted", "code": null, "reason": null,
        "at": null, "duration_ms": null, "recipient": null});
    let delivery = json!({"id": 64, "channel": "sms", "recipient": "+989122222222", "state": "sent",
        "failure": null, "round": 1, "due_at": null, "provider": provider, "reference": "ref-64",
        "opened_at": null, "parts": 1, "next": null, "attempts": [attempt]});
    assert_eq!(
        read,
        json!({"id": id, "subject": null, "body": "hi", "created_at": null, "deliveries": [delivery]})
    );
}

/// Channels `sms`, `email` and `push`; the first two are used when a message names none.
async fn server_with_used_channels() -> TestServer {
    TestServer::with(|config| {
        let usual = config.channels.remove(0);
        for name in ["sms", "email", "push"] {
            let kind = AddressKind::parse(name).unwrap_or(AddressKind::Phone);
            config.channels.push(Channel {
                name: name.parse().unwrap(),
                addressing: Addressing::Only(kind),
                ..usual.clone()
            });
        }
        config.used_channels = ["sms", "email"].map(|name| name.parse().unwrap()).to_vec();
        config.has_used_channels = true;
    })
    .await
}

#[tokio::test]
async fn a_message_goes_over_the_used_channels_that_its_addresses_fit() {
    let world = server_with_used_channels().await;
    let [phone, mail] = ["+98 912 222 2222", "ada@example.org"];
    for (to, channels) in [
        (
            json!({"phone": phone, "email": mail, "push": "t"}),
            vec!["sms", "email"],
        ),
        (json!({"email": mail, "push": null}), vec!["email"]),
        (json!(phone), vec!["sms"]),
        (json!({"push": "t"}), vec!["push"]),
        (json!({"email": mail}), vec!["email"]),
        (json!({"sms": phone, "email": mail}), vec!["email", "sms"]),
    ] {
        let reply = submit(&world, &json!({"to": to, "body": "hi"})).await;
        assert_eq!(reply.status, 201, "{to}: {}", reply.text());
        let read = reply.json();
        let listed = read["deliveries"].as_array().unwrap().iter();
        let listed = listed.map(|delivery| delivery["channel"].as_str().unwrap());
        assert_eq!(listed.collect::<Vec<_>>(), channels, "{to}");
    }
    for (body, field, detail) in [
        (
            json!({"to": {"url": "https://a.example"}, "body": "hi"}),
            "to",
            "there is no phone number for the channel sms",
        ),
        (
            json!({"to": {"phone": phone}, "channels": ["sms", "push"], "body": "hi"}),
            "to",
            "there is no push token for the channel push",
        ),
        (
            json!({"to": {"phone": phone, "email": "ada"}, "body": "hi"}),
            "to.email",
            "invalid address format for this channel",
        ),
    ] {
        let reply = submit(&world, &body).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
        assert_eq!(
            reply.json()["violations"],
            json!([{"field": field, "detail": detail}])
        );
    }
}

#[tokio::test]
async fn a_channel_that_is_named_takes_the_address_under_its_name_or_of_its_kind() {
    let world = server_with_used_channels().await;
    let to =
        json!({"sms": "+989121111111", "phone": "+989122222222", "email": "ada@example.org", "push": "t"});
    let body = json!({"to": to, "channels": ["push", "sms"], "subject": "News", "body": "hi"});
    let reply = submit(&world, &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let read = world.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(read["subject"], "News");
    assert_eq!(read["deliveries"][0]["recipient"], "t");
    assert_eq!(read["deliveries"][1]["recipient"], "+989121111111");
}

#[tokio::test]
async fn everything_that_is_wrong_is_listed_at_once() {
    let world = TestServer::new().await;
    let wrong = json!({"to": 7, "body": "", "channels": ["pigeon"], "user_id": "", "send_at": "soon",
        "expires_at": "2030-01-01T00:00:00Z", "ttl": "10m", "priority": "urgent", "bodi": "x"});
    let reply = submit(&world, &wrong).await;
    assert_eq!(reply.status, 422);
    let mut listed = violation_fields(&reply);
    listed.sort();
    let expected = [
        "bodi",
        "body",
        "channels.0",
        "priority",
        "send_at",
        "to",
        "ttl",
        "user_id",
    ];
    assert_eq!(listed, expected);
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn what_only_the_flow_can_judge_is_a_violation_too() {
    let world = TestServer::new().await;
    for (body, field) in [
        (json!({"to": "123", "body": "hi"}), "to.sms"),
        (json!({"to": {"email": "a@b.c"}, "body": "hi"}), "to"),
        (json!({"to": {"phone": "123"}, "body": "hi"}), "to.phone"),
        (json!({"to": {"fax": "0912"}, "body": "hi"}), "to.fax"),
        (json!({"to": {"phone": 7}, "body": "hi"}), "to.phone"),
        (
            json!({"to": "09122222222", "body": "hi", "subject": 7}),
            "subject",
        ),
        (
            json!({"to": "09122222222", "body": "hi", "subject": "a\r\nb"}),
            "subject",
        ),
        (
            json!({"to": {"sms": "09122222222"}, "channels": ["sms", "email"], "body": "hi"}),
            "channels.1",
        ),
        (
            json!({"to": "09122222222", "body": "hi", "expires_at": "2001-01-01T00:00:00Z"}),
            "expires_at",
        ),
        (json!({"to": "09122222222", "body": "a\0b"}), "body"),
        (json!({"to": "09122222222", "body": "x".repeat(1_601)}), "body"),
        (json!({"to": "09122222222", "body": "hi", "ttl": u64::MAX}), "ttl"),
    ] {
        let reply = submit(&world, &body).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
        assert_eq!(violation_fields(&reply), [field], "{}", reply.text());
    }
    assert_eq!(world.message_count().await, 0);
}

#[tokio::test]
async fn broken_json_and_other_content_types_are_problems() {
    let world = TestServer::new().await;
    for (content_type, body, status, kind) in [
        ("application/json", &b"{"[..], 400, "/problems/broken-json"),
        ("application/json", b"[]", 400, "/problems/broken-json"),
        (
            "application/json",
            b"{\"body\":\"\xff\"}",
            400,
            "/problems/broken-json",
        ),
        ("text/plain", b"{}", 415, "/problems/content-type"),
        (
            "application/json",
            &[b' '; 100_000],
            413,
            "/problems/body-too-long",
        ),
    ] {
        let reply = world.post("/v1/messages", content_type, body.to_vec()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["type"]),
            (status, &json!(kind))
        );
    }
}

#[tokio::test]
async fn times_decide_when_it_goes_out() {
    let world = TestServer::new().await;
    let later = json!({"to": "09122222222", "body": "hi", "send_at": "2099-01-01T00:00:00+01:00", "ttl": 60});
    let id = submit_ok(&world, &later).await;
    world.deliver_all().await;
    let read = world.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(read["deliveries"][0]["due_at"], "2098-12-31T23:00:00.000Z");
    assert_eq!(read["deliveries"][0]["attempts"], json!([]));
}

#[tokio::test]
async fn what_waits_can_be_called_off_once() {
    let world = TestServer::new().await;
    let delete = async |id: &str| {
        let request = Request::delete(format!("/v1/messages/{id}"));
        world.request(request.body(Body::empty()).unwrap()).await
    };
    let id = submit_ok(&world, &json!({"to": "09122222222", "body": "hi"})).await;
    assert_eq!(delete(&id).await.json(), json!({"id": id, "cancelled": 1}));
    let counted = world.get("/metrics").await.text();
    let line = r#"postrider_state_changes_total{channel="sms",state="failed"} 1"#;
    assert!(counted.contains(line), "{counted}");
    let again = delete(&id).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["type"]),
        (409, &json!("/problems/too-late"))
    );
    assert_eq!(delete("0190b6a0-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(delete("%ff").await.status, 404);
    assert_eq!(
        world.get("/v1/messages/nonsense").await.json()["type"],
        "/problems/not-found"
    );
}

#[tokio::test]
async fn what_an_operator_sends_at_once_is_counted() {
    let world = TestServer::new().await;
    let later = json!({"to": "09122222222", "body": "hi", "send_at": "2099-01-01T00:00:00Z"});
    let id = submit_ok(&world, &later).await;
    let found = world
        .gateway
        .store
        .find_message(id.parse().unwrap())
        .await
        .unwrap();
    let delivery = found.unwrap().deliveries[0].id;
    let expires_at = world.gateway.clock.now();
    let revived = resend::requeue(&world.gateway, &[delivery], expires_at, |_| {}).await;
    assert_eq!(revived.unwrap(), 1);
    let counted = world.get("/metrics").await.text();
    let line = r#"postrider_state_changes_total{channel="sms",state="waiting"} 1"#;
    assert!(counted.contains(line), "{counted}");
}

#[tokio::test]
async fn a_list_is_walked_by_its_cursor() {
    let world = TestServer::new().await;
    for body in ["one", "two", "three"] {
        submit_ok(&world, &json!({"to": "09122222222", "body": body})).await;
    }
    submit_ok(&world, &json!({"to": "09133333333", "body": "other"})).await;
    let mut bodies = Vec::new();
    let mut path = "/v1/messages?to=0912+222+2222&state=waiting&limit=2".to_owned();
    loop {
        let page = world.get(&path).await.json();
        for message in page["messages"].as_array().unwrap() {
            bodies.push(message["body"].as_str().unwrap().to_owned());
            assert!(message["deliveries"][0].get("attempts").is_none());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/messages?to=%2B989122222222&state=waiting&limit=2&cursor={next}");
    }
    assert_eq!(bodies, ["three", "two", "one"]);
    for to in ["+989122222222", "+09122222222", "%2B989122222222"] {
        let page = world.get(&format!("/v1/messages?to={to}")).await.json();
        assert_eq!(page["messages"].as_array().unwrap().len(), 3, "{to}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_would_be_right() {
    let world = TestServer::new().await;
    for (query, field, part) in [
        ("state=lost", "state", "waiting, sent"),
        ("limit=0", "limit", "1 to 100"),
        ("limit=101", "limit", "1 to 100"),
        ("since=yesterday", "since", "2030-"),
        ("cursor=x", "cursor", "next"),
        ("to=abc", "to", "address"),
        ("page=2", "page", "known are"),
        ("to=%zz", "query", "hexadecimal"),
    ] {
        let reply = world.get(&format!("/v1/messages?{query}")).await;
        assert_eq!(
            (reply.status.as_u16(), violation_fields(&reply)),
            (400, vec![field.to_owned()])
        );
        assert!(
            reply.json()["detail"].as_str().unwrap().contains(part),
            "{}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_providers_receipt_is_checked_read_and_applied() {
    let world = TestServer::new().await;
    let id = submit_ok(&world, &json!({"to": "09122222222", "body": "hi"})).await;
    world.deliver_all().await;
    let delivery = world.get(&format!("/v1/messages/{id}")).await.json()["deliveries"][0].clone();
    let carrier = delivery["provider"].as_str().unwrap();
    let call = async |provider: &str, secret: &str, body: String| {
        let request = Request::post(format!("/v1/receipts/{provider}")).header("x-secret", secret);
        world.request(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(call("nobody", "sesame", String::new()).await.status, 404);
    assert_eq!(call(carrier, "guess", String::new()).await.status, 403);
    assert_eq!(call(carrier, "sesame", "?".to_owned()).await.status, 400);
    let taken = call(carrier, "sesame", "delivered ref-64".to_owned()).await;
    taken.assert_response(200, r#"{"received":1}"#);
    let read = world.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(read["deliveries"][0]["state"], "delivered");
}

#[tokio::test]
async fn providers_and_report_show_what_happened() {
    let world = TestServer::new().await;
    assert_eq!(
        world.get("/v1/report").await.json()["type"],
        "/problems/not-found"
    );
    submit_ok(&world, &json!({"to": "09122222222", "body": "hi"})).await;
    world.deliver_all().await;
    sync_report::sync(&world.gateway, |_| {}).await.unwrap();
    let report = world.get("/v1/report").await.json();
    assert_eq!(
        (&report["messages"], &report["totals"]["sent"]),
        (&json!(1), &json!(1))
    );
    assert!(report["as_of"].is_string() && report["next_due_at"].is_string());
    let line = &report["providers"][0];
    assert_eq!(
        (&line["attempts"], &line["fault_percent"]),
        (&json!(1), &json!(0.0))
    );
    assert!(line["p95_ms"].is_u64());
    let providers = world.get("/v1/providers").await.json();
    let blue = &providers["providers"][0];
    assert_eq!(
        (&blue["name"], &blue["kind"]),
        (&json!("mock-blue"), &json!("mock"))
    );
    let part = json!({"channel": "sms", "strategy": "round_robin", "weight": null, "share_percent": 50.0});
    assert_eq!(blue["channels"], json!([part]));
}

#[tokio::test]
async fn a_store_out_of_reach_is_a_problem_without_its_inside() {
    let world = TestServer::new().await;
    let _lock = world.lock_store();
    let reply = submit(&world, &json!({"to": "09122222222", "body": "hi"})).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (503, Some("2"))
    );
    assert_eq!(reply.json()["type"], "/problems/unavailable");
    assert!(!reply.text().contains("database"), "{}", reply.text());
}

#[tokio::test]
async fn the_same_key_is_answered_again_and_other_words_are_refused() {
    let world = TestServer::new().await;
    let ask = async |body: Value| {
        let request = Request::post("/v1/messages")
            .header("content-type", "application/json; charset=utf-8")
            .header("idempotency-key", "order-7");
        world
            .request(request.body(Body::from(body.to_string())).unwrap())
            .await
    };
    let first = ask(json!({"to": "09122222222", "body": "hi"})).await;
    let again = ask(json!({"body": "hi", "to": "09122222222"})).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (201, Some("true"))
    );
    assert_eq!(first.text(), again.text());
    let other = ask(json!({"to": "09122222222", "body": "ho"})).await;
    assert_eq!(
        (other.status.as_u16(), &other.json()["type"]),
        (422, &json!("/problems/key-reused"))
    );
}
