//! Receipts through a real adapter (Twilio); the tests sign the callbacks.

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use super::{TestResponse, TestServer};
use postrider_providers::testing::conformance;
use postrider_providers::testing::http_stub::{HttpStub, response};

const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A gateway with a Twilio stub that accepts every message, with the ids `SM1`, `SM2`, and so on.
struct TwilioFixture {
    server: TestServer,
    _stub: HttpStub,
}

impl TwilioFixture {
    async fn new() -> Self {
        let accepted =
            (1..=9).map(|count| response(201, "", &format!(r#"{{"sid":"SM{count}","status":"queued"}}"#)));
        let stub = HttpStub::start(accepted.collect()).await;
        let settings = format!(
            "account_sid = \"AC1\"\nauth_token = \"{AUTH_TOKEN}\"\nfrom = \"+15005550006\"\nbase_url = \"http://{}\"",
            stub.address
        );
        let settings =
            postrider_providers::ProviderSettings::read("twilio", settings.parse().unwrap()).unwrap();
        let adapter = settings.build(&conformance::sample_context()).unwrap();
        Self { server: TestServer::with_provider(adapter).await, _stub: stub }
    }

    /// Returns the callback path of the first provider.
    fn callback_path(&self) -> String {
        format!("/v1/receipts/{}", self.server.gateway.providers()[0].name)
    }

    /// Returns the callback path of the provider that accepted a message. All provider names use the same account here.
    fn callback_path_for(&self, message: &Value) -> String {
        let provider = message["deliveries"][0]["provider"].as_str();
        provider.map_or_else(|| self.callback_path(), |name| format!("/v1/receipts/{name}"))
    }

    async fn submit_message(&self) -> String {
        let response =
            self.server.post_json("/v1/messages", &json!({"to": "09122222222", "body": "hi"})).await;
        response.json()["id"].as_str().unwrap_or_else(|| panic!("{}", response.text())).to_owned()
    }

    async fn send_message(&self) -> String {
        let id = self.submit_message().await;
        self.server.deliver_all().await;
        id
    }

    async fn message(&self, id: &str) -> Value {
        self.server.get(&format!("/v1/messages/{id}")).await.json()
    }

    async fn state(&self, id: &str) -> String {
        self.message(id).await["deliveries"][0]["state"].as_str().unwrap().to_owned()
    }

    fn signature(&self, path: &str, body: &str) -> String {
        let mut pairs = form_urlencoded::parse(body.as_bytes()).collect::<Vec<_>>();
        pairs.sort();
        let mut mac = Hmac::<Sha1>::new_from_slice(AUTH_TOKEN.as_bytes()).unwrap();
        mac.update(format!("{}{path}", self.server.gateway.config.public_url).as_bytes());
        for (name, value) in pairs {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        BASE64.encode(mac.finalize().into_bytes())
    }

    async fn post_callback(&self, path: &str, signature: &str, body: &str) -> TestResponse {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature);
        self.server.request(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn post_signed(&self, path: &str, body: &str) -> TestResponse {
        self.post_callback(path, &self.signature(path, body), body).await
    }

    /// Sends a signed receipt for a message.
    async fn post_status(&self, id: &str, sid: &str, status: &str) -> TestResponse {
        let path = self.callback_path_for(&self.message(id).await);
        self.post_signed(&path, &format!("MessageSid={sid}&MessageStatus={status}")).await
    }
}

#[tokio::test]
async fn the_response_has_the_format_of_the_provider() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.send_message().await;
    let response = fixture.post_status(&id, "SM1", "delivered").await;
    response.assert_response(200, "<Response/>");
    assert_eq!(response.header("content-type"), Some("text/xml"));
    assert_eq!(fixture.state(&id).await, "delivered");
}

#[tokio::test]
async fn forged_and_truncated_receipts_change_nothing() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.send_message().await;
    let path = fixture.callback_path_for(&fixture.message(&id).await);
    let body = "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006";
    let right = fixture.signature(&path, body);
    assert_eq!(fixture.post_callback(&path, "", body).await.status, 403);
    assert_eq!(fixture.post_callback(&path, &BASE64.encode([0; 20]), body).await.status, 403);
    assert_eq!(fixture.post_callback(&path, &right, &body.replace("SM1", "SM2")).await.status, 403);
    for end in 0..body.len() {
        assert_eq!(fixture.post_callback(&path, &right, &body[..end]).await.status, 403, "cut off at {end}");
    }
    assert_eq!(fixture.state(&id).await, "sent");
    assert_eq!(fixture.post_callback(&path, &right, body).await.status, 200);
    assert_eq!(fixture.state(&id).await, "failed");
}

#[tokio::test]
async fn oversized_receipts_are_refused() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.send_message().await;
    let path = fixture.callback_path_for(&fixture.message(&id).await);
    let long = format!("MessageSid=SM1&MessageStatus=delivered&Padding={}", "x".repeat(64 * 1024));
    assert_eq!(fixture.post_signed(&path, &long).await.status, 413);
    let many = format!("MessageSid=SM1&MessageStatus=delivered{}", "&a=1".repeat(1_000));
    assert_eq!(fixture.post_signed(&path, &many).await.status, 403);
    assert_eq!(fixture.state(&id).await, "sent");
}

#[tokio::test]
async fn replayed_receipts_change_nothing_and_newer_verdicts_correct_the_state() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.send_message().await;
    for status in ["delivered", "delivered", "sent", "queued"] {
        assert_eq!(fixture.post_status(&id, "SM1", status).await.status, 200, "{status}");
        assert_eq!(fixture.state(&id).await, "delivered", "{status}");
    }
    let number = fixture.server.get("/v1/recipients/sms/09122222222").await.json();
    assert_eq!(number["status"], "active", "a receipt that changed nothing does not change the recipient");
    assert_eq!(fixture.post_status(&id, "SM1", "undelivered&ErrorCode=30008").await.status, 200);
    assert_eq!(fixture.state(&id).await, "failed", "a failure that is reported later corrects the state");
    let other = fixture.send_message().await;
    fixture.post_status(&other, "SM2", "failed&ErrorCode=30008").await;
    fixture.post_status(&other, "SM2", "delivered").await;
    assert_eq!(fixture.state(&other).await, "delivered");
}

#[tokio::test]
async fn opened_is_recorded_once_with_the_first_time() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.send_message().await;
    fixture.post_status(&id, "SM1", "read").await;
    let first = fixture.message(&id).await["deliveries"][0].clone();
    assert_eq!(first["state"], "delivered");
    assert!(first["opened_at"].is_string(), "{first}");
    fixture.post_status(&id, "SM1", "read").await;
    assert_eq!(fixture.message(&id).await["deliveries"][0]["opened_at"], first["opened_at"]);
}

