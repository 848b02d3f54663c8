//! Remembers what was heard under a number that a provider uses once, so that nobody can say something else with it.
//!
//! The same word again is a repetition and welcome. In memory only and not for ever: a state never moves backwards
//! anyway.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// How long a number is remembered.
const KEPT: Duration = Duration::from_secs(6 * 60 * 60);

/// How many are remembered at most; each takes about 100 bytes.
const KEPT_MAX: usize = 100_000;

type Hash = [u8; 32];

/// Numbers used once, with what was said under them.
#[derive(Default)]
pub(in crate::provider) struct Seen(Mutex<Known>);

#[derive(Default)]
struct Known {
    said: HashMap<Hash, Hash>,
    order: VecDeque<(Hash, Timestamp)>,
}

impl Seen {
    /// Whether this number is new, or comes with the same words as before.
    pub fn fits(&self, number: &str, words: &[u8], now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |since: Timestamp| now - since > chrono::TimeDelta::from_std(KEPT).unwrap_or_default();
        while let Some((first, since)) = known.order.front().copied() {
            if !is_old(since) && known.order.len() < KEPT_MAX {
                break;
            }
            known.order.pop_front();
            known.said.remove(&first);
        }
        let (number, words) = (Sha256::digest(number).into(), Sha256::digest(words).into());
        match known.said.get(&number) {
            Some(before) => *before == words,
            None => {
                known.said.insert(number, words);
                known.order.push_back((number, now));
                true
            }
        }
    }
}
