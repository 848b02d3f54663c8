//! What a provider's receipts have to withstand, with a real adapter: Twilio's, whose calls the tests sign themselves.

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

/// A gateway over an account at a stand-in that takes every message under the id `SM1`, `SM2`, and so on.
struct TwilioFixture {
    world: TestServer,
    _stub: HttpStub,
}

impl TwilioFixture {
    async fn new() -> Self {
        let taken =
            (1..=9).map(|count| response(201, "", &format!(r#"{{"sid":"SM{count}","status":"queued"}}"#)));
        let stub = HttpStub::start(taken.collect()).await;
        let settings = format!(
            "account_sid = \"AC1\"\nauth_token = \"{AUTH_TOKEN}\"\nfrom = \"+15005550006\"\nbase_url = \"http://{}\"",
            stub.address
        );
        let settings =
            postrider_providers::ProviderSettings::read("twilio", settings.parse().unwrap()).unwrap();
        let adapter = settings.build(&conformance::sample_context()).unwrap();
        Self {
            world: TestServer::with_provider(adapter).await,
            _stub: stub,
        }
    }

    /// Where the first provider's receipts come to.
    fn callback_path(&self) -> String {
        format!("/v1/receipts/{}", self.world.gateway.providers()[0].name)
    }

    /// Every name stands for the same account here, and any of them may be asked; its receipts come to that name.
    fn callback_path_for(&self, message: &Value) -> String {
        let provider = message["deliveries"][0]["provider"].as_str();
        provider.map_or_else(|| self.callback_path(), |name| format!("/v1/receipts/{name}"))
    }

    async fn submit_message(&self) -> String {
        let reply = self
            .world
            .post_json("/v1/messages", &json!({"to": "09122222222", "body": "hi"}))
            .await;
        reply.json()["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", reply.text()))
            .to_owned()
    }

    async fn send_message(&self) -> String {
        let id = self.submit_message().await;
        self.world.deliver_all().await;
        id
    }

    async fn message(&self, id: &str) -> Value {
        self.world.get(&format!("/v1/messages/{id}")).await.json()
    }

    async fn state(&self, id: &str) -> String {
        self.message(id).await["deliveries"][0]["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn signature(&self, path: &str, body: &str) -> String {
        let mut pairs = form_urlencoded::parse(body.as_bytes()).collect::<Vec<_>>();
        pairs.sort();
        let mut mac = Hmac::<Sha1>::new_from_slice(AUTH_TOKEN.as_bytes()).unwrap();
        mac.update(format!("{}{path}", self.world.gateway.config.public_url).as_bytes());
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
        self.world
            .request(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    async fn post_signed(&self, path: &str, body: &str) -> TestResponse {
        self.post_callback(path, &self.signature(path, body), body).await
    }

    /// A receipt for that message, signed as it should be.
    async fn post_status(&self, id: &str, sid: &str, status: &str) -> TestResponse {
        let path = self.callback_path_for(&self.message(id).await);
        self.post_signed(&path, &format!("MessageSid={sid}&MessageStatus={status}"))
            .await
    }
}

#[tokio::test]
async fn the_answer_is_what_the_provider_wants_to_read() {
    let desk = TwilioFixture::new().await;
    let id = desk.send_message().await;
    let reply = desk.post_status(&id, "SM1", "delivered").await;
    reply.assert_response(200, "<Response/>");
    assert_eq!(reply.header("content-type"), Some("text/xml"));
    assert_eq!(desk.state(&id).await, "delivered");
}

#[tokio::test]
async fn forged_and_truncated_receipts_change_nothing() {
    let desk = TwilioFixture::new().await;
    let id = desk.send_message().await;
    let path = desk.callback_path_for(&desk.message(&id).await);
    let body = "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006";
    let right = desk.signature(&path, body);
    assert_eq!(desk.post_callback(&path, "", body).await.status, 403);
    assert_eq!(
        desk.post_callback(&path, &BASE64.encode([0; 20]), body)
            .await
            .status,
        403
    );
    assert_eq!(
        desk.post_callback(&path, &right, &body.replace("SM1", "SM2"))
            .await
            .status,
        403
    );
    for end in 0..body.len() {
        assert_eq!(
            desk.post_callback(&path, &right, &body[..end]).await.status,
            403,
            "cut off at {end}"
        );
    }
    assert_eq!(desk.state(&id).await, "sent");
    assert_eq!(desk.post_callback(&path, &right, body).await.status, 200);
    assert_eq!(desk.state(&id).await, "failed");
}

#[tokio::test]
async fn oversized_receipts_are_refused_unread() {
    let desk = TwilioFixture::new().await;
    let id = desk.send_message().await;
    let path = desk.callback_path_for(&desk.message(&id).await);
    let long = format!(
        "MessageSid=SM1&MessageStatus=delivered&Padding={}",
        "x".repeat(64 * 1024)
    );
    assert_eq!(desk.post_signed(&path, &long).await.status, 413);
    let many = format!("MessageSid=SM1&MessageStatus=delivered{}", "&a=1".repeat(10_000));
    assert_eq!(desk.post_signed(&path, &many).await.status, 403);
    assert_eq!(desk.state(&id).await, "sent");
}

#[tokio::test]
async fn replayed_and_late_receipts_move_nothing_backwards() {
    let desk = TwilioFixture::new().await;
    let id = desk.send_message().await;
    for status in [
        "delivered",
        "delivered",
        "sent",
        "queued",
        "undelivered&ErrorCode=30006",
        "failed",
    ] {
        assert_eq!(desk.post_status(&id, "SM1", status).await.status, 200, "{status}");
        assert_eq!(desk.state(&id).await, "delivered", "{status}");
    }
    let number = desk.world.get("/v1/recipients/sms/09122222222").await.json();
    assert_eq!(
        number["standing"], "active",
        "a verdict that changed nothing is none"
    );
    let other = desk.send_message().await;
    desk.post_status(&other, "SM2", "failed&ErrorCode=30008").await;
    desk.post_status(&other, "SM2", "delivered").await;
    assert_eq!(desk.state(&other).await, "failed");
}

#[tokio::test]
async fn opened_counts_once_with_the_first_time() {
    let desk = TwilioFixture::new().await;
    let id = desk.send_message().await;
    desk.post_status(&id, "SM1", "read").await;
    let first = desk.message(&id).await["deliveries"][0].clone();
    assert_eq!(first["state"], "delivered");
    assert!(first["opened_at"].is_string(), "{first}");
    desk.post_status(&id, "SM1", "read").await;
    assert_eq!(
        desk.message(&id).await["deliveries"][0]["opened_at"],
        first["opened_at"]
    );
}

#[tokio::test]
async fn a_receipt_that_outruns_our_own_record_is_applied_later() {
    let desk = TwilioFixture::new().await;
    let id = desk.submit_message().await;
    for lane in desk.world.gateway.providers() {
        let path = format!("/v1/receipts/{}", lane.name);
        let reply = desk
            .post_signed(&path, "MessageSid=SM1&MessageStatus=delivered")
            .await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(desk.state(&id).await, "waiting");
    desk.world.deliver_all().await;
    assert_eq!(desk.state(&id).await, "delivered");
}

#[tokio::test]
async fn a_permanent_verdict_makes_the_number_inactive_and_says_who_and_why() {
    let desk = TwilioFixture::new().await;
    let id = desk.send_message().await;
    desk.post_status(&id, "SM1", "undelivered&ErrorCode=30006").await;
    let known = desk.world.get("/v1/recipients/sms/09122222222").await.json();
    assert_eq!(known["standing"], "inactive");
    assert_eq!(
        known["changed_by"],
        desk.message(&id).await["deliveries"][0]["provider"]
    );
    assert!(known["reason"].as_str().unwrap().contains("30006"), "{known}");
}

#[tokio::test]
async fn stop_and_start_are_heard_and_a_dead_number_stays_dead() {
    let desk = TwilioFixture::new().await;
    let (path, number) = (desk.callback_path(), "/v1/recipients/sms/09122222222");
    let text = |sid: usize, words: &str| {
        format!("MessageSid=SM7{sid}&SmsStatus=received&From=%2B989122222222&To=%2B15005550006&Body={words}")
    };
    let said = [
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
    for (sid, (words, standing)) in said.into_iter().enumerate() {
        desk.post_signed(&path, &text(sid, words))
            .await
            .assert_response(200, "<Response/>");
        assert_eq!(
            desk.world.get(number).await.json()["standing"],
            standing,
            "{words}"
        );
    }
    desk.post_signed(&path, &text(5, "yes"))
        .await
        .assert_response(200, "<Response/>");
    assert_eq!(
        desk.world.get(number).await.json()["standing"],
        "opted_out",
        "a replayed START"
    );
    let known = desk.world.get(number).await.json();
    assert_eq!(known["reason"], "wrote \"STOP\"");
    let refused = desk
        .world
        .post_json(
            "/messages",
            &json!({"phone_number": "09122222222", "message_body": "hi"}),
        )
        .await;
    refused.assert_response(200, r#"{"status":"error","message":"Phone number is inactive"}"#);
    let request = Request::put(number).header("content-type", "application/json");
    desk.world
        .request(request.body(Body::from(r#"{"standing":"inactive"}"#)).unwrap())
        .await;
    desk.post_signed(&path, &text(20, "START")).await;
    assert_eq!(desk.world.get(number).await.json()["standing"], "inactive");
}
