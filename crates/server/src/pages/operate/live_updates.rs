//! The numbers that change while somebody looks: one look for all who watch, and a stream for each of them.
//!
//! What is asked of the store does not grow with those who watch. While somebody does, the report is brought up to date
//! every ten seconds instead of every twenty minutes, unless that takes long.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use hyper::body::Frame;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::super::format;
use super::super::layout::ReportSummary;
use super::super::report_cache::{ReportCache, ReportLookup};
use postrider_core::clock;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;
use postrider_engine::sync_report;
use postrider_store::Backlog;

/// How often those who watch are told.
const UPDATE_INTERVAL: Duration = Duration::from_secs(2);

/// How long what was found is told to others who watch.
const UPDATE_TTL: Duration = Duration::from_millis(1_500);

/// How many may watch at once.
const WATCHERS_MAX: usize = 64;

/// How long a stream lasts; a browser then asks for the next one by itself.
const STREAM_DURATION_MAX: Duration = Duration::from_secs(600);

/// How old the report may be while somebody watches.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// What took so long is done again only after so many times as long.
const REFRESH_INTERVAL_FACTOR: u32 = 20;

/// What was found last, for all who watch.
pub(super) struct LiveUpdates {
    state: Mutex<LiveState>,
    /// When the report was last brought up to date from here, and how long that took.
    last_report_sync: Arc<Mutex<Option<(Instant, Duration)>>>,
    watchers: Arc<Semaphore>,
}

#[derive(Default)]
struct LiveState {
    last_event: Option<(Instant, Bytes)>,
    /// What waits, when it was counted, and how long that took.
    backlog: Option<(Backlog, Instant, Duration)>,
}

impl Default for LiveUpdates {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            last_report_sync: Arc::default(),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }
}

impl LiveUpdates {
    /// What waits now, counted a moment ago; none when the store cannot say.
    pub(super) async fn backlog(&self, gateway: &Gateway) -> Option<Backlog> {
        cached_backlog(gateway, &mut *self.state.lock().await).await
    }

    /// Something was changed by hand: whoever watches here is told what is so now, not what was so a moment ago.
    pub(super) async fn invalidate(&self) {
        self.state.lock().await.last_event = None;
    }

    /// The newest numbers as an event.
    async fn current_event(&self, gateway: &Arc<Gateway>, newest: &ReportCache) -> Bytes {
        self.refresh_report(gateway);
        let mut seen = self.state.lock().await;
        if let Some((at, event)) = &seen.last_event
            && at.elapsed() < UPDATE_TTL
        {
            return event.clone();
        }
        let backlog = cached_backlog(gateway, &mut seen).await;
        let numbers = live_values(gateway, newest, backlog).await;
        let text = serde_json::to_string(&numbers).unwrap_or_default();
        let event = Bytes::from(format!("data: {text}\n\n"));
        seen.last_event = Some((Instant::now(), event.clone()));
        event
    }

    /// Brings the report up to date in the background, unless that is being done or was a moment ago.
    fn refresh_report(&self, gateway: &Arc<Gateway>) {
        let Ok(mut last) = Arc::clone(&self.last_report_sync).try_lock_owned() else {
            return;
        };
        if last.is_some_and(|(at, took)| at.elapsed() < REPORT_INTERVAL.max(took * REFRESH_INTERVAL_FACTOR)) {
            return;
        }
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            let began = Instant::now();
            if let Err(error) = sync_report::sync_if_due(&gateway, REPORT_INTERVAL).await {
                log::debug!("the report is not renewed for those who watch: {}", error.chain());
            }
            *last = Some((Instant::now(), began.elapsed()));
        });
    }
}

async fn cached_backlog(gateway: &Gateway, seen: &mut LiveState) -> Option<Backlog> {
    if let Some((backlog, at, took)) = seen.backlog
        && at.elapsed() < UPDATE_TTL.max(took * REFRESH_INTERVAL_FACTOR)
    {
        return Some(backlog);
    }
    let began = Instant::now();
    match gateway.store.backlog(gateway.clock.now()).await {
        Ok(backlog) => {
            seen.backlog = Some((backlog, Instant::now(), began.elapsed()));
            Some(backlog)
        }
        Err(error) => {
            gateway.metrics.store_errors.inc();
            log::error!("what waits cannot be counted: {}", error.chain());
            None
        }
    }
}

