//! Tests of the adapter against an HTTP/2 server (tests/peers/apple.mjs) that verifies provider tokens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::CallLimits;
use crate::testing::conformance;
use crate::testing::keys;
use postrider_core::clock::Clock;
use postrider_core::testing::certificates::{TestCertificate, p256_public_key_pem};

const NOW_SECONDS: i64 = 1_784_642_585;

/// A fake APNs server; it ends with the test.
struct FakeApns {
    child: Child,
    certificate: TestCertificate,
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl FakeApns {
    fn start() -> Self {
        Self::with_reasons(&BTreeMap::new())
    }

    /// Starts a server that answers certain devices with a status, a reason and headers.
    fn with_reasons(reasons: &BTreeMap<String, Value>) -> Self {
        let root = postrider_core::testing::workspace_root();
        let certificate = TestCertificate::self_signed_server(&["127.0.0.1"]);
        let public_key_path = certificate.key_path().with_file_name("public.pem");
        std::fs::write(&public_key_path, p256_public_key_pem(&keys::P256_PRIVATE_KEY_PEM)).unwrap();
        let mut child = Command::new(root.join("target/peers/python/bin/node"))
            .arg(root.join("tests/peers/apple.mjs"))
            .args([certificate.certificate_path(), certificate.key_path(), public_key_path])
            .env("REASONS", serde_json::to_string(reasons).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is missing; run ./start.sh test");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&requests);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                recorded.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, certificate, port, requests }
    }

    fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.certificate.certificate_path()).unwrap()
    }

    /// Waits for `count` requests and returns all requests so far.
    async fn requests(&self, count: usize) -> Vec<Value> {
        for _ in 0..2_000 {
            let requests = self.requests.lock().unwrap().clone();
            if requests.len() >= count {
                return requests;
            }
            postrider_core::clock::sleep(Duration::from_millis(5)).await;
        }
        panic!("too few requests: {:?}", self.requests.lock().unwrap());
    }
}

