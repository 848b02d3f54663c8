//! Limits of what clients use at once: connections, request bodies, expensive queries.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::connection::{
    CLOSING_REQUEST, ListeningServer, SEND_REQUEST, TEST_TIMEOUT, read_response, read_until_closed,
};
use super::{TestServer, accepting_provider, api_key};
use postrider_engine::config::Scope;
use postrider_engine::request_load::BodySender;
use postrider_providers::CallbackMode;

/// Opens a connection that is in a handler, which waits for the rest of a body.
async fn busy_connection(listening: &ListeningServer) -> TcpStream {
    let mut stream = listening.connect().await;
    let head = b"POST /sms/send HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
                 content-type: application/x-www-form-urlencoded\r\ncontent-length: 26\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 100"));
    stream
}

#[tokio::test]
async fn fifty_idle_connections_on_fifty_places_keep_no_client_out() {
    let listening = ListeningServer::with(|config| config.limits.connections_max = 50).await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut stream = listening.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(read_response(&mut stream).await.contains("200 OK"));
        idle.push(stream);
    }
    listening.assert_serves().await;
    assert!(listening.send_raw(&[SEND_REQUEST, CLOSING_REQUEST].concat()).await.contains("accepted"));
    let metrics = listening.server.get("/metrics").await.text();
    assert!(!metrics.contains("postrider_closed_connections_total{reason=\"idle\"} 0"), "{metrics}");
    assert_eq!(read_until_closed(&mut idle[0]).await, "");
}

#[tokio::test]
async fn when_all_connections_are_busy_probes_are_answered_and_other_requests_get_503() {
    let listening = ListeningServer::with(|config| config.limits.connections_max = 2).await;
    let mut busy = [busy_connection(&listening).await, busy_connection(&listening).await];
    for probe in ["/healthz", "/readyz"] {
        let probe = format!("GET {probe} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let response = listening.send_raw(probe.as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
        assert!(response.contains("connection: close"), "{response}");
    }
    let refused = listening.send_raw(SEND_REQUEST).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    for stream in &mut busy {
        stream.write_all(b"number=09122222222&body=hi").await.unwrap();
        assert!(read_response(stream).await.contains("accepted"));
    }
    listening.assert_serves().await;
}

#[tokio::test]
async fn a_reserved_place_is_free_again_soon_after_a_client_that_sends_nothing() {
    let listening = ListeningServer::with(|config| config.limits.connections_max = 1).await;
    let _busy = busy_connection(&listening).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(listening.connect().await);
    }
    for stream in &mut silent {
        assert_eq!(read_until_closed(stream).await, "");
    }
    listening.assert_serves().await;
}

#[tokio::test]
async fn bodies_over_the_budget_get_503_and_bodies_within_it_are_read() {
    let server = TestServer::with(|config| {
        config.limits.body_bytes_max = 1_024;
        config.limits.body_bytes_in_flight_max = 2_048;
    })
    .await;
    let mut others = server.gateway.request_load.body(BodySender::Authenticated);
    assert!(others.add(2_000));
    let body = r#"{"to":"09122222222","body":"a text that is longer than the rest of the budget"}"#;
    let refused = server.post("/v1/messages", "application/json", body).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["type"], "/problems/busy");
    for (path, form) in
        [("/sms/send", "number=09122222222&body=a+text+that+is+longer+than+the+rest"), ("/messages", body)]
    {
        let response = server.post(path, "application/x-www-form-urlencoded", form).await;
        assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, Some("1")), "{path}");
    }
    drop(others);
    for _ in 0..100 {
        assert_eq!(server.post("/v1/messages", "application/json", body).await.status, 201);
    }
}

#[tokio::test]
async fn open_bodies_of_many_connections_stay_within_the_budget() {
    let listening = ListeningServer::with(|config| {
        config.limits.body_bytes_in_flight_max = 131_072;
    })
    .await;
    let head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 65536\r\n\r\n";
    let load = &listening.server.gateway.request_load;
    let mut open = Vec::new();
    for in_flight in [60_000, 120_000, 0] {
        let mut stream = listening.connect().await;
        stream.write_all(&[&head[..], &[b' '; 60_000]].concat()).await.unwrap();
        open.push(stream);
        let is_read = async {
            while load.body(BodySender::Authenticated).add(131_073 - in_flight) && in_flight > 0 {
                postrider_core::clock::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, is_read).await.unwrap();
    }
    let response = read_response(&mut open[2]).await;
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    drop(open);
    let free = async {
        while !listening.server.gateway.request_load.body(BodySender::Authenticated).add(131_072) {
            postrider_core::clock::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, free).await.unwrap();
}

#[tokio::test]
async fn a_body_of_a_caller_without_credentials_is_limited_to_eight_kib() {
    let server = TestServer::with(|config| {
        config.keys = vec![api_key("admin", "all", Scope::Admin)];
    })
    .await;
    for (path, content_type) in
        [("/sign-in", "application/x-www-form-urlencoded"), ("/v1/receipts/mock-red", "text/plain")]
    {
        let response = server.post(path, content_type, "a".repeat(8_193)).await;
        assert_eq!(response.status, 413, "{path}");
        let response = server.post(path, content_type, "a".repeat(8_192)).await;
        assert_ne!(response.status, 413, "{path}");
    }
    // Other routes answer before they read the body.
    for path in ["/sms/send", "/messages", "/inbox/send", "/v1/messages", "/v1/users", "/operate/apply"] {
        let response = server.post(path, "application/json", "a".repeat(100_000)).await;
        assert_eq!(response.status, 401, "{path}");
    }
}

#[tokio::test]
async fn expensive_queries_run_one_at_a_time_and_give_up_after_three_seconds() {
    let server = TestServer::with_provider(accepting_provider(CallbackMode::Disabled)).await;
    let gateway = Arc::clone(&server.gateway);
    let seat = gateway.request_load.expensive_query().await.unwrap();
    let (totals, list, page) =
        tokio::join!(server.get("/v1/usage/totals"), server.get("/v1/usage"), server.get("/usage"));
    for response in [&totals, &list, &page] {
        assert_eq!(response.status, 503);
        assert!(response.header("retry-after").is_some());
    }
    assert_eq!(totals.json()["type"], "/problems/busy");
    assert_eq!(server.get("/v1/messages").await.status, 200);
    drop(seat);
    assert_eq!(server.get("/v1/usage/totals").await.status, 200);
}
