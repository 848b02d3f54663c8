//! The adapter over real sockets, every answer there is, and our signatures under the eyes of another language's library.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::provider::contract;
use crate::provider::stub::{Act, Stub, answer as http};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_SECRET: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

fn provider(settings: &str) -> Webhook {
    let settings = Settings::read(settings.parse().unwrap()).unwrap();
    Webhook::new(&settings, &contract::limits(), None).unwrap()
}

fn to_recipients() -> Webhook {
    provider(&format!(
        "secrets = [\"{NEW_SECRET}\", \"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]"
    ))
}

fn to(stub: &Stub) -> Parcel {
    let url = format!("http://{}/hook?who=anna", stub.address);
    Parcel {
        to: url.clone(),
        spelling: url,
        ..contract::parcel()
    }
}

async fn outcome(act: Act, whose: Whose) -> Answer {
    let stub = Stub::start(vec![act]).await;
    let answer = match whose {
        Whose::Recipients => to_recipients().send(&to(&stub)).await,
        Whose::Ours => {
            let url = format!("url = \"http://{}/all\"", stub.address);
            let ours = provider(&format!(
                "{url}\nsecrets = [\"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]"
            ));
            ours.send(&contract::parcel()).await
        }
    };
    assert_eq!(stub.heard().len(), 1, "nothing is ever repeated");
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
        for (whose, word) in [(Whose::Ours, ours), (Whose::Recipients, recipients)] {
            let answer = outcome(http(status, "", ""), whose).await;
            assert_eq!(answer.outcome.word(), word, "{status} of {whose:?}");
            assert_eq!(answer.code, Some(format!("HTTP {status}")));
        }
    }
    let busy = outcome(http(503, "Retry-After: 7\r\n", "busy"), Whose::Recipients).await;
    let Outcome::Deferred { reason, retry_after } = busy.outcome else {
        panic!("{busy:?}");
    };
    assert_eq!((reason.as_str(), retry_after.unwrap().as_secs()), ("busy", 7));
    let busy = outcome(http(503, "Retry-After: 7\r\n", ""), Whose::Ours).await;
    assert_eq!(busy.outcome.word(), "throttled");
}

#[tokio::test]
async fn silence_is_no_doubt_because_the_receiver_can_tell() {
    let mute = || Act::Break(Vec::new());
    assert_eq!(
        outcome(mute(), Whose::Recipients).await.outcome.word(),
        "deferred"
    );
    assert_eq!(outcome(mute(), Whose::Ours).await.outcome.word(), "unavailable");
}

#[tokio::test]
async fn an_address_inside_is_no_address() {
    let stub = Stub::start(vec![http(200, "", "")]).await;
    let strict = provider(&format!("secrets = [\"{SECRET}\"]"));
    let inside = format!("https://localhost:{}/", stub.address.port());
    for wrong in [
        "https://127.0.0.1/",
        "https://[::1]/",
        &inside,
        "http://hooks.example/",
        "anna@example.org",
    ] {
        let parcel = Parcel {
            to: wrong.to_owned(),
            ..contract::parcel()
        };
        let answer = strict.send(&parcel).await;
        assert_eq!(answer.outcome.word(), "invalid_recipient", "{wrong}");
    }
    assert_eq!(stub.heard().len(), 0);
}

#[tokio::test]
async fn it_keeps_the_contract() {
    contract::holds(&to_recipients()).await;
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
        let error = Settings::read(settings.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains(key) && !error.contains("hunter2"), "{error}");
    }
    let settings = format!("secrets = [\"{SECRET}\"]");
    let shown = format!("{:?}", Settings::read(settings.parse().unwrap()).unwrap());
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
fn verified(told: &serde_json::Value) -> String {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/python");
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
    let stub = Stub::start(vec![http(200, "", "")]).await;
    let parcel = to(&stub);
    assert_eq!(
        to_recipients().send(&parcel).await.outcome,
        Outcome::Accepted { reference: None }
    );
    to_recipients()
        .send(&Parcel {
            round: 9,
            ..parcel.clone()
        })
        .await;
    let heard = stub.heard();
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
    assert_eq!(verified(&told).trim(), "verified");
    let id = headers["webhook-id"].as_str().unwrap();
    assert!(
        heard[1].contains(id) && heard[1].ends_with(body),
        "another round brings the same"
    );
}
