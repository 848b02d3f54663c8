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
use postrider_core::error::{Error, Result};

/// How long one call may take, connecting included.
const CALL_TIMEOUT: Duration = Duration::from_millis(300);

/// How long a server that failed is left alone.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What memcached keeps of one value by default is 1 MiB, its own header and the key included.
const VALUE_BYTES_MAX: usize = 1_000_000;

/// The longest key memcached takes, in bytes.
const KEY_BYTES_MAX: usize = 250;

/// What stands before every key.
const KEY_PREFIX: &str = "postrider:";

const CONNECTIONS_MAX: usize = 32;
const DEFAULT_PORT: u16 = 11_211;

/// A pool of connections to one server, and whether that server is to be asked now.
pub(super) struct MemcachedCache {
    address: String,
    server: Mutex<ServerState>,
    is_rejection_logged: AtomicBool,
    errors: Counter,
}

/// The pool is made again after a failure, so that a server that moved to another address is found.
#[derive(Default)]
struct ServerState {
    pool: Option<AsyncMetaClient>,
    retry_at: Option<Instant>,
}

impl MemcachedCache {
    /// Reads the URL; connects only when it is first asked.
    pub fn open(url: &str) -> Result<Self> {
        let place = parse_address(url).ok_or_else(|| {
            Error::usage(
                "the cache url cannot be used: it reads memcache://HOST[:PORT], without a password or a path",
            )
        })?;
        Ok(Self {
            address: place,
            server: Mutex::default(),
            is_rejection_logged: AtomicBool::new(false),
            errors: Counter::default(),
        })
    }

    fn server(&self) -> MutexGuard<'_, ServerState> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, unless the server is away, refuses, or rests.
    async fn request<T, F>(&self, question: impl FnOnce(AsyncMetaClient) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let pool = self.pool_if_due()?;
        let call = async {
            let pool = match pool {
                Some(pool) => pool,
                None => self.connect().await?,
            };
            question(pool).await
        };
        match timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(answer)) => {
                self.mark_reachable();
                Some(answer)
            }
            Ok(Err(refusal @ (Trouble::Server(_) | Trouble::Rejected(_)))) => {
                self.mark_reachable();
                self.log_rejected(&refusal);
                None
            }
            Ok(Err(trouble)) => self.mark_unreachable(&trouble),
            Err(_) => self.mark_unreachable(&"no answer within the time limit"),
        }
    }

    /// The pool, if there is one; nothing at all while the server rests. The first to come after the rest
    /// is the one that tries, and prolongs the rest for all others until it knows.
    fn pool_if_due(&self) -> Option<Option<AsyncMetaClient>> {
        let mut line = self.server();
        if let Some(end) = line.retry_at {
            let now = Instant::now();
            if now < end {
                return None;
            }
            line.retry_at = Some(now + RETRY_INTERVAL);
        }
        Some(line.pool.clone())
    }

    async fn connect(&self) -> Result<AsyncMetaClient, Trouble> {
        let pool = AsyncMetaClient::builder()
            .connect_timeout(Some(CALL_TIMEOUT))
            .io_timeout(Some(CALL_TIMEOUT))
            .max_connections(Some(CONNECTIONS_MAX))
            .max_idle(CONNECTIONS_MAX)
            .connect_async(self.address.as_str())
            .await?;
        self.server().pool = Some(pool.clone());
        Ok(pool)
    }

    fn mark_reachable(&self) {
        if self.server().retry_at.take().is_some() {
            log::info!("memcached at {} is back", self.address);
        }
    }

    fn mark_unreachable<T>(&self, trouble: &impl Display) -> Option<T> {
        self.errors.inc();
        let mut line = self.server();
        line.pool = None;
        let known = line.retry_at.replace(Instant::now() + RETRY_INTERVAL).is_some();
        drop(line);
        if !known {
            log::warn!(
                "memcached at {} is away, pages come from the store: {trouble}",
                self.address
            );
        }
        None
    }

    fn log_rejected(&self, refusal: &impl Display) {
        self.errors.inc();
        if !self.is_rejection_logged.swap(true, Ordering::Relaxed) {
            log::warn!(
                "memcached at {} did not keep something, said once: {refusal}",
                self.address
            );
        }
    }
}

#[async_trait]
impl Cache for MemcachedCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let key = wire_key(key);
        self.request(|pool| async move { pool.get(key).send().await })
            .await?
            .value
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let key = wire_key(key);
        if value.len() > VALUE_BYTES_MAX || keep.is_zero() {
            if !keep.is_zero() {
                self.log_rejected(&format_args!("{} bytes are too many", value.len()));
            }
            // What stood there before is outdated now.
            self.request(|pool| async move { pool.delete(key).send().await })
                .await;
            return;
        }
        self.request(|pool| async move { pool.set(key, value).ttl(keep).send().await })
            .await;
    }

    async fn ping(&self) -> bool {
        self.request(|pool| async move { pool.noop().await })
            .await
            .is_some()
    }

    fn errors(&self) -> Counter {
        self.errors.clone()
    }
}

/// The key as memcached takes it: printable, without blanks, not too long.
fn wire_key(key: &str) -> String {
    let plain =
        key.len() + KEY_PREFIX.len() <= KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        return format!("{KEY_PREFIX}{key}");
    }
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().fold(format!("{KEY_PREFIX}sha256:"), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

/// `HOST:PORT` of a `memcache://HOST[:PORT][/]`.
fn parse_address(url: &str) -> Option<String> {
    let place = url.strip_prefix("memcache://")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains(['/', '?', '#', '@', ' ']) {
        return None;
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (place, DEFAULT_PORT),
    };
    let bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    (bare && !host.is_empty()).then(|| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
