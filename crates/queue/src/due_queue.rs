//! Ids by due time, each at most once, cheap to find both ways.
//!
//! One priority of one channel in the memory queue. It knows neither.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// Ids with their due times in milliseconds.
#[derive(Default)]
pub(super) struct DueQueue {
    by_due: BTreeSet<(i64, i64)>,
    due_by_id: HashMap<i64, i64>,
}

impl DueQueue {
    /// How many stand in it.
    pub fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Whether the id stands in it.
    pub fn contains(&self, id: i64) -> bool {
        self.due_by_id.contains_key(&id)
    }

    /// The earliest due time.
    pub fn first(&self) -> Option<i64> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Due time and id of what would be taken last.
    pub fn last(&self) -> Option<(i64, i64)> {
        self.by_due.last().copied()
    }

    /// Whether this was new, or earlier than before.
    pub fn insert(&mut self, due: i64, id: i64) -> bool {
        match self.due_by_id.entry(id) {
            Entry::Occupied(standing) if *standing.get() <= due => return false,
            Entry::Occupied(mut standing) => {
                self.by_due.remove(&(standing.insert(due), id));
            }
            Entry::Vacant(place) => {
                place.insert(due);
            }
        }
        self.by_due.insert((due, id))
    }

    /// Takes the id out; answers its due time.
    pub fn remove(&mut self, id: i64) -> Option<i64> {
        let due = self.due_by_id.remove(&id)?;
        self.by_due.remove(&(due, id));
        Some(due)
    }

    /// Takes the id that is due first, if it is due at `now`.
    pub fn pop_due(&mut self, now: i64) -> Option<i64> {
        if self.first()? > now {
            return None;
        }
        let (_, id) = self.by_due.pop_first()?;
        self.due_by_id.remove(&id);
        Some(id)
    }

    /// Drops what would be taken last; whether there was one.
    pub fn drop_last(&mut self) -> bool {
        let last = self.by_due.pop_last();
        if let Some((_, id)) = last {
            self.due_by_id.remove(&id);
        }
        last.is_some()
    }
}

#[cfg(test)]
mod tests;
