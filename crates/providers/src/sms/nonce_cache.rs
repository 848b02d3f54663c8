//! Remembers what was heard under a number that a provider uses once, so that nobody can say something else with it.
//!
//! The same word again is a repetition and welcome. In memory only and not for ever: a state never moves backwards
//! anyway.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use postrider_core::clock::Timestamp;

/// How long a number is remembered.
const NONCE_TTL: Duration = Duration::from_secs(6 * 60 * 60);

/// How many are remembered at most; each takes about 100 bytes.
const NONCES_MAX: usize = 100_000;

type Sha256Digest = [u8; 32];

/// Numbers used once, with what was said under them.
#[derive(Default)]
pub(crate) struct NonceCache(Mutex<NonceEntries>);

#[derive(Default)]
struct NonceEntries {
    content_by_nonce: HashMap<Sha256Digest, Sha256Digest>,
    by_age: VecDeque<(Sha256Digest, Timestamp)>,
}

impl NonceCache {
    /// Whether this number is new, or comes with the same words as before.
    pub fn is_new_or_repeated(&self, number: &str, words: &[u8], now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old =
            |since: Timestamp| now - since > chrono::TimeDelta::from_std(NONCE_TTL).unwrap_or_default();
        while let Some((first, since)) = known.by_age.front().copied() {
            if !is_old(since) && known.by_age.len() < NONCES_MAX {
                break;
            }
            known.by_age.pop_front();
            known.content_by_nonce.remove(&first);
        }
        let (number, words) = (Sha256::digest(number).into(), Sha256::digest(words).into());
        match known.content_by_nonce.get(&number) {
            Some(before) => *before == words,
            None => {
                known.content_by_nonce.insert(number, words);
                known.by_age.push_back((number, now));
                true
            }
        }
    }
}
