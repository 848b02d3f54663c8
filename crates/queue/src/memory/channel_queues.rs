//! Ids in the order in which they are taken. Each channel has a queue with two priorities; all queues together are
//! limited to a window.
//!
//! Contains no lock, no clock and no waits; the memory queue puts one short lock around it. Each id is queued at most
//! once. If the window is full, the longest channel queue drops its last entry. No delivery is lost by that, because
//! the store has all of them.

use super::due_queue::DueQueue;
use postrider_core::capacity::Capacity;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;

/// All channel queues and their common limit.
pub(super) struct ChannelQueues {
    queues: Vec<ChannelQueue>,
    /// The index of the queue that is served first next time.
    next_queue: usize,
    entries: usize,
    window: usize,
    is_overflowing: bool,
}

/// The queue of one channel.
struct ChannelQueue {
    channel: ConfigName,
    high: DueQueue,
    normal: DueQueue,
}

impl ChannelQueues {
    /// Returns empty queues for at most `window` ids, at least one.
    pub fn new(window: usize) -> Self {
        Self { queues: Vec::new(), next_queue: 0, entries: 0, window: window.max(1), is_overflowing: false }
    }

    /// Returns the number of ids in all queues.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Adds an entry. Returns whether the queues changed: a new id, or an earlier due time for a queued id. If the window
    /// is full, the last entry of the longest queue is dropped.
    pub fn push(&mut self, queue_entry: &QueueEntry) -> bool {
        let (due, delivery_id) = (queue_entry.due_at.timestamp_millis(), queue_entry.id.0);
        let queue_index = self.queue_index(&queue_entry.channel);
        let is_full = self.entries >= self.window && self.longest_queue() == queue_index;
        if is_full && !self.queues[queue_index].has_later_entry(queue_entry.priority, due, delivery_id) {
            self.log_overflow();
            return false;
        }
        let channel_queue = &mut self.queues[queue_index];
        let len_before = channel_queue.len();
        let has_changed = channel_queue.push(queue_entry.priority, due, delivery_id);
        self.entries = self.entries + channel_queue.len() - len_before;
        while self.entries > self.window {
            self.log_overflow();
            let longest = self.longest_queue();
            if !self.queues[longest].drop_last() {
                break;
            }
            self.entries -= 1;
        }
        has_changed
    }

    /// Removes and returns ids that are due at `now_ms` within the capacity, high priority first, the channels in turn.
    pub fn pop_due(&mut self, capacity: &Capacity, now_ms: i64) -> Vec<DeliveryId> {
        let mut due_ids = Vec::new();
        let mut limits: Vec<usize> =
            self.queues.iter().map(|queue| capacity.for_channel(queue.channel.as_str())).collect();
        for priority in [Priority::High, Priority::Normal] {
            self.pop_round_robin(priority, &mut limits, capacity.limit, now_ms, &mut due_ids);
        }
        self.entries -= due_ids.len();
        if self.entries <= self.window / 2 {
            self.is_overflowing = false;
        }
        due_ids
    }

    /// Returns the earliest due time among the channels with capacity, in milliseconds.
    pub fn next_due(&self, capacity: &Capacity) -> Option<i64> {
        self.queues
            .iter()
            .filter(|queue| capacity.for_channel(queue.channel.as_str()) > 0)
            .flat_map(|queue| [queue.high.first(), queue.normal.first()])
            .flatten()
            .min()
    }

    fn pop_round_robin(
        &mut self,
        priority: Priority,
        limits: &mut [usize],
        total_limit: usize,
        now_ms: i64,
        ids: &mut Vec<DeliveryId>,
    ) {
        let mut idle_queues = 0;
        while ids.len() < total_limit && idle_queues < self.queues.len() {
            let queue_index = self.next_queue % self.queues.len();
            self.next_queue = queue_index + 1;
            idle_queues += 1;
            if limits[queue_index] > 0
                && let Some(delivery_id) = self.queues[queue_index].priority_queue(priority).pop_due(now_ms)
            {
                limits[queue_index] -= 1;
                ids.push(DeliveryId(delivery_id));
                idle_queues = 0;
            }
        }
    }

    /// Returns the index of a channel's queue. Creates the queue if there is none.
    fn queue_index(&mut self, channel: &ConfigName) -> usize {
        let index = self.queues.iter().position(|queue| queue.channel == *channel);
        index.unwrap_or_else(|| {
            self.queues.push(ChannelQueue {
                channel: channel.clone(),
                high: DueQueue::default(),
                normal: DueQueue::default(),
            });
            self.queues.len() - 1
        })
    }

    fn longest_queue(&self) -> usize {
        (0..self.queues.len()).max_by_key(|index| self.queues[*index].len()).unwrap_or(0)
    }

    fn log_overflow(&mut self) {
        if !self.is_overflowing {
            self.is_overflowing = true;
            log::info!(
                "memory queue: window full; the store keeps the remaining deliveries: window={}",
                self.window
            );
        }
    }
}

impl ChannelQueue {
    fn len(&self) -> usize {
        self.high.len() + self.normal.len()
    }

    fn priority_queue(&mut self, priority: Priority) -> &mut DueQueue {
        match priority {
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
        }
    }

    fn push(&mut self, priority: Priority, due: i64, delivery_id: i64) -> bool {
        match priority {
            Priority::High => {
                let earliest =
                    self.normal.remove(delivery_id).map_or(due, |current_due| current_due.min(due));
                self.high.insert(earliest, delivery_id)
            }
            Priority::Normal if self.high.contains(delivery_id) => self.high.insert(due, delivery_id),
            Priority::Normal => self.normal.insert(due, delivery_id),
        }
    }

    /// Returns whether the queue has an entry that would be taken later than an entry with these values.
    fn has_later_entry(&self, priority: Priority, due: i64, id: i64) -> bool {
        let is_later = |queued_entry: (i64, i64)| queued_entry > (due, id);
        match (priority, self.normal.last()) {
            (Priority::High, Some(_)) => true,
            (Priority::High, None) => self.high.last().is_some_and(is_later),
            (Priority::Normal, last_normal) => last_normal.is_some_and(is_later),
        }
    }

    fn drop_last(&mut self) -> bool {
        self.normal.drop_last() || self.high.drop_last()
    }
}

#[cfg(test)]
mod tests;
