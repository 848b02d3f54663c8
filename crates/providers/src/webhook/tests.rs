//! The adapter against a stub, and its signatures against the reference library for Python.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::testing::conformance::{self, ExpectedOutcomes};
use crate::testing::http_stub::{HttpStub, StubAction, response as http};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_SECRET: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

fn webhook_provider(settings: &str) -> WebhookProvider {
    let settings = WebhookSettings::read(settings.parse().unwrap()).unwrap();
    WebhookProvider::new(&conformance::sample_context(), &settings).unwrap()
}

fn provider_to_recipients() -> WebhookProvider {
    webhook_provider(&format!("secrets = [\"{NEW_SECRET}\", \"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]"))
}

fn message_to(stub: &HttpStub) -> OutboundMessage {
    let url = format!("http://{}/hook?who=anna", stub.address);
    OutboundMessage { to: url.clone(), spelling: url, ..conformance::sample_message() }
}

async fn send_result_for(action: StubAction, owner: EndpointOwner) -> SendResult {
    let stub = HttpStub::start(vec![action]).await;
    let result = match owner {
        EndpointOwner::Recipient => provider_to_recipients().send(&message_to(&stub)).await,
        EndpointOwner::Operator => {
            let url = format!("url = \"http://{}/all\"", stub.address);
            let provider =
                webhook_provider(&format!("{url}\nsecrets = [\"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]"));
            provider.send(&conformance::sample_message()).await
        }
    };
    assert_eq!(stub.requests().len(), 1, "a send is never repeated");
    result
}

#[tokio::test]
async fn every_status_has_its_outcome_for_the_owner_of_the_endpoint() {
    let overrides = [
        (300, "unavailable"),
        (301, "unavailable"),
        (302, "unavailable"),
        (303, "unavailable"),
        (307, "unavailable"),
        (308, "unavailable"),
        (403, "unavailable"),
        (410, "misconfigured"),
        (600, "unavailable"),
    ];
    for (status, shared) in conformance::STATUS_OUTCOMES {
        let operator = match conformance::overridden(&overrides, status, shared) {
            _ if (200..300).contains(&status) => "accepted",
            "rejected" => "deferred",
            outcome => outcome,
        };
        let recipient = match status {
            200..300 => "accepted",
            410 => "invalid_recipient",
            _ => "deferred",
        };

        for (owner, outcome) in [(EndpointOwner::Operator, operator), (EndpointOwner::Recipient, recipient)] {
            let result = send_result_for(http(status, "", ""), owner).await;
            assert_eq!(result.outcome.as_str(), outcome, "{status} of {owner:?}");
            assert_eq!(result.code, Some(format!("HTTP {status}")));
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
async fn a_missing_response_is_not_unknown_because_the_endpoint_recognises_repetitions() {
    let no_response = || StubAction::RespondAndClose(Vec::new());
    assert_eq!(send_result_for(no_response(), EndpointOwner::Recipient).await.outcome.as_str(), "deferred");
    assert_eq!(send_result_for(no_response(), EndpointOwner::Operator).await.outcome.as_str(), "unavailable");
}

#[tokio::test]
async fn a_private_address_is_an_invalid_recipient() {
    let stub = HttpStub::start(vec![http(200, "", "")]).await;
    let public_only = webhook_provider(&format!("secrets = [\"{SECRET}\"]"));
    let private = format!("https://localhost:{}/", stub.address.port());
    for wrong in
        ["https://127.0.0.1/", "https://[::1]/", &private, "http://hooks.example/", "anna@example.org"]
    {
        let message = OutboundMessage { to: wrong.to_owned(), ..conformance::sample_message() };
        let result = public_only.send(&message).await;
        assert_eq!(result.outcome.as_str(), "invalid_recipient", "{wrong}");
    }
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn conforms_to_the_suite() {
    conformance::check_provider(&provider_to_recipients()).await;
    let context = AdapterContext { limits: conformance::short_limits(), ..conformance::sample_context() };
    let provider_at = |address| -> Arc<dyn Provider> {
        let url = format!("url = \"http://{address}/all\"");
        let keys = format!("{url}\nsecrets = [\"{SECRET}\"]\nnetworks = [\"127.0.0.1\"]");
        let settings = WebhookSettings::read(keys.parse().unwrap()).unwrap();
        Arc::new(WebhookProvider::new(&context, &settings).unwrap())
    };
    // An endpoint recognises repetitions, and every 2xx confirms the message.
    let expected = ExpectedOutcomes {
        no_response: "unavailable",
        garbage: "accepted",
        unconfirmed: "accepted",
        ..ExpectedOutcomes::default()
    };
    conformance::check_failures(provider_at, &conformance::sample_message(), &expected).await;
}

#[test]
fn wrong_settings_name_the_key_and_show_no_secret() {
    for (settings, key) in [
        ("", "secrets"),
        ("secrets = []", "secrets"),
        ("secrets = [\"hunter2\"]", "secrets"),
        (&format!("secrets = [\"{SECRET}\"]\nnetworks = [\"home\"]"), "networks"),
        (&format!("secrets = [\"{SECRET}\"]\nurl = \"http://10.0.0.1/\""), "url"),
        (&format!("secrets = [\"{SECRET}\"]\nurls = \"x\""), "urls"),
    ] {
        let error = WebhookSettings::read(settings.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains(key) && !error.contains("hunter2"), "{error}");
    }
    let settings = format!("secrets = [\"{SECRET}\"]");
    let debug = format!("{:?}", WebhookSettings::read(settings.parse().unwrap()).unwrap());
    assert!(!debug.contains("AAECAw") && !debug.contains("[0, 1, 2"), "{debug}");
}

const VERIFIER: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
event = json.load(sys.stdin)
for secret in event["secrets"]:
    data = Webhook(secret).verify(event["body"], event["headers"])
    assert data["data"]["body"] == event["expected_body"], data
for body, secret in ((event["body"] + " ", event["secrets"][0]), (event["body"], "whsec_" + "B" * 40)):
    try:
        Webhook(secret).verify(body, event["headers"])
        sys.exit("a forged webhook was verified")
    except WebhookVerificationError:
        pass
print("verified")
"#;

/// Verifies a webhook with the Standard Webhooks library for Python.
fn verify_with_reference_library(event: &serde_json::Value) -> String {
    let python = postrider_core::testing::workspace_root().join("target/peers/python/bin/python");
    let mut child = Command::new(&python)
        .args(["-c", VERIFIER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run ./start.sh test", python.display()));
    let text = event.to_string();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn the_reference_library_verifies_webhooks_with_either_secret() {
    let stub = HttpStub::start(vec![http(200, "", "")]).await;
    let message = message_to(&stub);
    assert_eq!(provider_to_recipients().send(&message).await.outcome, Outcome::Accepted { reference: None });
    provider_to_recipients().send(&OutboundMessage { round: 9, ..message.clone() }).await;
    let requests = stub.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?who=anna HTTP/1.1\r\n"), "{head}");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.into()))
    };
    let headers = head.lines().filter_map(header).collect::<serde_json::Map<String, serde_json::Value>>();
    let event = json!({
        "body": body, "headers": headers, "expected_body": message.body, "secrets": [SECRET, NEW_SECRET],
    });
    assert_eq!(verify_with_reference_library(&event).trim(), "verified");
    let id = headers["webhook-id"].as_str().unwrap();
    assert!(requests[1].contains(id) && requests[1].ends_with(body), "another round sends the same body");
}
