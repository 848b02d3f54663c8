//! The cache in memcached, for several processes.
//!
//! Every call has one short time limit. A server that fails it rests for a second, in which everything is a
//! miss at once; then one call tries it again, so an absent server costs one time limit a second and not one
//! a page. Speaks the meta protocol of memcached 1.6. Never repeats an URL in a message.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use memcache::exp::{AsyncMetaClient, Error as Trouble};
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};

use super::Cache;
use crate::error::{Error, Result};

/// How long one call may take, connecting included.
const CALL_LIMIT: Duration = Duration::from_millis(300);

/// How long a server that failed is left alone.
const REST: Duration = Duration::from_secs(1);

/// What memcached keeps of one value by default is 1 MiB, its own header and the key included.
const VALUE_BYTES_MAX: usize = 1_000_000;

/// The longest key memcached takes, in bytes.
const KEY_BYTES_MAX: usize = 250;

/// What stands before every key.
const PREFIX: &str = "postrider:";

const CONNECTIONS_MAX: usize = 32;
const PORT: u16 = 11_211;

/// A pool of connections to one server, and whether that server is to be asked now.
pub(super) struct Memcached {
    place: String,
    line: Mutex<Line>,
    refused_once: AtomicBool,
    errors: Counter,
}

/// The pool is made again after a failure, so that a server that moved to another address is found.
#[derive(Default)]
struct Line {
    pool: Option<AsyncMetaClient>,
    rests_until: Option<Instant>,
}

impl Memcached {
    /// Reads the URL; connects only when it is first asked.
    pub fn open(url: &str) -> Result<Self> {
        let place = place(url).ok_or_else(|| {
            Error::usage(
                "the cache url cannot be used: it reads memcache://HOST[:PORT], without a password or a path",
            )
        })?;
        Ok(Self {
            place,
            line: Mutex::default(),
            refused_once: AtomicBool::new(false),
            errors: Counter::default(),
        })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, unless the server is away, refuses, or rests.
    async fn ask<T, F>(&self, question: impl FnOnce(AsyncMetaClient) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let pool = self.turn()?;
        let call = async {
            let pool = match pool {
                Some(pool) => pool,
                None => self.resolve().await?,
            };
            question(pool).await
        };
        match timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => {
                self.works();
                Some(answer)
            }
            Ok(Err(refusal @ (Trouble::Server(_) | Trouble::Rejected(_)))) => {
                self.works();
                self.refuses(&refusal);
                None
            }
            Ok(Err(trouble)) => self.fails(&trouble),
            Err(_) => self.fails(&"no answer within the time limit"),
        }
    }

    /// The pool, if there is one; nothing at all while the server rests. The first to come after the rest
    /// is the one that tries, and prolongs the rest for all others until it knows.
    fn turn(&self) -> Option<Option<AsyncMetaClient>> {
        let mut line = self.line();
        if let Some(end) = line.rests_until {
            let now = Instant::now();
            if now < end {
                return None;
            }
            line.rests_until = Some(now + REST);
        }
        Some(line.pool.clone())
    }

    async fn resolve(&self) -> Result<AsyncMetaClient, Trouble> {
        let pool = AsyncMetaClient::builder()
            .connect_timeout(Some(CALL_LIMIT))
            .io_timeout(Some(CALL_LIMIT))
            .max_connections(Some(CONNECTIONS_MAX))
            .max_idle(CONNECTIONS_MAX)
            .connect_async(self.place.as_str())
            .await?;
        self.line().pool = Some(pool.clone());
        Ok(pool)
    }

    fn works(&self) {
        if self.line().rests_until.take().is_some() {
            log::info!("memcached at {} is back", self.place);
        }
    }

    fn fails<T>(&self, trouble: &impl Display) -> Option<T> {
        self.errors.inc();
        let mut line = self.line();
        line.pool = None;
        let known = line.rests_until.replace(Instant::now() + REST).is_some();
        drop(line);
        if !known {
            log::warn!(
                "memcached at {} is away, pages come from the store: {trouble}",
                self.place
            );
        }
        None
    }

    fn refuses(&self, refusal: &impl Display) {
        self.errors.inc();
        if !self.refused_once.swap(true, Ordering::Relaxed) {
            log::warn!(
                "memcached at {} did not keep something, said once: {refusal}",
                self.place
            );
        }
    }
}

#[async_trait]
impl Cache for Memcached {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let key = wire_key(key);
        self.ask(|pool| async move { pool.get(key).send().await })
            .await?
            .value
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let key = wire_key(key);
        if value.len() > VALUE_BYTES_MAX || keep.is_zero() {
            if !keep.is_zero() {
                self.refuses(&format_args!("{} bytes are too many", value.len()));
            }
            // What stood there before is outdated now.
            self.ask(|pool| async move { pool.delete(key).send().await })
                .await;
            return;
        }
        self.ask(|pool| async move { pool.set(key, value).ttl(keep).send().await })
            .await;
    }

    async fn ping(&self) -> bool {
        self.ask(|pool| async move { pool.noop().await }).await.is_some()
    }

    fn errors(&self) -> Counter {
        self.errors.clone()
    }
}

/// The key as memcached takes it: printable, without blanks, not too long.
fn wire_key(key: &str) -> String {
    let plain = key.len() + PREFIX.len() <= KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        return format!("{PREFIX}{key}");
    }
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().fold(format!("{PREFIX}sha256:"), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

/// `HOST:PORT` of a `memcache://HOST[:PORT][/]`.
fn place(url: &str) -> Option<String> {
    let place = url.strip_prefix("memcache://")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains(['/', '?', '#', '@', ' ']) {
        return None;
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (place, PORT),
    };
    let bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    (bare && !host.is_empty()).then(|| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
