//! The sandbox over a real socket: what every wire answers and reports, what faults do, how it ends.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;

/// A sandbox on a free port that never fails and answers at once.
struct RunningSandbox {
    at: SocketAddr,
    client: Client,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Somebody whom receipts are sent to, and all they were told.
struct ReceiptCollector {
    at: SocketAddr,
    receipts: tokio::sync::mpsc::UnboundedReceiver<(String, HeaderMap, String)>,
}

fn options(receipts_to: &str) -> SandboxOptions {
    SandboxOptions {
        failure_rate: 0.0,
        mean_time: Duration::ZERO,
        receipt_delay: Duration::ZERO,
        shares: SandboxReceiptShares {
            delivered: 1.0,
            ..SandboxReceiptShares::default()
        },
        receipts_to: receipts_to.to_owned(),
        seed: None,
    }
}

async fn bind_loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

async fn start_sandbox(settings: SandboxOptions) -> RunningSandbox {
    let (listener, at) = bind_loopback().await;
    let (stop, told) = watch::channel(false);
    let sandbox = SandboxServer::new(settings).unwrap();
    RunningSandbox {
        at,
        client: Client::new(),
        stop,
        task: tokio::spawn(sandbox.serve(listener, told)),
    }
}

/// A gateway that takes receipts after it has turned away so many.
async fn start_collector(refused: usize) -> ReceiptCollector {
    let (listener, at) = bind_loopback().await;
    let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let take = move |uri: axum::http::Uri, headers: HeaderMap, body: String| {
        let (tell, count) = (tell.clone(), Arc::clone(&count));
        async move {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tell.send((uri.path().to_owned(), headers, body)).unwrap();
            if number < refused {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            }
        }
    };
    tokio::spawn(axum::serve(listener, Router::new().fallback(take)).into_future());
    ReceiptCollector { at, receipts: heard }
}

impl RunningSandbox {
    async fn get(&self, path: &str) -> Value {
        let answer = self
            .client
            .get(format!("http://{}{path}", self.at))
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn put_fault(&self, fault: &Value) {
        let url = format!("http://{}/faults", self.at);
        let answer = self.client.put(url).body(fault.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// A message over the texting wire.
    fn texting_request(&self, number: &str, callback: &str) -> reqwest::RequestBuilder {
        let body = json!({"to_number": number, "message": "hi", "callback_url": callback});
        self.client
            .post(format!("http://{}/messages", self.at))
            .body(body.to_string())
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
async fn every_wire_answers_and_reports_in_its_own_way() {
    let mut gateway = start_collector(0).await;
    let played = start_sandbox(options(&format!("http://{}", gateway.at))).await;
    let (base, callback) = (
        format!("http://{}", played.at),
        format!("http://{}/callback", gateway.at),
    );

    let url = format!("{base}/sms/send/?number=09122222222&body=hi&callback_url={callback}");
    let taken = played.client.get(url).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
    let taken: Value = serde_json::from_slice(&taken.bytes().await.unwrap()).unwrap();
    let (path, _, body) = gateway.receipts.recv().await.unwrap();
    let id = taken["Data"][0]["id"].as_str().unwrap();
    assert_eq!(
        (path.as_str(), body),
        ("/callback", format!("id={id}&status=delivered"))
    );

    let taken = played
        .texting_request("1231233211", &callback)
        .send()
        .await
        .unwrap();
    let taken: Value = serde_json::from_slice(&taken.bytes().await.unwrap()).unwrap();
    let (_, headers, body) = gateway.receipts.recv().await.unwrap();
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        told,
        json!({"status": "delivered", "message_id": taken["message_id"]})
    );

    let url = format!("{base}/2010-04-01/Accounts/{}/Messages.json", twilio::ACCOUNT_SID);
    let call = played
        .client
        .post(url)
        .basic_auth(twilio::ACCOUNT_SID, Some(twilio::AUTH_TOKEN));
    let taken = call
        .body("To=%2B989121234567&From=a&Body=x")
        .send()
        .await
        .unwrap();
    assert_eq!(taken.status(), StatusCode::CREATED);
    let taken: Value = serde_json::from_slice(&taken.bytes().await.unwrap()).unwrap();
    let (path, headers, body) = gateway.receipts.recv().await.unwrap();
    assert_eq!(path, "/v1/receipts/sandbox_twilio");
    assert!(headers.contains_key("x-twilio-signature"));
    assert!(
        body.contains(&format!("MessageSid={}", taken["sid"].as_str().unwrap())),
        "{body}"
    );

    let counters = played.wait_for_receipts_sent(3).await;
    for wire in SandboxApi::ALL {
        assert_eq!(counters["calls"][wire.as_str()]["accepted"], 1, "{counters}");
    }
    assert_eq!(counters["receipts"]["waiting"], 0);
}

#[tokio::test]
async fn a_receipt_that_is_turned_away_comes_again() {
    let gateway = start_collector(2).await;
    let played = start_sandbox(options("http://127.0.0.1:1")).await;
    let callback = format!("http://{}/callback", gateway.at);
    played
        .texting_request("1231233211", &callback)
        .send()
        .await
        .unwrap();
    let counters = played.wait_for_receipts_sent(1).await;
    assert_eq!(counters["receipts"]["tried_again"], 2, "{counters}");
}

#[tokio::test]
async fn faults_do_what_they_are_called() {
    let played = start_sandbox(options("http://127.0.0.1:1")).await;
    let message = || played.texting_request("+12025550106", "http://127.0.0.1:1/");

    played
        .put_fault(&json!({"fault": "throttle", "retry_after": 7}))
        .await;
    let busy = message().send().await.unwrap();
    assert_eq!(
        (busy.status(), busy.headers()[RETRY_AFTER].as_bytes()),
        (StatusCode::TOO_MANY_REQUESTS, &b"7"[..])
    );

    played.put_fault(&json!({"fault": "garbage"})).await;
    let garbage = message().send().await.unwrap();
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(serde_json::from_slice::<Value>(&garbage.bytes().await.unwrap()).is_err());

    played.put_fault(&json!({"fault": "refuse"})).await;
    let fault = message().send().await.unwrap_err();
    assert!(
        !fault.is_timeout() && !fault.is_connect() && fault.status().is_none(),
        "{fault:?}"
    );

    played.put_fault(&json!({"fault": "hang"})).await;
    let fault = message()
        .timeout(Duration::from_millis(300))
        .send()
        .await
        .unwrap_err();
    assert!(fault.is_timeout(), "{fault:?}");

    played.put_fault(&json!({"fault": "slow"})).await;
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

    played
        .client
        .delete(format!("http://{}/faults", played.at))
        .send()
        .await
        .unwrap();
    assert_eq!(message().send().await.unwrap().status(), StatusCode::OK);
    let counters = played.get("/counters").await["calls"]["texting"].clone();
    let expected = json!({"accepted": 2, "refused": 0, "failed": 0, "throttled": 1, "hung": 1, "garbled": 1,
        "reset": 1, "unreadable": 0});
    assert_eq!(counters, expected);
}

#[tokio::test]
async fn whoever_hangs_does_not_hold_up_the_end() {
    let played = start_sandbox(options("http://127.0.0.1:1")).await;
    played.put_fault(&json!({"fault": "hang", "calls": 1})).await;
    let hanging = tokio::spawn(played.texting_request("1231233211", "").send());
    while played.get("/counters").await["calls"]["texting"]["hung"] != 1 {
        clock::sleep(Duration::from_millis(5)).await;
    }
    played
        .texting_request("1231233211", "http://127.0.0.1:1/")
        .send()
        .await
        .unwrap();
    played.stop.send_replace(true);
    played.task.await.unwrap();
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_seed_brings_the_same_luck_and_other_ids() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let played = start_sandbox(SandboxOptions {
            failure_rate: 0.5,
            seed: Some(7),
            ..options("http://127.0.0.1:1")
        })
        .await;
        let mut statuses = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..20 {
            let answer = played.texting_request("1231233211", "").send().await.unwrap();
            statuses.push(answer.status().as_u16());
            ids.push(answer.text().await.unwrap());
        }
        runs.push((statuses, ids));
    }
    assert_eq!(runs[0].0, runs[1].0);
    assert!(
        runs[0].0.contains(&200) && runs[0].0.contains(&500),
        "{:?}",
        runs[0].0
    );
    assert_ne!(runs[0].1, runs[1].1);
}

#[test]
fn shares_are_drawn_in_their_order_and_the_rest_is_silence() {
    let shares = SandboxReceiptShares {
        delivered: 0.5,
        failed: 0.2,
        invalid: 0.1,
    };
    let drawn = |luck| draw_receipt(&shares, luck);
    assert_eq!(
        (drawn(0.0), drawn(0.49)),
        (
            Some(SandboxReceiptStatus::Delivered),
            Some(SandboxReceiptStatus::Delivered)
        )
    );
    assert_eq!(
        (drawn(0.6), drawn(0.75)),
        (
            Some(SandboxReceiptStatus::Failed),
            Some(SandboxReceiptStatus::Invalid)
        )
    );
    assert_eq!(drawn(0.9), None);
}

#[tokio::test]
async fn what_another_site_may_have_sent_is_refused_on_every_path() {
    let played = start_sandbox(options("http://127.0.0.1:9")).await;
    for (name, value, status) in [
        ("host", "evil.example:8090", StatusCode::MISDIRECTED_REQUEST),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
    ] {
        for path in ["/", "/counters", "/faults", "/messages", "/sms/send/", "/nowhere"] {
            let url = format!("http://{}{path}", played.at);
            let answer = played
                .client
                .post(url)
                .header(name, value)
                .body("{}")
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), status, "{path} {name}: {value}");
        }
    }
    let typed = played.client.get(format!("http://{}/counters", played.at));
    let answer = typed.header("sec-fetch-site", "none").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
