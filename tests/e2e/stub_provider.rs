//! An HTTP provider for tests: it accepts, fails, delays or drops calls as configured, and records every call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postrider_providers::testing::http_stub::{HttpStub, StubAction, response_bytes};

/// The response of the stub to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StubBehavior {
    /// 200 with a new message id.
    Accept,
    /// This status with a body that is not JSON.
    Status(u16),
    /// 200 after this number of milliseconds.
    AcceptAfterMs(u64),
    /// No response; the connection is closed.
    HangUp,
}

/// The time of a call, and its body or request line.
type RecordedCall = (Instant, String);

/// A running stub; stops when dropped.
pub struct StubProvider {
    pub address: SocketAddr,
    behavior: Arc<Mutex<StubBehavior>>,
    calls: Arc<Mutex<Vec<RecordedCall>>>,
    _stub: HttpStub,
}

impl StubProvider {
    /// Starts a stub on a free port of 127.0.0.1.
    pub fn new(behavior: StubBehavior) -> Self {
        Self::bind(Ipv4Addr::LOCALHOST.into(), behavior)
    }

    /// Starts a stub on a free port of `address`.
    pub fn bind(address: IpAddr, initial_behavior: StubBehavior) -> Self {
        let behavior = Arc::new(Mutex::new(initial_behavior));
        let calls = Arc::<Mutex<Vec<RecordedCall>>>::default();
        let (current_behavior, recorded_calls) = (Arc::clone(&behavior), Arc::clone(&calls));
        let stub = HttpStub::in_background(address, move |_, request| {
            recorded_calls.lock().unwrap().push((Instant::now(), body_or_request_line(request)));
            current_behavior.lock().unwrap().action()
        });
        Self { address: stub.address, behavior, calls, _stub: stub }
    }

    /// Changes the behavior for all further calls.
    pub fn set_behavior(&self, behavior: StubBehavior) {
        *self.behavior.lock().unwrap() = behavior;
    }

    /// Returns the body of every call so far, or its request line when it has no body.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// Returns the time of every call so far.
    #[allow(dead_code)]
    // Used by tests/fleet only.
    pub fn call_times(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// Returns path and query of the URL that the last call gave for its delivery status.
    #[allow(dead_code)]
    // Used by tests/e2e only.
    pub fn last_callback_path(&self) -> String {
        let calls = self.calls();
        let call: serde_json::Value = serde_json::from_str(calls.last().expect("a call")).unwrap();
        let url = call["callback_url"].as_str().expect("a callback URL").to_owned();
        let path = url.find("/messages/delivery_status").expect("its path");
        url[path..].to_owned()
    }

    /// Returns the configuration of a provider with this name that uses the texting API (system C).
    pub fn texting_config(&self, name: &str) -> String {
        format!(
            "[providers.{name}]\nkind = \"http\"\nurl = \"http://{}/messages\"\nmethod = \"POST\"\n\
             json = {{ to_number = \"{{spelling}}\", message = \"{{body}}\", callback_url = \
             \"{{delivery_status_url}}\" }}\nreference = \"json:message_id\"\nreceipts = \"texting\"\ntimeout = \"2s\"\n",
            self.address
        )
    }
}

impl StubBehavior {
    fn action(self) -> StubAction {
        match self {
            Self::Accept => StubAction::Respond(accepted_response()),
            Self::Status(status) => StubAction::Respond(response_bytes(status, "", "no")),
            Self::AcceptAfterMs(millis) => {
                StubAction::RespondAfter(Duration::from_millis(millis), accepted_response())
            }
            Self::HangUp => StubAction::RespondAndClose(Vec::new()),
        }
    }
}

fn accepted_response() -> Vec<u8> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    response_bytes(
        200,
        "content-type: application/json\r\n",
        &format!("{{\"message_id\":\"stub-{number}\"}}"),
    )
}

fn body_or_request_line(request: &str) -> String {
    match request.split_once("\r\n\r\n") {
        Some((_, body)) if !body.is_empty() => body.to_owned(),
        _ => request.lines().next().unwrap_or_default().to_owned(),
    }
}
