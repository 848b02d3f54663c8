//! The adapter against moto, which checks our signatures and signs notifications as SNS does, and against stubs.

use chrono::TimeDelta;

use super::*;
use crate::http_client::HttpClientPool;
use crate::http_stub::{HttpStub, StubAction, response};
use crate::peer::PeerProcess;
use crate::{Transcript, conformance};
use postrider_core::receipt::ReceiptStatus;

fn ses_provider(table: &str, outbound: &HttpClientPool) -> Ses {
    let settings = SesSettings::read(table.parse().unwrap()).unwrap();
    let context = AdapterContext {
        http_clients: outbound.clone(),
        ..conformance::sample_context()
    };
    Ses::new(&context, &settings).unwrap()
}

fn settings_toml(base: &str, key_id: &str, secret: &str, more: &str) -> String {
    format!(
        "region = \"eu-central-1\"\naccess_key_id = \"{key_id}\"\nsecret_access_key = \"{secret}\"\n\
         base_url = \"{base}\"\nfrom = \"Müller <shop@example.org>\"\n{more}"
    )
}

fn moto_provider(peer: &PeerProcess, more: &str) -> Ses {
    let base = format!("http://127.0.0.1:{}", peer.port());
    let table = settings_toml(
        &base,
        peer.startup_value("key_id"),
        peer.startup_value("secret"),
        more,
    );
    ses_provider(&table, &HttpClientPool::new().unwrap())
}

async fn stub_provider(act: StubAction) -> (Ses, HttpStub) {
    let stub = HttpStub::start(vec![act]).await;
    let base = format!("http://{}", stub.address);
    (
        ses_provider(
            &settings_toml(&base, "AKID", "hunter2", ""),
            &HttpClientPool::new().unwrap(),
        ),
        stub,
    )
}

fn message() -> OutboundMessage {
    OutboundMessage {
        to: "user@example.com".to_owned(),
        ..conformance::sample_message()
    }
}

#[tokio::test]
async fn moto_takes_a_mail_and_its_signature() {
    let mut peer = PeerProcess::start("aws_server.py", &[]).await;
    let answer = moto_provider(&peer, "").send(&message()).await;
    let Outcome::Accepted { reference: Some(id) } = answer.outcome else {
        panic!("{answer:?}")
    };
    let mails = peer.request(json!({ "mails": true })).await;
    let mail = &mails["mails"][0];
    assert_eq!(mail["id"], id);
    assert_eq!(mail["to"]["ToAddresses"], json!(["user@example.com"]));
    assert_eq!(mail["from"], "=?utf-8?b?TcO8bGxlcg==?= <shop@example.org>");
    assert_eq!(
        (&mail["subject"], &mail["body"]),
        (&json!("Grüße & 50%"), &json!(message().body))
    );
}

#[tokio::test]
async fn a_wrong_secret_is_a_wrong_signature() {
    let peer = PeerProcess::start("aws_server.py", &[]).await;
    let base = format!("http://127.0.0.1:{}", peer.port());
    let wrong = settings_toml(&base, peer.startup_value("key_id"), "hunter2", "");
    let answer = ses_provider(&wrong, &HttpClientPool::new().unwrap())
        .send(&message())
        .await;
    assert_eq!(answer.outcome.as_str(), "misconfigured", "{answer:?}");
    let stranger = settings_toml(&base, "AKIASTRANGER", "hunter2", "");
    let answer = ses_provider(&stranger, &HttpClientPool::new().unwrap())
        .send(&message())
        .await;
    assert_eq!(answer.outcome.as_str(), "misconfigured", "{answer:?}");
}

/// What moto's SNS told us, and an adapter that listens to it.
struct SnsFixture {
    ses: Ses,
    call: CallbackRequest,
    peer: PeerProcess,
    /// Stands where SNS keeps its certificates.
    certificate_server: HttpStub,
}

async fn sns_fixture(event: &str) -> SnsFixture {
    let mut peer = PeerProcess::start("aws_server.py", &[]).await;
    let ear = HttpStub::start(vec![response(200, "", "")]).await;
    let to = format!("http://{}/v1/receipts/ses", ear.address);
    let told = peer.request(json!({ "publish": event, "to": to })).await;
    let archive = HttpStub::start(vec![response(200, "", told["pem"].as_str().unwrap())]).await;
    let heard = ear.requests();
    let notification = heard.iter().find(|text| text.contains("SigningCertURL")).unwrap();
    let call = CallbackRequest {
        body: notification.split_once("\r\n\r\n").unwrap().1.into(),
        received_at: Clock::System.now(),
        ..conformance::sample_callback()
    };
    let more = format!(
        "topics = [\"{}\"]\nsns_url = \"http://{}\"",
        peer.startup_value("topic"),
        archive.address
    );
    SnsFixture {
        ses: moto_provider(&peer, &more),
        call,
        peer,
        certificate_server: archive,
    }
}

