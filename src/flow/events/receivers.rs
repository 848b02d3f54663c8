//! What this process knows of those it tells: who has calls in flight, who rests.
//!
//! Remembers only those with calls in flight or failures; a restart forgets it all, at the price of a few calls in vain.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::retry::later;

/// After so many failures in a row a receiver rests, and gets one call at a time until one succeeds.
const FAILURES_TRUSTED: u32 = 3;

/// The first rest, and the longest.
const REST: Duration = Duration::from_secs(5);
const REST_MAX: Duration = Duration::from_secs(5 * 60);

/// How many receivers are remembered at most.
const KNOWN_MAX: usize = 10_000;

/// How a receiver took a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It has it.
    Well,
    /// Not now; perhaps it says when.
    Badly(Option<Duration>),
}

/// Those with calls in flight or failures.
pub struct Receivers {
    per_receiver: usize,
    places: usize,
    taken: usize,
    known: HashMap<String, Receiver>,
}

#[derive(Default)]
struct Receiver {
    in_flight: usize,
    failures: u32,
    rests_until: Option<Timestamp>,
}

impl Receivers {
    /// Nobody yet: so many places for each, so many for all.
    pub fn new(per_receiver: usize, places: usize) -> Self {
        Self {
            per_receiver,
            places,
            taken: 0,
            known: HashMap::new(),
        }
    }

    /// How many events each of these can be told now; those that have to wait are left out. The second half of the places
    /// is for those that have none yet.
    pub fn rooms(&self, lanes: impl Iterator<Item = String>, now: Timestamp) -> Vec<(String, usize)> {
        let mut free = self.places.saturating_sub(self.taken);
        let mut rooms = Vec::new();
        for lane in lanes {
            let (room, in_flight) = self.known.get(&lane).map_or((self.per_receiver, 0), |receiver| {
                (receiver.room(self.per_receiver, now), receiver.in_flight)
            });
            let spare = free.saturating_sub(self.places / 2);
            let most = if in_flight == 0 { spare.max(1) } else { spare };
            let room = room.min(most).min(free);
            if room > 0 {
                free -= room;
                rooms.push((lane, room));
            }
        }
        rooms
    }

    /// Notes that a call begins.
    pub fn take(&mut self, lane: &str) {
        if self.known.len() >= KNOWN_MAX {
            self.known.retain(|_, receiver| receiver.in_flight > 0);
        }
        self.taken += 1;
        self.known.entry(lane.to_owned()).or_default().in_flight += 1;
    }

    /// Notes how a call ended; whether the receiver is still trusted to take the next ones.
    pub fn give_back(&mut self, lane: &str, manner: Manner, now: Timestamp) -> bool {
        self.taken = self.taken.saturating_sub(1);
        let receiver = self.known.entry(lane.to_owned()).or_default();
        receiver.in_flight = receiver.in_flight.saturating_sub(1);
        match manner {
            Manner::Well => {
                receiver.failures = 0;
                receiver.rests_until = None;
            }
            Manner::Badly(wanted) => {
                receiver.failures = receiver.failures.saturating_add(1);
                let rest = wanted.or_else(|| receiver.rest());
                if let Some(rest) = rest {
                    receiver.rests_until = Some(later(now, rest.min(REST_MAX)));
                }
            }
        }
        let is_trusted = receiver.failures < FAILURES_TRUSTED;
        if receiver.failures == 0 && receiver.in_flight == 0 {
            self.known.remove(lane);
        }
        is_trusted
    }
}

impl Receiver {
    fn room(&self, most: usize, now: Timestamp) -> usize {
        if self.rests_until.is_some_and(|until| now < until) {
            return 0;
        }
        let most = if self.failures < FAILURES_TRUSTED { most } else { 1 };
        most.saturating_sub(self.in_flight)
    }

    fn rest(&self) -> Option<Duration> {
        let beyond = self.failures.checked_sub(FAILURES_TRUSTED)?;
        Some(REST * 2_u32.saturating_pow(beyond.min(10)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    fn at(seconds: i64) -> Timestamp {
        from_millis(seconds * 1_000)
    }

    fn lanes(names: &[&str]) -> std::vec::IntoIter<String> {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .into_iter()
    }

    #[test]
    fn nobody_gets_more_than_his_places_and_a_newcomer_finds_some() {
        let mut all = Receivers::new(4, 8);
        assert_eq!(all.rooms(lanes(&["a"]), at(0)), [("a".to_owned(), 4)]);
        for _ in 0..4 {
            all.take("a");
        }
        assert_eq!(all.rooms(lanes(&["a"]), at(0)), []);
        all.give_back("a", Manner::Well, at(0));
        let rooms = all.rooms(lanes(&["a", "b", "c"]), at(0));
        assert_eq!(
            rooms,
            [("a".to_owned(), 1), ("b".to_owned(), 1), ("c".to_owned(), 1)]
        );
    }

    #[test]
    fn who_fails_rests_longer_each_time_and_is_asked_with_one_call() {
        let mut all = Receivers::new(4, 8);
        let mut now = at(0);
        let mut rests = Vec::new();
        for _ in 0..12 {
            all.take("a");
            all.give_back("a", Manner::Badly(None), now);
            let since = now;
            while all.rooms(lanes(&["a"]), now).is_empty() {
                now += Duration::from_secs(1);
            }
            rests.push((now - since).num_seconds());
        }
        assert_eq!(rests, [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
        assert_eq!(all.rooms(lanes(&["a"]), now), [("a".to_owned(), 1)]);
        all.take("a");
        assert!(all.give_back("a", Manner::Well, now));
        assert_eq!(all.rooms(lanes(&["a"]), now), [("a".to_owned(), 4)]);
        assert!(all.known.is_empty());
    }

    #[test]
    fn who_says_when_to_come_back_is_left_alone_until_then() {
        let mut all = Receivers::new(4, 8);
        all.take("a");
        all.give_back("a", Manner::Badly(Some(Duration::from_secs(7))), at(0));
        assert_eq!(all.rooms(lanes(&["a"]), at(6)), []);
        assert_eq!(all.rooms(lanes(&["a"]), at(7)).len(), 1);
    }
}
