//! A small steady load: clients with open connections to the intake hosts. A client repeats a request with the same
//! idempotency key at the next intake until one accepts it.
//!
//! Each message is accepted once, however often it is submitted. Every request is recorded with its end time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::test_gateway::{WAIT_LIMIT, wait_until};

/// Number of clients.
const CLIENT_COUNT: usize = 4;

/// Pause of a client between two messages.
const SEND_INTERVAL: Duration = Duration::from_millis(120);

/// Timeout for a connection, and for a response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Number of the next message, unique in the test binary.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A running load.
pub struct SteadyLoad {
    shared: Arc<LoadState>,
    clients: Vec<JoinHandle<()>>,
}

struct LoadState {
    intake_addresses: Vec<SocketAddr>,
    is_stopping: AtomicBool,
    is_abandoned: AtomicBool,
    attempts: Mutex<Vec<RequestAttempt>>,
    accepted: Mutex<Vec<String>>,
}

/// The result of one request.
#[derive(Clone, Debug)]
pub struct RequestAttempt {
    pub intake: SocketAddr,
    pub ended: Instant,
    /// HTTP status; none without a response within the timeout.
    pub status: Option<u16>,
}

impl RequestAttempt {
    /// Returns whether the response was 2xx.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl SteadyLoad {
    /// Starts the clients.
    pub fn start(intakes: &[SocketAddr]) -> Self {
        let shared = Arc::new(LoadState {
            intake_addresses: intakes.to_vec(),
            is_stopping: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            attempts: Mutex::default(),
            accepted: Mutex::default(),
        });
        let client = |nth: usize| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.send_until_stopped(nth))
        };
        Self { clients: (0..CLIENT_COUNT).map(client).collect(), shared }
    }

    /// Waits until `count` further messages are accepted.
    pub fn wait_for_accepted(&self, count: usize) {
        let accepted = || self.shared.accepted.lock().unwrap().len();
        let target = accepted() + count;
        wait_until("more messages are accepted", || accepted() >= target);
    }

    /// Waits while the load runs; requests may fail meanwhile.
    pub fn run_for(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    /// Returns the time from `since` until every intake has answered 2xx to a request that was made after it.
    pub fn recovery_time(&self, since: Instant) -> Duration {
        std::thread::scope(|scope| {
            let probe =
                |intake: SocketAddr| scope.spawn(move || self.shared.probe_until_accepted(intake, since));
            let probes: Vec<_> = self.shared.intake_addresses.iter().map(|intake| probe(*intake)).collect();
            probes.into_iter().map(|probe| probe.join().unwrap()).max().unwrap()
        })
    }

    /// Returns the time from `since` until one intake has answered 2xx.
    pub fn recovery_time_of(&self, intake: SocketAddr, since: Instant) -> Duration {
        self.shared.probe_until_accepted(intake, since)
    }

    /// Returns the requests that ended at `since` or later.
    pub fn attempts_since(&self, since: Instant) -> Vec<RequestAttempt> {
        let attempts = self.shared.attempts.lock().unwrap();
        attempts.iter().filter(|attempt| attempt.ended >= since).cloned().collect()
    }

    /// Ends the load and returns the bodies of all messages that were answered 2xx.
    pub fn stop(mut self) -> Vec<String> {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        std::mem::take(&mut *self.shared.accepted.lock().unwrap())
    }
}

impl Drop for SteadyLoad {
    /// Ends the load of a failed test, because the next test may use the same addresses.
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        self.shared.is_abandoned.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

impl LoadState {
    fn send_until_stopped(&self, nth: usize) {
        let mut connections: Vec<Option<TcpStream>> = self.intake_addresses.iter().map(|_| None).collect();
        while !self.is_stopping.load(Ordering::SeqCst) {
            let body = Self::unique_body("load");
            let mut index = nth % self.intake_addresses.len();
            let started_at = Instant::now();
            while !self.send(&body, index, &mut connections[index]) {
                if self.is_abandoned.load(Ordering::SeqCst) {
                    return;
                }
                assert!(started_at.elapsed() < WAIT_LIMIT * 4, "no intake accepts {body}");
                index = (index + 1) % self.intake_addresses.len();
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(SEND_INTERVAL);
        }
    }

    fn probe_until_accepted(&self, intake: SocketAddr, since: Instant) -> Duration {
        let nth = self.intake_addresses.iter().position(|other| *other == intake).unwrap();
        while !self.send(&Self::unique_body("probe"), nth, &mut None) {
            assert!(since.elapsed() < WAIT_LIMIT, "{intake} does not recover");
            std::thread::sleep(Duration::from_millis(20));
        }
        since.elapsed()
    }

    fn unique_body(prefix: &str) -> String {
        format!("{prefix}-{}", NUMBER.fetch_add(1, Ordering::SeqCst))
    }

    /// Sends one request; returns whether it was accepted.
    fn send(&self, body: &str, index: usize, connection: &mut Option<TcpStream>) -> bool {
        let intake = self.intake_addresses[index];
        let status = post(intake, body, connection);
        if status.is_none() {
            *connection = None;
        }
        let attempt = RequestAttempt { intake, ended: Instant::now(), status };
        let accepted = attempt.is_accepted();
        self.attempts.lock().unwrap().push(attempt);
        if accepted {
            self.accepted.lock().unwrap().push(body.to_owned());
        }
        accepted
    }
}

/// Sends a message over the open connection or a new one, and returns the HTTP status.
fn post(intake: SocketAddr, body: &str, connection: &mut Option<TcpStream>) -> Option<u16> {
    let is_reused = connection.is_some();
    if connection.is_none() {
        let stream = TcpStream::connect_timeout(&intake, REQUEST_TIMEOUT).ok()?;
        stream.set_read_timeout(Some(REQUEST_TIMEOUT)).ok()?;
        stream.set_nodelay(true).ok()?;
        *connection = Some(stream);
    }
    let json = format!("{{\"to\":\"+989122222222\",\"channels\":[\"sms\"],\"body\":\"{body}\"}}");
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {intake}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {body}\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let stream = connection.as_mut()?;
    let started_at = Instant::now();
    let status = stream.write_all(request.as_bytes()).ok().and_then(|()| read_status(stream));
    if status.is_none() && is_reused && started_at.elapsed() < Duration::from_millis(100) {
        // The server had closed the idle connection: retry once with a new one.
        *connection = None;
        return post(intake, body, connection);
    }
    status
}

fn read_status(stream: &TcpStream) -> Option<u16> {
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if status.is_none() {
            status = line.get(9..12).and_then(|code| code.parse().ok());
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content).ok()?;
    status
}
