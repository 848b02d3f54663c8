//! Ids in the order they are to be taken: a row for each channel, two lanes in each, all together never more
//! than a window.
//!
//! A plain structure without a lock, a clock or a wait, so that the memory queue can put one short lock
//! around it. An id stands in it at most once. Whatever does not fit is dropped, from the longest row first:
//! the store holds it anyway.

use super::lane::Lane;
use crate::domain::channel::Name;
use crate::domain::id::DeliveryId;
use crate::domain::message::{Nudge, Priority};
use crate::domain::wish::Wish;

/// All rows and their common limit.
pub(super) struct Lanes {
    rows: Vec<Row>,
    /// The row that is asked first next time.
    turn: usize,
    length: usize,
    window: usize,
    overflowing: bool,
}

/// What stands in line for one channel.
struct Row {
    channel: Name,
    high: Lane,
    normal: Lane,
}

impl Lanes {
    /// Nothing yet, and never more than `window` ids, at least one.
    pub fn new(window: usize) -> Self {
        Self {
            rows: Vec::new(),
            turn: 0,
            length: 0,
            window: window.max(1),
            overflowing: false,
        }
    }

    /// How many ids stand in all.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the nudge brought something new: another id, or an earlier time for one that stood there.
    /// When the window is full, what would be taken last of the longest row gives way.
    pub fn push(&mut self, nudge: &Nudge) -> bool {
        let (due, id) = (nudge.due_at.timestamp_millis(), nudge.id.0);
        let index = self.row(&nudge.channel);
        let full = self.length >= self.window && self.longest() == index;
        if full && !self.rows[index].displaces(nudge.priority, due, id) {
            self.overflows();
            return false;
        }
        let row = &mut self.rows[index];
        let before = row.len();
        let brought = row.push(nudge.priority, due, id);
        self.length = self.length + row.len() - before;
        while self.length > self.window {
            self.overflows();
            let longest = self.longest();
            if !self.rows[longest].drop_last() {
                break;
            }
            self.length -= 1;
        }
        brought
    }

    /// Takes what is due at `now` (milliseconds) and wished for, high priority first, from the rows in turn.
    pub fn take(&mut self, wish: &Wish, now: i64) -> Vec<DeliveryId> {
        let mut taken = Vec::new();
        let mut rooms: Vec<usize> = self
            .rows
            .iter()
            .map(|row| wish.room(row.channel.as_str()))
            .collect();
        for priority in [Priority::High, Priority::Normal] {
            self.take_in_turn(priority, &mut rooms, wish.limit, now, &mut taken);
        }
        self.length -= taken.len();
        if self.length <= self.window / 2 {
            self.overflowing = false;
        }
        taken
    }

    /// The earliest due time of what is wished for, in milliseconds.
    pub fn next_due(&self, wish: &Wish) -> Option<i64> {
        let wanted = self.rows.iter().filter(|row| wish.room(row.channel.as_str()) > 0);
        wanted
            .filter_map(|row| match (row.high.first(), row.normal.first()) {
                (Some(high), Some(normal)) => Some(high.min(normal)),
                (high, normal) => high.or(normal),
            })
            .min()
    }

    fn take_in_turn(
        &mut self,
        priority: Priority,
        rooms: &mut [usize],
        limit: usize,
        now: i64,
        taken: &mut Vec<DeliveryId>,
    ) {
        let mut idle = 0;
        while taken.len() < limit && idle < self.rows.len() {
            let index = self.turn % self.rows.len();
            self.turn = index + 1;
            let due = if rooms[index] > 0 {
                self.rows[index].lane(priority).take(now)
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
    fn row(&mut self, channel: &Name) -> usize {
        let known = self.rows.iter().position(|row| row.channel == *channel);
        known.unwrap_or_else(|| {
            self.rows.push(Row {
                channel: channel.clone(),
                high: Lane::default(),
                normal: Lane::default(),
            });
            self.rows.len() - 1
        })
    }

    fn longest(&self) -> usize {
        let longest = (0..self.rows.len()).max_by_key(|index| self.rows[*index].len());
        longest.unwrap_or(0)
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

impl Row {
    fn len(&self) -> usize {
        self.high.len() + self.normal.len()
    }

    fn lane(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
        }
    }

    fn push(&mut self, priority: Priority, due: i64, id: i64) -> bool {
        match priority {
            Priority::High => {
                let earlier = self.normal.remove(id).map_or(due, |old| old.min(due));
                self.high.put(earlier, id)
            }
            Priority::Normal if self.high.holds(id) => self.high.put(due, id),
            Priority::Normal => self.normal.put(due, id),
        }
    }

    /// Whether something that stands here would be taken after this one.
    fn displaces(&self, priority: Priority, due: i64, id: i64) -> bool {
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
mod tests {
    use super::*;
    use crate::queue::contract::{after, nudge, nudge_on};

    fn ids(lanes: &mut Lanes) -> Vec<i64> {
        let taken = lanes.take(&Wish::up_to(100), i64::MAX);
        taken.iter().map(|id| id.0).collect()
    }

    #[test]
    fn the_latest_normal_one_gives_way_when_the_window_is_full() {
        let mut lanes = Lanes::new(3);
        for (id, due) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
            lanes.push(&nudge(id, after(due), Priority::Normal));
        }
        assert!(
            lanes.push(&nudge(5, after(15), Priority::Normal)),
            "an earlier one displaces"
        );
        assert!(
            lanes.push(&nudge(6, after(99), Priority::High)),
            "a high one displaces"
        );
        assert!(!lanes.push(&nudge(7, after(98), Priority::Normal)));
        assert_eq!(ids(&mut lanes), [6, 1, 5]);
    }

    #[test]
    fn among_high_ones_the_latest_gives_way() {
        let mut lanes = Lanes::new(2);
        for (id, due) in [(1, 10), (2, 30), (3, 20), (4, 40)] {
            lanes.push(&nudge(id, after(due), Priority::High));
        }
        assert!(!lanes.push(&nudge(5, after(1), Priority::Normal)));
        assert_eq!(ids(&mut lanes), [1, 3]);
    }

    #[test]
    fn the_count_stays_right_whatever_is_pushed_and_taken() {
        let mut lanes = Lanes::new(50);
        for step in 0..10_000_i64 {
            let priority = if step % 7 == 0 {
                Priority::High
            } else {
                Priority::Normal
            };
            let (id, due) = (step * 31 % 83, after(step * 17 % 101));
            let channel = if id % 3 == 0 { "a" } else { "b" };
            lanes.push(&nudge_on(channel, id, due, priority));
            if step % 13 == 0 {
                lanes.take(&Wish::up_to(5), after(step % 90).timestamp_millis());
            }
            assert!(lanes.len() <= 50);
            assert_eq!(lanes.len(), lanes.rows.iter().map(Row::len).sum::<usize>());
        }
    }
}
