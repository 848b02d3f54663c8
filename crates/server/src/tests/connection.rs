//! The listener with real connections of correct and faulty clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::TestServer;
use postrider_core::error::Result;
use postrider_engine::config::Config;

pub(super) const SEND_REQUEST: &[u8] =
    b"GET /sms/send?number=09122222222&body=hi HTTP/1.1\r\nhost: localhost\r\n\r\n";
pub(super) const CLOSING_REQUEST: &[u8] =
    b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
pub(super) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct ListeningServer {
    pub(super) server: TestServer,
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl ListeningServer {
    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::with(change).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stop_signal) = watch::channel(false);
        let task = tokio::spawn(crate::serve(Arc::clone(&server.gateway), listener, stop_signal));
        Self { server, address, stop, task }
    }

    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and returns everything received until the connection is closed.
    pub(super) async fn send_raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_until_closed(&mut stream).await
    }

    /// Asserts that a correct client is served at the same time.
    pub(super) async fn assert_serves(&self) {
        let response = self.send_raw(CLOSING_REQUEST).await;
        assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    }
}

pub(super) async fn read_until_closed(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut received)).await.unwrap().unwrap();
    String::from_utf8_lossy(&received).into_owned()
}

/// Reads one response on a connection that stays open.
pub(super) async fn read_response(stream: &mut TcpStream) -> String {
    let mut received = vec![0; 4096];
    let count = tokio::time::timeout(TEST_TIMEOUT, stream.read(&mut received)).await.unwrap().unwrap();
    received.truncate(count);
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let listening = ListeningServer::new().await;
    let mut stream = listening.connect().await;
    for _ in 0..3 {
        stream.write_all(SEND_REQUEST).await.unwrap();
        let response = read_response(&mut stream).await;
        assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
        assert!(response.contains("\"status\":\"accepted\""), "{response}");
    }
    stream.write_all(&[SEND_REQUEST, SEND_REQUEST, CLOSING_REQUEST].concat()).await.unwrap();
    let responses = read_until_closed(&mut stream).await;
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 3, "{responses}");
    assert_eq!(listening.server.message_count().await, 5);
}

#[tokio::test]
async fn a_huge_header_is_431_and_closes_the_connection() {
    let listening = ListeningServer::new().await;
    let mut stream = listening.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-long: ").await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let write = async { while writer.write_all(&[b'a'; 65_536]).await.is_ok() {} };
    let mut received = vec![0; 4096];
    let read =
        async { tokio::time::timeout(TEST_TIMEOUT, reader.read(&mut received)).await.unwrap().unwrap() };
    let count = tokio::select! { count = read => count, () = write => 0 };
    assert!(received[..count].starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&received));
    listening.assert_serves().await;
}