impl Drop for FakeApns {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn settings(overrides: &str) -> ApnsSettings {
    let mut table: toml::Table = overrides.parse().unwrap();
    for (key, text) in [
        ("key", keys::P256_PRIVATE_KEY_PEM.as_str()),
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

fn apns_with(apple: &FakeApns, overrides: &str, clock: Clock, limits: &CallLimits) -> Apns {
    let base = format!("base_url = \"https://127.0.0.1:{}\"\nca = '''{}'''\n", apple.port, apple.ca_pem());
    let context = AdapterContext { limits: limits.clone(), clock, ..conformance::sample_context() };
    Apns::new(&context, &settings(&(base + overrides))).unwrap()
}

fn apns(apple: &FakeApns) -> Apns {
    apns_with(apple, "", clock(), &conformance::sample_limits())
}

/// Returns a device token that begins with `start`.
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
async fn a_message_is_sent_over_http_2_with_a_valid_provider_token() {
    let apple = FakeApns::start();
    let apns = apns_with(
        &apple,
        "title = \"Acme\"\nsound = \"default\"\n[data]\nkind = \"otp\"",
        clock(),
        &conformance::sample_limits(),
    );
    let result = apns.send(&OutboundMessage { subject: None, ..message_to("a1") }).await;
    let id = gateway_id(&message_to("a1")).to_string();
    assert_eq!(result.outcome, Outcome::Accepted { reference: Some(id.clone()) });
    let request = apple.requests(1).await.remove(0);
    assert_eq!(request["path"], format!("/3/device/{}", device("a1")));
    for (name, value) in [
        ("apns-topic", "org.example.app"),
        ("apns-push-type", "alert"),
        ("apns-id", id.as_str()),
        ("apns-collapse-id", id.as_str()),
        ("apns-expiration", "1784643185"),
        ("apns-priority", "10"),
    ] {
        assert_eq!(request["headers"][name], value, "{name}");
    }
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    let alert = json!({"title": "Acme", "body": conformance::sample_message().body});
    assert_eq!(body, json!({"aps": {"alert": alert, "sound": "default"}, "gw_id": id, "kind": "otp"}));
}

#[tokio::test]
async fn every_documented_reason_has_its_outcome() {
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
        (404, "BadPath", "unavailable"),
        (405, "MethodNotAllowed", "unavailable"),
        (429, "TooManyRequests", "deferred"),
        (429, "TooManyProviderTokenUpdates", "unavailable"),
        (400, "IdleTimeout", "unavailable"),
        (500, "InternalServerError", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (503, "Shutdown", "unavailable"),
        (400, "BrandNew", "rejected"),
        (500, "BrandNew", "unavailable"),
    ];
    let devices = (0..cases.len()).map(|index| device(&format!("b{index:02}")));
    let reasons = devices.zip(cases).map(|(device, (status, reason, _))| (device, json!([status, reason])));
    let apple = FakeApns::with_reasons(&reasons.collect());
    let apns = apns(&apple);
    for (index, (status, reason, outcome)) in cases.into_iter().enumerate() {
        let result = apns.send(&message_to(&format!("b{index:02}"))).await;
        assert_eq!(result.outcome.as_str(), outcome, "{status} {reason}: {result:?}");
        assert_eq!(result.code.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn a_requested_pause_is_kept() {
    let pause = json!({"retry-after": "7"});
    let reasons = BTreeMap::from([
        (device("c1"), json!([503, "ServiceUnavailable", pause])),
        (device("c2"), json!([429, "TooManyRequests", pause])),
    ]);
    let apple = FakeApns::with_reasons(&reasons);
    let apns = apns(&apple);
    let seven_seconds = Some(Duration::from_secs(7));
    assert_eq!(apns.send(&message_to("c1")).await.outcome, Outcome::Throttled { retry_after: seven_seconds });
    let outcome = apns.send(&message_to("c2")).await.outcome;
    assert!(
        matches!(outcome, Outcome::Deferred { retry_after, .. } if retry_after == seven_seconds),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_for_all_calls_and_no_message_is_lost() {
    let apple = FakeApns::start();
    let apns = Arc::new(apns(&apple));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let apns = Arc::clone(&apns);
        tasks.spawn(async move { apns.send(&message_to("666")).await });
    }
    for result in tasks.join_all().await {
        assert!(matches!(result.outcome, Outcome::Accepted { .. }), "{result:?}");
    }
    let distinct_tokens = |requests: Vec<Value>| {
        let mut tokens: Vec<_> =
            requests.iter().map(|request| request["headers"]["authorization"].to_string()).collect();
        tokens.sort();
        tokens.dedup();
        tokens.len()
    };
    assert_eq!(distinct_tokens(apple.requests(31).await), 2);
    let result = apns.send(&message_to("555")).await;
    assert_eq!(
        (result.outcome.as_str(), result.code.as_deref()),
        ("misconfigured", Some("ExpiredProviderToken"))
    );
    assert!(result.outcome.reason().unwrap().contains("clock"));
}

#[tokio::test]
async fn a_token_is_renewed_after_fifty_minutes() {
    let (clock, settings) = (clock(), settings(""));
    let signer = ProviderTokenSigner::new(&settings, clock.clone()).unwrap();
    let first = signer.valid_token(None).unwrap();
    clock.advance(Duration::from_secs(50 * 60 - 1));
    assert_eq!(signer.valid_token(None).unwrap(), first);
    clock.advance(Duration::from_secs(1));
    let second = signer.valid_token(None).unwrap();
    assert_ne!(second, first);
    assert_eq!(signer.valid_token(Some(&first)).unwrap(), second, "the token was already renewed");
}

#[tokio::test]
async fn a_goaway_or_a_refused_stream_is_unavailable() {
    let apple = FakeApns::start();
    let apns = apns(&apple);
    // A GOAWAY always covers the first stream of a connection.
    assert_eq!(apns.send(&message_to("a1")).await.outcome.as_str(), "accepted");
    let gone = apns.send(&message_to("333")).await;
    assert_eq!(gone.outcome.as_str(), "unavailable", "{gone:?}");
    assert_eq!(apns.send(&message_to("333")).await.outcome.as_str(), "accepted", "over another connection");
    let refused = apns.send(&message_to("444")).await;
    assert_eq!(refused.outcome.as_str(), "unavailable", "{refused:?}");
}

#[tokio::test]
async fn no_response_after_the_request_is_unknown() {
    let apple = FakeApns::start();
    let broken = apns(&apple).send(&message_to("111")).await;
    assert_eq!(broken.outcome.as_str(), "unknown", "{broken:?}");
    let short_limits = CallLimits {
        connect_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_millis(2_500),
        ..conformance::sample_limits()
    };
    let silent = apns_with(&apple, "", clock(), &short_limits).send(&message_to("222")).await;
    assert_eq!(silent.outcome.as_str(), "unknown", "{silent:?}");
}

#[tokio::test]
async fn a_dead_port_is_unavailable() {
    let apple = FakeApns::start();
    let apns = apns(&apple);
    drop(apple);
    let result = apns.send(&message_to("a1")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "{result:?}");
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_gets_nothing() {
    let (apple, other) = (FakeApns::start(), FakeApns::start());
    let mut settings = settings(&format!("base_url = \"https://127.0.0.1:{}\"", apple.port));
    settings.ca = Some(other.ca_pem());
    let context = AdapterContext { clock: clock(), ..conformance::sample_context() };
    let apns = Apns::new(&context, &settings).unwrap();
    let result = apns.send(&message_to("a1")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "{result:?}");
    assert_eq!(*apple.requests.lock().unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_invalid_device_token_is_not_sent() {
    let apple = FakeApns::start();
    let apns = apns(&apple);
    for to in ["", "abc", "../../4/x", &"zz".repeat(32), &"a".repeat(300)] {
        let result = apns.send(&OutboundMessage { to: to.to_owned(), ..conformance::sample_message() }).await;
        assert_eq!(result.outcome.as_str(), "invalid_recipient", "{to}");
    }
    assert_eq!(*apple.requests.lock().unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn the_adapter_conforms_and_checks_its_account() {
    let apple = FakeApns::with_reasons(&BTreeMap::from([(device("0"), json!([400, "BadDeviceToken"]))]));
    let valid = apns(&apple);
    conformance::check_provider(&valid).await;
    assert_eq!(valid.parse_callback(&conformance::sample_callback()).await, Err(CallbackError::NotSupported));
    assert!(matches!(valid.check_account().await, AccountCheck::Passed(_)));
    let wrong_team = apns_with(&apple, "team_id = \"GHI789JKLM\"", clock(), &conformance::sample_limits());
    assert!(
        matches!(wrong_team.check_account().await, AccountCheck::Failed(reason) if reason.contains("team_id"))
    );
}

#[test]
fn invalid_settings_are_rejected_with_the_remedy_and_without_secrets() {
    let rsa = keys::RSA_PRIVATE_KEY_PEM.as_str();
    for (key, text, expected) in [
        ("key", "AuthKey_ABC123DEFG.p8", "key: is not a private key in PEM"),
        ("key", rsa, "key: is not a P-256 key"),
        ("key_id", "ABC", "key_id: must be ten"),
        ("team_id", "DEF123GHI!", "team_id: must be ten"),
        ("topic", "com example", "topic: must be a bundle id"),
        ("base_url", "apple", "base_url: invalid base URL"),
        ("topik", "a", "topik"),
    ] {
        let mut table =
            toml::toml! { key_id = "ABC123DEFG" team_id = "DEF123GHIJ" topic = "org.example.app" };
        table.insert("key".to_owned(), toml::Value::from(keys::P256_PRIVATE_KEY_PEM.as_str()));
        table.insert(key.to_owned(), toml::Value::from(text));
        let error = ApnsSettings::read(table).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("MII"), "{error}");
    }
    let mut table = toml::toml! { key_id = "ABC123DEFG" team_id = "DEF123GHIJ" topic = "org.example.app" };
    table.insert("key".to_owned(), toml::Value::from(keys::P256_PRIVATE_KEY_PEM.as_str()));
    let shown = format!("{:?}", crate::ProviderSettings::read("apns", table).unwrap());
    assert!(!shown.contains("PRIVATE"), "{shown}");
    assert!(settings("sandbox = true").base_url().unwrap().endpoint().0.contains("sandbox"));
}
