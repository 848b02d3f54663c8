//! What machines ask: is it alive, can it do its work, and what has it counted.
//!
//! `/healthz` never touches an edge. `/readyz` fails only when the truth is away; all else is told as degraded,
//! because messages are accepted and delivered without it. A load balancer has no key: it hears "ready" or not, from a
//! look at the store that is at most a second old, so that nobody can make the store busy by asking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Json, Router};
use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{OpenApi, ToSchema};

use super::auth::{self, AuthError};
use super::openapi::AuthErrorResponses as NoEntry;
use super::problem::{self, STORE_RETRY_AFTER_SECONDS};
use postrider_cache::Cache;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::Scope;
use postrider_engine::gateway::{Gateway, Route};
use postrider_engine::metrics::ChannelBacklog;
use postrider_store::Backlog;

/// How long an edge may take to answer before it counts as away.
const DEPENDENCY_TIMEOUT: Duration = Duration::from_secs(3);

/// What waits is counted in full. Where that takes this long it is counted again only after so many times as long, so
/// that whoever asks for the metrics costs the store little, however much waits.
const SLOW_COUNT: Duration = Duration::from_millis(50);
const COUNT_INTERVAL_FACTOR: u32 = 20;

/// How long those without a key are told what was found last.
const READINESS_TTL: Duration = Duration::from_secs(1);

/// The type of the metrics' text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The type of the same in the older format.
const PLAIN_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What machines are told of this.
#[derive(OpenApi)]
#[openapi(paths(healthz, readyz, metrics))]
pub(super) struct MonitoringApiDoc;

/// Where machines ask.
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

/// Whether work can be done.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// Whether messages are taken.
    ready: bool,
    /// What is away or rests, though messages are taken and delivered; only for those with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<Vec<String>>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// The last look at the store on behalf of those without a key.
#[derive(Default)]
struct ReadinessCache(Mutex<Option<(Instant, bool)>>);

impl ReadinessCache {
    /// Whether the store works. Those who ask meanwhile wait for the same look.
    async fn is_store_ready(&self, gateway: &Gateway) -> bool {
        let mut last = self.0.lock().await;
        match *last {
            Some((looked, works)) if looked.elapsed() < READINESS_TTL => works,
            _ => {
                let works = check_store(gateway).await;
                *last = Some((Instant::now(), works));
                works
            }
        }
    }
}

/// Says that the process is alive. Looks at nothing.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "machines",
    security(()),
    responses((status = 200, description = "Always `ok`.", body = String, content_type = "text/plain"))
)]
async fn healthz() -> &'static str {
    "ok"
}

/// Says whether work can be done. Without a key the answer is only yes or no, and at most a second old.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "machines",
    responses(
        (status = 200, description = "Messages are taken.", body = Readiness),
        (status = 503, description = "The store cannot be read and written now.", body = Readiness,
            headers(("Retry-After" = u32, description = "After how many seconds to ask again."))),
        NoEntry,
    )
)]
async fn readyz(
    State(gateway): State<Arc<Gateway>>,
    Extension(glance): Extension<Arc<ReadinessCache>>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::authorize(&gateway, &headers, Scope::Read) {
        Ok(_) => {
            let (works, degraded) = tokio::join!(check_store(&gateway), degraded_parts(&gateway));
            readiness_response(works, Some(degraded))
        }
        Err(AuthError::MissingKey) => readiness_response(glance.is_store_ready(&gateway).await, None),
        Err(denied) => denied.into_response(),
    }
}

async fn check_store(gateway: &Gateway) -> bool {
    let answer = with_timeout(gateway.store.ping()).await;
    if let Err(error) = &answer {
        gateway.metrics.store_errors.inc();
        log::error!("not ready: {}", error.chain());
    }
    answer.is_ok()
}

/// What is away or rests, though messages are taken and delivered all the same.
async fn degraded_parts(gateway: &Gateway) -> Vec<String> {
    let (cache, queue) = tokio::join!(
        tokio::time::timeout(DEPENDENCY_TIMEOUT, gateway.cache.ping()),
        tokio::time::timeout(DEPENDENCY_TIMEOUT, gateway.queue.depth()),
    );
    let mut degraded = Vec::new();
    if !matches!(queue, Ok(Some(_))) {
        degraded.push("queue".to_owned());
    }
    if !matches!(cache, Ok(true)) {
        degraded.push("cache".to_owned());
    }
    let now = gateway.clock.now();
    let closed = gateway
        .providers()
        .iter()
        .filter(|lane| !lane.status(now).is_available);
    degraded.extend(closed.map(|lane| format!("provider {}", lane.name)));
    degraded
}

