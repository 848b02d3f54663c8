//! Tests of the adapter against moto, which verifies request signatures and signs notifications, and against stubs.

use chrono::TimeDelta;
use std::sync::Arc;

use super::*;
use crate::Transcript;
use crate::http_client::HttpClientPool;
use crate::testing::conformance::{self, ExpectedOutcomes};
use crate::testing::http_stub::{HttpStub, StubAction, response};
use crate::testing::peer::PeerProcess;
use postrider_core::receipt::ReceiptStatus;

fn ses_provider(table: &str, http_clients: &HttpClientPool) -> Ses {
    let settings = SesSettings::read(table.parse().unwrap()).unwrap();
    let context = AdapterContext { http_clients: http_clients.clone(), ..conformance::sample_context() };
    Ses::new(&context, &settings).unwrap()
}

fn settings_toml(base: &str, key_id: &str, secret: &str, overrides: &str) -> String {
    format!(
        "region = \"eu-central-1\"\naccess_key_id = \"{key_id}\"\nsecret_access_key = \"{secret}\"\n\
         base_url = \"{base}\"\nfrom = \"Müller <shop@example.org>\"\n{overrides}"
    )
}

fn moto_provider(peer: &PeerProcess, overrides: &str) -> Ses {
    let base = format!("http://127.0.0.1:{}", peer.port());
    let table = settings_toml(&base, peer.startup_value("key_id"), peer.startup_value("secret"), overrides);
    ses_provider(&table, &HttpClientPool::new().unwrap())
}

async fn stub_provider(act: StubAction) -> (Ses, HttpStub) {
    let stub = HttpStub::start(vec![act]).await;
    let base = format!("http://{}", stub.address);
    (ses_provider(&settings_toml(&base, "AKID", "hunter2", ""), &HttpClientPool::new().unwrap()), stub)
}

fn message() -> OutboundMessage {
    OutboundMessage { to: "user@example.com".to_owned(), ..conformance::sample_message() }
}

#[tokio::test]
async fn a_name_with_non_ascii_characters_is_left_to_other_providers() {
    let (ses, _stub) = stub_provider(StubAction::RespondAndClose(Vec::new())).await;
    assert!(ses.can_send_to("user@xn--bcher-kva.example"));
    assert!(!ses.can_send_to("üser@example.org"));
}

#[tokio::test]
async fn a_mail_and_its_signature_are_accepted_by_moto() {
    let mut peer = PeerProcess::start("aws_server.py", &[]).await;
    let result = moto_provider(&peer, "").send(&message()).await;
    let Outcome::Accepted { reference: Some(id) } = result.outcome else { panic!("{result:?}") };
    let mails = peer.request(json!({ "mails": true })).await;
    let mail = &mails["mails"][0];
    assert_eq!(mail["id"], id);
    assert_eq!(mail["to"]["ToAddresses"], json!(["user@example.com"]));
    assert_eq!(mail["from"], "=?utf-8?b?TcO8bGxlcg==?= <shop@example.org>");
    assert_eq!((&mail["subject"], &mail["body"]), (&json!("Grüße & 50%"), &json!(message().body)));
}

#[tokio::test]
async fn a_wrong_secret_is_misconfigured() {
    let peer = PeerProcess::start("aws_server.py", &[]).await;
    let base = format!("http://127.0.0.1:{}", peer.port());
    let wrong = settings_toml(&base, peer.startup_value("key_id"), "hunter2", "");
    let result = ses_provider(&wrong, &HttpClientPool::new().unwrap()).send(&message()).await;
    assert_eq!(result.outcome.as_str(), "misconfigured", "{result:?}");
    let unknown_key = settings_toml(&base, "AKIAUNKNOWN", "hunter2", "");
    let result = ses_provider(&unknown_key, &HttpClientPool::new().unwrap()).send(&message()).await;
    assert_eq!(result.outcome.as_str(), "misconfigured", "{result:?}");
}

