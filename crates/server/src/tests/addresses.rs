//! One status for all spellings of an address, and addresses and texts that are refused when a message is accepted.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::native::{submit, violation_fields};
use super::{TestResponse, TestServer};
use postrider_core::address::AddressKind;
use postrider_core::channel::{Addressing, Channel};

/// Channels `sms`, `email` and `push`; all are used by messages that name none.
async fn server() -> TestServer {
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
        config.used_channels = ["sms", "email", "push"].map(|name| name.parse().unwrap()).to_vec();
        config.has_used_channels = true;
    })
    .await
}

async fn set_status(server: &TestServer, channel: &str, address: &str, status: &str) {
    let address: String = form_urlencoded::byte_serialize(address.as_bytes()).collect();
    let path = format!("/v1/recipients/{channel}/{}", address.replace('+', "%20"));
    let request = Request::put(path).header("content-type", "application/json");
    let response =
        server.request(request.body(Body::from(json!({"status": status}).to_string())).unwrap()).await;
    assert_eq!(response.status, 200, "{}", response.text());
}

fn violations(response: &TestResponse) -> Vec<(String, String)> {
    let violations = response.json()["violations"].clone();
    let text = |violation: &Value, name: &str| violation[name].as_str().unwrap().to_owned();
    let violations = violations.as_array().unwrap_or_else(|| panic!("{}", response.text())).iter();
    violations.map(|violation| (text(violation, "field"), text(violation, "detail"))).collect()
}

#[tokio::test]
async fn an_opt_out_holds_for_every_spelling_of_the_address() {
    let token = "0f744707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bbad78";
    for (channel, opted_out, spellings) in [
        (
            "email",
            "Ada@Example.org",
            &["ada@example.org", "ADA@example.org", "\u{200B}ada@example.org", "ada@example.org\u{A0}"][..],
        ),
        ("email", "user@bücher.example", &["user@xn--bcher-kva.example", "User@BÜCHER.example"]),
        ("email", "user@उदाहरण.परीक्षा", &["user@xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"]),
        ("email", "a..b@docomo.example", &["\"a..b\"@docomo.example"]),
        ("push", token, &[&*token.to_ascii_uppercase()]),
        ("sms", "09122222222", &["+98 912 222 2222", "۰۹۱۲۲۲۲۲۲۲۲"]),
    ] {
        let server = server().await;
        set_status(&server, channel, opted_out, "opted_out").await;
        for spelling in spellings.iter().chain([&opted_out]) {
            let message = json!({"to": {channel: spelling}, "channels": [channel], "body": "hi"});
            let response = submit(&server, &message).await;
            assert_eq!(response.status, 422, "{spelling:?}: {}", response.text());
            assert_eq!(response.json()["type"], "/problems/opted-out", "{spelling:?}");
        }
    }
}

