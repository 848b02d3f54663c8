//! The load generator: keep-alive connections that send one request after the other and count the answers.
//!
//! It writes prepared bytes and reads no more of an answer than it must, so that the server under test gets as
//! much of the two cores as possible. It is the same for every server of a run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What to ask for, how hard and how long.
#[derive(Clone)]
pub struct HttpLoad {
    /// The server.
    pub target: SocketAddr,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// For how long; requests in flight then are waited for.
    pub duration: Duration,
    /// At most so many requests.
    pub requests_max: u64,
    /// The request with the running number.
    pub request: fn(u64) -> String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadResult {
    /// Answers with status 2xx.
    pub ok_count: u64,
    /// All other answers and broken connections.
    pub error_count: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// The latency that 99 of 100 answers stayed under, in milliseconds.
    pub p99_ms: f64,
}

impl LoadResult {
    /// Good answers a second.
    pub fn rate(&self) -> f64 {
        self.ok_count as f64 / self.seconds.max(1e-9)
    }
}

/// Runs a load to its end.
pub async fn run(load: HttpLoad) -> LoadResult {
    let number = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| tokio::spawn(connection(load.clone(), Arc::clone(&number), started)))
        .collect();
    let mut measured = LoadResult::default();
    let mut latencies = Vec::new();
    for task in tasks {
        if let Ok((good, bad, times)) = task.await {
            measured.ok_count += good;
            measured.error_count += bad;
            latencies.extend(times);
        }
    }
    measured.seconds = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let index = latencies.len() * 99 / 100;
    measured.p99_ms = latencies
        .get(index)
        .map_or(0.0, |micros| f64::from(*micros) / 1_000.0);
    measured
}

async fn connection(load: HttpLoad, number: Arc<AtomicU64>, started: Instant) -> (u64, u64, Vec<u32>) {
    let (mut good, mut bad, mut times) = (0, 0, Vec::new());
    let Ok(mut stream) = TcpStream::connect(load.target).await else {
        return (0, 1, times);
    };
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(64 * 1024);
    while started.elapsed() < load.duration {
        let n = number.fetch_add(1, Ordering::Relaxed);
        if n >= load.requests_max {
            break;
        }
        let asked = Instant::now();
        if stream.write_all((load.request)(n).as_bytes()).await.is_err() {
            bad += 1;
            break;
        }
        match read_status(&mut stream, &mut buffer).await {
            Some(200..=299) => good += 1,
            Some(_) => bad += 1,
            None => {
                bad += 1;
                break;
            }
        }
        if n.is_multiple_of(16) {
            times.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
    (good, bad, times)
}

/// Reads one answer with a Content-Length; its status, or none when the connection broke.
async fn read_status(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        let Some(head_end) = find_bytes(buffer, b"\r\n\r\n") else {
            continue;
        };
        let length = content_length(&buffer[..head_end]);
        let whole = head_end + 4 + length;
        while buffer.len() < whole {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        return std::str::from_utf8(buffer.get(9..12)?).ok()?.parse().ok();
    }
}

fn content_length(head: &[u8]) -> usize {
    let name = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name));
    line.and_then(|line| std::str::from_utf8(&line[name.len()..]).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

fn find_bytes(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
