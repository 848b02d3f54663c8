//! Decides where a search for due deliveries begins.
//!
//! While a session holds a snapshot (a dump, a long report), PostgreSQL keeps the index entries of deliveries that were sent
//! since. They are older than every waiting delivery, so a search from the beginning reads all of them and becomes slower with
//! every message. When searches are slow, most of them therefore begin at the oldest waiting delivery of the last search. New
//! deliveries are due later than that; what is not (an expired lease, a host with a slow clock) is found by the searches from the
//! beginning, which take a fixed share of the time.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postrider_core::name::ConfigName;

/// Duration from which a search from the beginning is slow. With a few thousand waiting deliveries it takes 1 to 2 ms.
const SLOW_SEARCH: Duration = Duration::from_millis(5);

/// Number of slow searches in a row that are not a coincidence, such as a busy server.
const SLOW_SEARCHES_MIN: u32 = 8;

/// A search from the beginning follows after this many times its own duration, so that these searches take at most 5 % of the
/// time.
const FULL_SEARCH_INTERVAL: u32 = 20;

/// How much earlier than the oldest found delivery a search begins, in milliseconds: the clocks of hosts differ.
const CLOCK_MARGIN_MS: i64 = 5_000;

/// Where a search begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSearchStart {
    /// The channels with waiting deliveries; none if the search has to find them.
    pub channels: Option<Vec<ConfigName>>,
    /// Time from which deliveries are searched, in milliseconds since 1970.
    pub due_from: i64,
}

/// The last searches of this process.
#[derive(Default)]
pub struct DueSearch(Mutex<State>);

#[derive(Default)]
struct State {
    slow_searches: u32,
    next_full_search: Option<Instant>,
    channels: Vec<ConfigName>,
    due_from: i64,
}

impl DueSearch {
    /// Returns where the next search begins.
    pub fn start(&self, now: Instant) -> DueSearchStart {
        let mut state = self.0.lock();
        match state.next_full_search {
            Some(next) if now < next => {
                DueSearchStart { channels: Some(state.channels.clone()), due_from: state.due_from }
            }
            _ => {
                state.next_full_search = None;
                DueSearchStart { channels: None, due_from: i64::MIN }
            }
        }
    }

    /// Adds a search from the beginning, with the channels that have waiting deliveries. `oldest` is the time of the oldest
    /// found delivery, or the time of the search if there was none.
    pub fn finish_full(&self, started_at: Instant, now: Instant, channels: Vec<ConfigName>, oldest: i64) {
        let duration = now.saturating_duration_since(started_at);
        let mut state = self.0.lock();
        if duration < SLOW_SEARCH {
            state.slow_searches = 0;
            return;
        }
        state.slow_searches = state.slow_searches.saturating_add(1);
        if state.slow_searches >= SLOW_SEARCHES_MIN {
            state.next_full_search = now.checked_add(duration.saturating_mul(FULL_SEARCH_INTERVAL));
            state.channels = channels;
            state.due_from = oldest.saturating_sub(CLOCK_MARGIN_MS);
        }
    }

    /// Adds a search that began at `due_from`.
    pub fn finish_partial(&self, oldest: i64) {
        let mut state = self.0.lock();
        state.due_from = state.due_from.max(oldest.saturating_sub(CLOCK_MARGIN_MS));
    }
}

#[cfg(test)]
mod tests;