const DELIVERY: &str = "{\"eventType\":\"Delivery\",\"mail\":{\"messageId\":\"0107-1\"}}";

#[tokio::test]
async fn a_notification_signed_by_another_make_of_sns_is_a_receipt() {
    let SnsFixture {
        ses,
        call,
        certificate_server,
        peer: _peer,
    } = sns_fixture(DELIVERY).await;
    assert!(
        matches!(ses.parse_callback_sync(&call), Err(CallbackError::Unavailable(_))),
        "the certificate is not there yet"
    );
    let heard = ses.parse_callback(&call).await.unwrap();
    let [CallbackItem::Receipt(receipt)] = heard.as_slice() else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (receipt.reference.as_str(), &receipt.status),
        ("0107-1", &ReceiptStatus::Delivered)
    );
    assert_eq!(
        ses.parse_callback_sync(&call),
        Ok(heard.clone()),
        "hearing it again gives the same"
    );
    assert_eq!(ses.callback_mode(), CallbackMode::Authenticated);
    let asked = certificate_server.requests();
    assert_eq!(asked.len(), 1, "a certificate is fetched once");
    assert!(
        asked[0].contains("host: sns.eu-central-1.amazonaws.com"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_subscription_is_confirmed_once_its_signature_is_right() {
    let mut notified = sns_fixture(DELIVERY).await;
    let envelope: Value = serde_json::from_slice(&notified.call.body).unwrap();
    let (url, at) = (
        "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t",
        &envelope["Timestamp"],
    );
    let at = at.as_str().unwrap().to_owned();
    let topic = notified.peer.startup_value("topic").to_owned();
    let text = format!(
        "Message\nm\nMessageId\n1\nSubscribeURL\n{url}\nTimestamp\n{at}\nToken\nt\nTopicArn\n{topic}\nType\n\
         SubscriptionConfirmation\n"
    );
    for version in ["1", "2"] {
        let signed = notified
            .peer
            .request(json!({ "sign": text, "version": version }))
            .await;
        let body = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "t", "TopicArn": topic, "Message": "m",
            "SubscribeURL": url, "Timestamp": at, "SignatureVersion": version, "Signature": signed["signature"],
            "SigningCertURL": envelope["SigningCertURL"],
        });
        let call = CallbackRequest {
            body: body.to_string().into(),
            ..notified.call.clone()
        };
        assert_eq!(
            notified.ses.parse_callback(&call).await,
            Ok(Vec::new()),
            "version {version}"
        );
        let elsewhere = CallbackRequest {
            body: body.to_string().replace("Token=t", "Token=u").into(),
            ..call
        };
        assert_eq!(
            notified.ses.parse_callback(&elsewhere).await,
            Err(CallbackError::Unauthenticated)
        );
    }
    let asked = notified.certificate_server.requests();
    let confirmed = asked
        .iter()
        .filter(|text| text.starts_with("GET /?Action=ConfirmSubscription&Token=t "));
    assert_eq!(confirmed.count(), 2, "{asked:?}");
}

#[tokio::test]
async fn what_is_not_signed_old_or_of_another_topic_is_forged() {
    let SnsFixture { ses, call, peer, .. } = &sns_fixture(DELIVERY).await;
    ses.parse_callback(call).await.unwrap();
    let text = String::from_utf8(call.body.clone()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        CallbackRequest {
            body: text.replace(from, to).into(),
            ..call.clone()
        }
    };
    let late = |seconds: i64| CallbackRequest {
        received_at: call.received_at + TimeDelta::seconds(seconds),
        ..call.clone()
    };
    for forged in [
        changed("0107-1", "0107-2"),
        changed("ses-feedback", "other-topic"),
        changed("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"1\""),
        changed("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"3\""),
        changed(
            "https://sns.eu-central-1.amazonaws.com/",
            "https://sns.evil.example/",
        ),
        changed("\"Signature\": \"", "\"Signature\": \"AAAA"),
        late(3_700),
        late(-3_700),
    ] {
        assert_eq!(
            ses.parse_callback(&forged).await,
            Err(CallbackError::Unauthenticated),
            "{forged:?}"
        );
    }
    let truncated = CallbackRequest {
        body: call.body[..call.body.len() / 2].to_vec(),
        ..call.clone()
    };
    assert!(matches!(
        ses.parse_callback(&truncated).await,
        Err(CallbackError::Malformed(_))
    ));
    let deaf = moto_provider(peer, "");
    assert_eq!(deaf.parse_callback(call).await, Err(CallbackError::NotSupported));
}

