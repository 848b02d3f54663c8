//! What machines ask: is it alive, can it do its work, and what has it counted.
//!
//! `/healthz` never touches an edge. `/readyz` fails only when the truth is away; all else is told as degraded,
//! because messages are accepted and delivered without it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use chrono::TimeDelta;
use serde::Serialize;

use super::problem::{self, RETRY_SECONDS};
use super::auth;
use crate::cache::Cache;
use crate::config::Scope;
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;

/// How long an edge may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// The type of the metrics' text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where machines ask.
pub(super) fn routes(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let readers = from_fn_with_state((Arc::clone(gateway), Scope::Read), auth::require);
    Router::new()
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route_layer(readers)
        .route("/healthz", get(async || "ok"))
        .method_not_allowed_fallback(problem::wrong_method)
}

/// Whether work can be done.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    degraded: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> Response<Body> {
    let (store, cache, queue) = tokio::join!(
        within(gateway.store.ping()),
        tokio::time::timeout(PATIENCE, gateway.cache.ping()),
        tokio::time::timeout(PATIENCE, gateway.queue.depth()),
    );
    let mut degraded = Vec::new();
    if !matches!(queue, Ok(Some(_))) {
        degraded.push("queue".to_owned());
    }
    if !matches!(cache, Ok(true)) {
        degraded.push("cache".to_owned());
    }
    let now = gateway.clock.now();
    let closed = gateway.lanes().iter().filter(|lane| !lane.view(now).open);
    degraded.extend(closed.map(|lane| format!("provider {}", lane.name)));
    if let Err(error) = store {
        gateway.metrics.store_errors.inc();
        log::error!("not ready: {}", error.chain());
        return away(degraded);
    }
    let readiness = Readiness {
        ready: true,
        degraded,
        detail: None,
    };
    uncached(Json(readiness).into_response())
}

fn away(degraded: Vec<String>) -> Response<Body> {
    let readiness = Readiness {
        ready: false,
        degraded,
        detail: Some("the store cannot be read and written now, so no message is taken"),
    };
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(readiness)).into_response();
    response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
    uncached(response)
}

/// The counters, with the gauges as they are now. A gauge whose edge is away keeps its last value.
async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response<Body> {
    let now = gateway.clock.now();
    let seconds = |age: TimeDelta| age.num_seconds().max(0);
    for lane in gateway.lanes() {
        gateway.metrics.provider_open(lane.name.as_str(), lane.view(now).open);
    }
    let (backlog, snapshot) =
        tokio::join!(within(gateway.store.backlog(now)), within(gateway.store.snapshot()));
    match backlog {
        Ok(backlog) => {
            let oldest = backlog.oldest_due_at.map_or(0, |due_at| seconds(now - due_at));
            gateway.metrics.waiting.set(i64::try_from(backlog.waiting).unwrap_or(i64::MAX));
            gateway.metrics.oldest_waiting_seconds.set(oldest);
        }
        Err(error) => not_looked_at(&gateway, &error),
    }
    match snapshot {
        Ok(Some(snapshot)) => {
            gateway.metrics.report_age_seconds.set(seconds(now - snapshot.as_of));
        }
        Ok(None) => {}
        Err(error) => not_looked_at(&gateway, &error),
    }
    let text = gateway.metrics.text();
    uncached(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn not_looked_at(gateway: &Gateway, error: &Error) {
    gateway.metrics.store_errors.inc();
    log::error!("cannot look at the store for the metrics: {}", error.chain());
}

async fn within<T>(verb: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, verb).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(Kind::Unavailable, "the store does not answer")),
    }
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