/// A signed notification of moto, and an adapter that accepts its topic.
struct SnsFixture {
    ses: Ses,
    call: CallbackRequest,
    peer: PeerProcess,
    /// Serves the certificate of SNS.
    certificate_server: HttpStub,
}

async fn sns_fixture(event: &str) -> SnsFixture {
    let mut peer = PeerProcess::start("aws_server.py", &[]).await;
    let receiver = HttpStub::start(vec![response(200, "", "")]).await;
    let to = format!("http://{}/v1/receipts/ses", receiver.address);
    let published = peer.request(json!({ "publish": event, "to": to })).await;
    let certificate_server =
        HttpStub::start(vec![response(200, "", published["pem"].as_str().unwrap())]).await;
    let requests = receiver.requests();
    let notification = requests.iter().find(|text| text.contains("SigningCertURL")).unwrap();
    let call = CallbackRequest {
        body: notification.split_once("\r\n\r\n").unwrap().1.into(),
        received_at: Clock::System.now(),
        ..conformance::sample_callback()
    };
    let overrides = format!(
        "topics = [\"{}\"]\nsns_url = \"http://{}\"",
        peer.startup_value("topic"),
        certificate_server.address
    );
    SnsFixture { ses: moto_provider(&peer, &overrides), call, peer, certificate_server }
}

const DELIVERY: &str = "{\"eventType\":\"Delivery\",\"mail\":{\"messageId\":\"0107-1\"}}";

#[tokio::test]
async fn a_notification_signed_by_another_implementation_is_a_receipt() {
    let SnsFixture { ses, call, certificate_server, peer: _peer } = sns_fixture(DELIVERY).await;
    let unloaded = ses.sns.verify(&call).err();
    assert!(matches!(unloaded, Some(CallbackError::Unavailable(_))), "the certificate is not cached");
    let items = ses.parse_callback(&call).await.unwrap();
    let [CallbackItem::Receipt(receipt)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((receipt.reference.as_str(), &receipt.status), ("0107-1", &ReceiptStatus::Delivered));
    assert_eq!(
        ses.parse_callback(&call).await,
        Ok(items.clone()),
        "a repeated callback yields the same items"
    );
    assert_eq!(ses.callback_mode(), CallbackMode::Authenticated);
    let requests = certificate_server.requests();
    assert_eq!(requests.len(), 1, "a certificate is fetched once");
    assert!(requests[0].contains("host: sns.eu-central-1.amazonaws.com"), "{requests:?}");
}

#[tokio::test]
async fn a_failed_certificate_is_not_fetched_again_and_delays_no_known_certificate() {
    let SnsFixture { ses, call, certificate_server, peer: _peer } = sns_fixture(DELIVERY).await;
    ses.parse_callback(&call).await.unwrap();
    let mut made_up: Value = serde_json::from_slice(&call.body).unwrap();
    made_up["SigningCertURL"] = json!("https://sns.eu-central-1.amazonaws.com/made-up.pem");
    let made_up = CallbackRequest { body: made_up.to_string().into(), ..call.clone() };
    // Any other notification's fetch may be in progress.
    let fetch_guard = ses.sns.lock_fetches().await;
    assert_eq!(ses.parse_callback(&call).await.map(|items| items.len()), Ok(1));
    drop(fetch_guard);
    ses.sns.note_failed_fetch("https://sns.eu-central-1.amazonaws.com/made-up.pem", call.received_at);
    let error = ses.parse_callback(&made_up).await.unwrap_err();
    assert!(matches!(error, CallbackError::Unavailable(_)), "{error:?}");
    assert_eq!(certificate_server.requests().len(), 1, "only the first certificate was fetched");
}

#[tokio::test]
async fn a_subscription_with_a_valid_signature_is_confirmed() {
    let mut fixture = sns_fixture(DELIVERY).await;
    let notification: Value = serde_json::from_slice(&fixture.call.body).unwrap();
    let (url, at) = (
        "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t",
        &notification["Timestamp"],
    );
    let at = at.as_str().unwrap().to_owned();
    let topic = fixture.peer.startup_value("topic").to_owned();
    let text = format!(
        "Message\nm\nMessageId\n1\nSubscribeURL\n{url}\nTimestamp\n{at}\nToken\nt\nTopicArn\n{topic}\nType\n\
         SubscriptionConfirmation\n"
    );
    for version in ["1", "2"] {
        let signed = fixture.peer.request(json!({ "sign": text, "version": version })).await;
        let body = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "t", "TopicArn": topic, "Message": "m",
            "SubscribeURL": url, "Timestamp": at, "SignatureVersion": version, "Signature": signed["signature"],
            "SigningCertURL": notification["SigningCertURL"],
        });
        let call = CallbackRequest { body: body.to_string().into(), ..fixture.call.clone() };
        assert_eq!(fixture.ses.parse_callback(&call).await, Ok(Vec::new()), "version {version}");
        let altered = CallbackRequest { body: body.to_string().replace("Token=t", "Token=u").into(), ..call };
        assert_eq!(fixture.ses.parse_callback(&altered).await, Err(CallbackError::Unauthenticated));
    }
    let requests = fixture.certificate_server.requests();
    let confirmations =
        requests.iter().filter(|text| text.starts_with("GET /?Action=ConfirmSubscription&Token=t "));
    assert_eq!(confirmations.count(), 2, "{requests:?}");
}

