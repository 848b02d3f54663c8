//! Monitoring endpoints: `/healthz`, `/readyz` and `/metrics`.
//!
//! `/healthz` uses no store, queue or cache. `/readyz` fails only if the store is unavailable; other unavailable parts
//! are reported as degraded, because messages are accepted and delivered without them. A load balancer has no API key
//! and gets only the readiness. That result comes from a store check that is at most one second old, so that its
//! requests cost the store almost nothing.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Json, Router};
use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{OpenApi, ToSchema};

use super::auth::{self, AuthError};
use super::error_responses::AuthErrorResponses;
use super::errors::STORE_RETRY_AFTER_SECONDS;
use super::problem;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::Scope;
use postrider_engine::gateway::{Gateway, Route};
use postrider_engine::metrics::ChannelBacklog;
use postrider_engine::problems::{DEPENDENCY_TIMEOUT, current_problems};
use postrider_store::Backlog;

/// Duration from which a backlog count is slow. The next count after a slow one waits [`COUNT_INTERVAL_FACTOR`] times
/// its duration, so that frequent scraping costs the store at most 5 % of its time.
const SLOW_BACKLOG_COUNT: Duration = Duration::from_millis(50);

/// Interval between slow backlog counts, as a multiple of their duration.
const COUNT_INTERVAL_FACTOR: u32 = 20;

/// Maximum age of the readiness that clients without a key get.
const READINESS_TTL: Duration = Duration::from_secs(1);

/// Header of a response that no client may cache.
const UNCACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// Content type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Content type of the older Prometheus text format.
const PLAIN_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenAPI description of the monitoring endpoints.
#[derive(OpenApi)]
#[openapi(paths(healthz, readyz, metrics))]
pub(super) struct MonitoringApiDoc;

/// Returns the routes of the monitoring endpoints.
pub(super) fn routes(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let readers = from_fn_with_state((Arc::clone(gateway), Scope::Read), auth::require_scope);
    Router::new()
        .route("/metrics", get(metrics))
        .route_layer(readers)
        .route("/readyz", get(readyz))
        .layer(Extension(Arc::new(ReadinessCache::default())))
        .layer(Extension(Arc::new(BacklogCount::default())))
        .layer(Extension(ProcessStart(Instant::now())))
        .route("/healthz", get(healthz))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

/// Readiness of this process.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `true` if messages are accepted.
    ready: bool,
    /// Problems although messages are accepted: unavailable or paused parts, channels without a usable provider or a
    /// worker, a large write-ahead log, a clock that went back; only with an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<Vec<String>>,
    /// Description of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// Result of the last store check for clients without a key.
#[derive(Default)]
struct ReadinessCache(Mutex<Option<(Instant, bool)>>);

impl ReadinessCache {
    /// Returns whether the store works. Concurrent callers wait for the same check.
    async fn is_store_ready(&self, gateway: &Gateway) -> bool {
        let mut last_check = self.0.lock().await;
        match *last_check {
            Some((checked_at, is_ready)) if checked_at.elapsed() < READINESS_TTL => is_ready,
            _ => {
                let is_ready = check_store(gateway).await;
                *last_check = Some((Instant::now(), is_ready));
                is_ready
            }
        }
    }
}

/// Returns `ok` while the process is alive. Checks nothing else.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "monitoring",
    security(()),
    responses((status = 200, description = "Always `ok`.", body = String, content_type = "text/plain"))
)]
async fn healthz() -> &'static str {
    "ok"
}

/// Returns whether messages can be accepted. Without a key the result has no details and is at most a second old.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "monitoring",
    responses(
        (status = 200, description = "Messages are accepted.", body = Readiness),
        (status = 503, description = "The store cannot be read and written now.", body = Readiness,
            headers(("Retry-After" = u32, description = "Seconds until the next request is useful."))),
        AuthErrorResponses,
    )
)]
async fn readyz(
    State(gateway): State<Arc<Gateway>>,
    Extension(cache): Extension<Arc<ReadinessCache>>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::authorize(&gateway, &headers, Scope::Read) {
        Ok(_) => {
            let (is_ready, degraded) = tokio::join!(check_store(&gateway), current_problems(&gateway));
            readiness_response(is_ready, Some(degraded))
        }
        Err(AuthError::MissingKey) => readiness_response(cache.is_store_ready(&gateway).await, None),
        Err(error) => error.into_response(),
    }
}

/// Returns whether the store can be read and written.
async fn check_store(gateway: &Gateway) -> bool {
    let ping = with_timeout(gateway.store.ping()).await;
    if let Err(error) = &ping {
        gateway.record_store_error("store check failed", error);
    }
    ping.is_ok()
}

fn readiness_response(ready: bool, degraded: Option<Vec<String>>) -> Response<Body> {
    if ready {
        return (UNCACHED, Json(Readiness { ready, degraded, detail: None })).into_response();
    }
    let detail = Some("the store cannot be read and written now; no messages are accepted");
    let headers = [(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS)];
    let readiness = Json(Readiness { ready, degraded, detail });
    (StatusCode::SERVICE_UNAVAILABLE, UNCACHED, headers, readiness).into_response()
}

/// End and duration of the last backlog count.
#[derive(Default)]
struct BacklogCount(Arc<Mutex<Option<(Instant, Duration)>>>);

