//! A small steady load: clients with open connections, each with a door of its own, that go to the next door when
//! one does not answer, with the same idempotency key, until the message is accepted.
//!
//! So a message is accepted once however often it was tried. Every try is remembered with its times.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::test_gateway::{WAIT_LIMIT, wait_until};

/// How many clients there are.
const CLIENT_COUNT: usize = 4;

/// The rest of a client between two messages.
const SEND_INTERVAL: Duration = Duration::from_millis(120);

/// How long a client waits for a connection, and for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// No two texts of a test binary are the same.
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

/// One request.
#[derive(Clone, Debug)]
pub struct RequestAttempt {
    pub intake: SocketAddr,
    pub ended: Instant,
    /// The status; none when there was no answer in time.
    pub status: Option<u16>,
}

impl RequestAttempt {
    /// Whether it was answered 2xx.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl SteadyLoad {
    /// Starts the clients.
    pub fn start(doors: &[SocketAddr]) -> Self {
        let shared = Arc::new(LoadState {
            intake_addresses: doors.to_vec(),
            is_stopping: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            attempts: Mutex::default(),
            accepted: Mutex::default(),
        });
        let client = |nth: usize| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.send_until_stopped(nth))
        };
        Self {
            clients: (0..CLIENT_COUNT).map(client).collect(),
            shared,
        }
    }

    /// Waits until so many more messages are accepted.
    pub fn wait_for_accepted(&self, more: usize) {
        let count = || self.shared.accepted.lock().unwrap().len();
        let enough = count() + more;
        wait_until("more messages are accepted", || count() >= enough);
    }

    /// Lets the load run for so long, whatever happens to it.
    pub fn run_for(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// How long it took from that moment until every door had answered 2xx to a request that was made after it.
    pub fn recovery_time(&self, since: Instant) -> Duration {
        std::thread::scope(|scope| {
            let ask = |door: SocketAddr| scope.spawn(move || self.shared.probe_until_accepted(door, since));
            let doors: Vec<_> = self
                .shared
                .intake_addresses
                .iter()
                .map(|door| ask(*door))
                .collect();
            doors.into_iter().map(|door| door.join().unwrap()).max().unwrap()
        })
    }

    /// How long it took one door from that moment.
    pub fn recovery_time_of(&self, door: SocketAddr, since: Instant) -> Duration {
        self.shared.probe_until_accepted(door, since)
    }

    /// The tries that ended since that moment.
    pub fn attempts_since(&self, since: Instant) -> Vec<RequestAttempt> {
        let tries = self.shared.attempts.lock().unwrap();
        tries.iter().filter(|one| one.ended >= since).cloned().collect()
    }

    /// Ends the load; the texts of all messages that were answered 2xx.
    pub fn stop(mut self) -> Vec<String> {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        std::mem::take(&mut *self.shared.accepted.lock().unwrap())
    }
}

impl Drop for SteadyLoad {
    /// A load that was not stopped belongs to a test that failed: the next one may have its addresses.
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
            let text = Self::unique_text("load");
            let mut door = nth % self.intake_addresses.len();
            let began = Instant::now();
            while !self.send(&text, door, &mut connections[door]) {
                if self.is_abandoned.load(Ordering::SeqCst) {
                    return;
                }
                assert!(began.elapsed() < WAIT_LIMIT * 4, "{text} is accepted nowhere");
                door = (door + 1) % self.intake_addresses.len();
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(SEND_INTERVAL);
        }
    }

    fn probe_until_accepted(&self, door: SocketAddr, since: Instant) -> Duration {
        let nth = self
            .intake_addresses
            .iter()
            .position(|other| *other == door)
            .unwrap();
        while !self.send(&Self::unique_text("probe"), nth, &mut None) {
            assert!(since.elapsed() < WAIT_LIMIT, "{door} does not come back");
            std::thread::sleep(Duration::from_millis(20));
        }
        since.elapsed()
    }

    fn unique_text(what: &str) -> String {
        format!("{what}-{}", NUMBER.fetch_add(1, Ordering::SeqCst))
    }

    /// Whether it was accepted.
    fn send(&self, text: &str, door: usize, connection: &mut Option<TcpStream>) -> bool {
        let door = self.intake_addresses[door];
        let status = post(door, text, connection);
        if status.is_none() {
            *connection = None;
        }
        let one = RequestAttempt {
            intake: door,
            ended: Instant::now(),
            status,
        };
        let accepted = one.is_accepted();
        self.attempts.lock().unwrap().push(one);
        if accepted {
            self.accepted.lock().unwrap().push(text.to_owned());
        }
        accepted
    }
}

/// The status of the answer, over the connection that is open or a new one.
fn post(door: SocketAddr, text: &str, connection: &mut Option<TcpStream>) -> Option<u16> {
    let kept = connection.is_some();
    if connection.is_none() {
        let stream = TcpStream::connect_timeout(&door, REQUEST_TIMEOUT).ok()?;
        stream.set_read_timeout(Some(REQUEST_TIMEOUT)).ok()?;
        stream.set_nodelay(true).ok()?;
        *connection = Some(stream);
    }
    let json = format!("{{\"to\":\"+989122222222\",\"channels\":[\"sms\"],\"body\":\"{text}\"}}");
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {door}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {text}\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let stream = connection.as_mut()?;
    let began = Instant::now();
    let answer = stream
        .write_all(request.as_bytes())
        .ok()
        .and_then(|()| read_status(stream));
    if answer.is_none() && kept && began.elapsed() < Duration::from_millis(100) {
        // The other side had closed what we kept open: no trouble, but a new connection.
        *connection = None;
        return post(door, text, connection);
    }
    answer
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
            status = line.get(9..12).and_then(|word| word.parse().ok());
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    status
}
