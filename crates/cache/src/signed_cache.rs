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
    pending: Mutex<PendingGets>,
}

type CachedValue = Option<Arc<[u8]>>;
type GetReceiver = watch::Receiver<Option<CachedValue>>;
type PendingGets = HashMap<String, GetReceiver>;

/// A read of the backend for which other readers of the key wait. After it is dropped, finished or not, the next reader
/// starts a new one.
struct PendingGet<'a> {
    cache: &'a SignedCache,
    key: &'a str,
    sender: watch::Sender<Option<CachedValue>>,
}

enum GetRole<'a> {
    /// Reads the backend for all readers of the key.
    Leader(PendingGet<'a>),
    /// Waits for the value that the leader reads.
    Follower(GetReceiver),
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

    fn join_get<'a>(&'a self, key: &'a str) -> GetRole<'a> {
        let mut pending = self.pending.lock();
        if let Some(receiver) = pending.get(key) {
            return GetRole::Follower(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        pending.insert(key.to_owned(), receiver);
        GetRole::Leader(PendingGet { cache: self, key, sender })
    }

    async fn fetch(&self, get: PendingGet<'_>) -> CachedValue {
        let entry = self.backend.get(get.key).await;
        let value = entry.as_ref().and_then(|entry| self.verified(get.key, entry));
        if entry.is_some() && value.is_none() {
            log::debug!("cache: entry with an invalid signature ignored: key={}", get.key);
        }
        get.sender.send_replace(Some(value.clone()));
        value
    }
}

/// Returns the purpose of the signature for a key. The prefix prevents the use of cache entries as cookies or tokens.
fn purpose(key: &str) -> String {
    format!("cache:{key}")
}

impl Drop for PendingGet<'_> {
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
                GetRole::Leader(get) => return self.fetch(get).await.map(|value| value.to_vec()),
                GetRole::Follower(receiver) => receiver,
            };
            // An error means that the leader was cancelled. The next turn of the loop makes another reader the leader.
            if let Ok(value) = receiver.wait_for(Option::is_some).await {
                return value.clone().flatten().map(|value| value.to_vec());
            }
        }
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let mut entry = Vec::with_capacity(SIGNATURE_BYTES + value.len());
        entry.extend_from_slice(&self.secret.sign(&purpose(key), value));
        entry.extend_from_slice(value);
        self.backend.set(key, &entry, keep).await;
        // A read that begins after this point must not get the result of a read that began before the value was set.
        self.pending.lock().remove(key);
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
