//! Tests of callbacks against a real local receiver.

use super::call::event_uuid;
use super::test_events::{callback, delivered, sent};
use super::*;
use crate::config::{Account, ApiKey, Config, Scope, TwilioLogin};
use crate::events::outcome::EventOutcome;
use crate::testing::{GatewayBuilder, open_store};
use postrider_core::callback::{CallbackMethod, JasminLevel};
use postrider_providers::EgressPolicy;
use postrider_providers::testing::http_stub::{HttpStub, StubAction, response};
use std::time::Duration;

fn client() -> WebhookClient {
    let policy = EgressPolicy::parse(&["127.0.0.1"], &[443]).unwrap();
    let timeout = Duration::from_secs(5);
    WebhookClient::new(policy, timeout, timeout, None).unwrap()
}

async fn told(event: &Event, callback: &Callback) -> CallVerdict {
    let folder = tempfile::tempdir().unwrap();
    let gateway = GatewayBuilder::new(Config::test_mode()).wire(&open_store(folder.path())).await;
    tell(&gateway, &client(), event, callback).await
}

async fn receiver(action: StubAction) -> HttpStub {
    HttpStub::start(vec![action]).await
}

#[tokio::test]
async fn kannel_receivers_get_the_expanded_url_byte_for_byte() {
    let stub = receiver(response(202, "", "")).await;
    let url = format!("http://{}/d?d=%d&p=%p&P=%P&a=%a&t=%t&e=%#smpp#dlr_err#&x=%z", stub.address);
    let callback = callback(
        CallbackFormat::Kannel { mask: 31 },
        &url,
        &[("P", "Acme & Co"), ("D", "?smpp?dlr_err=\u{3}&")],
    );
    assert_eq!(told(&sent(), &callback).await.outcome, EventOutcome::Delivered);
    let request = &stub.requests()[0];
    let line =
        "GET /d?d=8&p=%2B15005550001&P=Acme+%26+Co&a=ACK%2F&t=2026-11-30+17:24:00&e=%03&x=%z HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    assert!(request.to_lowercase().contains("\r\nuser-agent: kannel/1.4.5\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n"), "{request}");
}

#[tokio::test]
async fn jasmin_receivers_confirm_with_the_body() {
    for (body, expected) in [("ACK/Jasmin", EventOutcome::Delivered), ("OK", EventOutcome::Retry(None))] {
        let stub = receiver(response(200, "", body)).await;
        let format = CallbackFormat::Jasmin { level: JasminLevel::Both, method: CallbackMethod::Post };
        let callback = callback(format, &format!("http://{}/dlr", stub.address), &[]);
        assert_eq!(told(&sent(), &callback).await.outcome, expected, "{body}");
        let request = &stub.requests()[0];
        assert!(request.starts_with("POST /dlr HTTP/1.1\r\n"), "{request}");
        let form = "id=abababab-abab-abab-abab-abababababab&level=1&message_status=ESME_ROK&connector=red";
        assert!(request.ends_with(&format!("\r\n\r\n{form}")), "{request}");
    }
}

#[tokio::test]
async fn vonage_receivers_get_json_and_an_error_is_retried() {
    let stub = receiver(response(500, "", "")).await;
    let callback = callback(CallbackFormat::Vonage, &format!("http://{}/dlr", stub.address), &[]);
    assert_eq!(told(&delivered(), &callback).await.outcome, EventOutcome::Retry(None));
    let request = &stub.requests()[0];
    assert!(request.contains("\"status\":\"delivered\""), "{request}");
    let skipped = told(&sent(), &callback).await;
    assert_eq!((skipped.outcome, stub.requests().len()), (EventOutcome::Delivered, 1));
}

#[tokio::test]
async fn twilio_receivers_get_a_form_signed_with_the_token_of_the_account() {
    let stub = receiver(response(204, "", "")).await;
    let mut config = Config::test_mode();
    let twilio = TwilioLogin { sid: "AC1".to_owned(), token: "12345".to_owned() };
    let account = Account { twilio: Some(twilio), ..Account::default() };
    config.keys = vec![ApiKey {
        name: "shop".to_owned(),
        sha256: None,
        scopes: vec![Scope::Send],
        user_per_hour: None,
        limits: Default::default(),
        is_shared: false,
        account,
        events: Default::default(),
    }];
    let folder = tempfile::tempdir().unwrap();
    let gateway = GatewayBuilder::new(config).wire(&open_store(folder.path())).await;
    let url = format!("http://{}/status?m=1", stub.address);
    let fields = [("AccountSid", "AC1"), ("From", "+15005550006")];
    let callback = callback(CallbackFormat::Twilio, &url, &fields);
    let verdict = tell(&gateway, &client(), &sent(), &callback).await;
    assert_eq!(verdict.outcome, EventOutcome::Delivered, "{verdict:?}");
    let request = &stub.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let sid = format!("SM{}", "ab".repeat(16));
    let expected_body = format!(
        "SmsSid={sid}&SmsStatus=sent&MessageStatus=sent&To=%2B15005550001&MessageSid={sid}&AccountSid=AC1\
         &From=%2B15005550006&ApiVersion=2010-04-01"
    );
    assert_eq!(body, expected_body);
    let pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let signature = postrider_providers::sign_twilio_form("12345", &url, &pairs).unwrap();
    assert!(head.contains(&format!("x-twilio-signature: {signature}\r\n")), "{head}");
    assert!(head.starts_with("POST /status?m=1 HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn a_callback_to_a_forbidden_address_is_dead() {
    let callback = callback(CallbackFormat::Kannel { mask: 31 }, "http://10.0.0.1/d", &[]);
    assert_eq!(told(&sent(), &callback).await.outcome, EventOutcome::Dead);
}

#[test]
fn an_event_has_one_uuid_in_every_attempt() {
    assert_eq!(event_uuid(&sent()), event_uuid(&sent()));
    assert_ne!(event_uuid(&sent()), event_uuid(&delivered()));
}
