//! A provider that does as it is told: answers, fails, hangs or hangs up, and remembers every call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the stub does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StubBehavior {
    /// 200 with an id of its own.
    Accept,
    /// This status and no sense.
    Status(u16),
    /// 200 after so many milliseconds.
    AcceptAfterMs(u64),
    /// No answer, and the connection closed in the middle.
    HangUp,
}

/// When a call came, and what it said.
type RecordedCall = (Instant, String);

/// A running stub; stops when dropped.
pub struct StubProvider {
    pub address: SocketAddr,
    behavior: Arc<Mutex<StubBehavior>>,
    calls: Arc<Mutex<Vec<RecordedCall>>>,
    stop: Arc<AtomicBool>,
}

impl StubProvider {
    /// A stub in this mood, on a free port.
    pub fn new(mood: StubBehavior) -> Self {
        Self::bind(Ipv4Addr::LOCALHOST.into(), mood)
    }

    /// A stub in this mood, on a free port of that address.
    pub fn bind(address: IpAddr, mood: StubBehavior) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let stub = Self {
            address: at,
            behavior: Arc::new(Mutex::new(mood)),
            calls: Arc::default(),
            stop: Arc::default(),
        };
        let (mood, calls, stop) = (
            Arc::clone(&stub.behavior),
            Arc::clone(&stub.calls),
            Arc::clone(&stub.stop),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (mood, calls) = (Arc::clone(&mood), Arc::clone(&calls));
                std::thread::spawn(move || serve_connection(stream, &mood, &calls));
            }
        });
        stub
    }

    /// From now on it does this.
    pub fn set_behavior(&self, mood: StubBehavior) {
        *self.behavior.lock().unwrap() = mood;
    }

    /// The bodies (or, without one, the request lines) of every call so far.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// When each of them came.
    #[allow(dead_code)]
    // The tests of many hosts ask.
    pub fn call_times(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// Where the last call wants its delivery status reported to, from the path on.
    #[allow(dead_code)]
    // Few tests report.
    pub fn last_callback_path(&self) -> String {
        let calls = self.calls();
        let call: serde_json::Value = serde_json::from_str(calls.last().expect("a call")).unwrap();
        let url = call["callback_url"].as_str().expect("a callback URL").to_owned();
        let path = url.find("/messages/delivery_status").expect("its path");
        url[path..].to_owned()
    }

    /// A provider of the texting wire (system C) with this name, as configuration.
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

fn serve_connection(stream: TcpStream, mood: &Mutex<StubBehavior>, calls: &Mutex<Vec<RecordedCall>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(call) = read_call(&mut reader) {
        calls.lock().unwrap().push((Instant::now(), call));
        let now = *mood.lock().unwrap();
        let (status, wait) = match now {
            StubBehavior::Accept => (200, 0),
            StubBehavior::Status(status) => (status, 0),
            StubBehavior::AcceptAfterMs(millis) => (200, millis),
            StubBehavior::HangUp => return,
        };
        std::thread::sleep(Duration::from_millis(wait));
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let body = match status {
            200 => format!(
                "{{\"message_id\":\"stub-{}\"}}",
                NUMBER.fetch_add(1, Ordering::SeqCst)
            ),
            _ => "no".to_owned(),
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: ");
        if writer
            .write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes())
            .is_err()
        {
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
    Some(if body.is_empty() {
        first.trim().to_owned()
    } else {
        body
    })
}
