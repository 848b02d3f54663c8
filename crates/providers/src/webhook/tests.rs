//! The adapter over real sockets, every answer there is, and our signatures under the eyes of another language's library.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::conformance;
use crate::http_stub::{HttpStub, StubAction, response as http};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_SECRET: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

fn webhook_provider(settings: &str) -> WebhookProvider {
    let settings = WebhookSettings::read(settings.parse().unwrap()).unwrap();
    WebhookProvider::new(&conformance::sample_context(), &settings).unwrap()
}

fn provider_to_recipients() -> WebhookProvider {
    webhook_provider(&format!(
        "secrets = [\"{NEW_SECRET}\", \"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]"
    ))
}

fn message_to(stub: &HttpStub) -> OutboundMessage {
    let url = format!("http://{}/hook?who=anna", stub.address);
    OutboundMessage {
        to: url.clone(),
        spelling: url,
        ..conformance::sample_message()
    }
}

async fn send_result_for(act: StubAction, whose: EndpointOwner) -> SendResult {
    let stub = HttpStub::start(vec![act]).await;
    let answer = match whose {
        EndpointOwner::Recipient => provider_to_recipients().send(&message_to(&stub)).await,
        EndpointOwner::Operator => {
            let url = format!("url = \"http://{}/all\"", stub.address);
            let ours = webhook_provider(&format!(
                "{url}\nsecrets = [\"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]"
            ));
            ours.send(&conformance::sample_message()).await
        }
    };
    assert_eq!(stub.requests().len(), 1, "nothing is ever repeated");
    answer
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    for (status, ours, recipients) in [
        (200, "accepted", "accepted"),
        (204, "accepted", "accepted"),
        (302, "misconfigured", "deferred"),
        (400, "deferred", "deferred"),
        (401, "misconfigured", "deferred"),
        (403, "misconfigured", "deferred"),
        (404, "unavailable", "deferred"),
        (408, "deferred", "deferred"),
        (410, "misconfigured", "invalid_recipient"),
        (422, "deferred", "deferred"),
        (425, "deferred", "deferred"),
        (429, "throttled", "deferred"),
        (500, "unavailable", "deferred"),
        (503, "unavailable", "deferred"),
    ] {
        for (whose, word) in [
            (EndpointOwner::Operator, ours),
            (EndpointOwner::Recipient, recipients),
        ] {
            let answer = send_result_for(http(status, "", ""), whose).await;
            assert_eq!(answer.outcome.as_str(), word, "{status} of {whose:?}");
            assert_eq!(answer.code, Some(format!("HTTP {status}")));
        }
    }
    let busy = send_result_for(http(503, "Retry-After: 7\r\n", "busy"), EndpointOwner::Recipient).await;
    let Outcome::Deferred { reason, retry_after } = busy.outcome else {
        panic!("{busy:?}");
    };
    assert_eq!((reason.as_str(), retry_after.unwrap().as_secs()), ("busy", 7));
    let busy = send_result_for(http(503, "Retry-After: 7\r\n", ""), EndpointOwner::Operator).await;
    assert_eq!(busy.outcome.as_str(), "throttled");
}

#[tokio::test]
async fn silence_is_no_doubt_because_the_receiver_can_tell() {
    let mute = || StubAction::RespondAndClose(Vec::new());
    assert_eq!(
        send_result_for(mute(), EndpointOwner::Recipient)
            .await
            .outcome
            .as_str(),
        "deferred"
    );
    assert_eq!(
        send_result_for(mute(), EndpointOwner::Operator)
            .await
            .outcome
            .as_str(),
        "unavailable"
    );
}

#[tokio::test]
async fn an_address_inside_is_no_address() {
    let stub = HttpStub::start(vec![http(200, "", "")]).await;
    let strict = webhook_provider(&format!("secrets = [\"{SECRET}\"]"));
    let inside = format!("https://localhost:{}/", stub.address.port());
    for wrong in [
        "https://127.0.0.1/",
        "https://[::1]/",
        &inside,
        "http://hooks.example/",
        "anna@example.org",
    ] {
        let parcel = OutboundMessage {
            to: wrong.to_owned(),
            ..conformance::sample_message()
        };
        let answer = strict.send(&parcel).await;
        assert_eq!(answer.outcome.as_str(), "invalid_recipient", "{wrong}");
    }
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn it_keeps_the_contract() {
    conformance::check_provider(&provider_to_recipients()).await;
}

#[test]
fn settings_name_what_is_wrong_and_show_no_secret() {
    for (settings, key) in [
        ("", "secrets"),
        ("secrets = []", "secrets"),
        ("secrets = [\"hunter2\"]", "secrets"),
        (
            &format!("secrets = [\"{SECRET}\"]\nnetworks = [\"home\"]"),
            "networks",
        ),
        (
            &format!("secrets = [\"{SECRET}\"]\nurl = \"http://10.0.0.1/\""),
            "url",
        ),
        (&format!("secrets = [\"{SECRET}\"]\nurls = \"x\""), "urls"),
    ] {
        let error = WebhookSettings::read(settings.parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains(key) && !error.contains("hunter2"), "{error}");
    }
    let settings = format!("secrets = [\"{SECRET}\"]");
    let shown = format!("{:?}", WebhookSettings::read(settings.parse().unwrap()).unwrap());
    assert!(
        !shown.contains("AAECAw") && !shown.contains("[0, 1, 2"),
        "{shown}"
    );
}

const VERIFIER: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
told = json.load(sys.stdin)
for secret in told["secrets"]:
    data = Webhook(secret).verify(told["body"], told["headers"])
    assert data["data"]["body"] == told["says"], data
for body, secret in ((told["body"] + " ", told["secrets"][0]), (told["body"], "whsec_" + "B" * 40)):
    try:
        Webhook(secret).verify(body, told["headers"])
        sys.exit("a forged call was believed")
    except WebhookVerificationError:
        pass
print("verified")
"#;

/// What the library of Standard Webhooks for Python says of a call.
fn verify_with_reference_library(told: &serde_json::Value) -> String {
    let python = postrider_core::testing::workspace_root().join("target/peers/python/bin/python");
    let mut child = Command::new(&python)
        .args(["-c", VERIFIER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run ./start.sh test", python.display()));
    let text = told.to_string();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn the_library_of_another_language_believes_our_calls_with_either_secret() {
    let stub = HttpStub::start(vec![http(200, "", "")]).await;
    let parcel = message_to(&stub);
    assert_eq!(
        provider_to_recipients().send(&parcel).await.outcome,
        Outcome::Accepted { reference: None }
    );
    provider_to_recipients()
        .send(&OutboundMessage {
            round: 9,
            ..parcel.clone()
        })
        .await;
    let heard = stub.requests();
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?who=anna HTTP/1.1\r\n"), "{head}");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.into()))
    };
    let headers = head
        .lines()
        .filter_map(header)
        .collect::<serde_json::Map<String, serde_json::Value>>();
    let told = json!({
        "body": body, "headers": headers, "says": parcel.body, "secrets": [SECRET, NEW_SECRET],
    });
    assert_eq!(verify_with_reference_library(&told).trim(), "verified");
    let id = headers["webhook-id"].as_str().unwrap();
    assert!(
        heard[1].contains(id) && heard[1].ends_with(body),
        "another round brings the same"
    );
}
