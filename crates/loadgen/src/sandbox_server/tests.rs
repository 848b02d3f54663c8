//! The sandbox server over real sockets: responses and receipts of every API, injected faults, shutdown.

use std::{net::SocketAddr, time::Duration};

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::http_response::SLOW_RESPONSE_DURATION;
use super::*;
use postrider_core::clock;

/// A sandbox server on a free port, without failures and delays.
struct RunningSandbox {
    at: SocketAddr,
    client: Client,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A gateway that collects receipts.
struct ReceiptCollector {
    at: SocketAddr,
    receipts: tokio::sync::mpsc::UnboundedReceiver<(String, HeaderMap, String)>,
}

fn options(gateway_url: &str) -> SandboxOptions {
    SandboxOptions {
        failure_rate: 0.0,
        mean_time: Duration::ZERO,
        receipt_delay: Duration::ZERO,
        receipt_shares: SandboxReceiptShares { delivered: 1.0, ..SandboxReceiptShares::default() },
        gateway_url: gateway_url.to_owned(),
        seed: None,
    }
}

async fn bind_loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

async fn start_sandbox(options: SandboxOptions) -> RunningSandbox {
    let (listener, at) = bind_loopback().await;
    let (stop, stopped) = watch::channel(false);
    let sandbox = SandboxServer::new(options).unwrap();
    RunningSandbox { at, client: Client::new(), stop, task: tokio::spawn(serve(sandbox, listener, stopped)) }
}

/// Starts a collector that rejects the first `rejected` receipts.
async fn start_collector(rejected: usize) -> ReceiptCollector {
    let (listener, at) = bind_loopback().await;
    let (sender, receipts) = tokio::sync::mpsc::unbounded_channel();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let collect = move |uri: axum::http::Uri, headers: HeaderMap, body: String| {
        let (sender, count) = (sender.clone(), Arc::clone(&count));
        async move {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            sender.send((uri.path().to_owned(), headers, body)).unwrap();
            if number < rejected { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        }
    };
    tokio::spawn(axum::serve(listener, Router::new().fallback(collect)).into_future());
    ReceiptCollector { at, receipts }
}

impl RunningSandbox {
    async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("http://{}{path}", self.at)).send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn put_fault(&self, fault: &Value) {
        let url = format!("http://{}/faults", self.at);
        let response = self.client.put(url).body(fault.to_string()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// Returns a request to the texting API.
    fn texting_request(&self, number: &str, callback: &str) -> reqwest::RequestBuilder {
        let body = json!({"to_number": number, "message": "hi", "callback_url": callback});
        let request = self.client.post(format!("http://{}/messages", self.at)).body(body.to_string());
        request.header(CONTENT_TYPE, "application/json; charset=utf-8")
    }

    async fn wait_for_receipts_sent(&self, receipts: u64) -> Value {
        loop {
            let counters = self.get("/counters").await;
            if counters["receipts"]["sent"]["delivered"] == receipts {
                return counters;
            }
            clock::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn every_api_responds_and_reports_in_its_own_format() {
    let mut gateway = start_collector(0).await;
    let sandbox = start_sandbox(options(&format!("http://{}", gateway.at))).await;
    let (base, callback) = (format!("http://{}", sandbox.at), format!("http://{}/callback", gateway.at));

    let url = format!("{base}/sms/send/?number=09122222222&body=hi&callback_url={callback}");
    let accepted = sandbox.client.get(url).send().await.unwrap();
    assert_eq!(accepted.status(), StatusCode::OK);
    let accepted: Value = serde_json::from_slice(&accepted.bytes().await.unwrap()).unwrap();
    let (path, _, body) = gateway.receipts.recv().await.unwrap();
    let id = accepted["Data"][0]["id"].as_str().unwrap();
    assert_eq!((path.as_str(), body), ("/callback", format!("id={id}&status=delivered")));

    let accepted = sandbox.texting_request("1231233211", &callback).send().await.unwrap();
    let accepted: Value = serde_json::from_slice(&accepted.bytes().await.unwrap()).unwrap();
    let (_, headers, body) = gateway.receipts.recv().await.unwrap();
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    let receipt: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(receipt, json!({"status": "delivered", "message_id": accepted["message_id"]}));

    let url = format!("{base}/2010-04-01/Accounts/{}/Messages.json", twilio::ACCOUNT_SID);
    let call = sandbox.client.post(url).basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN));
    let accepted = call.body("To=%2B989121234567&From=a&Body=x").send().await.unwrap();
    assert_eq!(accepted.status(), StatusCode::CREATED);
    let accepted: Value = serde_json::from_slice(&accepted.bytes().await.unwrap()).unwrap();
    let (path, headers, body) = gateway.receipts.recv().await.unwrap();
    assert_eq!(path, "/v1/receipts/sandbox_twilio");
    assert!(headers.contains_key("x-twilio-signature"));
    assert!(body.contains(&format!("MessageSid={}", accepted["sid"].as_str().unwrap())), "{body}");

    let counters = sandbox.wait_for_receipts_sent(3).await;
    for api in SandboxApi::ALL {
        assert_eq!(counters["calls"][api.as_str()]["accepted"], 1, "{counters}");
    }
    assert_eq!(counters["receipts"]["pending"], 0);
}

#[tokio::test]
async fn a_rejected_receipt_is_sent_again() {
    let gateway = start_collector(2).await;
    let sandbox = start_sandbox(options("http://127.0.0.1:1")).await;
    let callback = format!("http://{}/callback", gateway.at);
    sandbox.texting_request("1231233211", &callback).send().await.unwrap();
    let counters = sandbox.wait_for_receipts_sent(1).await;
    assert_eq!(counters["receipts"]["retries"], 2, "{counters}");
}

#[tokio::test]
async fn every_injected_fault_has_its_effect() {
    let sandbox = start_sandbox(options("http://127.0.0.1:1")).await;
    let message = || sandbox.texting_request("+12025550106", "http://127.0.0.1:1/");

    sandbox.put_fault(&json!({"fault": "throttle", "retry_after": 7})).await;
    let throttled = message().send().await.unwrap();
    assert_eq!(
        (throttled.status(), throttled.headers()[RETRY_AFTER].as_bytes()),
        (StatusCode::TOO_MANY_REQUESTS, &b"7"[..])
    );

    sandbox.put_fault(&json!({"fault": "garbage"})).await;
    let garbage = message().send().await.unwrap();
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(serde_json::from_slice::<Value>(&garbage.bytes().await.unwrap()).is_err());

    sandbox.put_fault(&json!({"fault": "reset"})).await;
    let fault = message().send().await.unwrap_err();
    assert!(!fault.is_timeout() && !fault.is_connect() && fault.status().is_none(), "{fault:?}");

    sandbox.put_fault(&json!({"fault": "hang"})).await;
    let fault = message().timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(fault.is_timeout(), "{fault:?}");

    sandbox.put_fault(&json!({"fault": "slow"})).await;
    let began = std::time::Instant::now();
    let mut slow = message().send().await.unwrap();
    let mut pieces = 0;
    while slow.chunk().await.unwrap().is_some() {
        pieces += 1;
    }
    assert!(
        began.elapsed() >= SLOW_RESPONSE_DURATION && pieces > 5,
        "{pieces} pieces in {:?}",
        began.elapsed()
    );

    sandbox.client.delete(format!("http://{}/faults", sandbox.at)).send().await.unwrap();
    assert_eq!(message().send().await.unwrap().status(), StatusCode::OK);
    let counters = sandbox.get("/counters").await["calls"]["texting"].clone();
    let expected = json!({"accepted": 2, "invalid_number": 0, "server_error": 0, "throttled": 1, "no_response": 1,
        "garbage": 1, "reset": 1, "invalid_request": 0});
    assert_eq!(counters, expected);
}

#[tokio::test]
async fn a_hanging_call_does_not_delay_the_shutdown() {
    let sandbox = start_sandbox(options("http://127.0.0.1:1")).await;
    sandbox.put_fault(&json!({"fault": "hang", "calls": 1})).await;
    let hanging = tokio::spawn(sandbox.texting_request("1231233211", "").send());
    while sandbox.get("/counters").await["calls"]["texting"]["no_response"] != 1 {
        clock::sleep(Duration::from_millis(5)).await;
    }
    sandbox.texting_request("1231233211", "http://127.0.0.1:1/").send().await.unwrap();
    sandbox.stop.send_replace(true);
    sandbox.task.await.unwrap();
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_seed_repeats_results_but_not_ids() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let sandbox = start_sandbox(SandboxOptions {
            failure_rate: 0.5,
            seed: Some(7),
            ..options("http://127.0.0.1:1")
        })
        .await;
        let mut statuses = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..20 {
            let response = sandbox.texting_request("1231233211", "").send().await.unwrap();
            statuses.push(response.status().as_u16());
            ids.push(response.text().await.unwrap());
        }
        runs.push((statuses, ids));
    }
    assert_eq!(runs[0].0, runs[1].0);
    assert!(runs[0].0.contains(&200) && runs[0].0.contains(&500), "{:?}", runs[0].0);
    assert_ne!(runs[0].1, runs[1].1);
}

#[tokio::test]
async fn cross_site_requests_are_rejected_on_every_path() {
    let sandbox = start_sandbox(options("http://127.0.0.1:9")).await;
    for (name, value, status) in [
        ("host", "evil.example:8090", StatusCode::MISDIRECTED_REQUEST),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
    ] {
        for path in ["/", "/counters", "/faults", "/messages", "/sms/send/", "/nowhere"] {
            let url = format!("http://{}{path}", sandbox.at);
            let response = sandbox.client.post(url).header(name, value).body("{}").send().await.unwrap();
            assert_eq!(response.status(), status, "{path} {name}: {value}");
        }
    }
    let direct = sandbox.client.get(format!("http://{}/counters", sandbox.at));
    let response = direct.header("sec-fetch-site", "none").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_form_of_a_web_page_makes_the_sandbox_server_call_no_url() {
    let gateway = start_collector(0).await;
    let sandbox = start_sandbox(options(&format!("http://{}", gateway.at))).await;
    let call = json!({"to_number": "1231233211", "message": "hi", "callback_url": format!("http://{}/", gateway.at)});
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let request = sandbox.client.post(format!("http://{}/messages", sandbox.at)).body(call.to_string());
        let request = match content_type {
            Some(content_type) => request.header(CONTENT_TYPE, content_type),
            None => request,
        };
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?}");
    }
    let foreign = sandbox.texting_request("1231233211", "").header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(sandbox.get("/counters").await["receipts"]["pending"], 0);
}
