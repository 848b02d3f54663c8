//! The seal around every cache: what does not open with the store's own secret counts as not there.
//!
//! So garbage, an answer to another key, or another gateway's value can never be shown. Also lets all who
//! ask for the same key at the same time share one question. Nothing here outlives its callers: who started
//! a question and gave up leaves it to the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use prometheus_client::metrics::counter::Counter;
use sha2::Sha256;
use tokio::sync::watch;

use super::Cache;

/// How many bytes of a sealed value are the seal.
const SIGNATURE_BYTES: usize = 32;

/// A cache that believes only what it sealed itself.
pub struct SignedCache {
    cache: Arc<dyn Cache>,
    hmac: Hmac<Sha256>,
    pending: Mutex<HashMap<String, watch::Receiver<Option<CachedValue>>>>,
}

type CachedValue = Option<Arc<[u8]>>;

/// A question under way. When it is dropped, answered or not, the next to come asks anew.
struct PendingGet<'a> {
    cache: &'a SignedCache,
    key: &'a str,
    sender: watch::Sender<Option<CachedValue>>,
}

/// One asks, the others listen.
enum GetRole<'a> {
    Leader(PendingGet<'a>),
    Follower(watch::Receiver<Option<CachedValue>>),
}

impl SignedCache {
    /// Seals what goes into the cache with the store's secret.
    pub fn new(cache: Arc<dyn Cache>, secret: [u8; 32]) -> Self {
        // HMAC fills a short key up with zeros to the block of its hash; done here, no length can be wrong.
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(&secret);
        Self {
            cache,
            hmac: Hmac::new(&block.into()),
            pending: Mutex::default(),
        }
    }

    /// A proof that only processes on the same store can make, for something that leaves the house and comes back. No
    /// value in the cache is one.
    pub fn sign(&self, purpose: &str, content: &[u8]) -> Vec<u8> {
        self.mac(&format!("proof:{purpose}"), content)
            .finalize()
            .into_bytes()
            .to_vec()
    }

    /// Whether that is the proof; compared in constant time.
    pub fn verify(&self, purpose: &str, content: &[u8], proof: &[u8]) -> bool {
        let mac = self.mac(&format!("proof:{purpose}"), content);
        mac.verify_slice(proof).is_ok()
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<CachedValue>>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key's length goes first, so that no end of a key can pass for the beginning of a value.
    fn mac(&self, key: &str, value: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.hmac.clone();
        mac.update(&(key.len() as u64).to_be_bytes());
        mac.update(key.as_bytes());
        mac.update(value);
        mac
    }

    fn verify_entry(&self, key: &str, kept: &[u8]) -> CachedValue {
        let (seal, value) = kept.split_at_checked(SIGNATURE_BYTES)?;
        self.mac(key, value).verify_slice(seal).ok()?;
        Some(value.into())
    }

    fn join_get<'a>(&'a self, key: &'a str) -> GetRole<'a> {
        let mut asked = self.pending();
        if let Some(answer) = asked.get(key) {
            return GetRole::Follower(answer.clone());
        }
        let (sender, receiver) = watch::channel(None);
        asked.insert(key.to_owned(), receiver);
        GetRole::Leader(PendingGet {
            cache: self,
            key,
            sender,
        })
    }

    async fn fetch(&self, question: PendingGet<'_>) -> CachedValue {
        let kept = self.cache.get(question.key).await;
        let answer = kept
            .as_ref()
            .and_then(|kept| self.verify_entry(question.key, kept));
        if kept.is_some() && answer.is_none() {
            log::debug!("what the cache holds under `{}` is not ours", question.key);
        }
        question.sender.send_replace(Some(answer.clone()));
        answer
    }
}

impl Drop for PendingGet<'_> {
    fn drop(&mut self) {
        let mut asked = self.cache.pending();
        let mine = asked
            .get(self.key)
            .is_some_and(|answer| answer.same_channel(&self.sender.subscribe()));
        if mine {
            asked.remove(self.key);
        }
    }
}

#[async_trait]
impl Cache for SignedCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        loop {
            let mut answer = match self.join_get(key) {
                GetRole::Leader(question) => return self.fetch(question).await.map(|value| value.to_vec()),
                GetRole::Follower(answer) => answer,
            };
            // An error says that whoever asked has given up; then somebody asks again.
            if let Ok(answer) = answer.wait_for(Option::is_some).await {
                return answer.clone().flatten().map(|value| value.to_vec());
            }
        }
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let mut kept = Vec::with_capacity(SIGNATURE_BYTES + value.len());
        kept.extend_from_slice(&self.mac(key, value).finalize().into_bytes());
        kept.extend_from_slice(value);
        self.cache.set(key, &kept, keep).await;
        // Who asks from now on must not be told what a question from before found.
        self.pending().remove(key);
    }

    fn errors(&self) -> Counter {
        self.cache.errors()
    }

    async fn ping(&self) -> bool {
        self.cache.ping().await
    }
}

#[cfg(test)]
mod tests;
