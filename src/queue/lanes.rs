//! Ids in the order they are to be taken: two lanes, each by due time, together never more than a window.
//!
//! A plain structure without a lock, a clock or a wait, so that the memory queue can put one short lock
//! around it. An id stands in it at most once. Whatever does not fit is dropped: the store holds it anyway.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use crate::domain::id::DeliveryId;
use crate::domain::message::{Nudge, Priority};

/// Both lanes and their common limit.
pub(super) struct Lanes {
    high: Lane,
    normal: Lane,
    window: usize,
    overflowing: bool,
}

impl Lanes {
    /// Empty lanes for at most `window` ids, at least one.
    pub fn new(window: usize) -> Self {
        Self {
            high: Lane::default(),
            normal: Lane::default(),
            window: window.max(1),
            overflowing: false,
        }
    }

    /// How many ids stand in both.
    pub fn len(&self) -> usize {
        self.high.len() + self.normal.len()
    }

    /// Whether the nudge brought something new: another id, or an earlier time for one that stood there.
    /// When the window is full, what would be taken last gives way.
    pub fn push(&mut self, nudge: &Nudge) -> bool {
        let (due, id) = (nudge.due_at.timestamp_millis(), nudge.id.0);
        if self.len() >= self.window && !self.displaces(nudge.priority, due, id) {
            self.overflows();
            return false;
        }
        let brought = match nudge.priority {
            Priority::High => {
                let earlier = self.normal.remove(id).map_or(due, |old| old.min(due));
                self.high.put(earlier, id)
            }
            Priority::Normal if self.high.holds(id) => self.high.put(due, id),
            Priority::Normal => self.normal.put(due, id),
        };
        self.trim();
        brought
    }

    /// Takes at most `limit` ids that are due at `now` (milliseconds), high priority first.
    pub fn take(&mut self, limit: usize, now: i64) -> Vec<DeliveryId> {
        let mut taken = Vec::new();
        self.high.take(limit, now, &mut taken);
        self.normal.take(limit, now, &mut taken);
        if self.len() <= self.window / 2 {
            self.overflowing = false;
        }
        taken
    }

    /// The earliest due time in either lane, in milliseconds.
    pub fn next_due(&self) -> Option<i64> {
        match (self.high.first(), self.normal.first()) {
            (Some(high), Some(normal)) => Some(high.min(normal)),
            (high, normal) => high.or(normal),
        }
    }

    /// Whether something that stands here would be taken after this one.
    fn displaces(&self, priority: Priority, due: i64, id: i64) -> bool {
        let before = |last: &(i64, i64)| (due, id) < *last;
        match (priority, self.normal.by_due.last()) {
            (Priority::High, Some(_)) => true,
            (Priority::High, None) => self.high.by_due.last().is_some_and(before),
            (Priority::Normal, last) => last.is_some_and(before),
        }
    }

    fn trim(&mut self) {
        while self.len() > self.window {
            self.overflows();
            if !self.normal.drop_last() {
                self.high.drop_last();
            }
        }
    }

    fn overflows(&mut self) {
        if !self.overflowing {
            self.overflowing = true;
            log::info!(
                "the queue's window of {} ids is full: the store holds the rest",
                self.window
            );
        }
    }
}

#[derive(Default)]
struct Lane {
    by_due: BTreeSet<(i64, i64)>,
    due_of: HashMap<i64, i64>,
}

impl Lane {
    fn len(&self) -> usize {
        self.by_due.len()
    }

    fn holds(&self, id: i64) -> bool {
        self.due_of.contains_key(&id)
    }

    fn first(&self) -> Option<i64> {
        self.by_due.first().map(|(due, _)| *due)
    }

    fn put(&mut self, due: i64, id: i64) -> bool {
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

    fn remove(&mut self, id: i64) -> Option<i64> {
        let due = self.due_of.remove(&id)?;
        self.by_due.remove(&(due, id));
        Some(due)
    }

    fn take(&mut self, limit: usize, now: i64, taken: &mut Vec<DeliveryId>) {
        while taken.len() < limit && self.first().is_some_and(|due| due <= now) {
            let Some((_, id)) = self.by_due.pop_first() else {
                return;
            };
            self.due_of.remove(&id);
            taken.push(DeliveryId(id));
        }
    }

    fn drop_last(&mut self) -> bool {
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
    use crate::clock::from_millis;

    fn nudge(id: i64, due: i64, priority: Priority) -> Nudge {
        Nudge {
            id: DeliveryId(id),
            due_at: from_millis(due),
            priority,
        }
    }

    fn ids(lanes: &mut Lanes) -> Vec<i64> {
        lanes.take(100, i64::MAX).iter().map(|id| id.0).collect()
    }

    #[test]
    fn the_latest_normal_one_gives_way_when_the_window_is_full() {
        let mut lanes = Lanes::new(3);
        for (id, due) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
            lanes.push(&nudge(id, due, Priority::Normal));
        }
        assert!(
            lanes.push(&nudge(5, 15, Priority::Normal)),
            "an earlier one displaces"
        );
        assert!(lanes.push(&nudge(6, 99, Priority::High)), "a high one displaces");
        assert!(!lanes.push(&nudge(7, 98, Priority::Normal)));
        assert_eq!(ids(&mut lanes), [6, 1, 5]);
    }

    #[test]
    fn among_high_ones_the_latest_gives_way() {
        let mut lanes = Lanes::new(2);
        for (id, due) in [(1, 10), (2, 30), (3, 20), (4, 40)] {
            lanes.push(&nudge(id, due, Priority::High));
        }
        assert!(!lanes.push(&nudge(5, 1, Priority::Normal)));
        assert_eq!(ids(&mut lanes), [1, 3]);
    }

    #[test]
    fn both_indexes_stay_of_one_mind_whatever_is_pushed_and_taken() {
        let mut lanes = Lanes::new(50);
        for step in 0..10_000_i64 {
            let priority = if step % 7 == 0 {
                Priority::High
            } else {
                Priority::Normal
            };
            lanes.push(&nudge(step * 31 % 83, step * 17 % 101, priority));
            if step % 13 == 0 {
                lanes.take(5, step % 90);
            }
            assert!(lanes.len() <= 50);
            for lane in [&lanes.high, &lanes.normal] {
                assert_eq!(lane.by_due.len(), lane.due_of.len());
            }
            assert!(lanes.high.due_of.keys().all(|id| !lanes.normal.holds(*id)));
        }
    }
}
