//! Live numbers of the operator's pages. Each viewer has an event stream; the numbers are computed once for all
//! streams.
//!
//! The load on the store does not grow with the number of viewers. While a page is open, the report is synchronized
//! every ten seconds instead of every twenty minutes. If a synchronization takes long, the interval is longer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Frame;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::super::format;
use super::super::layout::ReportSummary;
use super::super::report_cache::ReportCache;
use crate::auth;
use postrider_core::clock::{self, Timestamp};
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;
use postrider_engine::sync_report;
use postrider_store::Backlog;

/// Interval between events of a stream.
const UPDATE_INTERVAL: Duration = Duration::from_secs(2);

/// Time for which an event is shared between streams.
const UPDATE_TTL: Duration = Duration::from_millis(1_500);

/// Maximum number of streams.
const WATCHERS_MAX: usize = 64;

/// Maximum duration of a stream; the browser connects again afterwards.
const STREAM_DURATION_MAX: Duration = Duration::from_secs(600);

/// Maximum age of the report while a page is open.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Interval between slow operations on the store, as a multiple of their duration.
const REFRESH_INTERVAL_FACTOR: u32 = 20;

/// The event streams and the last numbers that they share.
pub(super) struct LiveUpdates {
    last_numbers: Mutex<LastNumbers>,
    /// End and duration of the last report synchronization.
    last_report_sync: Arc<Mutex<Option<(Instant, Duration)>>>,
    watchers: Arc<Semaphore>,
}

#[derive(Default)]
struct LastNumbers {
    last_event: Option<(Instant, Bytes)>,
    /// The backlog, the end of its count, and the duration of the count.
    backlog: Option<(Backlog, Instant, Duration)>,
}

impl Default for LiveUpdates {
    fn default() -> Self {
        Self {
            last_numbers: Mutex::default(),
            last_report_sync: Arc::default(),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }
}

impl LiveUpdates {
    /// Returns the current backlog; `None` if the store is unavailable.
    pub(super) async fn backlog(&self, gateway: &Gateway) -> Option<Backlog> {
        cached_backlog(gateway, &mut *self.last_numbers.lock().await).await
    }

    /// Discards the cached event after a manual change, so that the next event shows the change.
    pub(super) async fn invalidate(&self) {
        self.last_numbers.lock().await.last_event = None;
    }

    /// Returns the newest numbers as an event.
    async fn current_event(&self, gateway: &Arc<Gateway>, reports: &ReportCache) -> Bytes {
        self.refresh_report(gateway);
        let mut last_numbers = self.last_numbers.lock().await;
        if let Some((at, event)) = &last_numbers.last_event
            && at.elapsed() < UPDATE_TTL
        {
            return event.clone();
        }
        let backlog = cached_backlog(gateway, &mut last_numbers).await;
        let texts = live_texts(gateway, reports, backlog).await;
        let json = serde_json::to_string(&texts).unwrap_or_default();
        let event = Bytes::from(format!("data: {json}\n\n"));
        last_numbers.last_event = Some((Instant::now(), event.clone()));
        event
    }

    /// Synchronizes the report in the background, unless a synchronization is running or ended recently.
    fn refresh_report(&self, gateway: &Arc<Gateway>) {
        let Ok(mut last_sync) = Arc::clone(&self.last_report_sync).try_lock_owned() else {
            return;
        };
        if last_sync
            .is_some_and(|(at, took)| at.elapsed() < REPORT_INTERVAL.max(took * REFRESH_INTERVAL_FACTOR))
        {
            return;
        }
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            let started = Instant::now();
            if let Err(error) = sync_report::sync_if_due(&gateway, REPORT_INTERVAL).await {
                log::debug!("cannot sync report for live pages: error={}", error.chain());
            }
            *last_sync = Some((Instant::now(), started.elapsed()));
        });
    }
}

async fn cached_backlog(gateway: &Gateway, last_numbers: &mut LastNumbers) -> Option<Backlog> {
    if let Some((backlog, at, took)) = last_numbers.backlog
        && at.elapsed() < UPDATE_TTL.max(took * REFRESH_INTERVAL_FACTOR)
    {
        return Some(backlog);
    }
    let started = Instant::now();
    match gateway.store.backlog(gateway.clock.now()).await {
        Ok(backlog) => {
            last_numbers.backlog = Some((backlog, Instant::now(), started.elapsed()));
            Some(backlog)
        }
        Err(error) => {
            gateway.metrics.store_errors.inc();
            log::error!("cannot count backlog: error={}", error.chain());
            None
        }
    }
}

