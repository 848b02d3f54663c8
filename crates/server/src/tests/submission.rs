//! The native API: the fields of a submitted message.

use serde_json::json;

use super::TestServer;
use super::native::{submit, violation_fields};
use postrider_core::address::AddressKind;
use postrider_core::channel::{Addressing, Channel};

/// Channels `sms`, `email` and `push`; the first two are used if a message names none.
async fn server_with_used_channels() -> TestServer {
    TestServer::with(|config| {
        let template = config.channels.remove(0);
        for name in ["sms", "email", "push"] {
            let kind = AddressKind::parse(name).unwrap_or(AddressKind::Phone);
            config.channels.push(Channel {
                name: name.parse().unwrap(),
                addressing: Addressing::Only(kind),
                ..template.clone()
            });
        }
        config.used_channels = ["sms", "email"].map(|name| name.parse().unwrap()).to_vec();
        config.has_used_channels = true;
    })
    .await
}

#[tokio::test]
async fn a_message_goes_over_the_used_channels_that_can_use_its_addresses() {
    let server = server_with_used_channels().await;
    let [phone, mail] = ["+98 912 222 2222", "ada@example.org"];
    for (to, channels) in [
        (json!({"phone": phone, "email": mail, "push": "t"}), vec!["sms", "email"]),
        (json!({"email": mail, "push": null}), vec!["email"]),
        (json!(phone), vec!["sms"]),
        (json!({"push": "t"}), vec!["push"]),
        (json!({"email": mail}), vec!["email"]),
        (json!({"sms": phone, "email": mail}), vec!["email", "sms"]),
    ] {
        let response = submit(&server, &json!({"to": to, "body": "hi"})).await;
        assert_eq!(response.status, 201, "{to}: {}", response.text());
        let accepted = response.json();
        let deliveries = accepted["deliveries"].as_array().unwrap().iter();
        let delivery_channels = deliveries.map(|delivery| delivery["channel"].as_str().unwrap());
        assert_eq!(delivery_channels.collect::<Vec<_>>(), channels, "{to}");
    }
    for (body, field, detail) in [
        (
            json!({"to": {"url": "https://a.example"}, "body": "hi"}),
            "to",
            "no phone number for the channel sms",
        ),
        (
            json!({"to": {"phone": phone}, "channels": ["sms", "push"], "body": "hi"}),
            "to",
            "no push token for the channel push",
        ),
        (
            json!({"to": {"phone": phone, "email": "ada"}, "body": "hi"}),
            "to.email",
            "invalid e-mail address: expected one @ between a name and a domain",
        ),
    ] {
        let response = submit(&server, &body).await;
        assert_eq!(response.status, 422, "{}", response.text());
        assert_eq!(response.json()["violations"], json!([{"field": field, "detail": detail}]));
    }
}

#[tokio::test]
async fn a_named_channel_takes_the_address_under_its_name_or_of_its_kind() {
    let server = server_with_used_channels().await;
    let to =
        json!({"sms": "+989121111111", "phone": "+989122222222", "email": "ada@example.org", "push": "t"});
    let body = json!({"to": to, "channels": ["push", "sms"], "subject": "News", "body": "hi"});
    let response = submit(&server, &body).await;
    assert_eq!(response.status, 201, "{}", response.text());
    let id = response.json()["id"].as_str().unwrap().to_owned();
    let message = server.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(message["subject"], "News");
    assert_eq!(message["deliveries"][0]["recipient"], "t");
    assert_eq!(message["deliveries"][1]["recipient"], "+989121111111");
}

#[tokio::test]
async fn all_invalid_fields_are_listed_at_once() {
    let server = TestServer::new().await;
    let invalid = json!({"to": 7, "body": "", "channels": ["pigeon"], "user_id": "", "send_at": "soon",
        "expires_at": "2030-01-01T00:00:00Z", "ttl": "10m", "priority": "urgent", "bodi": "x"});
    let response = submit(&server, &invalid).await;
    assert_eq!(response.status, 422);
    let mut invalid_fields = violation_fields(&response);
    invalid_fields.sort();
    let expected = ["bodi", "body", "channels.0", "priority", "send_at", "to", "ttl", "user_id"];
    assert_eq!(invalid_fields, expected);
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn an_error_of_the_engine_is_a_violation_of_its_field() {
    let server = TestServer::new().await;
    for (body, field) in [
        (json!({"to": "123", "body": "hi"}), "to"),
        (json!({"to": {"sms": "123"}, "body": "hi"}), "to.sms"),
        (json!({"to": {"email": "a@b.c"}, "body": "hi"}), "to"),
        (json!({"to": {"phone": "123"}, "body": "hi"}), "to.phone"),
        (json!({"to": {"fax": "0912"}, "body": "hi"}), "to.fax"),
        (json!({"to": {"phone": 7}, "body": "hi"}), "to.phone"),
        (json!({"to": "09122222222", "body": "hi", "subject": 7}), "subject"),
        (json!({"to": "09122222222", "body": "hi", "subject": "a\r\nb"}), "subject"),
        (json!({"to": {"sms": "09122222222"}, "channels": ["sms", "email"], "body": "hi"}), "channels.1"),
        (json!({"to": "09122222222", "body": "hi", "expires_at": "2001-01-01T00:00:00Z"}), "expires_at"),
        (json!({"to": "09122222222", "body": "a\0b"}), "body"),
        (json!({"to": "09122222222", "body": "x".repeat(1_601)}), "body"),
        (json!({"to": "09122222222", "body": "hi", "ttl": u64::MAX}), "ttl"),
    ] {
        let response = submit(&server, &body).await;
        assert_eq!(response.status, 422, "{}", response.text());
        assert_eq!(violation_fields(&response), [field], "{}", response.text());
    }
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn malformed_json_and_other_content_types_are_problems() {
    let server = TestServer::new().await;
    for (content_type, body, status, kind) in [
        ("application/json", &b"{"[..], 400, "/problems/malformed-json"),
        ("application/json", b"[]", 400, "/problems/unexpected-json"),
        ("application/json", b"{\"body\":\"\xff\"}", 400, "/problems/malformed-json"),
        ("text/plain", b"{}", 415, "/problems/unsupported-media-type"),
        ("application/json", &[b' '; 100_000], 413, "/problems/content-too-large"),
    ] {
        let response = server.post("/v1/messages", content_type, body.to_vec()).await;
        assert_eq!((response.status.as_u16(), &response.json()["type"]), (status, &json!(kind)));
    }
}