impl BacklogCount {
    /// Updates the backlog gauges. Does nothing if a count is running, or if the last count was slow and recent. A
    /// count that takes longer than [`DEPENDENCY_TIMEOUT`] continues in the background.
    async fn refresh(&self, gateway: &Arc<Gateway>) {
        let Ok(mut last_count) = Arc::clone(&self.0).try_lock_owned() else {
            return;
        };
        if last_count.is_some_and(|(ended_at, duration)| count_interval(duration) > ended_at.elapsed()) {
            return;
        }
        let gateway = Arc::clone(gateway);
        let counting = tokio::spawn(async move {
            let started_at = Instant::now();
            update_backlog_gauges(&gateway).await;
            *last_count = Some((Instant::now(), started_at.elapsed()));
        });
        let _ = tokio::time::timeout(DEPENDENCY_TIMEOUT, counting).await;
    }
}

/// Returns the time to wait after a backlog count of this duration.
fn count_interval(count_duration: Duration) -> Duration {
    if count_duration < SLOW_BACKLOG_COUNT { Duration::ZERO } else { count_duration * COUNT_INTERVAL_FACTOR }
}

async fn update_backlog_gauges(gateway: &Gateway) {
    let now = gateway.clock.now();
    match gateway.store.backlogs(now).await {
        Ok(backlogs) => {
            let configured_channels = gateway.config.channels.iter().map(|channel| &channel.name);
            let has_backlog = |name| backlogs.iter().any(|(channel, _)| channel == name);
            let empty_backlogs =
                configured_channels.filter(|name| !has_backlog(*name)).map(|name| (name, Backlog::default()));
            let backlogs = backlogs.iter().map(|(name, backlog)| (name, *backlog));
            let channel_backlogs = backlogs.chain(empty_backlogs).map(|(name, backlog)| ChannelBacklog {
                channel: name.to_string(),
                waiting: backlog.waiting,
                due: backlog.due,
                oldest_due_seconds: backlog.oldest_due_at.map_or(0, |due_at| whole_seconds(now - due_at)),
            });
            gateway.metrics.set_channel_backlogs(&channel_backlogs.collect::<Vec<_>>());
        }
        Err(error) => log_store_error(gateway, &error),
    }
}

fn whole_seconds(age: TimeDelta) -> i64 {
    age.num_seconds().max(0)
}

/// Time at which the routes were built, shortly after the start of the process.
#[derive(Clone, Copy)]
struct ProcessStart(Instant);

/// Returns the metrics, with current gauges. A gauge whose source is unavailable keeps its last value.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "monitoring",
    responses(
        (status = 200, description = "OpenMetrics if `Accept` names it or is missing, else the older Prometheus text format.",
            content((String = "application/openmetrics-text"), (String = "text/plain"))),
        AuthErrorResponses,
    )
)]
async fn metrics(
    State(gateway): State<Arc<Gateway>>,
    Extension(backlog_count): Extension<Arc<BacklogCount>>,
    Extension(process_start): Extension<ProcessStart>,
    headers: HeaderMap,
) -> Response<Body> {
    let now = gateway.clock.now();
    for channel in &gateway.config.channels {
        let providers = gateway.route(channel.name.as_str()).map(Route::providers).unwrap_or_default();
        let available_count = providers.iter().filter(|provider| provider.is_available(now)).count();
        gateway.metrics.set_providers_available(channel.name.as_str(), available_count);
    }
    for provider in gateway.providers() {
        let (name, status) = (provider.name.as_str(), provider.status(now));
        gateway.metrics.set_provider_available(name, status.is_available, status.in_flight);
        gateway.metrics.set_breaker_state(name, status.state);
    }
    let ((), snapshot) =
        tokio::join!(backlog_count.refresh(&gateway), with_timeout(gateway.store.snapshot()));
    match snapshot {
        Ok(snapshot) => {
            let uptime = || i64::try_from(process_start.0.elapsed().as_secs()).unwrap_or(i64::MAX);
            let report_age = snapshot.map_or_else(uptime, |snapshot| whole_seconds(now - snapshot.as_of));
            gateway.metrics.report_age_seconds.set(report_age);
        }
        Err(error) => log_store_error(&gateway, &error),
    }
    let (content_type, text) = if wants_open_metrics(&headers) {
        (OPEN_METRICS, gateway.metrics.openmetrics_text())
    } else {
        (PLAIN_METRICS, gateway.metrics.prometheus_text())
    };
    (UNCACHED, [(CONTENT_TYPE, content_type), (VARY, "accept")], text).into_response()
}

/// Returns whether to answer in OpenMetrics. Prometheus names it in `Accept`; a client that names only other types
/// (`promtool check metrics` reads only the older format) gets the older format.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let names_open_metrics = |accept: &HeaderValue| {
        accept.to_str().is_ok_and(|types| types.contains("application/openmetrics-text"))
    };
    !headers.contains_key(ACCEPT) || headers.get_all(ACCEPT).iter().any(names_open_metrics)
}

fn log_store_error(gateway: &Gateway, error: &Error) {
    gateway.record_store_error("cannot read store for metrics", error);
}

async fn with_timeout<T>(operation: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(DEPENDENCY_TIMEOUT, operation).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Unavailable, "the store does not respond")),
    }
}
