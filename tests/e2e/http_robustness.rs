//! Malformed, oversized and slow requests: each gets a clear 4xx or a closed connection, nothing is stored, and
//! other clients are served as usual.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::raw_http::{self, RawResponse};
use super::test_gateway::{TestGateway, WAIT_LIMIT, wait_until};

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Writes until the server stops reading; returns the response, if any, and the number of bytes written.
fn send_oversized(
    gateway: &TestGateway,
    head: &str,
    filler: &[u8],
    bytes: usize,
) -> (Option<RawResponse>, usize) {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    stream.set_write_timeout(Some(WAIT_LIMIT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut written = 0;
    while written < bytes && stream.write_all(filler).is_ok() {
        written += filler.len();
    }
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    let text = String::from_utf8_lossy(&response);
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    (status.map(|status| RawResponse { status, head: text.to_string(), body: String::new() }), written)
}

#[test]
fn a_header_of_a_gigabyte_is_rejected_early() {
    let gateway = TestGateway::new(CONFIG);
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    let filler = vec![b'a'; 64 * 1024];
    let (response, written) = send_oversized(&gateway, "GET / HTTP/1.1\r\nX-Long: ", &filler, 1 << 30);
    assert!(written < 64 << 20, "the server read {written} bytes of a header");
    assert!(response.is_none_or(|response| response.status == 431 || response.status == 400));
    gateway.send("09122222222", "still served");
}

#[test]
fn malformed_requests_get_a_clear_answer_and_store_nothing() {
    let gateway = TestGateway::new(CONFIG);
    let mut console = gateway.start_serve(&["--concurrency", "0"]);
    let long = "x".repeat(100_000);
    let json = "Content-Type: application/json";
    let get = |path: &str| raw_http::get(gateway.address, path);
    let post = |path: &str, header: &str, body: &str| {
        raw_http::send_request(gateway.address, "POST", path, &[header], body)
    };
    let requests = [
        ("broken percent", get("/sms/send?number=%zz&body=%"), 400),
        ("invalid UTF-8", get("/sms/send?number=09122222222&body=%ff%fe"), 400),
        ("NUL", get("/sms/send?number=09122222222&body=a%00b"), 400),
        ("letters in a number", get("/sms/send?number=0912abc2222&body=hi"), 400),
        ("no path", get("/no/such/path"), 404),
        ("method", raw_http::send_request(gateway.address, "DELETE", "/sms/send", &[], ""), 405),
        ("broken JSON", post("/v1/messages", json, "{\"to\":"), 400),
        ("content type", post("/v1/messages", "Content-Type: text/csv", "a,b"), 415),
        (
            "unknown field",
            post("/v1/messages", json, "{\"to\":\"09122222222\",\"body\":\"hi\",\"colour\":1}"),
            422,
        ),
        ("no id", get("/v1/messages/not-an-id"), 404),
        ("bad cursor", get("/v1/messages?cursor=%21%21"), 400),
    ];
    for (case, response, status) in requests {
        let response = response.unwrap_or_else(|| panic!("no response to {case}"));
        assert!((400..500).contains(&response.status), "{case}: {response:?}");
        assert_eq!(response.status, status, "{case}: {response:?}");
        assert!(!response.body.is_empty(), "{case}: empty body");
    }
    let body = format!("{{\"to\":\"09122222222\",\"body\":\"{long}\"}}");
    let too_long = post("/v1/messages", json, &body).unwrap();
    assert!([413, 422].contains(&too_long.status), "{too_long:?}");
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages"), 0);
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
    assert!(console.is_alive());
}

#[test]
fn two_thousand_idle_connections_and_slow_clients_delay_no_other_client() {
    let gateway =
        TestGateway::new(&format!("[limits]\nheader_timeout = \"2s\"\nidle_timeout = \"2s\"\n{CONFIG}"));
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    let idle: Vec<TcpStream> = (0..2_000).map(|_| TcpStream::connect(gateway.address).unwrap()).collect();
    let mut slow: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(gateway.address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /sms/send?number=0912").unwrap();
    }
    for n in 0..20 {
        gateway.send("09122222222", &format!("meanwhile {n}"));
    }
    let mut first = &slow[0];
    first.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let mut response = Vec::new();
    let _ = first.read_to_end(&mut response);
    assert!(
        response.is_empty() || response.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&response)
    );
    drop(idle);
    wait_until("the gateway responds", || {
        gateway.get("/healthz").is_some_and(|response| response.status == 200)
    });
}

#[test]
fn live_updates_outlast_the_idle_limit_of_a_connection() {
    let gateway = TestGateway::new(&format!("[limits]\nidle_timeout = \"3s\"\n{CONFIG}"));
    let console = gateway.start_serve(&["--concurrency", "0"]);
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let request = format!("GET /operate/events HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address);
    stream.write_all(request.as_bytes()).unwrap();
    // One event every two seconds: the fourth arrives after twice the idle timeout.
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while String::from_utf8_lossy(&received).matches("data: {").count() < 4 {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the stream ended: {}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buffer[..count]);
    }
    // An open event stream does not delay the shutdown.
    assert!(console.terminate().success());
}

#[test]
fn listening_beyond_loopback_requires_keys() {
    let gateway = TestGateway::new(CONFIG);
    let refused = gateway.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("keys") && stderr.contains("insecure"), "{stderr}");
}

#[test]
fn a_key_allows_only_its_scopes() {
    let key = "a-long-secret-key-value";
    let text =
        format!("{CONFIG}[[keys]]\nname = \"shop\"\nkey = \"${{env:SHOP_KEY}}\"\nscopes = [\"send\"]\n");
    let gateway = TestGateway::new(&text);
    let log = std::fs::File::create(gateway.folder.path().join("console.log")).unwrap();
    let mut command = gateway.command(&["serve"]);
    command.env("SHOP_KEY", key).stdout(log.try_clone().unwrap()).stderr(log);
    let _console = super::test_gateway::ConsoleProcess::from_child(command.spawn().unwrap());
    wait_until("the gateway is ready", || gateway.get("/healthz").is_some());
    let path = "/sms/send?number=09122222222&body=hi";
    let with = |header: &str, path: &str| {
        raw_http::send_request(gateway.address, "GET", path, &[header], "").unwrap().status
    };
    assert_eq!(gateway.get(path).unwrap().status, 401);
    assert_eq!(with("Authorization: Bearer wrong", path), 401);
    assert_eq!(with(&format!("Authorization: Bearer {key}"), path), 200);
    assert_eq!(with(&format!("X-Api-Key: {key}"), "/v1/messages"), 403);
    assert!(!gateway.log().contains(key));
}
