//! Apple as an HTTP/2 server of another language (tests/peers/apple.mjs), over TLS, that verifies our tokens itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::http_stub::openssl;
use crate::{CallLimits, conformance};
use postrider_core::clock::Clock;

const NOW_SECONDS: i64 = 1_784_642_585;

/// A running stand-in; it ends with the test.
struct FakeApns {
    child: Child,
    folder: TempDir,
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl FakeApns {
    fn start() -> Self {
        Self::with_reasons(&BTreeMap::new())
    }

    /// A stand-in that answers certain devices with a status, a reason and headers.
    fn with_reasons(reasons: &BTreeMap<String, Value>) -> Self {
        let root = postrider_core::testing::workspace_root();
        let folder = openssl::self_signed_certificate();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(
            file("public.pem"),
            openssl::public_key_pem(&openssl::P256_PRIVATE_KEY_PEM),
        )
        .unwrap();
        let mut child = Command::new(root.join("target/peers/python/bin/node"))
            .arg(root.join("tests/peers/apple.mjs"))
            .args(["cert.pem", "key.pem", "public.pem"].map(file))
            .env("REASONS", serde_json::to_string(reasons).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is missing; run ./start.sh test");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                noted.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            child,
            folder,
            port,
            requests: heard,
        }
    }

    fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("cert.pem")).unwrap()
    }

    /// The requests so far, of which there have to be so many.
    async fn requests(&self, count: usize) -> Vec<Value> {
        for _ in 0..2_000 {
            let heard = self.requests.lock().unwrap().clone();
            if heard.len() >= count {
                return heard;
            }
            postrider_core::clock::sleep(Duration::from_millis(5)).await;
        }
        panic!("Apple heard too little: {:?}", self.requests.lock().unwrap());
    }
}