#[tokio::test]
async fn a_slow_header_is_408_and_closes_the_connection() {
    let listening =
        ListeningServer::with(|config| config.limits.header_timeout = Duration::from_millis(100)).await;
    let response = listening.send_raw(b"GET / HTTP/1.1\r\nhost:").await;
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    listening.assert_serves().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_response_after_its_timeout() {
    let listening = ListeningServer::with(|config| {
        config.limits.idle_timeout = Duration::from_millis(300);
        config.limits.header_timeout = Duration::from_millis(50);
    })
    .await;
    let started = Instant::now();
    let responses = listening.send_raw(&[SEND_REQUEST].concat()).await;
    assert_eq!(responses.matches("HTTP/1.1").count(), 1, "{responses}");
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let listening =
        ListeningServer::with(|config| config.limits.body_timeout = Duration::from_millis(50)).await;
    let head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let mut stream = listening.connect().await;
    stream.write_all(head).await.unwrap();
    let response = read_response(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    assert!(response.contains("/problems/request-timeout"), "{response}");
}

#[tokio::test]
async fn a_long_body_is_413_although_the_client_is_still_sending() {
    let listening = ListeningServer::new().await;
    let head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 3000000\r\n\r\n";
    let response = listening.send_raw(&[&head[..], &[b' '; 3_000_000]].concat()).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.contains("/problems/content-too-large"), "{response}");
}

#[tokio::test]
async fn garbage_is_refused_and_stores_nothing() {
    let listening = ListeningServer::new().await;
    let wrap = |target: &[u8]| {
        [b"GET ", target, b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"].concat()
    };
    let long = [b"/sms/send?number=09122222222&body=", &[b'a'; 100_000][..]].concat();
    for (target, status) in [
        (&b"/sms/send?number=09122222222&body=%zz"[..], "400"),
        (b"/sms/send?number=09122222222&body=%ff%fe", "400"),
        (b"/sms/send?number=09122222222&body=\xff\xfe", "400"),
        (b"/sms/send?number=09122222222&body=a%00b", "400"),
        (b"/sms/send?number=09122222222&body=a\0b", "400"),
        (&long, "431"),
    ] {
        let response = listening.send_raw(&wrap(target)).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {response}");
    }
    let response = listening.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");
    assert_eq!(listening.server.message_count().await, 0);
    listening.assert_serves().await;
}

#[tokio::test]
async fn a_correct_client_is_served_beside_two_thousand_idle_ones() {
    let listening = ListeningServer::new().await;
    rlimit::increase_nofile_limit(8_000).unwrap();
    let mut idle = Vec::new();
    for number in 0..2_000 {
        let mut stream = listening.connect().await;
        if number % 2 == 0 {
            stream.write_all(b"GET /").await.unwrap();
        }
        idle.push(stream);
    }
    listening.assert_serves().await;
    assert!(listening.send_raw(&[SEND_REQUEST, CLOSING_REQUEST].concat()).await.contains("accepted"));
    for stream in &idle {
        let closed = stream.try_read(&mut [0]);
        assert!(closed.is_err(), "an idle connection was closed: {closed:?}");
    }
}

#[tokio::test]
async fn after_the_stop_signal_idle_connections_are_closed_and_new_ones_refused() {
    let listening = ListeningServer::new().await;
    let mut idle = listening.connect().await;
    idle.write_all(SEND_REQUEST).await.unwrap();
    assert!(read_response(&mut idle).await.contains("200 OK"));
    listening.stop.send_replace(true);
    assert_eq!(read_until_closed(&mut idle).await, "");
    tokio::time::timeout(TEST_TIMEOUT, listening.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(listening.address).await.is_err());
}

#[tokio::test]
async fn after_the_stop_signal_a_request_in_flight_is_finished() {
    let listening = ListeningServer::new().await;
    let mut stream = listening.connect().await;
    let head =
        b"POST /sms/send HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    stream
        .write_all(&[&head[..], b"expect: 100-continue\r\ncontent-length: 26\r\n\r\n"].concat())
        .await
        .unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 100"));
    listening.stop.send_replace(true);
    stream.write_all(b"number=09122222222&body=hi").await.unwrap();
    assert!(read_until_closed(&mut stream).await.contains("\"status\":\"accepted\""));
    tokio::time::timeout(TEST_TIMEOUT, listening.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn after_the_stop_signal_a_request_may_take_only_the_grace_period() {
    let listening = ListeningServer::with(|config| {
        config.limits.body_timeout = Duration::from_secs(3_600);
        config.work.grace = Duration::from_millis(200);
    })
    .await;
    let mut stream = listening.connect().await;
    let head =
        b"POST /sms/send HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 26\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 100"));
    let started = Instant::now();
    listening.stop.send_replace(true);
    tokio::time::timeout(TEST_TIMEOUT, listening.task).await.unwrap().unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(read_until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_panic_ends_only_its_request() {
    let broken = axum::Router::new().route("/", axum::routing::get(|| async { panicking_handler() }));
    let request = axum::http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let response = crate::request_guard::call_router(broken, request).await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

fn panicking_handler() -> &'static str {
    panic!("a defect")
}
