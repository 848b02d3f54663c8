//! The adapter against moto, which checks our signatures and signs notifications as SNS does, and against stubs.

use chrono::TimeDelta;

use super::*;
use crate::domain::receipt::Verdict;
use crate::provider::outbound::Outbound;
use crate::provider::peer::Peer;
use crate::provider::stub::{Act, Stub, answer};
use crate::provider::{Tape, contract};

fn ses(table: &str, outbound: &Outbound) -> Ses {
    let settings = Settings::read(table.parse().unwrap()).unwrap();
    let line = outbound.line(&contract::limits(), settings.is_secure()).unwrap();
    Ses::new(&settings, line).unwrap()
}

fn table(base: &str, key_id: &str, secret: &str, more: &str) -> String {
    format!(
        "region = \"eu-central-1\"\naccess_key_id = \"{key_id}\"\nsecret_access_key = \"{secret}\"\n\
         base_url = \"{base}\"\nfrom = \"Müller <shop@example.org>\"\n{more}"
    )
}

fn at_moto(peer: &Peer, more: &str) -> Ses {
    let base = format!("http://127.0.0.1:{}", peer.port());
    let table = table(&base, peer.fact("key_id"), peer.fact("secret"), more);
    ses(&table, &Outbound::new().unwrap())
}

async fn at_stub(act: Act) -> (Ses, Stub) {
    let stub = Stub::start(vec![act]).await;
    let base = format!("http://{}", stub.address);
    (
        ses(&table(&base, "AKID", "hunter2", ""), &Outbound::new().unwrap()),
        stub,
    )
}

fn parcel() -> Parcel {
    Parcel {
        to: "user@example.com".to_owned(),
        ..contract::parcel()
    }
}

#[tokio::test]
async fn moto_takes_a_mail_and_its_signature() {
    let mut peer = Peer::start("aws_server.py", &[]).await;
    let answer = at_moto(&peer, "").send(&parcel()).await;
    let Outcome::Accepted { reference: Some(id) } = answer.outcome else {
        panic!("{answer:?}")
    };
    let mails = peer.tell(json!({ "mails": true })).await;
    let mail = &mails["mails"][0];
    assert_eq!(mail["id"], id);
    assert_eq!(mail["to"]["ToAddresses"], json!(["user@example.com"]));
    assert_eq!(mail["from"], "=?utf-8?b?TcO8bGxlcg==?= <shop@example.org>");
    assert_eq!(
        (&mail["subject"], &mail["body"]),
        (&json!("Grüße & 50%"), &json!(parcel().body))
    );
}

#[tokio::test]
async fn a_wrong_secret_is_a_wrong_signature() {
    let peer = Peer::start("aws_server.py", &[]).await;
    let base = format!("http://127.0.0.1:{}", peer.port());
    let wrong = table(&base, peer.fact("key_id"), "hunter2", "");
    let answer = ses(&wrong, &Outbound::new().unwrap()).send(&parcel()).await;
    assert_eq!(answer.outcome.word(), "misconfigured", "{answer:?}");
    let stranger = table(&base, "AKIASTRANGER", "hunter2", "");
    let answer = ses(&stranger, &Outbound::new().unwrap()).send(&parcel()).await;
    assert_eq!(answer.outcome.word(), "misconfigured", "{answer:?}");
}

/// What moto's SNS told us, and an adapter that listens to it.
struct Notified {
    ses: Ses,
    call: Call,
    peer: Peer,
    /// Stands where SNS keeps its certificates.
    archive: Stub,
}

async fn notified(event: &str) -> Notified {
    let mut peer = Peer::start("aws_server.py", &[]).await;
    let ear = Stub::start(vec![answer(200, "", "")]).await;
    let to = format!("http://{}/v1/receipts/ses", ear.address);
    let told = peer.tell(json!({ "publish": event, "to": to })).await;
    let archive = Stub::start(vec![answer(200, "", told["pem"].as_str().unwrap())]).await;
    let heard = ear.heard();
    let notification = heard.iter().find(|text| text.contains("SigningCertURL")).unwrap();
    let call = Call {
        body: notification.split_once("\r\n\r\n").unwrap().1.into(),
        heard_at: Clock::System.now(),
        ..contract::call()
    };
    let more = format!(
        "topics = [\"{}\"]\nsns_url = \"http://{}\"",
        peer.fact("topic"),
        archive.address
    );
    Notified {
        ses: at_moto(&peer, &more),
        call,
        peer,
        archive,
    }
}

const DELIVERY: &str = "{\"eventType\":\"Delivery\",\"mail\":{\"messageId\":\"0107-1\"}}";

