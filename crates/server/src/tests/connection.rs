//! The door itself: real connections, rude and well behaved.

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

const SEND_REQUEST: &[u8] = b"GET /sms/send?number=09122222222&body=hi HTTP/1.1\r\nhost: localhost\r\n\r\n";
const CLOSING_REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

struct ListeningServer {
    world: TestServer,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl ListeningServer {
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let world = TestServer::with(change).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, told) = watch::channel(false);
        let task = tokio::spawn(crate::serve(Arc::clone(&world.gateway), listener, told));
        Self {
            world,
            address,
            stop,
            task,
        }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back for these bytes until the door closes.
    async fn send_raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_until_closed(&mut stream).await
    }

    /// Whether an ordinary client beside the rude ones is served at once.
    async fn assert_serves(&self) {
        let answer = self.send_raw(CLOSING_REQUEST).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

async fn read_until_closed(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// One answer on a connection that stays open.
async fn read_response(stream: &mut TcpStream) -> String {
    let mut heard = vec![0; 4096];
    let count = tokio::time::timeout(TEST_TIMEOUT, stream.read(&mut heard))
        .await
        .unwrap()
        .unwrap();
    heard.truncate(count);
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let door = ListeningServer::new().await;
    let mut stream = door.connect().await;
    for _ in 0..3 {
        stream.write_all(SEND_REQUEST).await.unwrap();
        let answer = read_response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("\"status\":\"accepted\""), "{answer}");
    }
    stream
        .write_all(&[SEND_REQUEST, SEND_REQUEST, CLOSING_REQUEST].concat())
        .await
        .unwrap();
    let answers = read_until_closed(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert_eq!(door.world.message_count().await, 5);
}

#[tokio::test]
async fn a_huge_header_is_431_and_the_end() {
    let door = ListeningServer::new().await;
    let mut stream = door.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-long: ")
        .await
        .unwrap();
    let (mut ear, mut mouth) = stream.split();
    let shout = async { while mouth.write_all(&[b'a'; 65_536]).await.is_ok() {} };
    let mut heard = vec![0; 4096];
    let listen = async {
        tokio::time::timeout(TEST_TIMEOUT, ear.read(&mut heard))
            .await
            .unwrap()
            .unwrap()
    };
    let count = tokio::select! { count = listen => count, () = shout => 0 };
    assert!(
        heard[..count].starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&heard)
    );
    door.assert_serves().await;
}

#[tokio::test]
async fn a_slow_header_is_408_and_the_end() {
    let door =
        ListeningServer::with(|config| config.limits.header_timeout = Duration::from_millis(100)).await;
    let answer = door.send_raw(b"GET / HTTP/1.1\r\nhost:").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    door.assert_serves().await;
}

#[tokio::test]
async fn a_rest_between_requests_ends_without_a_word_after_its_time() {
    let door = ListeningServer::with(|config| {
        config.limits.idle_timeout = Duration::from_millis(300);
        config.limits.header_timeout = Duration::from_millis(50);
    })
    .await;
    let began = Instant::now();
    let answers = door.send_raw(&[SEND_REQUEST].concat()).await;
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let door = ListeningServer::with(|config| config.limits.body_timeout = Duration::from_millis(50)).await;
    let head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let mut stream = door.connect().await;
    stream.write_all(head).await.unwrap();
    let answer = read_response(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("/problems/body-too-slow"), "{answer}");
}

#[tokio::test]
async fn a_long_body_is_413_although_the_client_is_still_sending() {
    let door = ListeningServer::new().await;
    let head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 3000000\r\n\r\n";
    let answer = door.send_raw(&[&head[..], &[b' '; 3_000_000]].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("/problems/body-too-long"), "{answer}");
}

#[tokio::test]
async fn garbage_is_a_clear_4xx_and_stores_nothing() {
    let door = ListeningServer::new().await;
    let wrap = |target: &[u8]| {
        [
            b"GET ",
            target,
            b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        ]
        .concat()
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
        let answer = door.send_raw(&wrap(target)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{status}: {answer}"
        );
    }
    let answer = door
        .send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(door.world.message_count().await, 0);
    door.assert_serves().await;
}

#[tokio::test]
async fn a_well_behaved_client_is_served_beside_two_thousand_idle_ones() {
    let door = ListeningServer::new().await;
    rlimit::increase_nofile_limit(8_000).unwrap();
    let mut idle = Vec::new();
    for number in 0..2_000 {
        let mut stream = door.connect().await;
        if number % 2 == 0 {
            stream.write_all(b"GET /").await.unwrap();
        }
        idle.push(stream);
    }
    door.assert_serves().await;
    assert!(
        door.send_raw(&[SEND_REQUEST, CLOSING_REQUEST].concat())
            .await
            .contains("accepted")
    );
    assert_eq!(idle.len(), 2_000);
}

#[tokio::test]
async fn beyond_the_limit_clients_wait_until_there_is_room() {
    let door = ListeningServer::with(|config| config.limits.connections_max = 2).await;
    let mut first = door.connect().await;
    let mut second = door.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(SEND_REQUEST).await.unwrap();
        assert!(read_response(stream).await.contains("200 OK"));
    }
    let mut third = door.connect().await;
    third.write_all(CLOSING_REQUEST).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), third.read_u8()).await;
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert!(read_until_closed(&mut third).await.contains("200 OK"));
}

#[tokio::test]
async fn told_to_stop_it_lets_go_of_idle_clients_and_takes_no_new_ones() {
    let door = ListeningServer::new().await;
    let mut idle = door.connect().await;
    idle.write_all(SEND_REQUEST).await.unwrap();
    assert!(read_response(&mut idle).await.contains("200 OK"));
    door.stop.send_replace(true);
    assert_eq!(read_until_closed(&mut idle).await, "");
    tokio::time::timeout(TEST_TIMEOUT, door.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn told_to_stop_it_finishes_the_request_in_flight() {
    let door = ListeningServer::new().await;
    let mut stream = door.connect().await;
    let head =
        b"POST /sms/send HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    stream
        .write_all(&[&head[..], b"expect: 100-continue\r\ncontent-length: 26\r\n\r\n"].concat())
        .await
        .unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 100"));
    door.stop.send_replace(true);
    stream.write_all(b"number=09122222222&body=hi").await.unwrap();
    assert!(
        read_until_closed(&mut stream)
            .await
            .contains("\"status\":\"accepted\"")
    );
    tokio::time::timeout(TEST_TIMEOUT, door.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn told_to_stop_it_waits_for_a_request_as_long_as_the_grace_and_no_longer() {
    let door = ListeningServer::with(|config| {
        config.limits.body_timeout = Duration::from_secs(3_600);
        config.work.grace = Duration::from_millis(200);
    })
    .await;
    let mut stream = door.connect().await;
    let head =
        b"POST /sms/send HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 26\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 100"));
    let began = Instant::now();
    door.stop.send_replace(true);
    tokio::time::timeout(TEST_TIMEOUT, door.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(read_until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_panic_costs_its_request_only() {
    use tower::Service;
    let broken = axum::Router::new().route("/", axum::routing::get(|| async { panicking_handler() }));
    let mut guarded = crate::listen::catch_panics(broken);
    let request = axum::http::Request::get("/")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = guarded.call(request).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

fn panicking_handler() -> &'static str {
    panic!("a defect")
}
