//! A cache that returns only values which a process on the same store has set.
//!
//! Every value is signed with the store's secret together with its key. A value whose signature does not match is a
//! miss: damaged data, the value of another key, or the value of another gateway. Concurrent reads of one key share one
//! read of the backend.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::store_secret::{SIGNATURE_BYTES, StoreSecret};

/// Signs values before they enter the backend and verifies them when they are read.
pub struct SignedCache {
    backend: Arc<dyn Cache>,
    secret: StoreSecret,
    pending: Mutex<PendingCacheGets>,
}

type CachedValue = Option<Arc<[u8]>>;
type CacheGetReceiver = watch::Receiver<Option<CachedValue>>;
type PendingCacheGets = HashMap<String, CacheGetReceiver>;

/// A read of the backend that other readers of the key wait for. Dropping it, finished or not, lets the next reader
/// start another one.
struct PendingCacheGet<'a> {
    cache: &'a SignedCache,
    key: &'a str,
    sender: watch::Sender<Option<CachedValue>>,
}

enum CacheGetRole<'a> {
    /// Reads the backend for all readers of the key.
    Leader(PendingCacheGet<'a>),
    /// Waits for the value that the leader reads.
    Follower(CacheGetReceiver),
}

impl SignedCache {
    /// Wraps `backend` and signs its values with `secret`.
    pub fn new(backend: Arc<dyn Cache>, secret: StoreSecret) -> Self {
        Self { backend, secret, pending: Mutex::default() }
    }

    fn verified(&self, key: &str, entry: &[u8]) -> CachedValue {
        let (signature, value) = entry.split_at_checked(SIGNATURE_BYTES)?;
        self.secret.verify(&purpose(key), value, signature).then(|| value.into())
    }

    fn join_get<'a>(&'a self, cache_key: &'a str) -> CacheGetRole<'a> {
        let mut pending = self.pending.lock();
        if let Some(receiver) = pending.get(cache_key) {
            return CacheGetRole::Follower(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        pending.insert(cache_key.to_owned(), receiver);
        CacheGetRole::Leader(PendingCacheGet { cache: self, key: cache_key, sender })
    }

    async fn fetch(&self, get: PendingCacheGet<'_>) -> CachedValue {
        let signed_entry = self.backend.get(get.key).await;
        let verified_value =
            signed_entry.as_ref().and_then(|signed_entry| self.verified(get.key, signed_entry));
        if signed_entry.is_some() && verified_value.is_none() {
            log::debug!("cache: entry with an invalid signature ignored: key={}", get.key);
        }
        get.sender.send_replace(Some(verified_value.clone()));
        verified_value
    }
}

/// Returns the purpose of the signature for a key. The prefix prevents the use of cache entries as cookies or tokens.
fn purpose(key: &str) -> String {
    format!("cache:{key}")
}

impl Drop for PendingCacheGet<'_> {
    fn drop(&mut self) {
        let mut pending = self.cache.pending.lock();
        let is_current =
            pending.get(self.key).is_some_and(|receiver| receiver.same_channel(&self.sender.subscribe()));
        if is_current {
            pending.remove(self.key);
        }
    }
}

#[async_trait]
impl Cache for SignedCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        loop {
            let mut receiver = match self.join_get(key) {
                CacheGetRole::Leader(get) => {
                    return self.fetch(get).await.map(|cached_value| cached_value.to_vec());
                }
                CacheGetRole::Follower(receiver) => receiver,
            };
            // An error means that the leader was cancelled; the next turn of the loop elects another one.
            if let Ok(cached_value) = receiver.wait_for(Option::is_some).await {
                return cached_value.clone().flatten().map(|cached_value| cached_value.to_vec());
            }
        }
    }

    async fn set(&self, cache_key: &str, cached_value: &[u8], keep: Duration) {
        let mut signed_entry = Vec::with_capacity(SIGNATURE_BYTES + cached_value.len());
        signed_entry.extend_from_slice(&self.secret.sign(&purpose(cache_key), cached_value));
        signed_entry.extend_from_slice(cached_value);
        self.backend.set(cache_key, &signed_entry, keep).await;
        // A read that begins from now on must not share the result of a read that began before the value was set.
        self.pending.lock().remove(cache_key);
    }

    fn errors(&self) -> Counter {
        self.backend.errors()
    }

    async fn ping(&self) -> bool {
        self.backend.ping().await
    }
}

#[cfg(test)]
mod tests;
