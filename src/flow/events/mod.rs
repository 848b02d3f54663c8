//! Tells clients what becomes of their messages: takes events out of the store, receiver by receiver, and posts them.
//!
//! An event is told at least once and always under the same name. A receiver that is slow, dead or far behind has a few
//! places and then rests; the others do not wait for it. Never changes a message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::work::Stop;
use crate::domain::event::{ClaimedEvent, EventEnd};
use crate::domain::retry::later;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::provider::webhook::{self, Courier};
use crate::store::Burial;
use receivers::{Manner, Receivers};
use telling::Told;

mod receivers;
mod telling;

pub use telling::body;

/// How often the store is asked when nobody says that there is something.
const POLL: Duration = Duration::from_secs(1);

/// How long a store is left alone that has just failed, and a machine that cannot make https calls.
const STORE_PAUSE: Duration = Duration::from_millis(500);
const COURIER_PAUSE: Duration = Duration::from_secs(60);

/// The part of a call's time that connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How much longer than a call a claim lasts, for what is recorded behind it.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// How many receivers are looked at at once, and how many ends are recorded at once.
const LANES_AT_ONCE: usize = 64;
const ENDS_AT_ONCE: usize = 128;

/// How many events are given up at once.
const BURIED_AT_ONCE: usize = 500;

/// One process's part in telling events.
struct Dispatch {
    gateway: Arc<Gateway>,
    courier: OnceLock<Courier>,
    places: Arc<Semaphore>,
    receivers: Mutex<Receivers>,
    /// Whether somebody may have more than there was room for.
    wanting: AtomicBool,
    ends: mpsc::Sender<EventEnd>,
}

