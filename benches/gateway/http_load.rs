//! The HTTP load generator: keep-alive connections that send one request after another and count the responses.
//!
//! Writes prepared bytes and parses only status and length of a response, so that the server under test gets as much
//! processor time as possible. The same generator is used for every server of a run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A load.
#[derive(Clone)]
pub struct HttpLoad {
    /// Address of the server.
    pub target: SocketAddr,
    /// Number of connections, each with one request in flight.
    pub connections: usize,
    /// Duration; requests in flight at its end are completed.
    pub duration: Duration,
    /// Maximum number of requests.
    pub requests_max: u64,
    /// Returns the request with a number.
    pub request: fn(u64) -> String,
}

/// Result of a load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadResult {
    /// Number of responses with status 2xx.
    pub ok_count: u64,
    /// Number of other responses and of broken connections.
    pub error_count: u64,
    /// Time from the first request to the last response.
    pub seconds: f64,
    /// 99th percentile of the latency, in milliseconds.
    pub p99_ms: f64,
}

impl LoadResult {
    /// Returns the successful responses per second.
    pub fn rate(&self) -> f64 {
        self.ok_count as f64 / self.seconds.max(1e-9)
    }
}

/// Runs a load.
pub async fn run(load: HttpLoad) -> LoadResult {
    let counter = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| tokio::spawn(connection(load.clone(), Arc::clone(&counter), started)))
        .collect();
    let mut result = LoadResult::default();
    let mut latencies = Vec::new();
    for task in tasks {
        if let Ok((ok_count, error_count, times)) = task.await {
            result.ok_count += ok_count;
            result.error_count += error_count;
            latencies.extend(times);
        }
    }
    result.seconds = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let index = latencies.len() * 99 / 100;
    result.p99_ms = latencies.get(index).map_or(0.0, |micros| f64::from(*micros) / 1_000.0);
    result
}

async fn connection(load: HttpLoad, counter: Arc<AtomicU64>, started: Instant) -> (u64, u64, Vec<u32>) {
    let (mut ok_count, mut error_count, mut times) = (0, 0, Vec::new());
    let Ok(mut stream) = TcpStream::connect(load.target).await else {
        return (0, 1, times);
    };
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(64 * 1024);
    while started.elapsed() < load.duration {
        let n = counter.fetch_add(1, Ordering::Relaxed);
        if n >= load.requests_max {
            break;
        }
        let sent_at = Instant::now();
        if stream.write_all((load.request)(n).as_bytes()).await.is_err() {
            error_count += 1;
            break;
        }
        match read_status(&mut stream, &mut buffer).await {
            Some(200..=299) => ok_count += 1,
            Some(_) => error_count += 1,
            None => {
                error_count += 1;
                break;
            }
        }
        if n.is_multiple_of(16) {
            times.push(u32::try_from(sent_at.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
    (ok_count, error_count, times)
}

/// Reads one response with a Content-Length and returns its status; none when the connection broke.
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
        let response_end = head_end + 4 + length;
        while buffer.len() < response_end {
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
