//! Remembers the content that a provider sent under each nonce, so that a recorded signature cannot authenticate other
//! content.
//!
//! The same content under the same nonce is a repetition and is accepted. The cache is in memory and limited, so old
//! nonces are dropped. A callback that is repeated later does no harm, because delivery states never move backwards.

use std::collections::{HashMap, VecDeque};

use chrono::TimeDelta;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use postrider_core::clock::Timestamp;

/// Maximum age of a nonce: 6 h.
const NONCE_TTL: TimeDelta = TimeDelta::hours(6);

/// Maximum number of nonces; each takes about 100 bytes.
const NONCES_MAX: usize = 100_000;

type Sha256Digest = [u8; 32];

/// Nonces and the content that came with them.
#[derive(Default)]
pub(crate) struct NonceCache(Mutex<NonceEntries>);

#[derive(Default)]
struct NonceEntries {
    content_by_nonce: HashMap<Sha256Digest, Sha256Digest>,
    by_age: VecDeque<(Sha256Digest, Timestamp)>,
}

impl NonceCache {
    /// Returns whether the nonce is new or came with the same content before.
    pub fn is_new_or_repeated(&self, nonce: &str, content: &[u8], now: Timestamp) -> bool {
        let mut known_nonces = self.0.lock();
        known_nonces.evict(now);
        let (nonce_digest, content_digest) = (Sha256::digest(nonce).into(), Sha256::digest(content).into());
        if let Some(known_content) = known_nonces.content_by_nonce.get(&nonce_digest) {
            return *known_content == content_digest;
        }
        known_nonces.content_by_nonce.insert(nonce_digest, content_digest);
        known_nonces.by_age.push_back((nonce_digest, now));
        true
    }
}

impl NonceEntries {
    /// Removes expired nonces, and the oldest one when the cache is full.
    fn evict(&mut self, now: Timestamp) {
        while let Some((oldest_nonce, recorded_at)) = self.by_age.front() {
            if now - *recorded_at <= NONCE_TTL && self.by_age.len() < NONCES_MAX {
                break;
            }
            self.content_by_nonce.remove(oldest_nonce);
            self.by_age.pop_front();
        }
    }
}