/// Tells events until told to stop. Calls in flight are finished by whoever waits for this; what is not recorded then is
/// told again when its lease ends.
pub async fn run(gateway: Arc<Gateway>, mut stop: Stop) {
    let (ends, ended) = mpsc::channel(ENDS_AT_ONCE);
    let places = gateway.config.events.concurrency;
    let dispatch = Arc::new(Dispatch {
        receivers: Mutex::new(Receivers::new(gateway.config.events.per_receiver, places)),
        places: Arc::new(Semaphore::new(places)),
        courier: OnceLock::new(),
        wanting: AtomicBool::new(false),
        gateway: Arc::clone(&gateway),
        ends,
    });
    let recorder = tokio::spawn(record(gateway, ended));
    tokio::select! {
        () = go_round(&dispatch) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // The recorder ends when the last call has.
    drop(dispatch);
    if let Err(panic) = recorder.await {
        log::error!("what became of events was not recorded: {panic}");
    }
}

/// The address at which a client wants to be told, as it is kept; else what is wrong with it, in words.
pub fn callback(gateway: &Gateway, text: &str) -> Result<String, String> {
    let mut url = webhook::address(&gateway.config.events.guard, text)?;
    url.set_fragment(None);
    Ok(url.to_string())
}

/// Whether calls for messages of this key can be signed.
pub fn can_sign(gateway: &Gateway, key: &str) -> bool {
    let key = gateway.config.keys.iter().find(|one| one.name == key);
    telling::secrets(&gateway.config.events, key).is_some()
}

/// Goes through the receivers for whom something waits, again and again.
async fn go_round(dispatch: &Arc<Dispatch>) {
    let mut after = String::new();
    let mut has_told = false;
    loop {
        // Waits for a free place only; it is taken when there is something to tell.
        drop(dispatch.places.acquire().await);
        match step(dispatch, &mut after).await {
            Ok(count) => has_told |= count > 0,
            Err(error) => {
                dispatch.gateway.metrics.store_errors.inc();
                log::error!("cannot tell events: {}", error.chain());
                dispatch.gateway.clock.pause(STORE_PAUSE).await;
            }
        }
        if after.is_empty() && !std::mem::take(&mut has_told) {
            idle(dispatch).await;
        }
    }
}

async fn idle(dispatch: &Dispatch) {
    tokio::select! {
        () = dispatch.gateway.outbox.notified() => {}
        () = dispatch.gateway.clock.pause(POLL) => {}
    }
}

/// Claims what some receivers can be told now and begins to tell it. `after` is the last receiver that was looked at;
/// empty at the end of the round.
async fn step(dispatch: &Arc<Dispatch>, after: &mut String) -> Result<usize, Error> {
    let gateway = &dispatch.gateway;
    let lanes = gateway.store.event_lanes(after, LANES_AT_ONCE).await?;
    *after = match lanes.last() {
        Some(last) if lanes.len() == LANES_AT_ONCE => last.name.clone(),
        _ => String::new(),
    };
    let now = gateway.clock.now();
    let due = lanes.into_iter().filter(|lane| lane.due_at <= now);
    let asked = dispatch.with_receivers(|known| known.rooms(due.map(|lane| lane.name), now));
    if asked.is_empty() || !dispatch.is_ready().await {
        return Ok(0);
    }
    let lease = gateway.config.events.timeout + LEASE_MARGIN;
    let rooms = asked.iter().map(|(_, room)| room).sum::<usize>();
    let claimed = gateway.store.claim_events(asked, now, lease).await?;
    let count = claimed.len();
    dispatch.wanting.store(count == rooms, Ordering::SeqCst);
    for one in claimed {
        dispatch.begin(one).await;
    }
    Ok(count)
}

impl Dispatch {
    /// Whether calls can be made; made ready when there is something to tell for the first time.
    async fn is_ready(&self) -> bool {
        if self.courier.get().is_some() {
            return true;
        }
        let events = &self.gateway.config.events;
        let connect = CONNECT_MAX.min(events.timeout);
        match Courier::new(events.guard.clone(), connect, events.timeout) {
            Ok(courier) => self.courier.set(courier).is_ok(),
            Err(error) => {
                log::error!("events have to wait: {}", error.chain());
                self.gateway.clock.pause(COURIER_PAUSE).await;
                false
            }
        }
    }

    async fn begin(self: &Arc<Self>, claimed: ClaimedEvent) {
        let lane = claimed.event.watch.lane();
        self.with_receivers(|known| known.take(&lane));
        let place = Arc::clone(&self.places).acquire_owned().await;
        let dispatch = Arc::clone(self);
        tokio::spawn(async move {
            dispatch.tell(claimed, lane).await;
            drop(place);
            if dispatch.wanting.load(Ordering::SeqCst) {
                dispatch.gateway.outbox.notify_one();
            }
        });
    }

    async fn tell(&self, claimed: ClaimedEvent, lane: String) {
        let Some(courier) = self.courier.get() else {
            return;
        };
        let told = telling::tell(&self.gateway, courier, &claimed).await;
        let Told { end, manner, is_gone } = told;
        let now = self.gateway.clock.now();
        let is_trusted = self.with_receivers(|known| known.give_back(&lane, manner, now));
        self.gateway.metrics.event(end.standing.state().word());
        if self.ends.send(end).await.is_err() {
            log::error!("an event was told and cannot be recorded: it will be told again");
        }
        if is_gone || (!is_trusted && manner != Manner::Well) {
            self.bury(claimed, lane, is_gone).await;
        }
    }

    /// Gives up what else waits for somebody who is gone, or has waited too long for somebody who does not answer.
    async fn bury(&self, claimed: ClaimedEvent, lane: String, is_gone: bool) {
        let now = self.gateway.clock.now();
        let age_max = self.gateway.config.events.age_max;
        let burial = Burial {
            lane,
            watch: is_gone.then_some(claimed.event.watch),
            before: if is_gone { later(now, POLL) } else { now - age_max },
            reason: if is_gone {
                "its receiver answered 410: nobody is there any more".to_owned()
            } else {
                "its receiver has not answered for too long".to_owned()
            },
            now,
            limit: BURIED_AT_ONCE,
        };
        match self.gateway.store.bury_events(burial).await {
            Ok(0) => {}
            Ok(count) => log::warn!("{count} events were given up"),
            Err(error) => log::error!("{}", error.chain()),
        }
    }

    fn with_receivers<T>(&self, act: impl FnOnce(&mut Receivers) -> T) -> T {
        act(&mut self.receivers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Records what became of events, as many at once as there are.
async fn record(gateway: Arc<Gateway>, mut ended: mpsc::Receiver<EventEnd>) {
    let mut ends = Vec::new();
    while ended.recv_many(&mut ends, ENDS_AT_ONCE).await > 0 {
        let began = gateway.clock.stopwatch();
        while let Err(error) = gateway.store.record_events(ends.clone()).await {
            gateway.metrics.store_errors.inc();
            log::error!("cannot record what became of events: {}", error.chain());
            if began.passed() > LEASE_MARGIN {
                break;
            }
            gateway.clock.pause(STORE_PAUSE).await;
        }
        ends.clear();
    }
}
