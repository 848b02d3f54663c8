//! The monitoring endpoints.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::TestServer;
use postrider_core::attempt::Outcome;
use postrider_engine::gateway::ProviderRuntime;
use postrider_engine::sync_report;

/// Completes so many calls of the provider that it could not take.
fn fail_calls(server: &TestServer, provider: &ProviderRuntime, calls: u32) {
    for _ in 0..calls {
        let unavailable = Outcome::Unavailable { reason: "down".to_owned() };
        provider.complete(&unavailable.into(), None, server.gateway.clock.now());
    }
}

#[tokio::test]
async fn a_healthy_gateway_is_alive_and_ready() {
    let server = TestServer::new().await;
    server.get("/healthz").await.assert_response(200, "ok");
    server.get("/readyz").await.assert_response(200, r#"{"ready":true,"degraded":[]}"#);
}

#[tokio::test]
async fn without_its_store_the_gateway_is_alive_but_not_ready() {
    let server = TestServer::new().await;
    let _lock = server.lock_store();
    server.get("/healthz").await.assert_response(200, "ok");
    let response = server.get("/readyz").await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, Some("2")));
    assert_eq!(response.json()["ready"], json!(false));
}

#[tokio::test]
async fn an_open_circuit_is_degraded_but_ready() {
    let server = TestServer::new().await;
    let provider = &server.gateway.providers()[0];
    let threshold = server.gateway.config.providers[0].breaker_failure_threshold;
    fail_calls(&server, provider, threshold);
    let response = server.get("/readyz").await;
    assert_eq!(response.json(), json!({"ready": true, "degraded": ["provider mock-blue"]}));
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("postrider_provider_available{provider=\"mock-blue\"} 0"), "{metrics}");
}

#[tokio::test]
async fn metrics_are_open_metrics_with_fresh_gauges() {
    let server = TestServer::new().await;
    server.get("/sms/send?number=09122222222&body=hi").await;
    sync_report::sync(&server.gateway, |_| {}).await.unwrap();
    let response = server.get("/metrics").await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(content_type));
    let text = response.text();
    for line in ["postrider_accepted_total 1", "postrider_waiting{channel=\"sms\"} 1", "# EOF"] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_accept_open_metrics_gets_the_older_format() {
    let server = TestServer::new().await;
    let send = async |accept: &str| {
        let request = Request::get("/metrics").header("accept", accept);
        server.request(request.body(Body::empty()).unwrap()).await
    };
    for accept in ["*/*", "text/plain"] {
        let response = send(accept).await;
        assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        assert!(response.text().contains("# TYPE postrider_accepted_total counter"));
    }
    let response = send("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1").await;
    assert!(response.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_circuit_state_has_one_series_for_each_value() {
    let server = TestServer::new().await;
    let provider = &server.gateway.providers()[0];
    let threshold = server.gateway.config.providers[0].breaker_failure_threshold;
    fail_calls(&server, provider, threshold);
    let metrics = server.get("/metrics").await.text();
    let available = "postrider_providers_available{channel=\"sms\"} 1";
    assert!(metrics.contains(available), "{metrics}");
    for (state, value) in
        [("closed", 0), ("open", 1), ("half_open", 0), ("misconfigured", 0), ("cooldown", 0), ("paused", 0)]
    {
        let line = format!("postrider_provider_circuit{{provider=\"mock-blue\",state=\"{state}\"}} {value}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_cooldown_is_shown_with_its_end() {
    let server = TestServer::new().await;
    let provider = &server.gateway.providers()[0];
    let throttled = Outcome::Throttled { retry_after: Some(std::time::Duration::from_secs(600)) };
    provider.complete(&throttled.into(), None, server.gateway.clock.now());
    let line = "postrider_provider_circuit{provider=\"mock-blue\",state=\"cooldown\"} 1";
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains(line), "{metrics}");
    let shown = server.get("/v1/providers").await.json()["providers"][0].clone();
    assert_eq!((&shown["circuit"], &shown["available"]), (&json!("cooldown"), &json!(false)), "{shown}");
    assert!(shown["detail"].as_str().unwrap().starts_with("cooldown until "), "{shown}");
    assert!(shown["cooldown_until"].is_string(), "{shown}");
    let page = server.get("/operate").await.text();
    assert!(page.contains("cooldown until "), "{page}");
    let degraded = server.get("/readyz").await.json()["degraded"].clone();
    assert_eq!(degraded, json!(["provider mock-blue"]));
}

#[tokio::test]
async fn every_api_distinguishes_an_unavailable_store_from_a_defect() {
    let server = TestServer::new().await;
    let texting = serde_json::json!({"phone_number": "1231233211", "message_body": "hi"});
    let native = serde_json::json!({"to": "09122222222", "body": "hi"});
    let send = async || {
        [
            server.get("/sms/send?number=09122222222&body=hi").await,
            server.post_json("/messages", &texting).await,
            server.post_json("/v1/messages", &native).await,
        ]
    };
    let lock = server.lock_store();
    for unavailable in send().await {
        assert_eq!((unavailable.status.as_u16(), unavailable.header("retry-after")), (503, Some("2")));
    }
    drop(lock);
    server.break_store();
    for broken in send().await {
        assert_eq!((broken.status.as_u16(), broken.header("retry-after")), (500, None));
        assert!(broken.text().contains("the log"), "{}", broken.text());
        assert!(!broken.text().contains("table"), "{}", broken.text());
    }
}