/// Returns the texts of all live elements under the names that the pages use in `data-live` and `data-show`.
async fn live_texts(
    gateway: &Gateway,
    reports: &ReportCache,
    backlog: Option<Backlog>,
) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    if let Some(cached) = reports.report_if_known(gateway).await {
        let mut summary = ReportSummary::of(&cached.report);
        if let Some(backlog) = backlog {
            summary.set_waiting(backlog.waiting);
        }
        for counter in summary.counters {
            texts.insert(format!("counter-{}", counter.name), counter.count);
        }
        texts.insert("as-of".to_owned(), summary.as_of);
    }
    let now = gateway.clock.now();
    for (figure, text) in backlog_texts(backlog, now) {
        texts.insert(figure.to_owned(), text);
    }
    for provider in gateway.providers() {
        let provider_status = provider.status(now);
        let key = |figure: &str| format!("provider-{}-{figure}", provider.name);
        texts.insert(key("resume"), yes_or_no(provider_status.can_resume()));
        texts.insert(key("circuit"), provider_status.state.to_owned());
        texts.insert(key("detail"), provider_status.detail);
        texts.insert(key("in-flight"), provider_status.in_flight.to_string());
        texts.insert(key("pause"), yes_or_no(!provider_status.is_paused));
    }
    texts
}

fn yes_or_no(is_shown: bool) -> String {
    if is_shown { "yes" } else { "no" }.to_owned()
}

/// Returns the backlog as texts under their names in the page.
pub(super) fn backlog_texts(backlog: Option<Backlog>, now: Timestamp) -> [(&'static str, String); 4] {
    let age = |start: Option<Timestamp>| {
        let seconds = start.map_or(0, |start| (now - start).num_seconds());
        format::duration(u64::try_from(seconds).unwrap_or_default() * 1_000)
    };
    let overdue = backlog.map(|backlog| age(backlog.oldest_due_at));
    let oldest = backlog.map(|backlog| age(backlog.oldest_accepted_at));
    [
        ("waiting", format::or_dash(backlog.map(|backlog| format::count(backlog.waiting)))),
        ("due", format::or_dash(backlog.map(|backlog| format::count(backlog.due)))),
        ("overdue", format::or_dash(overdue)),
        ("oldest", format::or_dash(oldest)),
    ]
}

/// A response body that yields events until the sender is dropped.
struct EventStream(Receiver<Bytes>);

impl hyper::body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Handles `GET /operate/events`.
pub(super) async fn event_stream(
    State(gateway): State<Arc<Gateway>>,
    Extension(live): Extension<Arc<LiveUpdates>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(stop): Extension<StopSignal>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::authorize_operator(&gateway, &headers) {
        Ok(_) => open_stream(live, gateway, reports, stop),
        // There is no Basic challenge, because the request comes from the script, and a password dialogue would be
        // unexpected.
        Err(error) => error.into_response(),
    }
}

/// Opens an event stream; 503 if [`WATCHERS_MAX`] are open.
pub(super) fn open_stream(
    live: Arc<LiveUpdates>,
    gateway: Arc<Gateway>,
    reports: Arc<ReportCache>,
    stop: StopSignal,
) -> Response<Body> {
    let Ok(permit) = Arc::clone(&live.watchers).try_acquire_owned() else {
        let message = "too many live pages; reload the page instead";
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], message).into_response();
    };
    let (sender, events) = mpsc::channel(1);
    tokio::spawn(async move { send_updates(&live, &gateway, &reports, stop, sender, permit).await });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::new(EventStream(events))).into_response()
}

/// Sends events until the client disconnects, the maximum duration passes, or `stop` is set.
async fn send_updates(
    live: &LiveUpdates,
    gateway: &Arc<Gateway>,
    reports: &ReportCache,
    mut stop: StopSignal,
    sender: Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
) {
    let send_all = async {
        loop {
            let event = live.current_event(gateway, reports).await;
            if sender.send(event).await.is_err() {
                return;
            }
            tokio::select! {
                () = clock::sleep(UPDATE_INTERVAL) => {}
                () = sender.closed() => return,
            }
        }
    };
    // The time limit and `stop` also end a stream whose client does not read.
    tokio::select! {
        () = send_all => {}
        () = clock::sleep(STREAM_DURATION_MAX) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
