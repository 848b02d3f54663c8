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
const SEAL_BYTES: usize = 32;

/// A cache that believes only what it sealed itself.
pub struct Sealed {
    cache: Arc<dyn Cache>,
    seal: Hmac<Sha256>,
    asked: Mutex<HashMap<String, watch::Receiver<Option<Answer>>>>,
}

type Answer = Option<Arc<[u8]>>;

/// A question under way. When it is dropped, answered or not, the next to come asks anew.
struct Question<'a> {
    sealed: &'a Sealed,
    key: &'a str,
    answer: watch::Sender<Option<Answer>>,
}

/// One asks, the others listen.
enum Part<'a> {
    Ask(Question<'a>),
    Listen(watch::Receiver<Option<Answer>>),
}

impl Sealed {
    /// Seals what goes into the cache with the store's secret.
    pub fn new(cache: Arc<dyn Cache>, secret: [u8; 32]) -> Self {
        // HMAC fills a short key up with zeros to the block of its hash; done here, no length can be wrong.
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(&secret);
        Self {
            cache,
            seal: Hmac::new(&block.into()),
            asked: Mutex::default(),
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Answer>>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key's length goes first, so that no end of a key can pass for the beginning of a value.
    fn mac(&self, key: &str, value: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.seal.clone();
        mac.update(&(key.len() as u64).to_be_bytes());
        mac.update(key.as_bytes());
        mac.update(value);
        mac
    }

    fn opened(&self, key: &str, kept: &[u8]) -> Answer {
        let (seal, value) = kept.split_at_checked(SEAL_BYTES)?;
        self.mac(key, value).verify_slice(seal).ok()?;
        Some(value.into())
    }

    fn part<'a>(&'a self, key: &'a str) -> Part<'a> {
        let mut asked = self.asked();
        if let Some(answer) = asked.get(key) {
            return Part::Listen(answer.clone());
        }
        let (sender, receiver) = watch::channel(None);
        asked.insert(key.to_owned(), receiver);
        Part::Ask(Question {
            sealed: self,
            key,
            answer: sender,
        })
    }

    async fn ask(&self, question: Question<'_>) -> Answer {
        let kept = self.cache.get(question.key).await;
        let answer = kept.as_ref().and_then(|kept| self.opened(question.key, kept));
        if kept.is_some() && answer.is_none() {
            log::debug!("what the cache holds under `{}` is not ours", question.key);
        }
        question.answer.send_replace(Some(answer.clone()));
        answer
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut asked = self.sealed.asked();
        let mine = asked
            .get(self.key)
            .is_some_and(|answer| answer.same_channel(&self.answer.subscribe()));
        if mine {
            asked.remove(self.key);
        }
    }
}

#[async_trait]
impl Cache for Sealed {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        loop {
            let mut answer = match self.part(key) {
                Part::Ask(question) => return self.ask(question).await.map(|value| value.to_vec()),
                Part::Listen(answer) => answer,
            };
            // An error says that whoever asked has given up; then somebody asks again.
            if let Ok(answer) = answer.wait_for(Option::is_some).await {
                return answer.clone().flatten().map(|value| value.to_vec());
            }
        }
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let mut kept = Vec::with_capacity(SEAL_BYTES + value.len());
        kept.extend_from_slice(&self.mac(key, value).finalize().into_bytes());
        kept.extend_from_slice(value);
        self.cache.set(key, &kept, keep).await;
        // Who asks from now on must not be told what a question from before found.
        self.asked().remove(key);
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
