//! Callbacks of providers: each kind of adapter that receives them over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use postrider_core::clock::{Clock, from_millis};
use postrider_providers::{
    AdapterContext, CallLimits, CallbackRequest, HttpClientPool, Provider, ProviderSettings,
};

use crate::{RUNTIME, texts};

/// Token of the adapters that authenticate callbacks by one; the seeds contain it.
const TOKEN: &str = "0123456789abcdef";

/// Kinds with settings. Addresses lead to a closed port of this machine.
const ADAPTERS: [(&str, &str); 8] = [
    (
        "http",
        "url = \"http://127.0.0.1:9\"\n[receipts]\nreference = \"query:id\"\nstatus = \"json:status\"\ndelivered = [\"delivered\"]\nunsigned = true\n",
    ),
    (
        "twilio",
        "account_sid = \"AC0\"\nauth_token = \"t\"\nfrom = \"+15005550006\"\nbase_url = \"http://127.0.0.1:9\"\n",
    ),
    (
        "vonage",
        "api_key = \"k\"\napi_secret = \"s\"\nfrom = \"Acme\"\nreceipts_token = \"0123456789abcdef\"\n",
    ),
    (
        "plivo",
        "auth_id = \"MA0\"\nauth_token = \"t\"\nfrom = \"14155550100\"\nreceipts_token = \"0123456789abcdef\"\n",
    ),
    ("kavenegar", "api_key = \"k\"\nsender = \"10004346\"\nreceipts_token = \"0123456789abcdef\"\n"),
    ("pushy", "api_key = \"k\"\npoll = false\nreceipts_token = \"0123456789abcdef\"\n"),
    ("messenger", "access_token = \"t\"\napp_secret = \"s\"\nverify_token = \"0123456789abcdef\"\n"),
    (
        "ses",
        "region = \"eu-central-1\"\naccess_key_id = \"AKIA0\"\nsecret_access_key = \"s\"\nfrom = \"a@example.org\"\n\
         topics = [\"arn:aws:sns:eu-central-1:123456789012:ses\"]\nsns_url = \"http://127.0.0.1:9\"\n",
    ),
];

static PROVIDERS: LazyLock<Vec<Arc<dyn Provider>>> = LazyLock::new(build_providers);

fn build_providers() -> Vec<Arc<dyn Provider>> {
    let context = AdapterContext {
        name: "fuzzed".parse().expect("a name"),
        limits: CallLimits {
            connect_timeout: Duration::from_millis(50),
            call_timeout: Duration::from_millis(100),
            response_bytes_max: 4_096,
        },
        public_url: "https://gateway.example.org".to_owned(),
        callback_token: TOKEN.to_owned(),
        http_clients: HttpClientPool::new().expect("HTTP clients"),
        clock: Clock::System,
    };
    let build = |(kind, settings): (&str, &str)| {
        let settings = settings.parse::<toml::Table>().expect("TOML");
        let settings =
            ProviderSettings::read(kind, settings).unwrap_or_else(|error| panic!("{kind}: {error}"));
        settings.build(&context).unwrap_or_else(|error| panic!("{kind}: {error}"))
    };
    ADAPTERS.into_iter().map(build).collect()
}

/// Passes the first line as query string and the rest as body to every adapter.
pub fn run(input: &[u8]) {
    let (query, body) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let query = String::from_utf8_lossy(query).into_owned();
    for (method, content_type) in
        [("POST", "application/json"), ("POST", "application/x-www-form-urlencoded"), ("GET", "")]
    {
        let callback = CallbackRequest {
            method: method.to_owned(),
            url: format!("https://gateway.example.org/v1/receipts/fuzzed?{query}"),
            query: query.clone(),
            headers: BTreeMap::from([("content-type".to_owned(), content_type.to_owned())]),
            body: body.to_vec(),
            received_at: from_millis(1_700_000_000_000),
        };
        for provider in PROVIDERS.iter() {
            if let Ok(items) = RUNTIME.block_on(provider.parse_callback(&callback)) {
                assert!(items.len() <= 10_000, "{} items", items.len());
                drop(provider.callback_response(&callback));
            }
        }
    }
}

/// Returns callbacks with query and body of several providers.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "id=1&token=0123456789abcdef\n{\"status\":\"delivered\"}",
        "token=0123456789abcdef&messageId=0A&status=delivered&err-code=0&message-timestamp=2019-05-06+10%3A56%3A15\n",
        "token=0123456789abcdef\nmessageid=30034577&status=10",
        "token=0123456789abcdef\n{\"gw_id\":\"019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69.0\",\"event\":\"delivered\"}",
        "hub.mode=subscribe&hub.verify_token=0123456789abcdef&hub.challenge=1\n",
        "\nMessageSid=SM0&MessageStatus=undelivered&ErrorCode=30003",
        "\n{\"Type\":\"Notification\",\"MessageId\":\"1\",\"TopicArn\":\"arn:aws:sns:eu-central-1:123456789012:ses\",\
         \"Message\":\"{}\",\"Timestamp\":\"2026-05-01T00:00:00Z\",\"SignatureVersion\":\"2\",\"Signature\":\"AA==\",\
         \"SigningCertURL\":\"http://127.0.0.1:9/a.pem\"}",
        "token=0123456789abcdef\nfrom=09122222222&to=10004346&message=STOP&messageid=1",
    ])
}
