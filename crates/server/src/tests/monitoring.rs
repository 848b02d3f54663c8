//! What machines ask.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::TestServer;
use postrider_engine::sync_report;

#[tokio::test]
async fn it_is_alive_and_ready() {
    let world = TestServer::new().await;
    world.get("/healthz").await.assert_response(200, "ok");
    world
        .get("/readyz")
        .await
        .assert_response(200, r#"{"ready":true,"degraded":[]}"#);
}

#[tokio::test]
async fn without_its_store_it_is_alive_but_not_ready() {
    let world = TestServer::new().await;
    let _lock = world.lock_store();
    world.get("/healthz").await.assert_response(200, "ok");
    let reply = world.get("/readyz").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (503, Some("2"))
    );
    assert_eq!(reply.json()["ready"], json!(false));
}

#[tokio::test]
async fn a_resting_provider_is_degraded_not_unready() {
    let world = TestServer::new().await;
    let lane = &world.gateway.providers()[0];
    let rest_after = world.gateway.config.providers[0].breaker_failure_threshold;
    (0..rest_after).for_each(|_| lane.record_bounce(world.gateway.clock.now()));
    let reply = world.get("/readyz").await;
    assert_eq!(
        reply.json(),
        json!({"ready": true, "degraded": ["provider mock-blue"]})
    );
    let metrics = world.get("/metrics").await.text();
    assert!(
        metrics.contains("postrider_provider_available{provider=\"mock-blue\"} 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn metrics_are_open_metrics_with_fresh_gauges() {
    let world = TestServer::new().await;
    world.get("/sms/send?number=09122222222&body=hi").await;
    sync_report::sync(&world.gateway, |_| {}).await.unwrap();
    let reply = world.get("/metrics").await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(content_type));
    let text = reply.text();
    for line in [
        "postrider_accepted_total 1",
        "postrider_waiting{channel=\"sms\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn whoever_asks_for_other_text_gets_the_older_format() {
    let world = TestServer::new().await;
    let ask = async |accept: &str| {
        let request = Request::get("/metrics").header("accept", accept);
        world.request(request.body(Body::empty()).unwrap()).await
    };
    for accept in ["*/*", "text/plain"] {
        let reply = ask(accept).await;
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        assert!(reply.text().contains("# TYPE postrider_accepted_total counter"));
    }
    let reply = ask("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1").await;
    assert!(reply.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_health_is_called_by_one_word() {
    let world = TestServer::new().await;
    let lane = &world.gateway.providers()[0];
    let rest_after = world.gateway.config.providers[0].breaker_failure_threshold;
    (0..rest_after).for_each(|_| lane.record_bounce(world.gateway.clock.now()));
    let metrics = world.get("/metrics").await.text();
    let open = "postrider_providers_available{channel=\"sms\"} 1";
    assert!(metrics.contains(open), "{metrics}");
    for (state, is) in [
        ("closed", 0),
        ("open", 1),
        ("half_open", 0),
        ("misconfigured", 0),
        ("paused", 0),
    ] {
        let line = format!("postrider_provider_circuit{{provider=\"mock-blue\",state=\"{state}\"}} {is}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn every_face_tells_a_store_that_is_away_from_a_defect() {
    let world = TestServer::new().await;
    let texting = serde_json::json!({"phone_number": "1231233211", "message_body": "hi"});
    let native = serde_json::json!({"to": "09122222222", "body": "hi"});
    let ask = async || {
        [
            world.get("/sms/send?number=09122222222&body=hi").await,
            world.post_json("/messages", &texting).await,
            world.post_json("/v1/messages", &native).await,
        ]
    };
    let lock = world.lock_store();
    for away in ask().await {
        assert_eq!(
            (away.status.as_u16(), away.header("retry-after")),
            (503, Some("2"))
        );
    }
    drop(lock);
    world.break_store();
    for broken in ask().await {
        assert_eq!(
            (broken.status.as_u16(), broken.header("retry-after")),
            (500, None)
        );
        assert!(broken.text().contains("the log"), "{}", broken.text());
        assert!(!broken.text().contains("table"), "{}", broken.text());
    }
}
