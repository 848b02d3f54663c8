//! The number of deliveries that a worker can take now, in total and by channel.
//!
//! A queue and a store return no deliveries of a channel without capacity, so that a busy channel does not hold up the
//! others.

use std::collections::VecDeque;

use crate::name::ConfigName;

/// A limit for all deliveries, and lower limits for some channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Maximum number of deliveries in total.
    pub limit: usize,
    by_channel: Vec<(ConfigName, usize)>,
}

impl Capacity {
    /// Returns a limit that holds for every channel.
    pub fn total(limit: usize) -> Self {
        Self { limit, by_channel: Vec::new() }
    }

    /// Adds the limit of one channel; 0 excludes the channel.
    pub fn with_channel(mut self, channel: ConfigName, limit: usize) -> Self {
        self.by_channel.push((channel, limit));
        self
    }

    /// Adds `more` to the total limit and to every channel limit above 0. A queue is filled from the store with such a
    /// larger capacity.
    pub fn increased_by(mut self, more: usize) -> Self {
        let channel_limits = self.by_channel.iter_mut().map(|(_, limit)| limit).filter(|limit| **limit > 0);
        channel_limits.for_each(|limit| *limit += more);
        self.limit += more;
        self
    }

    /// Returns the limit of a channel: its own, or the total.
    pub fn for_channel(&self, channel: &str) -> usize {
        let channel_limit = self.by_channel.iter().find(|(name, _)| name.as_str() == channel);
        channel_limit.map_or(self.limit, |(_, limit)| self.limit.min(*limit))
    }

    /// Splits deliveries into those within the limits, in their order, and the rest. `channel_of` returns the channel of a
    /// delivery.
    pub fn split<T>(&self, deliveries: Vec<T>, channel_of: impl Fn(&T) -> &ConfigName) -> (Vec<T>, Vec<T>) {
        let mut remaining = self.clone();
        deliveries.into_iter().partition(|delivery| {
            let channel = channel_of(delivery);
            let fits = remaining.for_channel(channel.as_str()) > 0;
            if fits {
                remaining.limit -= 1;
                if let Some((_, limit)) = remaining.by_channel.iter_mut().find(|(name, _)| name == channel) {
                    *limit -= 1;
                }
            }
            fits
        })
    }

    /// Returns the channels with their own limits.
    pub fn channel_limits(&self) -> &[(ConfigName, usize)] {
        &self.by_channel
    }
}

/// Knows how many deliveries a worker can take now. A queue reads the capacity each time more deliveries may be due.
pub trait CapacitySource: Send + Sync {
    /// Returns the present capacity.
    fn capacity(&self) -> Capacity;
}

impl CapacitySource for Capacity {
    fn capacity(&self) -> Capacity {
        self.clone()
    }
}

impl CapacitySource for usize {
    fn capacity(&self) -> Capacity {
        Capacity::total(*self)
    }
}

/// Takes items from the lists in turn: the first item of each list, then the second of each, until `limit` items are
/// taken.
pub fn round_robin<T>(lists: Vec<Vec<T>>, limit: usize) -> Vec<T> {
    let mut lists: VecDeque<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut taken = Vec::new();
    while taken.len() < limit
        && let Some(mut list) = lists.pop_front()
    {
        if let Some(item) = list.next() {
            taken.push(item);
            lists.push_back(list);
        }
    }
    taken
}

#[cfg(test)]
mod tests;
