//! Tells clients what becomes of their messages: takes events out of the store, receiver by receiver, and posts them.
//!
//! An event is told at least once and always under the same name. A receiver that is slow, dead or far behind has a few
//! places and then rests; the others do not wait for it. Never changes a message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::worker::StopSignal;
use crate::gateway::Gateway;
use attempt::EventAttempt;
use endpoints::{EndpointResult, EndpointTable};
use postrider_core::error::Error;
use postrider_core::event::{ClaimedEvent, EventAttemptResult};
use postrider_core::retry::saturating_add;
use postrider_providers::webhook::{self, WebhookClient};
use postrider_store::DeadLetterRequest;

mod attempt;
mod endpoints;

pub use attempt::render_payload;

/// How often the store is asked when nobody says that there is something.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a store is left alone that has just failed, and a machine that cannot make https calls.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(500);
const CLIENT_RETRY_DELAY: Duration = Duration::from_secs(60);

/// The part of a call's time that connecting may take.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// How much longer than a call a claim lasts, for what is recorded behind it.
const EVENT_LEASE_MARGIN: Duration = Duration::from_secs(30);

/// How many receivers are looked at at once, and how many ends are recorded at once.
const ENDPOINTS_PER_POLL: usize = 64;
const RESULTS_PER_TRANSACTION: usize = 128;

/// How many events are given up at once.
const DEAD_PER_TRANSACTION: usize = 500;

/// One process's part in telling events.
struct EventDispatcher {
    gateway: Arc<Gateway>,
    client: OnceLock<WebhookClient>,
    slots: Arc<Semaphore>,
    endpoints: Mutex<EndpointTable>,
    /// Whether somebody may have more than there was room for.
    is_endpoint_full: AtomicBool,
    results: mpsc::Sender<EventAttemptResult>,
}

