//! Slows down clients that guess API keys: after a burst of wrong keys, requests of the address are refused for some
//! time without a comparison of their keys.
//!
//! A key that was right after the address had begun to send wrong keys is still accepted. So a client with a wrong key
//! does not block another client behind the same address. The number of stored addresses is limited.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::peer::peer_network;

/// Number of wrong keys that an address may send at once. A person typing a key does not reach it.
const WRONG_KEYS_BURST: f64 = 20.0;

/// Maximum number of remembered addresses, about 1 MB.
const WRONG_KEY_PEERS_MAX: usize = 10_000;

/// SHA-256 of a key.
type KeyDigest = [u8; 32];

/// Wrong keys by address.
pub(super) struct WrongKeys {
    /// Wrong keys that an address regains in a second; 0 means no limit.
    per_second: f64,
    /// True while any address is stored. It avoids the lock in a process that never gets a wrong key.
    has_peers: AtomicBool,
    peers: Mutex<HashMap<IpAddr, Peer>>,
}

struct Peer {
    /// Wrong keys that the address may still send, at `counted_at`.
    allowance: f64,
    counted_at: Instant,
    /// Keys that were right. Bounded by the number of configured keys.
    right_keys: Vec<KeyDigest>,
}

impl WrongKeys {
    /// Returns a limit of `per_minute` wrong keys after the burst; 0 means no limit.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_second: f64::from(per_minute) / 60.0,
            has_peers: AtomicBool::new(false),
            peers: Mutex::default(),
        }
    }

    /// Returns whether any address is stored. If not, no key needs to be checked.
    pub(super) fn is_counting(&self) -> bool {
        self.has_peers.load(Ordering::Relaxed)
    }

    /// Returns how long the client must wait before its key is compared; `None` if it need not wait. `key` is the
    /// digest of the presented key, if it is known.
    pub(super) fn wait(&self, client: IpAddr, key: Option<KeyDigest>, now: Instant) -> Option<Duration> {
        let mut peers = self.peers.lock();
        let peer = peers.get_mut(&peer_network(client))?;
        if key.is_some_and(|key| peer.right_keys.contains(&key)) {
            return None;
        }
        peer.regain(self.per_second, now);
        (peer.allowance < 1.0).then(|| Duration::from_secs_f64((1.0 - peer.allowance) / self.per_second))
    }

    /// Counts a wrong key.
    pub(super) fn record_wrong(&self, client: IpAddr, now: Instant) {
        if self.per_second == 0.0 {
            return;
        }
        let mut peers = self.peers.lock();
        if peers.len() >= WRONG_KEY_PEERS_MAX {
            peers.retain(|_, peer| {
                peer.regain(self.per_second, now);
                peer.allowance < WRONG_KEYS_BURST
            });
        }
        // More addresses than that in one burst are a botnet, which no limit by address stops.
        if peers.len() >= WRONG_KEY_PEERS_MAX {
            peers.clear();
        }
        let new_peer = || Peer { allowance: WRONG_KEYS_BURST, counted_at: now, right_keys: Vec::new() };
        let peer = peers.entry(peer_network(client)).or_insert_with(new_peer);
        peer.regain(self.per_second, now);
        peer.allowance = (peer.allowance - 1.0).max(0.0);
        self.has_peers.store(true, Ordering::Relaxed);
    }

    /// Stores a right key of an address that has sent wrong keys.
    pub(super) fn record_right(&self, client: IpAddr, key: KeyDigest) {
        if let Some(peer) = self.peers.lock().get_mut(&peer_network(client))
            && !peer.right_keys.contains(&key)
        {
            peer.right_keys.push(key);
        }
    }
}

impl Peer {
    fn regain(&mut self, per_second: f64, now: Instant) {
        let seconds = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.allowance = (self.allowance + seconds * per_second).min(WRONG_KEYS_BURST);
        self.counted_at = now;
    }
}
