//! What a worker can take on now: so many deliveries in all, and so many of each channel.
//!
//! A queue and a store are asked with it, so that a channel whose places are full is left alone without being
//! walked past. It knows nothing of places or providers.

use std::collections::VecDeque;

use crate::name::ConfigName;

/// So many in all, and for some channels a number of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// At most so many in all.
    pub limit: usize,
    by_channel: Vec<(ConfigName, usize)>,
}

impl Capacity {
    /// So many, of whatever channel.
    pub fn total(limit: usize) -> Self {
        let rooms = Vec::new();
        Self {
            limit,
            by_channel: rooms,
        }
    }

    /// The same with at most `room` of that channel; none at all leaves the channel alone.
    pub fn with_channel(mut self, channel: ConfigName, room: usize) -> Self {
        self.by_channel.push((channel, room));
        self
    }

    /// Room for so many more, in all and of each channel that there is room for: for filling a queue.
    pub fn increased_by(mut self, more: usize) -> Self {
        self.limit += more;
        for (_, room) in &mut self.by_channel {
            if *room > 0 {
                *room += more;
            }
        }
        self
    }

    /// How many of that channel; a channel that was not spoken of may fill the whole wish.
    pub fn for_channel(&self, channel: &str) -> usize {
        let own = self.by_channel.iter().find(|(name, _)| name.as_str() == channel);
        own.map_or(self.limit, |(_, room)| self.limit.min(*room))
    }

    /// Those that are wished for, in their order, and the rest.
    pub fn split<T>(&self, all: Vec<T>, channel: impl Fn(&T) -> &ConfigName) -> (Vec<T>, Vec<T>) {
        let mut left = self.clone();
        all.into_iter().partition(|one| {
            let name = channel(one);
            let wanted = left.for_channel(name.as_str()) > 0;
            if wanted {
                left.limit -= 1;
                if let Some((_, room)) = left.by_channel.iter_mut().find(|(other, _)| other == name) {
                    *room -= 1;
                }
            }
            wanted
        })
    }

    /// The channels with a number of their own.
    pub fn channel_limits(&self) -> &[(ConfigName, usize)] {
        &self.by_channel
    }
}

/// Who takes deliveries on, and is asked again whenever there may be more of them.
pub trait CapacitySource: Send + Sync {
    /// What can be taken on now.
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

/// One of each list in turn, each in its own order, at most `limit`.
pub fn round_robin<T>(lists: Vec<Vec<T>>, limit: usize) -> Vec<T> {
    let mut lists: VecDeque<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut taken = Vec::new();
    while taken.len() < limit
        && let Some(mut list) = lists.pop_front()
    {
        if let Some(one) = list.next() {
            taken.push(one);
            lists.push_back(list);
        }
    }
    taken
}

#[cfg(test)]
mod tests;
