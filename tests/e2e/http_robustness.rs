//! What comes to the door: nonsense gets a clear 4xx, nothing is stored, and a well-behaved client beside it is
//! served as if nothing had happened.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::raw_http::{self, RawResponse};
use super::test_gateway::{TestGateway, WAIT_LIMIT, wait_until};

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Writes as much as the server takes, then reads what it says; none when it hung up without a word.
fn send_oversized(
    world: &TestGateway,
    head: &str,
    filler: &[u8],
    bytes: usize,
) -> (Option<RawResponse>, usize) {
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    stream.set_write_timeout(Some(WAIT_LIMIT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut written = 0;
    while written < bytes && stream.write_all(filler).is_ok() {
        written += filler.len();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    (
        status.map(|status| RawResponse {
            status,
            head: text.to_string(),
            body: String::new(),
        }),
        written,
    )
}

#[test]
fn a_header_of_a_gigabyte_is_rejected_early() {
    let world = TestGateway::new(CONFIG);
    let _console = world.start_serve(&["--concurrency", "0"]);
    let filler = vec![b'a'; 64 * 1024];
    let (answer, written) = send_oversized(&world, "GET / HTTP/1.1\r\nX-Long: ", &filler, 1 << 30);
    assert!(written < 64 << 20, "it read {written} bytes of a header");
    assert!(answer.is_none_or(|answer| answer.status == 431 || answer.status == 400));
    world.send("09122222222", "still there");
}

#[test]
fn malformed_requests_get_a_clear_answer_and_store_nothing() {
    let world = TestGateway::new(CONFIG);
    let mut console = world.start_serve(&["--concurrency", "0"]);
    let long = "x".repeat(100_000);
    let json = "Content-Type: application/json";
    let get = |path: &str| raw_http::get(world.address, path);
    let post = |path: &str, header: &str, body: &str| {
        raw_http::send_request(world.address, "POST", path, &[header], body)
    };
    let nonsense = [
        ("broken percent", get("/sms/send?number=%zz&body=%"), 400),
        (
            "invalid UTF-8",
            get("/sms/send?number=09122222222&body=%ff%fe"),
            400,
        ),
        ("NUL", get("/sms/send?number=09122222222&body=a%00b"), 400),
        ("letters", get("/sms/send?number=0912abc2222&body=hi"), 400),
        ("no path", get("/no/such/path"), 404),
        (
            "method",
            raw_http::send_request(world.address, "DELETE", "/sms/send", &[], ""),
            405,
        ),
        ("broken JSON", post("/v1/messages", json, "{\"to\":"), 400),
        (
            "content type",
            post("/v1/messages", "Content-Type: text/csv", "a,b"),
            415,
        ),
        (
            "unknown field",
            post(
                "/v1/messages",
                json,
                "{\"to\":\"09122222222\",\"body\":\"hi\",\"colour\":1}",
            ),
            422,
        ),
        ("no id", get("/v1/messages/not-an-id"), 404),
        ("bad cursor", get("/v1/messages?cursor=%21%21"), 400),
    ];
    for (what, answer, status) in nonsense {
        let answer = answer.unwrap_or_else(|| panic!("no answer to {what}"));
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(!answer.body.is_empty(), "{what} is not explained");
    }
    let body = format!("{{\"to\":\"09122222222\",\"body\":\"{long}\"}}");
    let too_long = post("/v1/messages", json, &body).unwrap();
    assert!([413, 422].contains(&too_long.status), "{too_long:?}");
    assert_eq!(world.query_number("SELECT count(*) FROM messages"), 0);
    assert!(!world.log().contains("panicked"), "{}", world.log());
    assert!(console.is_alive());
}

#[test]
fn two_thousand_idle_connections_and_slow_clients_delay_no_other_client() {
    let world = TestGateway::new(&format!(
        "[limits]\nheader_timeout = \"2s\"\nidle_timeout = \"2s\"\n{CONFIG}"
    ));
    let _console = world.start_serve(&["--concurrency", "0"]);
    let idle: Vec<TcpStream> = (0..2_000)
        .map(|_| TcpStream::connect(world.address).unwrap())
        .collect();
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(world.address).unwrap())
        .collect();
    for stream in &mut slow {
        stream.write_all(b"GET /sms/send?number=0912").unwrap();
    }
    for n in 0..20 {
        world.send("09122222222", &format!("beside them {n}"));
    }
    let mut first = &slow[0];
    first.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let mut answer = Vec::new();
    let _ = first.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    drop(idle);
    wait_until("the door is free again", || {
        world.get("/healthz").is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn live_updates_outlast_the_idle_limit_of_a_connection() {
    let world = TestGateway::new(&format!("[limits]\nidle_timeout = \"3s\"\n{CONFIG}"));
    let console = world.start_serve(&["--concurrency", "0"]);
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let request = format!("GET /operate/events HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
    stream.write_all(request.as_bytes()).unwrap();
    // One every two seconds: the fourth comes after twice the time that a connection may rest.
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    while String::from_utf8_lossy(&heard).matches("data: {").count() < 4 {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..count]);
    }
    // Whoever still listens does not hold up the end.
    assert!(console.terminate().success());
}

#[test]
fn listening_beyond_loopback_requires_keys() {
    let world = TestGateway::new(CONFIG);
    let refused = world.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("keys") && words.contains("insecure"), "{words}");
}

#[test]
fn a_key_allows_only_its_scopes() {
    let key = "a-long-and-secret-word";
    let text =
        format!("{CONFIG}[[keys]]\nname = \"shop\"\nkey = \"${{env:SHOP_KEY}}\"\nscopes = [\"send\"]\n");
    let world = TestGateway::new(&text);
    let log = std::fs::File::create(world.folder.path().join("console.log")).unwrap();
    let mut command = world.command(&["serve"]);
    command
        .env("SHOP_KEY", key)
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let _console = super::test_gateway::ConsoleProcess::from_child(command.spawn().unwrap());
    wait_until("the gateway is ready", || world.get("/healthz").is_some());
    let path = "/sms/send?number=09122222222&body=hi";
    let with = |header: &str, path: &str| {
        raw_http::send_request(world.address, "GET", path, &[header], "")
            .unwrap()
            .status
    };
    assert_eq!(world.get(path).unwrap().status, 401);
    assert_eq!(with("Authorization: Bearer wrong", path), 401);
    assert_eq!(with(&format!("Authorization: Bearer {key}"), path), 200);
    assert_eq!(with(&format!("X-Api-Key: {key}"), "/v1/messages"), 403);
    assert!(!world.log().contains(key));
}