#[tokio::test]
async fn a_silent_provider_is_unknown_and_one_that_is_away_is_not() {
    let (ses, _stub) = stub_provider(StubAction::RespondAndClose(Vec::new())).await;
    assert_eq!(ses.send(&message()).await.outcome.as_str(), "unknown");
    let (ses, stub) = stub_provider(StubAction::RespondAndClose(Vec::new())).await;
    drop(stub);
    tokio::task::yield_now().await;
    assert_eq!(ses.send(&message()).await.outcome.as_str(), "unavailable");
}

#[tokio::test]
async fn a_check_says_what_the_account_says() {
    let account = "{\"SendingEnabled\":true,\"ProductionAccessEnabled\":false,\"SendQuota\":{\"Max24HourSend\":200.0,\
                   \"MaxSendRate\":1.0,\"SentLast24Hours\":3.0}}";
    let (ses, stub) = stub_provider(response(200, "", account)).await;
    let AccountCheck::Passed(words) = ses.check_account().await else {
        panic!("all is well")
    };
    assert!(
        words.contains("3 of 200 mails") && words.contains("sandbox"),
        "{words}"
    );
    assert!(
        stub.requests()[0].starts_with("GET /v2/email/account HTTP/1.1"),
        "{:?}",
        stub.requests()
    );
    for (status, body, expected) in [
        (
            403,
            "{\"message\":\"The security token is invalid\"}",
            "The security token is invalid",
        ),
        (200, "{\"SendingEnabled\":false}", "may not send"),
    ] {
        let (ses, _stub) = stub_provider(response(status, "", body)).await;
        let AccountCheck::Failed(words) = ses.check_account().await else {
            panic!("{body}")
        };
        assert!(words.contains(expected) && !words.contains("hunter2"), "{words}");
    }
}

#[tokio::test]
async fn the_conversation_shows_all_but_the_secrets() {
    let stub = HttpStub::start(vec![response(200, "", "{\"MessageId\":\"0107-1\"}")]).await;
    let tape = Transcript::new(&["hunter2".to_owned()]);
    let outbound = HttpClientPool::new().unwrap().with_transcript(tape.clone());
    let base = format!("http://{}", stub.address);
    ses_provider(
        &settings_toml(&base, "AKID", "hunter2", "session_token = \"tok-1\""),
        &outbound,
    )
    .send(&message())
    .await;
    let lines = tape.lines();
    for line in [
        "> POST /v2/email/outbound-emails",
        "> authorization: AWS4-HMAC-SHA256 ***",
        "> x-amz-security-token: ***",
        "< 200",
    ] {
        assert!(
            lines.iter().any(|told| told == line),
            "{line} is not in {lines:#?}"
        );
    }
    assert!(lines.iter().any(|line| line.contains("0107-1")), "{lines:#?}");
}

#[tokio::test]
async fn the_contract_holds() {
    let (ses, _stub) = stub_provider(response(200, "", "{\"MessageId\":\"0107-1\"}")).await;
    conformance::check_provider(&ses).await;
}

#[test]
fn wrong_settings_name_the_key_and_the_remedy() {
    let usual = "region = \"eu-central-1\"\naccess_key_id = \"AKID\"\nsecret_access_key = \"hunter2\"\nfrom = \"a@b.example\"\n";
    let replaced = |from: &str, to: &str| usual.replace(from, to);
    for (table, words) in [
        (replaced("eu-central-1", "Frankfurt"), "region: write it"),
        (
            replaced("hunter2", "hun ter2"),
            "secret_access_key: is empty or holds a blank",
        ),
        (replaced("a@b.example", "a"), "from: is no address"),
        (
            format!("{usual}topics = [\"ses\"]"),
            "topics: \"ses\" is no topic",
        ),
        (format!("{usual}base_url = \"aws\""), "base_url: is not a URL"),
        (format!("{usual}regio = \"x\""), "regio"),
    ] {
        let refused = SesSettings::read(table.parse().unwrap()).unwrap_err().to_string();
        assert!(
            refused.contains(words) && !refused.contains("ter2"),
            "{table}: {refused}"
        );
    }
    let settings = SesSettings::read(usual.parse().unwrap()).unwrap();
    assert_eq!(
        settings.parsed_base_url().unwrap().as_str(),
        "https://email.eu-central-1.amazonaws.com/"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}
