//! The cache in memcached, for several processes.
//!
//! Every call has one short time limit. After a failure all calls miss at once for [`CACHE_RETRY_INTERVAL`]; then one call
//! tries the server again, so that an unreachable server costs one time limit a second and not one for each page.
//! Uses the meta protocol of memcached 1.6. Messages never contain the URL, which may hold a password.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use memcache::exp::{AsyncMetaClient, Error as MemcacheError};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::cache::Cache;
use postrider_core::error::{Error, Result};

/// Time limit of one call, connecting included.
const CACHE_CALL_TIMEOUT: Duration = Duration::from_millis(300);

/// Time without calls after a failure.
const CACHE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Largest value, in bytes. The default limit of memcached is 1 MiB, which includes its own header and the key.
const VALUE_BYTES_MAX: usize = 1_000_000;

/// Longest key that memcached accepts, in bytes.
const KEY_BYTES_MAX: usize = 250;

/// Prefix of every key.
const CACHE_KEY_PREFIX: &str = "postrider:";

const CONNECTIONS_MAX: usize = 32;
const MEMCACHED_PORT: u16 = 11_211;

/// A pool of connections to one memcached server.
pub(super) struct MemcachedCache {
    address: String,
    server: Mutex<ServerState>,
    is_rejection_logged: AtomicBool,
    errors: Counter,
}

/// The connection pool and the earliest time of the next call. A failure drops the pool. The next pool resolves the
/// host again, so that it finds a server that has moved.
#[derive(Default)]
struct ServerState {
    pool: Option<AsyncMetaClient>,
    retry_at: Option<Instant>,
}

impl MemcachedCache {
    /// Parses the URL. The first call connects.
    pub fn open(url: &str) -> Result<Self> {
        let address = parse_address(url).ok_or_else(|| {
            Error::usage("invalid cache url: expected memcache://HOST[:PORT] without a password or a path")
        })?;
        Ok(Self {
            address,
            server: Mutex::default(),
            is_rejection_logged: AtomicBool::new(false),
            errors: Counter::default(),
        })
    }

    /// Runs one command. Returns none if the server is unreachable, rejects the command, or may not be contacted yet.
    async fn request<T, F>(&self, command: impl FnOnce(AsyncMetaClient) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, MemcacheError>>,
    {
        let pool = self.pool_if_due()?;
        let pool_call = async {
            let pool = match pool {
                Some(pool) => pool,
                None => self.connect().await?,
            };
            command(pool).await
        };
        match timeout(CACHE_CALL_TIMEOUT, pool_call).await {
            Ok(Ok(response)) => {
                self.mark_reachable();
                Some(response)
            }
            Ok(Err(error @ (MemcacheError::Server(_) | MemcacheError::Rejected(_)))) => {
                self.mark_reachable();
                self.log_rejected(&error);
                None
            }
            Ok(Err(error)) => self.mark_unreachable(&error),
            Err(_) => self.mark_unreachable(&"no answer within the time limit"),
        }
    }

    /// Returns the pool, if there is one; none while the server is not to be called. The first call after
    /// [`CACHE_RETRY_INTERVAL`] tries the server; until that call has ended, all other calls miss.
    fn pool_if_due(&self) -> Option<Option<AsyncMetaClient>> {
        let mut server = self.server.lock();
        if let Some(retry_at) = server.retry_at {
            let now = Instant::now();
            if now < retry_at {
                return None;
            }
            server.retry_at = Some(now + CACHE_RETRY_INTERVAL);
        }
        Some(server.pool.clone())
    }

    async fn connect(&self) -> Result<AsyncMetaClient, MemcacheError> {
        let pool = AsyncMetaClient::builder()
            .connect_timeout(Some(CACHE_CALL_TIMEOUT))
            .io_timeout(Some(CACHE_CALL_TIMEOUT))
            .max_connections(Some(CONNECTIONS_MAX))
            .max_idle(CONNECTIONS_MAX)
            .connect_async(self.address.as_str())
            .await?;
        self.server.lock().pool = Some(pool.clone());
        Ok(pool)
    }

    fn mark_reachable(&self) {
        if self.server.lock().retry_at.take().is_some() {
            log::info!("memcached: reachable again: server={}", self.address);
        }
    }

    fn mark_unreachable<T>(&self, error: &impl Display) -> Option<T> {
        self.errors.inc();
        let mut server = self.server.lock();
        server.pool = None;
        let was_unreachable = server.retry_at.replace(Instant::now() + CACHE_RETRY_INTERVAL).is_some();
        drop(server);
        if !was_unreachable {
            log::warn!("memcached: unreachable; reading from the store: server={}: {error}", self.address);
        }
        None
    }

    fn log_rejected(&self, error: &impl Display) {
        self.errors.inc();
        if !self.is_rejection_logged.swap(true, Ordering::Relaxed) {
            log::warn!("memcached: value rejected (logged once): server={}: {error}", self.address);
        }
    }
}

#[async_trait]
impl Cache for MemcachedCache {
    async fn get(&self, cache_key: &str) -> Option<Vec<u8>> {
        let cache_key = wire_key(cache_key);
        self.request(|pool| async move { pool.get(cache_key).send().await }).await?.value
    }

    async fn set(&self, cache_key: &str, cached_value: &[u8], keep: Duration) {
        let cache_key = wire_key(cache_key);
        if cached_value.len() > VALUE_BYTES_MAX || keep.is_zero() {
            if !keep.is_zero() {
                self.log_rejected(&format_args!("value too large: bytes={}", cached_value.len()));
            }
            // The old value is outdated.
            self.request(|pool| async move { pool.delete(cache_key).send().await }).await;
            return;
        }
        self.request(|pool| async move { pool.set(cache_key, cached_value).ttl(keep).send().await }).await;
    }

    async fn ping(&self) -> bool {
        self.request(|pool| async move { pool.noop().await }).await.is_some()
    }

    fn errors(&self) -> Counter {
        self.errors.clone()
    }
}

/// Returns the key if memcached accepts it (printable, without blanks, not too long), otherwise the digest of the key.
fn wire_key(cache_key: &str) -> String {
    let is_plain = cache_key.len() + CACHE_KEY_PREFIX.len() <= KEY_BYTES_MAX
        && cache_key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain {
        return format!("{CACHE_KEY_PREFIX}{cache_key}");
    }
    format!("{CACHE_KEY_PREFIX}sha256:{}", HEXLOWER.encode(&Sha256::digest(cache_key.as_bytes())))
}

/// Returns `HOST:PORT` of a `memcache://HOST[:PORT][/]`.
fn parse_address(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "memcache")?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let address = format!("{host}:{}", url.port().unwrap_or(MEMCACHED_PORT));
    let has_only_address = url.authority() == host || url.authority() == address;
    let has_only_authority =
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    (has_only_address && has_only_authority).then_some(address)
}

#[cfg(test)]
mod tests;