impl Drop for FakeApns {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn settings(more: &str) -> ApnsSettings {
    let mut table: toml::Table = more.parse().unwrap();
    for (key, text) in [
        ("key", openssl::P256_PRIVATE_KEY_PEM.as_str()),
        ("key_id", "ABC123DEFG"),
        ("team_id", "DEF123GHIJ"),
        ("topic", "org.example.app"),
    ] {
        table.entry(key).or_insert_with(|| toml::Value::from(text));
    }
    ApnsSettings::read(table).unwrap()
}

fn clock() -> Clock {
    Clock::manual(from_millis(NOW_SECONDS * 1_000))
}

fn apns_with(apple: &FakeApns, more: &str, clock: Clock, limits: &CallLimits) -> Apns {
    let place = format!(
        "base_url = \"https://127.0.0.1:{}\"\nauthorities = '''{}'''\n",
        apple.port,
        apple.ca_pem()
    );
    let context = AdapterContext {
        limits: limits.clone(),
        clock,
        ..conformance::sample_context()
    };
    Apns::new(&context, &settings(&(place + more))).unwrap()
}

fn apns(apple: &FakeApns) -> Apns {
    apns_with(apple, "", clock(), &conformance::sample_limits())
}

/// A device whose token begins so.
fn device(start: &str) -> String {
    format!("{start:0<64}")
}

fn message_to(start: &str) -> OutboundMessage {
    OutboundMessage {
        to: device(start),
        expires_at: from_millis((NOW_SECONDS + 600) * 1_000),
        ..conformance::sample_message()
    }
}

#[tokio::test]
async fn it_speaks_http_2_over_tls_with_a_token_that_apple_can_verify() {
    let apple = FakeApns::start();
    let apns = apns_with(
        &apple,
        "title = \"Acme\"\nsound = \"default\"\n[data]\nkind = \"otp\"",
        clock(),
        &conformance::sample_limits(),
    );
    let answer = apns
        .send(&OutboundMessage {
            subject: None,
            ..message_to("a1")
        })
        .await;
    let id = gateway_id(&message_to("a1")).to_string();
    assert_eq!(
        answer.outcome,
        Outcome::Accepted {
            reference: Some(id.clone())
        }
    );
    let heard = apple.requests(1).await.remove(0);
    assert_eq!(heard["path"], format!("/3/device/{}", device("a1")));
    for (name, value) in [
        ("apns-topic", "org.example.app"),
        ("apns-push-type", "alert"),
        ("apns-id", id.as_str()),
        ("apns-collapse-id", id.as_str()),
        ("apns-expiration", "1784643185"),
        ("apns-priority", "10"),
    ] {
        assert_eq!(heard["headers"][name], value, "{name}");
    }
    let body: Value = serde_json::from_str(heard["body"].as_str().unwrap()).unwrap();
    let alert = json!({"title": "Acme", "body": conformance::sample_message().body});
    assert_eq!(
        body,
        json!({"aps": {"alert": alert, "sound": "default"}, "gw_id": id, "kind": "otp"})
    );
}

#[tokio::test]
async fn every_documented_reason_comes_to_its_outcome() {
    let cases = [
        (400, "BadDeviceToken", "invalid_recipient"),
        (400, "DeviceTokenNotForTopic", "invalid_recipient"),
        (400, "MissingDeviceToken", "invalid_recipient"),
        (410, "Unregistered", "invalid_recipient"),
        (410, "ExpiredToken", "invalid_recipient"),
        (400, "PayloadEmpty", "rejected"),
        (413, "PayloadTooLarge", "rejected"),
        (400, "BadMessageId", "rejected"),
        (400, "BadExpirationDate", "rejected"),
        (400, "BadPriority", "rejected"),
        (400, "DuplicateHeaders", "rejected"),
        (400, "BadCollapseId", "rejected"),
        (400, "InvalidPushType", "rejected"),
        (400, "BadTopic", "misconfigured"),
        (400, "MissingTopic", "misconfigured"),
        (400, "TopicDisallowed", "misconfigured"),
        (403, "BadCertificate", "misconfigured"),
        (403, "BadCertificateEnvironment", "misconfigured"),
        (403, "Forbidden", "misconfigured"),
        (403, "InvalidProviderToken", "misconfigured"),
        (403, "MissingProviderToken", "misconfigured"),
        (404, "BadPath", "misconfigured"),
        (405, "MethodNotAllowed", "misconfigured"),
        (429, "TooManyRequests", "deferred"),
        (429, "TooManyProviderTokenUpdates", "misconfigured"),
        (400, "IdleTimeout", "unavailable"),
        (500, "InternalServerError", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (503, "Shutdown", "unavailable"),
        (400, "BrandNew", "rejected"),
        (500, "BrandNew", "unavailable"),
    ];
    let devices = (0..cases.len()).map(|index| device(&format!("b{index:02}")));
    let reasons = devices
        .zip(cases)
        .map(|(device, (status, reason, _))| (device, json!([status, reason])));
    let apple = FakeApns::with_reasons(&reasons.collect());
    let apns = apns(&apple);
    for (index, (status, reason, outcome)) in cases.into_iter().enumerate() {
        let answer = apns.send(&message_to(&format!("b{index:02}"))).await;
        assert_eq!(answer.outcome.as_str(), outcome, "{status} {reason}: {answer:?}");
        assert_eq!(answer.code.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn the_time_apple_asks_for_is_kept() {
    let later = json!({"retry-after": "7"});
    let reasons = BTreeMap::from([
        (device("c1"), json!([503, "ServiceUnavailable", later])),
        (device("c2"), json!([429, "TooManyRequests", later])),
    ]);
    let apple = FakeApns::with_reasons(&reasons);
    let apns = apns(&apple);
    let told = Some(Duration::from_secs(7));
    assert_eq!(
        apns.send(&message_to("c1")).await.outcome,
        Outcome::Throttled { retry_after: told }
    );
    let outcome = apns.send(&message_to("c2")).await.outcome;
    assert!(
        matches!(outcome, Outcome::Deferred { retry_after, .. } if retry_after == told),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_too_old_is_signed_anew_once_for_all_and_no_message_is_lost() {
    let apple = FakeApns::start();
    let apns = Arc::new(apns(&apple));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let apns = Arc::clone(&apns);
        sending.spawn(async move { apns.send(&message_to("666")).await });
    }
    for answer in sending.join_all().await {
        assert!(matches!(answer.outcome, Outcome::Accepted { .. }), "{answer:?}");
    }
    let tokens = |heard: Vec<Value>| {
        let mut tokens: Vec<_> = heard
            .iter()
            .map(|one| one["headers"]["authorization"].to_string())
            .collect();
        tokens.sort();
        tokens.dedup();
        tokens.len()
    };
    assert_eq!(tokens(apple.requests(31).await), 2);
    let answer = apns.send(&message_to("555")).await;
    assert_eq!(
        (answer.outcome.as_str(), answer.code.as_deref()),
        ("misconfigured", Some("ExpiredProviderToken"))
    );
    assert!(answer.outcome.reason().unwrap().contains("clock"));
}

#[tokio::test]
async fn a_token_is_signed_anew_before_it_is_too_old_and_no_sooner() {
    let (clock, settings) = (clock(), settings(""));
    let signer = ProviderTokenSigner::new(&settings, clock.clone()).unwrap();
    let first = signer.token(None).unwrap();
    clock.advance(Duration::from_secs(50 * 60 - 1));
    assert_eq!(signer.token(None).unwrap(), first);
    clock.advance(Duration::from_secs(1));
    let second = signer.token(None).unwrap();
    assert_ne!(second, first);
    assert_eq!(
        signer.token(Some(&first)).unwrap(),
        second,
        "it was signed anew already"
    );
}

#[tokio::test]
async fn a_server_that_goes_away_or_refuses_has_not_looked_at_the_message() {
    let apple = FakeApns::start();
    let apns = apns(&apple);
    // The first stream of a connection cannot be left out by a server that goes away.
    assert_eq!(apns.send(&message_to("a1")).await.outcome.as_str(), "accepted");
    let away = apns.send(&message_to("333")).await;
    assert_eq!(away.outcome.as_str(), "unavailable", "{away:?}");
    assert_eq!(
        apns.send(&message_to("333")).await.outcome.as_str(),
        "accepted",
        "over another connection"
    );
    let refused = apns.send(&message_to("444")).await;
    assert_eq!(refused.outcome.as_str(), "unavailable", "{refused:?}");
}

#[tokio::test]
async fn silence_after_the_request_had_left_is_unknown() {
    let apple = FakeApns::start();
    let broken = apns(&apple).send(&message_to("111")).await;
    assert_eq!(broken.outcome.as_str(), "unknown", "{broken:?}");
    let hasty = CallLimits {
        connect_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_millis(2_500),
        ..conformance::sample_limits()
    };
    let silent = apns_with(&apple, "", clock(), &hasty)
        .send(&message_to("222"))
        .await;
    assert_eq!(silent.outcome.as_str(), "unknown", "{silent:?}");
}

#[tokio::test]
async fn a_server_that_is_not_apple_gets_nothing() {
    let (apple, other) = (FakeApns::start(), FakeApns::start());
    let mut settings = settings(&format!("base_url = \"https://127.0.0.1:{}\"", apple.port));
    settings.ca = Some(other.ca_pem());
    let context = AdapterContext {
        clock: clock(),
        ..conformance::sample_context()
    };
    let apns = Apns::new(&context, &settings).unwrap();
    let answer = apns.send(&message_to("a1")).await;
    assert_eq!(answer.outcome.as_str(), "unavailable", "{answer:?}");
    assert_eq!(*apple.requests.lock().unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_no_token_of_a_device_never_leaves() {
    let apple = FakeApns::start();
    let apns = apns(&apple);
    for to in ["", "abc", "../../4/x", &"zz".repeat(32), &"a".repeat(300)] {
        let answer = apns
            .send(&OutboundMessage {
                to: to.to_owned(),
                ..conformance::sample_message()
            })
            .await;
        assert_eq!(answer.outcome.as_str(), "invalid_recipient", "{to}");
    }
    assert_eq!(*apple.requests.lock().unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn it_is_held_to_the_contract_and_checks_its_account() {
    let apple = FakeApns::with_reasons(&BTreeMap::from([(device("0"), json!([400, "BadDeviceToken"]))]));
    let right = apns(&apple);
    conformance::check_provider(&right).await;
    assert_eq!(
        right.parse_callback_sync(&conformance::sample_callback()),
        Err(CallbackError::NotSupported)
    );
    assert!(matches!(right.check_account().await, AccountCheck::Passed(_)));
    let wrong = apns_with(
        &apple,
        "team_id = \"GHI789JKLM\"",
        clock(),
        &conformance::sample_limits(),
    );
    assert!(matches!(wrong.check_account().await, AccountCheck::Failed(words) if words.contains("team_id")));
}

#[test]
fn wrong_settings_are_refused_with_the_remedy_and_no_secret_is_shown() {
    let rsa = openssl::RSA_PRIVATE_KEY_PEM.as_str();
    for (key, text, words) in [
        ("key", "AuthKey_ABC123DEFG.p8", "key: is no private key in PEM"),
        ("key", rsa, "key: is no key on the curve P-256"),
        ("key_id", "ABC", "key_id: is not what Apple gives out"),
        ("team_id", "DEF123GHI!", "team_id: is not what Apple gives out"),
        ("topic", "com example", "topic: is no bundle id"),
        ("base_url", "apple", "base_url: is no URL to begin with"),
        ("topik", "a", "topik"),
    ] {
        let mut table =
            toml::toml! { key_id = "ABC123DEFG" team_id = "DEF123GHIJ" topic = "org.example.app" };
        table.insert(
            "key".to_owned(),
            toml::Value::from(openssl::P256_PRIVATE_KEY_PEM.as_str()),
        );
        table.insert(key.to_owned(), toml::Value::from(text));
        let fault = ApnsSettings::read(table).err().unwrap().to_string();
        assert!(fault.contains(words) && !fault.contains("MII"), "{fault}");
    }
    assert!(
        settings("sandbox = true")
            .base_url
            .endpoint()
            .0
            .contains("sandbox")
    );
    let shown = format!("{:?}", settings(""));
    assert!(
        shown.contains("org.example.app") && !shown.contains("PRIVATE"),
        "{shown}"
    );
}
