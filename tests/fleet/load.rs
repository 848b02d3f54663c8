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

use super::world::{DEADLINE, until};

/// How many clients there are.
const CLIENTS: usize = 4;

/// The rest of a client between two messages.
const REST: Duration = Duration::from_millis(120);

/// How long a client waits for a connection, and for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// No two texts of a test binary are the same.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    doors: Vec<SocketAddr>,
    stop: AtomicBool,
    abandoned: AtomicBool,
    tries: Mutex<Vec<Try>>,
    accepted: Mutex<Vec<String>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Try {
    pub door: SocketAddr,
    pub ended: Instant,
    /// The status; none when there was no answer in time.
    pub status: Option<u16>,
}

impl Try {
    /// Whether it was answered 2xx.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Load {
    /// Starts the clients.
    pub fn start(doors: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared {
            doors: doors.to_vec(),
            stop: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            tries: Mutex::default(),
            accepted: Mutex::default(),
        });
        let client = |nth: usize| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.send_on(nth))
        };
        Self {
            clients: (0..CLIENTS).map(client).collect(),
            shared,
        }
    }

    /// Waits until so many more messages are accepted.
    pub fn accept(&self, more: usize) {
        let count = || self.shared.accepted.lock().unwrap().len();
        let enough = count() + more;
        until("more messages are accepted", || count() >= enough);
    }

    /// Lets the load run for so long, whatever happens to it.
    pub fn run_for(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// How long it took from that moment until every door had answered 2xx to a request that was made after it.
    pub fn recovery(&self, since: Instant) -> Duration {
        std::thread::scope(|scope| {
            let ask = |door: SocketAddr| scope.spawn(move || self.shared.recovery(door, since));
            let doors: Vec<_> = self.shared.doors.iter().map(|door| ask(*door)).collect();
            doors.into_iter().map(|door| door.join().unwrap()).max().unwrap()
        })
    }

    /// How long it took one door from that moment.
    pub fn recovery_of(&self, door: SocketAddr, since: Instant) -> Duration {
        self.shared.recovery(door, since)
    }

    /// The tries that ended since that moment.
    pub fn tries(&self, since: Instant) -> Vec<Try> {
        let tries = self.shared.tries.lock().unwrap();
        tries.iter().filter(|one| one.ended >= since).cloned().collect()
    }

    /// Ends the load; the texts of all messages that were answered 2xx.
    pub fn stop(mut self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        std::mem::take(&mut *self.shared.accepted.lock().unwrap())
    }
}

impl Drop for Load {
    /// A load that was not stopped belongs to a test that failed: the next one may have its addresses.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.abandoned.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

impl Shared {
    fn send_on(&self, nth: usize) {
        let mut connections: Vec<Option<TcpStream>> = self.doors.iter().map(|_| None).collect();
        while !self.stop.load(Ordering::SeqCst) {
            let text = Self::text("load");
            let mut door = nth % self.doors.len();
            let began = Instant::now();
            while !self.send(&text, door, &mut connections[door]) {
                if self.abandoned.load(Ordering::SeqCst) {
                    return;
                }
                assert!(began.elapsed() < DEADLINE * 4, "{text} is accepted nowhere");
                door = (door + 1) % self.doors.len();
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(REST);
        }
    }

    fn recovery(&self, door: SocketAddr, since: Instant) -> Duration {
        let nth = self.doors.iter().position(|other| *other == door).unwrap();
        while !self.send(&Self::text("probe"), nth, &mut None) {
            assert!(since.elapsed() < DEADLINE, "{door} does not come back");
            std::thread::sleep(Duration::from_millis(20));
        }
        since.elapsed()
    }

    fn text(what: &str) -> String {
        format!("{what}-{}", NUMBER.fetch_add(1, Ordering::SeqCst))
    }

    /// Whether it was accepted.
    fn send(&self, text: &str, door: usize, connection: &mut Option<TcpStream>) -> bool {
        let door = self.doors[door];
        let status = post(door, text, connection);
        if status.is_none() {
            *connection = None;
        }
        let one = Try {
            door,
            ended: Instant::now(),
            status,
        };
        let accepted = one.is_accepted();
        self.tries.lock().unwrap().push(one);
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
        let stream = TcpStream::connect_timeout(&door, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
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
        .and_then(|()| read(stream));
    if answer.is_none() && kept && began.elapsed() < Duration::from_millis(100) {
        // The other side had closed what we kept open: no trouble, but a new connection.
        *connection = None;
        return post(door, text, connection);
    }
    answer
}

fn read(stream: &TcpStream) -> Option<u16> {
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