#[tokio::test]
async fn an_unsigned_old_or_foreign_notification_is_rejected() {
    let SnsFixture { ses, call, peer, .. } = &sns_fixture(DELIVERY).await;
    ses.parse_callback(call).await.unwrap();
    let text = String::from_utf8(call.body.clone()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        CallbackRequest { body: text.replace(from, to).into(), ..call.clone() }
    };
    let received_late = |seconds: i64| CallbackRequest {
        received_at: call.received_at + TimeDelta::seconds(seconds),
        ..call.clone()
    };
    for forged in [
        changed("0107-1", "0107-2"),
        changed("ses-feedback", "other-topic"),
        changed("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"1\""),
        changed("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"3\""),
        changed("https://sns.eu-central-1.amazonaws.com/", "https://sns.evil.example/"),
        changed("\"Signature\": \"", "\"Signature\": \"AAAA"),
        received_late(3_700),
        received_late(-3_700),
    ] {
        assert_eq!(ses.parse_callback(&forged).await, Err(CallbackError::Unauthenticated), "{forged:?}");
    }
    let truncated = CallbackRequest { body: call.body[..call.body.len() / 2].to_vec(), ..call.clone() };
    assert!(matches!(ses.parse_callback(&truncated).await, Err(CallbackError::Malformed(_))));
    let without_topics = moto_provider(peer, "");
    assert_eq!(without_topics.parse_callback(call).await, Err(CallbackError::NotSupported));
}

#[tokio::test]
async fn no_response_is_unknown_and_a_failed_connection_is_unavailable() {
    let (ses, _stub) = stub_provider(StubAction::RespondAndClose(Vec::new())).await;
    assert_eq!(ses.send(&message()).await.outcome.as_str(), "unknown");
    let (ses, stub) = stub_provider(StubAction::RespondAndClose(Vec::new())).await;
    drop(stub);
    tokio::task::yield_now().await;
    assert_eq!(ses.send(&message()).await.outcome.as_str(), "unavailable");
}

