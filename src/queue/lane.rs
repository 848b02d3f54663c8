//! Ids by due time, each at most once, cheap to find both ways.
//!
//! One priority of one channel in the memory queue. It knows neither.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// Ids with their due times in milliseconds.
#[derive(Default)]
pub(super) struct Lane {
    by_due: BTreeSet<(i64, i64)>,
    due_of: HashMap<i64, i64>,
}

impl Lane {
    /// How many stand in it.
    pub fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Whether the id stands in it.
    pub fn holds(&self, id: i64) -> bool {
        self.due_of.contains_key(&id)
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
    pub fn put(&mut self, due: i64, id: i64) -> bool {
        match self.due_of.entry(id) {
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
        let due = self.due_of.remove(&id)?;
        self.by_due.remove(&(due, id));
        Some(due)
    }

    /// Takes the id that is due first, if it is due at `now`.
    pub fn take(&mut self, now: i64) -> Option<i64> {
        if self.first()? > now {
            return None;
        }
        let (_, id) = self.by_due.pop_first()?;
        self.due_of.remove(&id);
        Some(id)
    }

    /// Drops what would be taken last; whether there was one.
    pub fn drop_last(&mut self) -> bool {
        let last = self.by_due.pop_last();
        if let Some((_, id)) = last {
            self.due_of.remove(&id);
        }
        last.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_indexes_stay_of_one_mind_whatever_is_put_and_taken() {
        let mut lane = Lane::default();
        for step in 0..10_000_i64 {
            lane.put(step * 17 % 101, step * 31 % 83);
            match step % 13 {
                0 => drop(lane.take(step % 90)),
                5 => drop(lane.remove(step % 83)),
                9 => drop(lane.drop_last()),
                _ => {}
            }
            assert_eq!(lane.by_due.len(), lane.due_of.len());
        }
    }
}