#[tokio::test]
async fn a_notification_signed_by_another_make_of_sns_is_a_receipt() {
    let Notified {
        ses,
        call,
        archive,
        peer: _peer,
    } = notified(DELIVERY).await;
    assert!(
        matches!(ses.receipts(&call), Err(Refusal::NotNow(_))),
        "the certificate is not there yet"
    );
    let heard = ses.hear(&call).await.unwrap();
    let [Incoming::Receipt(receipt)] = heard.as_slice() else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (receipt.reference.as_str(), &receipt.verdict),
        ("0107-1", &Verdict::Delivered)
    );
    assert_eq!(
        ses.receipts(&call),
        Ok(heard.clone()),
        "hearing it again gives the same"
    );
    assert_eq!(ses.callbacks(), Callbacks::Authenticated);
    let asked = archive.heard();
    assert_eq!(asked.len(), 1, "a certificate is fetched once");
    assert!(
        asked[0].contains("host: sns.eu-central-1.amazonaws.com"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_subscription_is_confirmed_once_its_signature_is_right() {
    let mut notified = notified(DELIVERY).await;
    let envelope: Value = serde_json::from_slice(&notified.call.body).unwrap();
    let (url, at) = (
        "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t",
        &envelope["Timestamp"],
    );
    let at = at.as_str().unwrap().to_owned();
    let topic = notified.peer.fact("topic").to_owned();
    let text = format!(
        "Message\nm\nMessageId\n1\nSubscribeURL\n{url}\nTimestamp\n{at}\nToken\nt\nTopicArn\n{topic}\nType\n\
         SubscriptionConfirmation\n"
    );
    for version in ["1", "2"] {
        let signed = notified
            .peer
            .tell(json!({ "sign": text, "version": version }))
            .await;
        let body = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "t", "TopicArn": topic, "Message": "m",
            "SubscribeURL": url, "Timestamp": at, "SignatureVersion": version, "Signature": signed["signature"],
            "SigningCertURL": envelope["SigningCertURL"],
        });
        let call = Call {
            body: body.to_string().into(),
            ..notified.call.clone()
        };
        assert_eq!(
            notified.ses.hear(&call).await,
            Ok(Vec::new()),
            "version {version}"
        );
        let elsewhere = Call {
            body: body.to_string().replace("Token=t", "Token=u").into(),
            ..call
        };
        assert_eq!(notified.ses.hear(&elsewhere).await, Err(Refusal::Forged));
    }
    let asked = notified.archive.heard();
    let confirmed = asked
        .iter()
        .filter(|text| text.starts_with("GET /?Action=ConfirmSubscription&Token=t "));
    assert_eq!(confirmed.count(), 2, "{asked:?}");
}

#[tokio::test]
async fn what_is_not_signed_old_or_of_another_topic_is_forged() {
    let Notified { ses, call, peer, .. } = &notified(DELIVERY).await;
    ses.hear(call).await.unwrap();
    let text = String::from_utf8(call.body.clone()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        Call {
            body: text.replace(from, to).into(),
            ..call.clone()
        }
    };
    let late = |seconds: i64| Call {
        heard_at: call.heard_at + TimeDelta::seconds(seconds),
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
        assert_eq!(ses.hear(&forged).await, Err(Refusal::Forged), "{forged:?}");
    }
    let truncated = Call {
        body: call.body[..call.body.len() / 2].to_vec(),
        ..call.clone()
    };
    assert!(matches!(ses.hear(&truncated).await, Err(Refusal::Unreadable(_))));
    let deaf = at_moto(peer, "");
    assert_eq!(deaf.hear(call).await, Err(Refusal::NotExpected));
}

#[tokio::test]
async fn a_silent_provider_is_unknown_and_one_that_is_away_is_not() {
    let (ses, _stub) = at_stub(Act::Break(Vec::new())).await;
    assert_eq!(ses.send(&parcel()).await.outcome.word(), "unknown");
    let (ses, stub) = at_stub(Act::Break(Vec::new())).await;
    drop(stub);
    tokio::task::yield_now().await;
    assert_eq!(ses.send(&parcel()).await.outcome.word(), "unavailable");
}

#[tokio::test]
async fn a_check_says_what_the_account_says() {
    let account = "{\"SendingEnabled\":true,\"ProductionAccessEnabled\":false,\"SendQuota\":{\"Max24HourSend\":200.0,\
                   \"MaxSendRate\":1.0,\"SentLast24Hours\":3.0}}";
    let (ses, stub) = at_stub(answer(200, "", account)).await;
    let Checked::Well(words) = ses.check().await else {
        panic!("all is well")
    };
    assert!(
        words.contains("3 of 200 mails") && words.contains("sandbox"),
        "{words}"
    );
    assert!(
        stub.heard()[0].starts_with("GET /v2/email/account HTTP/1.1"),
        "{:?}",
        stub.heard()
    );
    for (status, body, expected) in [
        (
            403,
            "{\"message\":\"The security token is invalid\"}",
            "The security token is invalid",
        ),
        (200, "{\"SendingEnabled\":false}", "may not send"),
    ] {
        let (ses, _stub) = at_stub(answer(status, "", body)).await;
        let Checked::Wrong(words) = ses.check().await else {
            panic!("{body}")
        };
        assert!(words.contains(expected) && !words.contains("hunter2"), "{words}");
    }
}

#[tokio::test]
async fn the_conversation_shows_all_but_the_secrets() {
    let stub = Stub::start(vec![answer(200, "", "{\"MessageId\":\"0107-1\"}")]).await;
    let tape = Tape::new(&["hunter2".to_owned()]);
    let outbound = Outbound::new().unwrap().taped(tape.clone());
    let base = format!("http://{}", stub.address);
    ses(
        &table(&base, "AKID", "hunter2", "session_token = \"tok-1\""),
        &outbound,
    )
    .send(&parcel())
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
    let (ses, _stub) = at_stub(answer(200, "", "{\"MessageId\":\"0107-1\"}")).await;
    contract::holds(&ses).await;
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
        let refused = Settings::read(table.parse().unwrap()).unwrap_err().to_string();
        assert!(
            refused.contains(words) && !refused.contains("ter2"),
            "{table}: {refused}"
        );
    }
    let settings = Settings::read(usual.parse().unwrap()).unwrap();
    assert_eq!(
        settings.base().unwrap().as_str(),
        "https://email.eu-central-1.amazonaws.com/"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}