/// Tells events until told to stop. Calls in flight are finished by whoever waits for this; what is not recorded then is
/// told again when its lease ends.
pub async fn run(gateway: Arc<Gateway>, mut stop: StopSignal) {
    let (ends, ended) = mpsc::channel(RESULTS_PER_TRANSACTION);
    let places = gateway.config.events.concurrency;
    let dispatch = Arc::new(EventDispatcher {
        endpoints: Mutex::new(EndpointTable::new(
            gateway.config.events.concurrency_per_endpoint,
            places,
        )),
        slots: Arc::new(Semaphore::new(places)),
        client: OnceLock::new(),
        is_endpoint_full: AtomicBool::new(false),
        gateway: Arc::clone(&gateway),
        results: ends,
    });
    let recorder = tokio::spawn(record_results(gateway, ended));
    tokio::select! {
        () = poll_endpoints(&dispatch) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // The recorder ends when the last call has.
    drop(dispatch);
    if let Err(panic) = recorder.await {
        log::error!("what became of events was not recorded: {panic}");
    }
}

/// The address at which a client wants to be told, as it is kept; else what is wrong with it, in words.
pub fn validate_callback_url(gateway: &Gateway, text: &str) -> Result<String, String> {
    let mut url = webhook::parse_url(&gateway.config.events.egress_policy, text)?;
    url.set_fragment(None);
    Ok(url.to_string())
}

/// Whether calls for messages of this key can be signed.
pub fn can_sign(gateway: &Gateway, key: &str) -> bool {
    let key = gateway.config.keys.iter().find(|one| one.name == key);
    attempt::signing_secrets(&gateway.config.events, key).is_some()
}

/// Goes through the receivers for whom something waits, again and again.
async fn poll_endpoints(dispatch: &Arc<EventDispatcher>) {
    let mut after = String::new();
    let mut has_told = false;
    loop {
        // Waits for a free place only; it is taken when there is something to tell.
        drop(dispatch.slots.acquire().await);
        match dispatch_due(dispatch, &mut after).await {
            Ok(count) => has_told |= count > 0,
            Err(error) => {
                dispatch.gateway.metrics.store_errors.inc();
                log::error!("cannot tell events: {}", error.chain());
                dispatch.gateway.clock.sleep(STORE_RETRY_DELAY).await;
            }
        }
        if after.is_empty() && !std::mem::take(&mut has_told) {
            wait_for_events(dispatch).await;
        }
    }
}

async fn wait_for_events(dispatch: &EventDispatcher) {
    tokio::select! {
        () = dispatch.gateway.events_pending.notified() => {}
        () = dispatch.gateway.clock.sleep(POLL_INTERVAL) => {}
    }
}

/// Claims what some receivers can be told now and begins to tell it. `after` is the last receiver that was looked at;
/// empty at the end of the round.
async fn dispatch_due(dispatch: &Arc<EventDispatcher>, after: &mut String) -> Result<usize, Error> {
    let gateway = &dispatch.gateway;
    let lanes = gateway.store.waiting_endpoints(after, ENDPOINTS_PER_POLL).await?;
    *after = match lanes.last() {
        Some(last) if lanes.len() == ENDPOINTS_PER_POLL => last.name.clone(),
        _ => String::new(),
    };
    let now = gateway.clock.now();
    let due = lanes.into_iter().filter(|lane| lane.due_at <= now);
    let asked = dispatch.with_endpoints(|known| known.capacities(due.map(|lane| lane.name), now));
    if asked.is_empty() || !dispatch.ensure_client().await {
        return Ok(0);
    }
    let lease = gateway.config.events.timeout + EVENT_LEASE_MARGIN;
    let rooms = asked.iter().map(|(_, room)| room).sum::<usize>();
    let claimed = gateway.store.claim_events(asked, now, lease).await?;
    let count = claimed.len();
    dispatch.is_endpoint_full.store(count == rooms, Ordering::SeqCst);
    for one in claimed {
        dispatch.start_attempt(one).await;
    }
    Ok(count)
}

impl EventDispatcher {
    /// Whether calls can be made; made ready when there is something to tell for the first time.
    async fn ensure_client(&self) -> bool {
        if self.client.get().is_some() {
            return true;
        }
        let events = &self.gateway.config.events;
        let connect = CONNECT_TIMEOUT_MAX.min(events.timeout);
        match WebhookClient::new(events.egress_policy.clone(), connect, events.timeout) {
            Ok(courier) => self.client.set(courier).is_ok(),
            Err(error) => {
                log::error!("events have to wait: {}", error.chain());
                self.gateway.clock.sleep(CLIENT_RETRY_DELAY).await;
                false
            }
        }
    }

    async fn start_attempt(self: &Arc<Self>, claimed: ClaimedEvent) {
        let lane = claimed.event.target.queue_name();
        self.with_endpoints(|known| known.begin_attempt(&lane));
        let place = Arc::clone(&self.slots).acquire_owned().await;
        let dispatch = Arc::clone(self);
        tokio::spawn(async move {
            dispatch.attempt(claimed, lane).await;
            drop(place);
            if dispatch.is_endpoint_full.load(Ordering::SeqCst) {
                dispatch.gateway.events_pending.notify_one();
            }
        });
    }

    async fn attempt(&self, claimed: ClaimedEvent, lane: String) {
        let Some(courier) = self.client.get() else {
            return;
        };
        let told = attempt::send_event(&self.gateway, courier, &claimed).await;
        let EventAttempt {
            result: end,
            endpoint_result: manner,
            is_gone,
        } = told;
        let now = self.gateway.clock.now();
        let is_trusted = self.with_endpoints(|known| known.finish_attempt(&lane, manner, now));
        self.gateway
            .metrics
            .count_event_attempt(end.status.kind().as_str());
        if self.results.send(end).await.is_err() {
            log::error!("an event was told and cannot be recorded: it will be told again");
        }
        if is_gone || (!is_trusted && manner != EndpointResult::Success) {
            self.mark_dead(claimed, lane, is_gone).await;
        }
    }

    /// Gives up what else waits for somebody who is gone, or has waited too long for somebody who does not answer.
    async fn mark_dead(&self, claimed: ClaimedEvent, lane: String, is_gone: bool) {
        let now = self.gateway.clock.now();
        let age_max = self.gateway.config.events.age_max;
        let burial = DeadLetterRequest {
            endpoint: lane,
            event_target: is_gone.then_some(claimed.event.target),
            before: if is_gone {
                saturating_add(now, POLL_INTERVAL)
            } else {
                now - age_max
            },
            reason: if is_gone {
                "its receiver answered 410: nobody is there any more".to_owned()
            } else {
                "its receiver has not answered for too long".to_owned()
            },
            now,
            limit: DEAD_PER_TRANSACTION,
        };
        match self.gateway.store.dead_letter_events(burial).await {
            Ok(0) => {}
            Ok(count) => log::warn!("{count} events were given up"),
            Err(error) => log::error!("{}", error.chain()),
        }
    }

    fn with_endpoints<T>(&self, act: impl FnOnce(&mut EndpointTable) -> T) -> T {
        act(&mut self.endpoints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Records what became of events, as many at once as there are.
async fn record_results(gateway: Arc<Gateway>, mut ended: mpsc::Receiver<EventAttemptResult>) {
    let mut ends = Vec::new();
    while ended.recv_many(&mut ends, RESULTS_PER_TRANSACTION).await > 0 {
        let began = gateway.clock.stopwatch();
        while let Err(error) = gateway.store.record_events(ends.clone()).await {
            gateway.metrics.store_errors.inc();
            log::error!("cannot record what became of events: {}", error.chain());
            if began.elapsed() > EVENT_LEASE_MARGIN {
                break;
            }
            gateway.clock.sleep(STORE_RETRY_DELAY).await;
        }
        ends.clear();
    }
}
