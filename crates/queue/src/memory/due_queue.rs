//! Ids by due time, each at most once: the deliveries of one priority of one channel.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// Ids with their due times in milliseconds.
#[derive(Default)]
pub(super) struct DueQueue {
    by_due: BTreeSet<(i64, i64)>,
    due_by_id: HashMap<i64, i64>,
}

impl DueQueue {
    /// Returns the number of ids.
    pub fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Returns whether the queue contains the id.
    pub fn contains(&self, id: i64) -> bool {
        self.due_by_id.contains_key(&id)
    }

    /// Returns the earliest due time.
    pub fn first(&self) -> Option<i64> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Returns due time and id of the last entry.
    pub fn last(&self) -> Option<(i64, i64)> {
        self.by_due.last().copied()
    }

    /// Inserts an id, or moves it to an earlier due time. Returns whether the queue changed.
    pub fn insert(&mut self, due: i64, delivery_id: i64) -> bool {
        match self.due_by_id.entry(delivery_id) {
            Entry::Occupied(occupied) if *occupied.get() <= due => return false,
            Entry::Occupied(mut occupied) => {
                self.by_due.remove(&(occupied.insert(due), delivery_id));
            }
            Entry::Vacant(vacant) => {
                vacant.insert(due);
            }
        }
        self.by_due.insert((due, delivery_id))
    }

    /// Removes an id and returns its due time.
    pub fn remove(&mut self, delivery_id: i64) -> Option<i64> {
        let due = self.due_by_id.remove(&delivery_id)?;
        self.by_due.remove(&(due, delivery_id));
        Some(due)
    }

    /// Removes and returns the first id if it is due at `now`.
    pub fn pop_due(&mut self, now: i64) -> Option<i64> {
        let (due, id) = *self.by_due.first()?;
        (due <= now && self.remove(id).is_some()).then_some(id)
    }

    /// Removes the last entry. Returns whether there was one.
    pub fn drop_last(&mut self) -> bool {
        self.by_due.pop_last().is_some_and(|(_, id)| self.due_by_id.remove(&id).is_some())
    }
}

#[cfg(test)]
mod tests;