#[tokio::test]
async fn opted_out_and_inactive_are_told_apart() {
    let server = server().await;
    for (status, problem, detail) in [
        ("opted_out", "/problems/opted-out", "the recipient has opted out"),
        ("inactive", "/problems/inactive", "the recipient is inactive"),
    ] {
        set_status(&server, "sms", "09122222224", status).await;
        let response = submit(&server, &json!({"to": "09122222224", "body": "hi"})).await;
        assert_eq!((response.status.as_u16(), &response.json()["type"]), (422, &json!(problem)));
        assert_eq!(response.json()["detail"], detail);
        let simple = server.get("/sms/send?number=09122222224&body=x").await;
        simple.assert_response(400, r#"{"Data":[],"Message":["number is inactive"]}"#);
    }
}

#[tokio::test]
async fn real_addresses_are_accepted() {
    let server = server().await;
    for address in ["user@उदाहरण.परीक्षा", "user@نامه\u{200C}ای.com", "a..b@docomo.example", "root@localhost"]
    {
        let response = submit(&server, &json!({"to": address, "body": "hi"})).await;
        assert_eq!(response.status, 201, "{address}: {}", response.text());
        assert_eq!(response.json()["deliveries"].as_array().unwrap().len(), 1, "{address}");
    }
}

#[tokio::test]
async fn a_bare_address_stands_for_one_kind() {
    let server = server().await;
    for (to, channel) in [("09122222222", "sms"), ("ada@example.org", "email")] {
        let response = submit(&server, &json!({"to": to, "body": "hi"})).await;
        let deliveries = response.json()["deliveries"].clone();
        let channels = deliveries.as_array().unwrap().iter().map(|delivery| delivery["channel"].clone());
        assert_eq!(channels.collect::<Vec<_>>(), [channel], "{to}");
    }
    for (to, detail) in [
        ("abc", "the address has an invalid character: \"a\" (U+0061)"),
        ("12", "too short for a phone number: 2 digits"),
        ("", "missing address"),
        ("https://example.org", "no phone number for the channel sms"),
    ] {
        let response = submit(&server, &json!({"to": to, "body": "hi"})).await;
        assert_eq!(violations(&response), [("to".to_owned(), detail.to_owned())], "{to:?}");
    }
    let named = submit(&server, &json!({"to": "abc", "channels": ["push"], "body": "hi"})).await;
    assert_eq!(named.status, 201, "{}", named.text());
}

#[tokio::test]
async fn every_violation_is_listed_as_the_client_named_it() {
    let server = server().await;
    for (body, fields) in [
        (json!({"to": "12", "body": "x", "ttl": "600", "priority": "x"}), &["ttl", "priority", "to"][..]),
        (
            json!({"to": {"phone": "12", "email": "nomail"}, "channels": ["sms", "email"], "body": "x"}),
            &["to.phone", "to.email"],
        ),
        (json!({"to": {"sms": "12", "email": "nomail"}, "body": "x"}), &["to.email", "to.sms"]),
        (json!({"to": "", "channels": ["sms"], "body": "x"}), &["to"]),
        (json!({"to": "12", "channels": ["sms", "email"], "body": ""}), &["body", "to"]),
    ] {
        let response = submit(&server, &body).await;
        let mut found = violation_fields(&response);
        let mut expected = fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{body}");
    }
}

#[tokio::test]
async fn an_empty_body_and_other_json_are_not_called_malformed() {
    let server = server().await;
    for (body, problem, detail) in [
        ("", "/problems/empty-body", "the body is empty; send a JSON object"),
        (" \n", "/problems/empty-body", "the body is empty; send a JSON object"),
        ("[]", "/problems/unexpected-json", "the body is an array; send a JSON object"),
        ("null", "/problems/unexpected-json", "the body is null; send a JSON object"),
        ("\"x\"", "/problems/unexpected-json", "the body is a string; send a JSON object"),
        (
            "{\"to\":",
            "/problems/malformed-json",
            "the body is not a JSON object in UTF-8: error at line 1, column 6",
        ),
    ] {
        let request = Request::post("/v1/messages").header("content-type", "application/json");
        let response = server.request(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(response.status, 400, "{body:?}");
        assert_eq!((&response.json()["type"], &response.json()["detail"]), (&json!(problem), &json!(detail)));
    }
}

#[tokio::test]
async fn a_text_is_limited_by_the_kind_of_its_address() {
    let server = server().await;
    for (to, body, detail) in [
        (json!({"push": "t"}), "\u{1F600}".repeat(1_100), Some("4,500 bytes")),
        (json!({"push": "t"}), "\u{1F600}".repeat(999), None),
        (json!({"phone": "09122222222"}), "س".repeat(1_006), Some("16 parts")),
        (json!({"phone": "09122222222"}), "س".repeat(1_005), None),
        (json!({"phone": "09122222222"}), "a".repeat(1_600), None),
        (json!({"email": "ada@example.org"}), "\u{1F600}".repeat(1_100), None),
    ] {
        let response = submit(&server, &json!({"to": to, "body": body})).await;
        match detail {
            None => assert_eq!(response.status, 201, "{to}: {}", response.text()),
            Some(detail) => {
                let violations = violations(&response);
                assert_eq!(violations[0].0, "body");
                let text = violations[0].1.replace("4500", "4,500");
                assert!(text.contains(detail), "{text}");
            }
        }
    }
    let too_long = submit(&server, &json!({"to": {"push": "t"}, "body": "\u{1F600}".repeat(1_100)})).await;
    assert!(too_long.text().contains("push services accept 4,096 bytes"), "{}", too_long.text());
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let server = server().await;
    for number in ["0912123456", "0000000000", "0012345678", "0123456789", "091212345678"] {
        let simple = server.get(&format!("/sms/send?number={number}&body=x")).await;
        simple.assert_response(400, r#"{"Data":[],"Message":["number should be 11"]}"#);
        let native = submit(&server, &json!({"to": number, "body": "hi"})).await;
        assert_eq!(violation_fields(&native), ["to"], "{number}");
    }
}

#[tokio::test]
async fn a_day_of_the_list_is_one_of_the_time_zone() {
    let server = server().await;
    assert_eq!(server.get("/v1/messages?since=2026-11-30&tz=%2B03:30").await.status, 200);
    assert_eq!(violation_fields(&server.get("/v1/messages?tz=Tehran").await), ["tz"]);
    let reversed = server.get("/v1/usage?since=2026-12-02&until=2026-12-01").await;
    assert_eq!((reversed.status.as_u16(), violation_fields(&reversed)), (400, vec!["until".to_owned()]));
}