#[tokio::test]
async fn an_account_check_reports_the_state_of_the_account() {
    let account = "{\"SendingEnabled\":true,\"ProductionAccessEnabled\":false,\"SendQuota\":{\"Max24HourSend\":200.0,\
                   \"MaxSendRate\":1.0,\"SentLast24Hours\":3.0}}";
    let (ses, stub) = stub_provider(response(200, "", account)).await;
    let AccountCheck::Passed(summary) = ses.check_account().await else { panic!("the account is in order") };
    assert!(summary.contains("3 of 200 mails") && summary.contains("sandbox"), "{summary}");
    assert!(stub.requests()[0].starts_with("GET /v2/email/account HTTP/1.1"), "{:?}", stub.requests());
    for (status, body, expected) in [
        (403, "{\"message\":\"The security token is invalid\"}", "The security token is invalid"),
        (200, "{\"SendingEnabled\":false}", "sending is disabled"),
    ] {
        let (ses, _stub) = stub_provider(response(status, "", body)).await;
        let AccountCheck::Failed(reason) = ses.check_account().await else { panic!("{body}") };
        assert!(reason.contains(expected) && !reason.contains("hunter2"), "{reason}");
    }
}

#[tokio::test]
async fn the_transcript_has_no_secrets() {
    let stub = HttpStub::start(vec![response(200, "", "{\"MessageId\":\"0107-1\"}")]).await;
    let transcript = Transcript::new(&["hunter2".to_owned()]);
    let http_clients = HttpClientPool::new().unwrap().with_transcript(transcript.clone());
    let base = format!("http://{}", stub.address);
    ses_provider(&settings_toml(&base, "AKID", "hunter2", "session_token = \"tok-1\""), &http_clients)
        .send(&message())
        .await;
    let lines = transcript.lines();
    for line in [
        "> POST /v2/email/outbound-emails",
        "> authorization: AWS4-HMAC-SHA256 ***",
        "> x-amz-security-token: ***",
        "< 200",
    ] {
        assert!(lines.iter().any(|recorded| recorded == line), "{line} is not in {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.contains("0107-1")), "{lines:#?}");
}

#[tokio::test]
async fn the_adapter_conforms() {
    let (ses, _stub) = stub_provider(response(200, "", "{\"MessageId\":\"0107-1\"}")).await;
    conformance::check_provider(&ses).await;
}

#[test]
fn invalid_settings_are_rejected_with_key_and_remedy() {
    let base = "region = \"eu-central-1\"\naccess_key_id = \"AKID\"\nsecret_access_key = \"hunter2\"\nfrom = \"a@b.example\"\n";
    let replaced = |from: &str, to: &str| base.replace(from, to);
    for (table, expected) in [
        (replaced("eu-central-1", "Frankfurt"), "region: must be"),
        (replaced("hunter2", "hun ter2"), "secret_access_key: is empty or holds a blank"),
        (replaced("a@b.example", "a"), "from: not an email address"),
        (format!("{base}topics = [\"ses\"]"), "topics: \"ses\" is not an ARN"),
        (format!("{base}base_url = \"aws\""), "base_url: invalid base URL"),
        (format!("{base}regio = \"x\""), "regio"),
    ] {
        let error = SesSettings::read(table.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("ter2"), "{table}: {error}");
    }
    let settings = SesSettings::read(base.parse().unwrap()).unwrap();
    let regional_url = settings.base_url().unwrap().resource_url(&[]);
    assert_eq!(regional_url.as_str(), "https://email.eu-central-1.amazonaws.com/");
    let shown = format!("{:?}", crate::ProviderSettings::read("ses", base.parse().unwrap()).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn failures_have_the_outcomes_of_the_suite() {
    let context = AdapterContext { limits: conformance::short_limits(), ..conformance::sample_context() };
    let provider_at = |address| -> Arc<dyn Provider> {
        let settings = settings_toml(&format!("http://{address}"), "AKID", "hunter2", "");
        let settings = SesSettings::read(settings.parse().unwrap()).unwrap();
        Arc::new(Ses::new(&context, &settings).unwrap())
    };
    conformance::check_failures(provider_at, &message(), &ExpectedOutcomes::default()).await;
}
