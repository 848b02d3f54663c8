//! Sends webhook events: claims events of each endpoint, posts them, and records the results.
//!
//! An event is sent at least once, always with the same id. A slow or failing endpoint has few slots and is
//! backed off; other endpoints do not wait for it. This module never changes a message.

use postrider_core::callback::CallbackFormat;
use postrider_core::event::{ClaimedEvent, EventAttemptResult};
use postrider_core::{clock::saturating_add, error::Error};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use crate::gateway::{Gateway, STORE_RETRY_DELAY};
use crate::stop::StopSignal;
use attempt::EventAttempt;
use endpoints::{EndpointResult, EndpointTable};
use postrider_providers::webhook::WebhookClient;
use postrider_store::DeadLetterRequest;

mod attempt;
mod callback;
mod endpoints;
mod forward;
mod outcome;
mod signing;

pub use attempt::render_payload;
pub use callback::{ADDED_PLUS, validate_url as validate_callback};

/// Interval at which the store is polled without a notification.
const EVENT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Delay before the HTTPS client is created again after a failure.
const CLIENT_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Maximum time for connecting, within the timeout of a call.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Time by which the lease of an event outlasts the call, so that the result can be recorded within the lease.
const EVENT_LEASE_MARGIN: Duration = Duration::from_secs(30);

/// Maximum number of endpoints read in one statement.
const ENDPOINTS_PER_POLL: usize = 64;

/// Maximum number of attempt results recorded in one transaction.
const RESULTS_PER_TRANSACTION: usize = 128;

/// Maximum number of events moved to dead letters in one transaction.
const DEAD_PER_TRANSACTION: usize = 500;

/// Event delivery of one process.
struct EventDispatcher {
    gateway: Arc<Gateway>,
    client: OnceLock<WebhookClient>,
    slots: Arc<Semaphore>,
    endpoints: Mutex<EndpointTable>,
    /// True if the last claim filled all slots of some endpoint.
    is_endpoint_full: AtomicBool,
    results: mpsc::Sender<EventAttemptResult>,
}

