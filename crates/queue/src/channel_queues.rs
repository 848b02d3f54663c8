//! Ids in the order they are to be taken: a row for each channel, two lanes in each, all together never more
//! than a window.
//!
//! A plain structure without a lock, a clock or a wait, so that the memory queue can put one short lock
//! around it. An id stands in it at most once. Whatever does not fit is dropped, from the longest row first:
//! the store holds it anyway.

use super::due_queue::DueQueue;
use postrider_core::capacity::Capacity;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;

/// All rows and their common limit.
pub(super) struct ChannelQueues {
    queues: Vec<ChannelQueue>,
    /// The row that is asked first next time.
    next_queue: usize,
    entries: usize,
    window: usize,
    is_overflowing: bool,
}

/// What stands in line for one channel.
struct ChannelQueue {
    channel: ConfigName,
    high: DueQueue,
    normal: DueQueue,
}

impl ChannelQueues {
    /// Nothing yet, and never more than `window` ids, at least one.
    pub fn new(window: usize) -> Self {
        Self {
            queues: Vec::new(),
            next_queue: 0,
            entries: 0,
            window: window.max(1),
            is_overflowing: false,
        }
    }

    /// How many ids stand in all.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether the nudge brought something new: another id, or an earlier time for one that stood there.
    /// When the window is full, what would be taken last of the longest row gives way.
    pub fn push(&mut self, nudge: &QueueEntry) -> bool {
        let (due, id) = (nudge.due_at.timestamp_millis(), nudge.id.0);
        let index = self.queue_index(&nudge.channel);
        let full = self.entries >= self.window && self.longest_queue() == index;
        if full && !self.queues[index].has_later_entry(nudge.priority, due, id) {
            self.log_overflow();
            return false;
        }
        let row = &mut self.queues[index];
        let before = row.len();
        let brought = row.push(nudge.priority, due, id);
        self.entries = self.entries + row.len() - before;
        while self.entries > self.window {
            self.log_overflow();
            let longest = self.longest_queue();
            if !self.queues[longest].drop_last() {
                break;
            }
            self.entries -= 1;
        }
        brought
    }

    /// Takes what is due at `now` (milliseconds) and wished for, high priority first, from the rows in turn.
    pub fn pop_due(&mut self, wish: &Capacity, now: i64) -> Vec<DeliveryId> {
        let mut taken = Vec::new();
        let mut rooms: Vec<usize> = self
            .queues
            .iter()
            .map(|row| wish.for_channel(row.channel.as_str()))
            .collect();
        for priority in [Priority::High, Priority::Normal] {
            self.pop_round_robin(priority, &mut rooms, wish.limit, now, &mut taken);
        }
        self.entries -= taken.len();
        if self.entries <= self.window / 2 {
            self.is_overflowing = false;
        }
        taken
    }

    /// The earliest due time of what is wished for, in milliseconds.
    pub fn next_due(&self, wish: &Capacity) -> Option<i64> {
        let wanted = self
            .queues
            .iter()
            .filter(|row| wish.for_channel(row.channel.as_str()) > 0);
        wanted
            .filter_map(|row| match (row.high.first(), row.normal.first()) {
                (Some(high), Some(normal)) => Some(high.min(normal)),
                (high, normal) => high.or(normal),
            })
            .min()
    }

    fn pop_round_robin(
        &mut self,
        priority: Priority,
        rooms: &mut [usize],
        limit: usize,
        now: i64,
        taken: &mut Vec<DeliveryId>,
    ) {
        let mut idle = 0;
        while taken.len() < limit && idle < self.queues.len() {
            let index = self.next_queue % self.queues.len();
            self.next_queue = index + 1;
            let due = if rooms[index] > 0 {
                self.queues[index].priority_queue(priority).pop_due(now)
            } else {
                None
            };
            if let Some(id) = due {
                rooms[index] -= 1;
                taken.push(DeliveryId(id));
                idle = 0;
            } else {
                idle += 1;
            }
        }
    }

    /// The row of that channel, made when it is the first time.
    fn queue_index(&mut self, channel: &ConfigName) -> usize {
        let known = self.queues.iter().position(|row| row.channel == *channel);
        known.unwrap_or_else(|| {
            self.queues.push(ChannelQueue {
                channel: channel.clone(),
                high: DueQueue::default(),
                normal: DueQueue::default(),
            });
            self.queues.len() - 1
        })
    }

    fn longest_queue(&self) -> usize {
        let longest = (0..self.queues.len()).max_by_key(|index| self.queues[*index].len());
        longest.unwrap_or(0)
    }

    fn log_overflow(&mut self) {
        if !self.is_overflowing {
            self.is_overflowing = true;
            log::info!(
                "the queue's window of {} ids is full: the store holds the rest",
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

    fn push(&mut self, priority: Priority, due: i64, id: i64) -> bool {
        match priority {
            Priority::High => {
                let earlier = self.normal.remove(id).map_or(due, |old| old.min(due));
                self.high.insert(earlier, id)
            }
            Priority::Normal if self.high.contains(id) => self.high.insert(due, id),
            Priority::Normal => self.normal.insert(due, id),
        }
    }

    /// Whether something that stands here would be taken after this one.
    fn has_later_entry(&self, priority: Priority, due: i64, id: i64) -> bool {
        let before = |last: (i64, i64)| (due, id) < last;
        match (priority, self.normal.last()) {
            (Priority::High, Some(_)) => true,
            (Priority::High, None) => self.high.last().is_some_and(before),
            (Priority::Normal, last) => last.is_some_and(before),
        }
    }

    fn drop_last(&mut self) -> bool {
        self.normal.drop_last() || self.high.drop_last()
    }
}

#[cfg(test)]
mod tests;