fn readiness_response(ready: bool, degraded: Option<Vec<String>>) -> Response<Body> {
    let detail = (!ready).then_some("the store cannot be read and written now, so no message is taken");
    let body = Json(Readiness {
        ready,
        degraded,
        detail,
    });
    if ready {
        return uncached(body.into_response());
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
    uncached(response)
}

/// The last count of what waits: when it was made and how long it took.
#[derive(Default)]
struct BacklogCount(Arc<Mutex<Option<(Instant, Duration)>>>);

impl BacklogCount {
    /// Sets the gauges, unless somebody is counting already or the last count was dear and is fresh. A count that takes
    /// longer than whoever asked can wait goes on for the next one.
    async fn refresh(&self, gateway: &Arc<Gateway>) {
        let Ok(mut last) = Arc::clone(&self.0).try_lock_owned() else {
            return;
        };
        if last.is_some_and(|(made, took)| count_interval(took) > made.elapsed()) {
            return;
        }
        let gateway = Arc::clone(gateway);
        let counting = tokio::spawn(async move {
            let began = Instant::now();
            update_backlog_gauges(&gateway).await;
            *last = Some((Instant::now(), began.elapsed()));
        });
        let _late = tokio::time::timeout(DEPENDENCY_TIMEOUT, counting).await;
    }
}

/// How long nobody counts after a count that took so long.
fn count_interval(took: Duration) -> Duration {
    if took < SLOW_COUNT {
        Duration::ZERO
    } else {
        took * COUNT_INTERVAL_FACTOR
    }
}

async fn update_backlog_gauges(gateway: &Gateway) {
    let now = gateway.clock.now();
    match gateway.store.backlogs(now).await {
        Ok(backlogs) => {
            let configured = gateway.config.channels.iter().map(|channel| &channel.name);
            let empty = configured.filter(|name| !backlogs.iter().any(|(other, _)| other == *name));
            let empty = empty.map(|name| (name, Backlog::default()));
            let all = backlogs
                .iter()
                .map(|(name, backlog)| (name, *backlog))
                .chain(empty);
            let waits = all.map(|(name, backlog)| ChannelBacklog {
                channel: name.to_string(),
                waiting: backlog.waiting,
                due: backlog.due,
                oldest_due_seconds: backlog.oldest_due_at.map_or(0, |due_at| seconds(now - due_at)),
            });
            gateway.metrics.set_channel_backlogs(&waits.collect::<Vec<_>>());
        }
        Err(error) => log_store_error(gateway, &error),
    }
}

fn seconds(age: TimeDelta) -> i64 {
    age.num_seconds().max(0)
}

/// When this door was made, which is when the process began.
#[derive(Clone, Copy)]
struct ProcessStart(Instant);

/// The counters, with the gauges as they are now. A gauge whose edge is away keeps its last value.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "machines",
    responses(
        (status = 200, description = "OpenMetrics for whoever asks for it, or for nothing; else Prometheus' older text.",
            content((String = "application/openmetrics-text"), (String = "text/plain"))),
        NoEntry,
    )
)]
async fn metrics(
    State(gateway): State<Arc<Gateway>>,
    Extension(counted): Extension<Arc<BacklogCount>>,
    Extension(began): Extension<ProcessStart>,
    headers: HeaderMap,
) -> Response<Body> {
    let now = gateway.clock.now();
    for channel in &gateway.config.channels {
        let lanes = gateway.route(channel.name.as_str()).map(Route::providers);
        let lanes = lanes.unwrap_or_default().iter();
        let open = lanes.filter(|lane| lane.is_available(now)).count();
        gateway
            .metrics
            .set_providers_available(channel.name.as_str(), open);
    }
    for lane in gateway.providers() {
        let (name, view) = (lane.name.as_str(), lane.status(now));
        gateway
            .metrics
            .set_provider_available(name, view.is_available, view.in_flight);
        gateway.metrics.set_breaker_state(name, view.state);
    }
    let ((), snapshot) = tokio::join!(counted.refresh(&gateway), with_timeout(gateway.store.snapshot()));
    match snapshot {
        Ok(snapshot) => {
            let none = || i64::try_from(began.0.elapsed().as_secs()).unwrap_or(i64::MAX);
            let age = snapshot.map_or_else(none, |snapshot| seconds(now - snapshot.as_of));
            gateway.metrics.report_age_seconds.set(age);
        }
        Err(error) => log_store_error(&gateway, &error),
    }
    let (kind, text) = if wants_open_metrics(&headers) {
        (OPEN_METRICS, gateway.metrics.openmetrics_text())
    } else {
        (PLAIN_METRICS, gateway.metrics.prometheus_text())
    };
    uncached(([(CONTENT_TYPE, kind), (VARY, "accept")], text).into_response())
}

/// Prometheus asks for OpenMetrics by name; who names other types (`promtool check metrics` knows only the older one)
/// gets what every reader of metrics understands.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("application/openmetrics-text"))
    };
    !headers.contains_key(ACCEPT) || headers.get_all(ACCEPT).iter().any(named)
}

fn log_store_error(gateway: &Gateway, error: &Error) {
    gateway.metrics.store_errors.inc();
    log::error!("cannot look at the store for the metrics: {}", error.chain());
}

async fn with_timeout<T>(verb: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(DEPENDENCY_TIMEOUT, verb).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(ErrorKind::Unavailable, "the store does not answer")),
    }
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dear_count_is_made_rarely_and_a_cheap_one_each_time() {
        assert_eq!(count_interval(Duration::from_millis(2)), Duration::ZERO);
        assert_eq!(count_interval(Duration::from_secs(2)), Duration::from_secs(40));
    }
}
