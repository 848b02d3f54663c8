//! Slots of a worker: their use by channel and the free capacity.
//!
//! This module counts slots; `postrider_core::slots` decides how channels and providers share them. A released slot wakes
//! the worker if a channel had no free slot.

use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::name::ConfigName;
use postrider_core::slots::{ChannelLoad, ProviderLoad, share_slots};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::gateway::{Gateway, ProviderRuntime};

/// A claim is made at once when this fraction of all slots is free.
const CLAIM_BATCH_FRACTION: usize = 8;

/// Maximum time that a claim waits for more free slots: short compared with any call over a network.
const FREE_SLOTS_WAIT_MAX: Duration = Duration::from_millis(5);

/// Slots of one worker.
pub(super) struct WorkerSlots {
    gateway: Arc<Gateway>,
    /// Configured channels, each with the indexes of its providers.
    channels: Vec<(ConfigName, Vec<usize>)>,
    counts: Mutex<SlotCounts>,
    /// True if a channel had no free slot when the capacity was last computed.
    is_channel_full: AtomicBool,
    released: Notify,
    /// Duration of the last claim, in microseconds.
    last_claim_micros: AtomicU64,
}

#[derive(Default)]
struct SlotCounts {
    total: usize,
    by_channel: HashMap<ConfigName, usize>,
}

/// The slot of one delivery; released when dropped.
pub(super) struct WorkerSlot {
    slots: Arc<WorkerSlots>,
    channel: ConfigName,
}

impl WorkerSlots {
    /// Creates the slots of a worker, all free.
    pub fn new(gateway: Arc<Gateway>) -> Arc<Self> {
        let runtimes = gateway.providers();
        let runtime_index =
            |runtime: &Arc<ProviderRuntime>| runtimes.iter().position(|other| Arc::ptr_eq(runtime, other));
        let channels = gateway.config.channels.iter().map(|channel| {
            let route = gateway.route(channel.name.as_str());
            let channel_providers = route.map_or(&[][..], |route| route.providers());
            (channel.name.clone(), channel_providers.iter().filter_map(runtime_index).collect())
        });
        Arc::new(Self {
            channels: channels.collect(),
            counts: Mutex::default(),
            is_channel_full: AtomicBool::new(false),
            released: Notify::new(),
            last_claim_micros: AtomicU64::new(0),
            gateway,
        })
    }

    /// Acquires a slot for a claimed delivery.
    pub fn acquire(self: &Arc<Self>, channel: &ConfigName) -> WorkerSlot {
        let mut slot_counts = self.counts.lock();
        slot_counts.total += 1;
        *slot_counts.by_channel.entry(channel.clone()).or_default() += 1;
        WorkerSlot { slots: Arc::clone(self), channel: channel.clone() }
    }

    /// Returns the number of slots in use.
    pub fn in_use(&self) -> usize {
        self.counts.lock().total
    }

    /// Records the duration of a claim.
    pub fn record_claim_duration(&self, duration: Duration) {
        let claim_micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.last_claim_micros.store(claim_micros, Ordering::Relaxed);
    }

    /// Returns when a slot is free. If few slots are free, waits up to 5 ms (at most the duration of the last claim) for
    /// more, because claiming one delivery costs the store nearly as much as claiming many.
    pub async fn wait_for_free_slots(&self) {
        self.wait_until(|in_use| in_use < self.total()).await;
        let batch_size = self.total() / CLAIM_BATCH_FRACTION;
        let batch_is_free = self.wait_until(|in_use| in_use + batch_size <= self.total());
        let last_claim = Duration::from_micros(self.last_claim_micros.load(Ordering::Relaxed));
        // On a timeout, the caller claims with the free slots, even if they are few.
        drop(tokio::time::timeout(FREE_SLOTS_WAIT_MAX.min(last_claim), batch_is_free).await);
    }

    /// Returns when all slots are free.
    pub async fn wait_until_all_free(&self) {
        self.wait_until(|in_use| in_use == 0).await;
    }

    async fn wait_until(&self, condition: impl Fn(usize) -> bool) {
        while !condition(self.in_use()) {
            self.released.notified().await;
        }
    }

    fn total(&self) -> usize {
        self.gateway.config.work.concurrency
    }

    fn release(&self, channel: &ConfigName) {
        let mut slot_counts = self.counts.lock();
        slot_counts.total = slot_counts.total.saturating_sub(1);
        if let Some(channel_slots) = slot_counts.by_channel.get_mut(channel) {
            *channel_slots -= 1;
            if *channel_slots == 0 {
                slot_counts.by_channel.remove(channel);
            }
        }
        drop(slot_counts);
        self.released.notify_one();
        if self.is_channel_full.swap(false, Ordering::SeqCst) {
            self.gateway.queue.notify_one();
        }
    }

    fn provider_loads(&self) -> Vec<ProviderLoad> {
        let now = self.gateway.clock.now();
        let provider_load = |runtime: &Arc<ProviderRuntime>| ProviderLoad {
            in_flight: runtime.in_flight(),
            concurrency: runtime.concurrency,
            is_available: runtime.is_available(now),
            is_unresponsive: runtime.is_unresponsive(),
            has_unknown_recovery: runtime.has_unknown_recovery(now),
        };
        self.gateway.providers().iter().map(provider_load).collect()
    }
}

impl CapacitySource for WorkerSlots {
    fn capacity(&self) -> Capacity {
        // The flag is set before the counts are read, so that a slot that is released in between still wakes the
        // worker.
        self.is_channel_full.store(true, Ordering::SeqCst);
        let slot_counts = self.counts.lock();
        let in_use = slot_counts.total;
        let channel_load = |(name, providers): &(ConfigName, Vec<usize>)| ChannelLoad {
            slots_used: slot_counts.by_channel.get(name).copied().unwrap_or(0),
            providers: providers.clone(),
        };
        let channel_loads: Vec<ChannelLoad> = self.channels.iter().map(channel_load).collect();
        drop(slot_counts);
        let allocation = share_slots(self.total(), in_use, &channel_loads, &self.provider_loads());
        for (runtime, call_limit) in self.gateway.providers().iter().zip(&allocation.provider_limits) {
            runtime.set_unresponsive_limit(*call_limit);
        }
        let free_slots = self.total().saturating_sub(in_use);
        self.is_channel_full
            .store(free_slots == 0 || allocation.channel_slots.contains(&0), Ordering::SeqCst);
        let channel_names = self.channels.iter().map(|(name, _)| name.clone());
        channel_names
            .zip(allocation.channel_slots)
            .fold(Capacity::total(free_slots), |capacity, (name, slots)| capacity.with_channel(name, slots))
    }
}

impl Drop for WorkerSlot {
    fn drop(&mut self) {
        self.slots.release(&self.channel);
    }
}
