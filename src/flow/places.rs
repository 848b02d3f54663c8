//! A worker's places: who holds how many, and what the worker can take on now.
//!
//! Counts only; how they are shared between channels and providers is decided in `domain/share`. A place that
//! is given back wakes the worker when it had to leave somebody alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::channel::Name;
use crate::domain::share::{Carrier, Holder, share};
use crate::domain::wish::{Appetite, Wish};
use crate::gateway::{Gateway, Lane};

/// This part of all places is worth a claim at once.
const WORTHWHILE: usize = 8;

/// How long a claim waits for more places at most: short beside any call over a network.
const MOMENT: Duration = Duration::from_millis(5);

/// The places of one worker.
pub(super) struct Places {
    gateway: Arc<Gateway>,
    /// The configured channels, each with its lanes as indexes.
    channels: Vec<(Name, Vec<usize>)>,
    held: Mutex<Held>,
    /// Whether the last wish left somebody alone.
    wanting: AtomicBool,
    freed: Notify,
    /// How long the last claim took, in microseconds.
    last_claim: AtomicU64,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_channel: HashMap<Name, usize>,
}

/// One delivery's place; given back when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    channel: Name,
}

impl Places {
    /// All of them free.
    pub fn new(gateway: Arc<Gateway>) -> Arc<Self> {
        let lanes = gateway.lanes();
        let index = |lane: &Arc<Lane>| lanes.iter().position(|other| Arc::ptr_eq(lane, other));
        let channels = gateway.config.channels.iter().map(|channel| {
            let route = gateway.route(channel.name.as_str());
            let own = route.map_or(&[][..], |route| route.lanes());
            (channel.name.clone(), own.iter().filter_map(index).collect())
        });
        Arc::new(Self {
            channels: channels.collect(),
            held: Mutex::default(),
            wanting: AtomicBool::new(false),
            freed: Notify::new(),
            last_claim: AtomicU64::new(0),
            gateway,
        })
    }

    /// Takes a place for a delivery that was won.
    pub fn take(self: &Arc<Self>, channel: &Name) -> Place {
        let mut held = self.held();
        held.all += 1;
        match held.by_channel.get_mut(channel) {
            Some(count) => *count += 1,
            None => drop(held.by_channel.insert(channel.clone(), 1)),
        }
        Place {
            places: Arc::clone(self),
            channel: channel.clone(),
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.held().all
    }

    /// Told after each claim how long it took.
    pub fn claimed_in(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.last_claim.store(micros, Ordering::Relaxed);
    }

    /// Returns when a place is free, and a moment later when nearly all are taken: a claim of one delivery costs the
    /// store nearly as much as one of many. A store that is quick to claim is not waited for longer than it takes.
    pub async fn some_free(&self) {
        self.until(|taken| taken < self.all()).await;
        let few = self.all() / WORTHWHILE;
        let enough = self.until(|taken| taken + few <= self.all());
        let moment = MOMENT.min(Duration::from_micros(self.last_claim.load(Ordering::Relaxed)));
        // When the moment is over, whatever is free must do.
        drop(tokio::time::timeout(moment, enough).await);
    }

    /// Returns when every place is free.
    pub async fn all_free(&self) {
        self.until(|taken| taken == 0).await;
    }

    async fn until(&self, holds: impl Fn(usize) -> bool) {
        while !holds(self.taken()) {
            self.freed.notified().await;
        }
    }

    fn all(&self) -> usize {
        self.gateway.config.work.workers_concurrency
    }

    fn give_back(&self, channel: &Name) {
        let mut held = self.held();
        held.all = held.all.saturating_sub(1);
        if let Some(count) = held.by_channel.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                held.by_channel.remove(channel);
            }
        }
        drop(held);
        self.freed.notify_one();
        if self.wanting.swap(false, Ordering::SeqCst) {
            self.gateway.queue.ring();
        }
    }

    fn carriers(&self) -> Vec<Carrier> {
        let now = self.gateway.clock.now();
        let carrier = |lane: &Arc<Lane>| Carrier {
            in_flight: lane.in_flight(),
            concurrency: lane.concurrency,
            fit: lane.is_fit(now),
            silent: lane.is_silent(),
            awaited: lane.is_awaited(now),
        };
        self.gateway.lanes().iter().map(carrier).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Appetite for Places {
    fn wish(&self) -> Wish {
        // Before the counts are read, so that a place given back meanwhile is noticed.
        self.wanting.store(true, Ordering::SeqCst);
        let held = self.held();
        let taken = held.all;
        let holder = |(name, carriers): &(Name, Vec<usize>)| Holder {
            held: held.by_channel.get(name).copied().unwrap_or(0),
            carriers: carriers.clone(),
        };
        let holders: Vec<Holder> = self.channels.iter().map(holder).collect();
        drop(held);
        let shares = share(self.all(), taken, &holders, &self.carriers());
        for (lane, ceiling) in self.gateway.lanes().iter().zip(&shares.ceilings) {
            lane.set_ceiling(*ceiling);
        }
        let free = self.all().saturating_sub(taken);
        self.wanting
            .store(free == 0 || shares.rooms.contains(&0), Ordering::SeqCst);
        let names = self.channels.iter().map(|(name, _)| name.clone());
        names
            .zip(shares.rooms)
            .fold(Wish::up_to(free), |wish, (name, room)| wish.with(name, room))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(&self.channel);
    }
}