/// Sends events until the stop signal. Calls in flight end before this function returns; a result that is not
/// recorded leads to another attempt after the lease.
pub async fn run(gateway: Arc<Gateway>, mut stop: StopSignal) {
    let (results, result_receiver) = mpsc::channel(RESULTS_PER_TRANSACTION);
    let concurrency = gateway.config.events.concurrency;
    let dispatcher = Arc::new(EventDispatcher {
        endpoints: Mutex::new(EndpointTable::new(
            gateway.config.events.concurrency_per_endpoint,
            concurrency,
        )),
        slots: Arc::new(Semaphore::new(concurrency)),
        client: OnceLock::new(),
        is_endpoint_full: AtomicBool::new(false),
        gateway: Arc::clone(&gateway),
        results,
    });
    let recorder = tokio::spawn(record_results(gateway, result_receiver));
    tokio::select! {
        () = poll_endpoints(&dispatcher) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // The recorder ends after the last call has ended.
    drop(dispatcher);
    if let Err(panic) = recorder.await {
        log::error!("events: recorder panicked: panic={panic}");
    }
}

/// Returns the normalised callback URL.
///
/// # Errors
///
/// Returns a text that says why the URL is not allowed.
pub fn validate_callback_url(gateway: &Gateway, text: &str) -> Result<String, String> {
    callback::validate_url(gateway, CallbackFormat::Webhook, text)
}

/// Returns whether events of messages with this API key can be signed.
pub fn can_sign(gateway: &Gateway, api_key_name: &str) -> bool {
    signing::signing_secrets(&gateway.config.events, gateway.api_key(api_key_name).as_deref()).is_some()
}

/// Polls the endpoints with waiting events; never returns.
async fn poll_endpoints(dispatcher: &Arc<EventDispatcher>) {
    let mut last_endpoint = String::new();
    let mut has_sent = false;
    loop {
        // Only waits for a free slot here; the slot is acquired when an event is sent.
        drop(dispatcher.slots.acquire().await);
        match dispatch_due(dispatcher, &mut last_endpoint).await {
            Ok(event_count) => has_sent |= event_count > 0,
            Err(error) => {
                let log_message = "events: store error, retrying";
                dispatcher.gateway.back_off_after_store_error(log_message, &error).await;
            }
        }
        if last_endpoint.is_empty() && !std::mem::take(&mut has_sent) {
            wait_for_events(dispatcher).await;
        }
    }
}

async fn wait_for_events(dispatcher: &EventDispatcher) {
    tokio::select! {
        () = dispatcher.gateway.events_pending.notified() => {}
        () = dispatcher.gateway.clock.sleep(EVENT_POLL_INTERVAL) => {}
    }
}

/// Claims the events that the next page of endpoints can take now, starts to send them, and returns their number.
/// `last_endpoint` is the last endpoint of the page; it is empty after the last page.
async fn dispatch_due(dispatcher: &Arc<EventDispatcher>, last_endpoint: &mut String) -> Result<usize, Error> {
    let gateway = &dispatcher.gateway;
    let endpoints = gateway.store.waiting_endpoints(last_endpoint, ENDPOINTS_PER_POLL).await?;
    *last_endpoint = match endpoints.last() {
        Some(last) if endpoints.len() == ENDPOINTS_PER_POLL => last.name.clone(),
        _ => String::new(),
    };
    let now = gateway.clock.now();
    let due = endpoints.into_iter().filter(|endpoint| endpoint.due_at <= now);
    let capacities = dispatcher.endpoints.lock().capacities(due.map(|endpoint| endpoint.name), now);
    if capacities.is_empty() || !dispatcher.ensure_client().await {
        return Ok(0);
    }
    let lease = gateway.config.events.timeout + EVENT_LEASE_MARGIN;
    let total_capacity = capacities.iter().map(|(_, capacity)| capacity).sum::<usize>();
    let claimed_events = gateway.store.claim_events(capacities, now, lease).await?;
    let claimed_count = claimed_events.len();
    dispatcher.is_endpoint_full.store(claimed_count == total_capacity, Ordering::SeqCst);
    for event in claimed_events {
        dispatcher.start_attempt(event).await;
    }
    Ok(claimed_count)
}

impl EventDispatcher {
    /// Returns whether the HTTP client exists; creates the client for the first event.
    async fn ensure_client(&self) -> bool {
        if self.client.get().is_some() {
            return true;
        }
        let events = &self.gateway.config.events;
        let connect_timeout = CONNECT_TIMEOUT_MAX.min(events.timeout);
        match WebhookClient::new(events.egress_policy.clone(), connect_timeout, events.timeout, None) {
            Ok(client) => self.client.set(client).is_ok(),
            Err(error) => {
                log::error!("events: HTTP client could not be created, retrying: {}", error.chain());
                self.gateway.clock.sleep(CLIENT_RETRY_DELAY).await;
                false
            }
        }
    }

    async fn start_attempt(self: &Arc<Self>, claimed: ClaimedEvent) {
        let endpoint = claimed.event.target.queue_name();
        self.endpoints.lock().begin_attempt(&endpoint);
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let dispatcher = Arc::clone(self);
        tokio::spawn(async move {
            dispatcher.attempt(claimed, endpoint).await;
            drop(slot);
            if dispatcher.is_endpoint_full.load(Ordering::SeqCst) {
                dispatcher.gateway.events_pending.notify_one();
            }
        });
    }

    async fn attempt(&self, claimed: ClaimedEvent, endpoint: String) {
        let Some(client) = self.client.get() else {
            return;
        };
        let EventAttempt { result, endpoint_result, is_gone } =
            attempt::send_event(&self.gateway, client, &claimed).await;
        let now = self.gateway.clock.now();
        let is_healthy = self.endpoints.lock().finish_attempt(&endpoint, endpoint_result, now);
        self.gateway.metrics.count_event_attempt(result.status.kind().as_str());
        if self.results.send(result).await.is_err() {
            log::error!("events: attempt not recorded, the event will be sent again");
        }
        if is_gone || (!is_healthy && endpoint_result != EndpointResult::Success) {
            self.mark_dead(claimed, endpoint, is_gone).await;
        }
    }

    /// Moves other events of the endpoint to dead letters: all events if the endpoint is gone, events past the maximum
    /// age if the endpoint fails.
    async fn mark_dead(&self, claimed: ClaimedEvent, endpoint: String, is_gone: bool) {
        let now = self.gateway.clock.now();
        let age_max = self.gateway.config.events.age_max;
        let (before, reason) = if is_gone {
            (saturating_add(now, EVENT_POLL_INTERVAL), "endpoint answered 410 Gone")
        } else {
            (now - age_max, "endpoint failed until the maximum age")
        };
        let request = DeadLetterRequest {
            endpoint,
            event_target: is_gone.then_some(claimed.event.target),
            before,
            reason: reason.to_owned(),
            now,
            limit: DEAD_PER_TRANSACTION,
        };
        match self.gateway.store.dead_letter_events(request).await {
            Ok(0) => {}
            Ok(event_count) => log::warn!("events: moved to dead letters; count={event_count}"),
            Err(error) => log::error!("events: moving to dead letters failed: error={}", error.chain()),
        }
    }
}

/// Records the results of attempts, as many at once as are available.
async fn record_results(gateway: Arc<Gateway>, mut receiver: mpsc::Receiver<EventAttemptResult>) {
    let mut event_results = Vec::new();
    while receiver.recv_many(&mut event_results, RESULTS_PER_TRANSACTION).await > 0 {
        let stopwatch = gateway.clock.stopwatch();
        while let Err(error) = gateway.store.record_events(event_results.clone()).await {
            gateway.record_store_error("events: recording attempts failed, retrying", &error);
            if stopwatch.elapsed() > EVENT_LEASE_MARGIN {
                break;
            }
            gateway.clock.sleep(STORE_RETRY_DELAY).await;
        }
        event_results.clear();
    }
}