#[tokio::test]
async fn a_receipt_that_arrives_before_our_record_is_applied_later() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.submit_message().await;
    for provider in fixture.server.gateway.providers() {
        let path = format!("/v1/receipts/{}", provider.name);
        let response = fixture.post_signed(&path, "MessageSid=SM1&MessageStatus=delivered").await;
        assert_eq!(response.status, 200);
    }
    assert_eq!(fixture.state(&id).await, "waiting");
    fixture.server.deliver_all().await;
    assert_eq!(fixture.state(&id).await, "delivered");
}

#[tokio::test]
async fn a_permanent_failure_makes_the_number_inactive_and_records_provider_and_reason() {
    let fixture = TwilioFixture::new().await;
    let id = fixture.send_message().await;
    fixture.post_status(&id, "SM1", "undelivered&ErrorCode=30006").await;
    let recipient = fixture.server.get("/v1/recipients/sms/09122222222").await.json();
    assert_eq!(recipient["status"], "inactive");
    assert_eq!(recipient["changed_by"], fixture.message(&id).await["deliveries"][0]["provider"]);
    assert!(recipient["reason"].as_str().unwrap().contains("30006"), "{recipient}");
}

#[tokio::test]
async fn stop_and_start_change_the_status_but_an_inactive_number_stays_inactive() {
    let fixture = TwilioFixture::new().await;
    let (path, number) = (fixture.callback_path(), "/v1/recipients/sms/09122222222");
    let text = |sid: usize, body: &str| {
        format!("MessageSid=SM7{sid}&SmsStatus=received&From=%2B989122222222&To=%2B15005550006&Body={body}")
    };
    let inbound = [
        ("hello", "active"),
        ("START", "active"),
        ("please+stop", "active"),
        ("+stop%0A", "opted_out"),
        ("STOP", "opted_out"),
        ("yes", "active"),
        ("UNSUBSCRIBE", "opted_out"),
        ("unstop", "active"),
        ("STOP", "opted_out"),
    ];
    for (sid, (body, status)) in inbound.into_iter().enumerate() {
        fixture.post_signed(&path, &text(sid, body)).await.assert_response(200, "<Response/>");
        assert_eq!(fixture.server.get(number).await.json()["status"], status, "{body}");
    }
    fixture.post_signed(&path, &text(5, "yes")).await.assert_response(200, "<Response/>");
    assert_eq!(fixture.server.get(number).await.json()["status"], "opted_out", "a replayed START");
    let recipient = fixture.server.get(number).await.json();
    assert_eq!(recipient["reason"], "sent \"STOP\"");
    let refused = fixture
        .server
        .post_json("/messages", &json!({"phone_number": "09122222222", "message_body": "hi"}))
        .await;
    refused.assert_response(200, r#"{"status":"error","message":"Phone number is inactive"}"#);
    let request = Request::put(number).header("content-type", "application/json");
    fixture.server.request(request.body(Body::from(r#"{"status":"inactive"}"#)).unwrap()).await;
    fixture.post_signed(&path, &text(20, "START")).await;
    assert_eq!(fixture.server.get(number).await.json()["status"], "inactive");
}
