//! What machines ask: is it alive, can it do its work, and what has it counted.
//!
//! `/healthz` never touches an edge. `/readyz` fails only when the truth is away; all else is told as degraded,
//! because messages are accepted and delivered without it. A load balancer has no key: it hears "ready" or not, from a
//! look at the store that is at most a second old, so that nobody can make the store busy by asking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Json, Router};
use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{OpenApi, ToSchema};

use super::auth::{self, Denied};
use super::describe::Denied as NoEntry;
use super::problem::{self, RETRY_SECONDS};
use crate::cache::Cache;
use crate::config::Scope;
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;

/// How long an edge may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// What waits is counted in full. Where that takes this long it is counted again only after so many times as long, so
/// that whoever asks for the metrics costs the store little, however much waits.
const COUNT_IS_DEAR: Duration = Duration::from_millis(50);
const COUNT_RESTS_TIMES: u32 = 20;

/// How long those without a key are told what was found last.
const GLANCE_KEEP: Duration = Duration::from_secs(1);

/// The type of the metrics' text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What machines are told of this.
#[derive(OpenApi)]
#[openapi(paths(healthz, readyz, metrics))]
pub(super) struct Described;

/// Where machines ask.
pub(super) fn routes(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let readers = from_fn_with_state((Arc::clone(gateway), Scope::Read), auth::require);
    Router::new()
        .route("/metrics", get(metrics))
        .route_layer(readers)
        .route("/readyz", get(readyz))
        .layer(Extension(Arc::new(Glance::default())))
        .layer(Extension(Arc::new(Count::default())))
        .route("/healthz", get(healthz))
        .method_not_allowed_fallback(problem::wrong_method)
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
struct Glance(Mutex<Option<(Instant, bool)>>);

impl Glance {
    /// Whether the store works. Those who ask meanwhile wait for the same look.
    async fn at_store(&self, gateway: &Gateway) -> bool {
        let mut last = self.0.lock().await;
        match *last {
            Some((looked, works)) if looked.elapsed() < GLANCE_KEEP => works,
            _ => {
                let works = store_works(gateway).await;
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
    Extension(glance): Extension<Arc<Glance>>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::caller(&gateway, &headers, Scope::Read) {
        Ok(_) => {
            let (works, degraded) = tokio::join!(store_works(&gateway), degraded(&gateway));
            readiness(works, Some(degraded))
        }
        Err(Denied::Missing) => readiness(glance.at_store(&gateway).await, None),
        Err(denied) => denied.into_response(),
    }
}

async fn store_works(gateway: &Gateway) -> bool {
    let answer = within(gateway.store.ping()).await;
    if let Err(error) = &answer {
        gateway.metrics.store_errors.inc();
        log::error!("not ready: {}", error.chain());
    }
    answer.is_ok()
}

/// What is away or rests, though messages are taken and delivered all the same.
async fn degraded(gateway: &Gateway) -> Vec<String> {
    let (cache, queue) = tokio::join!(
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
    degraded
}

fn readiness(ready: bool, degraded: Option<Vec<String>>) -> Response<Body> {
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
    response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
    uncached(response)
}

/// The last count of what waits: when it was made and how long it took.
#[derive(Default)]
struct Count(Arc<Mutex<Option<(Instant, Duration)>>>);

impl Count {
    /// Sets the gauges, unless somebody is counting already or the last count was dear and is fresh. A count that takes
    /// longer than whoever asked can wait goes on for the next one.
    async fn refresh(&self, gateway: &Arc<Gateway>) {
        let Ok(mut last) = Arc::clone(&self.0).try_lock_owned() else {
            return;
        };
        if last.is_some_and(|(made, took)| rests(took) > made.elapsed()) {
            return;
        }
        let gateway = Arc::clone(gateway);
        let counting = tokio::spawn(async move {
            let began = Instant::now();
            count(&gateway).await;
            *last = Some((Instant::now(), began.elapsed()));
        });
        let _late = tokio::time::timeout(PATIENCE, counting).await;
    }
}

/// How long nobody counts after a count that took so long.
fn rests(took: Duration) -> Duration {
    if took < COUNT_IS_DEAR {
        Duration::ZERO
    } else {
        took * COUNT_RESTS_TIMES
    }
}

async fn count(gateway: &Gateway) {
    let now = gateway.clock.now();
    match gateway.store.backlog(now).await {
        Ok(backlog) => {
            let oldest = backlog.oldest_due_at.map_or(0, |due_at| seconds(now - due_at));
            let waiting = i64::try_from(backlog.waiting).unwrap_or(i64::MAX);
            gateway.metrics.waiting.set(waiting);
            gateway.metrics.oldest_waiting_seconds.set(oldest);
        }
        Err(error) => not_looked_at(gateway, &error),
    }
}

fn seconds(age: TimeDelta) -> i64 {
    age.num_seconds().max(0)
}

/// The counters, with the gauges as they are now. A gauge whose edge is away keeps its last value.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "machines",
    responses(
        (status = 200, description = "OpenMetrics.", body = String, content_type = "application/openmetrics-text"),
        NoEntry,
    )
)]
async fn metrics(
    State(gateway): State<Arc<Gateway>>,
    Extension(counted): Extension<Arc<Count>>,
) -> Response<Body> {
    let now = gateway.clock.now();
    for lane in gateway.lanes() {
        gateway
            .metrics
            .provider_open(lane.name.as_str(), lane.view(now).open);
    }
    let ((), snapshot) = tokio::join!(counted.refresh(&gateway), within(gateway.store.snapshot()));
    match snapshot {
        Ok(Some(snapshot)) => {
            gateway
                .metrics
                .report_age_seconds
                .set(seconds(now - snapshot.as_of));
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
        assert_eq!(rests(Duration::from_millis(2)), Duration::ZERO);
        assert_eq!(rests(Duration::from_secs(2)), Duration::from_secs(40));
    }
}