/// Every number with the name that pages know it by.
async fn live_values(
    gateway: &Gateway,
    newest: &ReportCache,
    backlog: Option<Backlog>,
) -> BTreeMap<String, String> {
    let mut numbers = BTreeMap::new();
    if let ReportLookup::Report(kept) = newest.lookup(gateway).await {
        let strip = ReportSummary::of(&kept.report);
        for counter in strip.counters {
            numbers.insert(format!("counter-{}", counter.name), counter.count);
        }
        numbers.insert("as-of".to_owned(), strip.as_of);
    }
    let now = gateway.clock.now();
    for (name, text) in backlog_values(backlog, now) {
        numbers.insert(name.to_owned(), text);
    }
    for lane in gateway.providers() {
        let view = lane.status(now);
        let key = |what: &str| format!("provider-{}-{what}", lane.name);
        numbers.insert(key("wake"), yes_or_no(view.can_resume()));
        numbers.insert(key("health"), view.state.to_owned());
        numbers.insert(key("detail"), view.detail);
        numbers.insert(key("calls"), view.in_flight.to_string());
        numbers.insert(key("rest"), yes_or_no(!view.is_paused));
    }
    numbers
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// What waits, in words.
pub(super) fn backlog_values(
    backlog: Option<Backlog>,
    now: postrider_core::clock::Timestamp,
) -> [(&'static str, String); 3] {
    let count = |number: fn(&Backlog) -> u64| {
        backlog.as_ref().map_or_else(
            || format::NOT_AVAILABLE.to_owned(),
            |backlog| format::count(number(backlog)),
        )
    };
    let oldest = backlog.and_then(|backlog| backlog.oldest_due_at);
    let late = oldest.map_or(0, |due_at| (now - due_at).num_seconds().max(0));
    let late = format::duration(u64::try_from(late).unwrap_or_default() * 1_000);
    [
        ("waiting", count(|backlog| backlog.waiting)),
        ("due", count(|backlog| backlog.due)),
        (
            "late",
            if backlog.is_none() {
                format::NOT_AVAILABLE.to_owned()
            } else {
                late
            },
        ),
    ]
}

/// An answer that goes on for as long as somebody tells events.
struct EventStream(Receiver<Bytes>);

impl hyper::body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// A stream of events for one who watches; refused when too many do.
pub(super) fn event_stream(
    live: &Arc<LiveUpdates>,
    gateway: &Arc<Gateway>,
    newest: &Arc<ReportCache>,
    stop: StopSignal,
) -> Response<Body> {
    let Ok(place) = Arc::clone(&live.watchers).try_acquire_owned() else {
        let mut response = Response::new(Body::from("too many watch already; reload the page instead"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("30"));
        return response;
    };
    let (sender, events) = mpsc::channel(1);
    let (live, gateway, newest) = (Arc::clone(live), Arc::clone(gateway), Arc::clone(newest));
    tokio::spawn(async move { send_updates(&live, &gateway, &newest, stop, sender, place).await });
    let mut response = Response::new(Body::new(EventStream(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Tells one who watches until he goes, or it is time to stop.
async fn send_updates(
    live: &LiveUpdates,
    gateway: &Arc<Gateway>,
    newest: &ReportCache,
    mut stop: StopSignal,
    sender: Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    let all = async {
        loop {
            let event = live.current_event(gateway, newest).await;
            if sender.send(event).await.is_err() {
                return;
            }
            tokio::select! {
                () = clock::sleep(UPDATE_INTERVAL) => {}
                () = sender.closed() => return,
            }
        }
    };
    // Whoever takes nothing does not hold up the end either.
    tokio::select! {
        () = all => {}
        () = clock::sleep(STREAM_DURATION_MAX) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
