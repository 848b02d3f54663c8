//! An HTTP provider for tests: it accepts, fails, delays or drops calls as configured, and records every call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
    stop: Arc<AtomicBool>,
}

impl StubProvider {
    /// Starts a stub on a free port of 127.0.0.1.
    pub fn new(behavior: StubBehavior) -> Self {
        Self::bind(Ipv4Addr::LOCALHOST.into(), behavior)
    }

    /// Starts a stub on a free port of `address`.
    pub fn bind(address: IpAddr, behavior: StubBehavior) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let stub = Self {
            address: at,
            behavior: Arc::new(Mutex::new(behavior)),
            calls: Arc::default(),
            stop: Arc::default(),
        };
        let (behavior, calls, stop) =
            (Arc::clone(&stub.behavior), Arc::clone(&stub.calls), Arc::clone(&stub.stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (behavior, calls) = (Arc::clone(&behavior), Arc::clone(&calls));
                std::thread::spawn(move || serve_connection(stream, &behavior, &calls));
            }
        });
        stub
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

impl Drop for StubProvider {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve_connection(stream: TcpStream, behavior: &Mutex<StubBehavior>, calls: &Mutex<Vec<RecordedCall>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(call) = read_call(&mut reader) {
        calls.lock().unwrap().push((Instant::now(), call));
        let (status, delay_ms) = match *behavior.lock().unwrap() {
            StubBehavior::Accept => (200, 0),
            StubBehavior::Status(status) => (status, 0),
            StubBehavior::AcceptAfterMs(millis) => (200, millis),
            StubBehavior::HangUp => return,
        };
        std::thread::sleep(Duration::from_millis(delay_ms));
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let body = match status {
            200 => format!("{{\"message_id\":\"stub-{}\"}}", NUMBER.fetch_add(1, Ordering::SeqCst)),
            _ => "no".to_owned(),
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: ");
        if writer.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).is_err() {
            return;
        }
    }
}

fn read_call(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(if body.is_empty() { first.trim().to_owned() } else { body })
}
