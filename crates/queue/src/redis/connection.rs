//! One connection to Redis that reconnects automatically.
//!
//! A background task connects, subscribes to the notification channel, and connects again with back-off when the
//! connection is lost or an answer takes too long. Callers do not connect by themselves. A call takes at most one
//! command timeout, and fails at once while Redis is unreachable. If Redis rejects a command (for example because its
//! memory is full), the connection is kept. The start and the end of an outage are logged once each.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, RedisResult};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::discovery::{COMMAND_TIMEOUT, NO_ANSWER, find_server};
use super::url::RedisUrl;
use postrider_core::clock::sleep;

/// Shortest and longest delay between two connection attempts.
const RECONNECT_DELAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Lifetime of a connection after which the next delay is short again. A shorter lifetime means that Redis accepts
/// connections and closes them, so the delay keeps growing.
const CONNECTION_STABLE_AFTER: Duration = Duration::from_secs(5);

/// Codes of errors that a new connection would not solve: memory full, snapshot or replicas failed, permission missing,
/// another script is running.
const REJECTION_CODES: [&str; 5] = ["OOM", "MISCONF", "NOREPLICAS", "NOPERM", "BUSY"];

/// Minimum time between two log lines about rejected commands.
const REJECTION_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The reason why a command has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestError {
    /// Redis is unreachable.
    Disconnected,
    /// Redis rejected the command.
    Rejected,
}

#[derive(Clone)]
enum RedisConnectionState {
    Connecting,
    Connected { generation: u64, connection: MultiplexedConnection },
    Disconnected,
}

/// The connection and its present state.
pub(super) struct RedisConnection {
    url: RedisUrl,
    /// A key of the queue. In a cluster, the server to connect to is the owner of this key's slot.
    key: String,
    notify_channel: String,
    server: String,
    state: watch::Sender<RedisConnectionState>,
    /// Notified for each message on the notification channel, and for each new connection.
    pub notify: Arc<Notify>,
    is_disconnected: AtomicBool,
    rejection_logged_at: Mutex<Option<Instant>>,
    /// Time and code of the last rejected command.
    last_rejection: Mutex<Option<(Instant, String)>>,
    /// Failed connections, lost connections and rejected commands.
    pub errors: Counter,
}

impl RedisConnection {
    /// Returns a connection that is not connected yet; [`run`](Self::run) connects.
    pub fn new(url: RedisUrl, key: String, notify_channel: String) -> Self {
        Self {
            server: url.hosts_text(),
            url,
            key,
            notify_channel,
            state: watch::Sender::new(RedisConnectionState::Connecting),
            notify: Arc::new(Notify::new()),
            is_disconnected: AtomicBool::new(false),
            rejection_logged_at: Mutex::default(),
            last_rejection: Mutex::default(),
            errors: Counter::default(),
        }
    }

    /// Connects, and connects again after each loss, until the task is aborted.
    pub async fn run(self: Arc<Self>) {
        let mut delay = RECONNECT_DELAY.0;
        for generation in 0.. {
            match self.connect(generation).await {
                Ok(connection) => {
                    self.state.send_replace(RedisConnectionState::Connected { generation, connection });
                    self.notify.notify_one();
                    let connected_at = Instant::now();
                    self.wait_for_state(|state| matches!(state, RedisConnectionState::Disconnected)).await;
                    if connected_at.elapsed() > CONNECTION_STABLE_AFTER {
                        delay = RECONNECT_DELAY.0;
                    }
                }
                Err(error) => {
                    self.state.send_replace(RedisConnectionState::Disconnected);
                    self.log_disconnected(&error);
                }
            }
            sleep(delay).await;
            delay = (delay * 2).min(RECONNECT_DELAY.1);
        }
    }

    /// Returns when the first connection attempt has succeeded or failed.
    pub async fn wait_first_attempt(&self) {
        self.wait_for_state(|state| !matches!(state, RedisConnectionState::Connecting)).await;
    }

    /// Returns when the connection is established.
    pub async fn wait_connected(&self) {
        self.wait_for_state(|state| matches!(state, RedisConnectionState::Connected { .. })).await;
    }

    /// Runs one command. A command that exceeds [`COMMAND_TIMEOUT`] ends the connection.
    pub async fn request<T, F>(
        &self,
        command: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, RequestError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let RedisConnectionState::Connected { generation, connection } = self.state.borrow().clone() else {
            return Err(RequestError::Disconnected);
        };
        match timeout(COMMAND_TIMEOUT, command(connection)).await {
            Ok(Ok(answer)) => {
                self.log_reconnected();
                return Ok(answer);
            }
            Ok(Err(error)) if is_rejection(&error) => {
                self.log_rejected(&error);
                return Err(RequestError::Rejected);
            }
            Ok(Err(error)) => self.disconnect(generation, &error),
            Err(_) => self.disconnect(generation, &NO_ANSWER),
        }
        Err(RequestError::Disconnected)
    }

    async fn connect(self: &Arc<Self>, generation: u64) -> Result<MultiplexedConnection, String> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND_TIMEOUT))
            .set_response_timeout(Some(COMMAND_TIMEOUT))
            .set_push_sender(self.push_listener(generation));
        let client = find_server(&self.url, &self.key).await?;
        let attempt = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&settings).await?;
            match connection.subscribe(&self.notify_channel).await {
                Err(error) if error.code() == Some("NOPERM") => {
                    log::warn!(
                        "redis: missing permission to subscribe; new work is noticed late; \
                         grant it with `ACL SETUSER <user> &{}`: server={}",
                        self.notify_channel,
                        self.server
                    );
                }
                answer => answer?,
            }
            Ok::<_, redis::RedisError>(connection)
        };
        match timeout(COMMAND_TIMEOUT * 2, attempt).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(NO_ANSWER.to_owned()),
        }
    }

    /// Returns the listener of one connection. It passes on notifications, and reports the end of the connection.
    fn push_listener(
        self: &Arc<Self>,
        generation: u64,
    ) -> impl Fn(PushInfo) -> Result<(), &'static str> + Send + Sync + 'static {
        let notify = Arc::clone(&self.notify);
        let connection = Arc::downgrade(self);
        move |push| {
            match push.kind {
                PushKind::Message => notify.notify_one(),
                PushKind::Disconnection => {
                    if let Some(connection) = connection.upgrade() {
                        connection.disconnect(generation, &"the connection was closed");
                    }
                }
                _ => {}
            }
            Ok(())
        }
    }

    /// Drops the connection with the generation `lost_generation`. Does nothing if there is a newer connection.
    fn disconnect(&self, lost_generation: u64, error: &impl Display) {
        let is_dropped = self.state.send_if_modified(|state| {
            let is_current = matches!(state, RedisConnectionState::Connected { generation, .. }
                if *generation == lost_generation);
            if is_current {
                *state = RedisConnectionState::Disconnected;
            }
            is_current
        });
        if is_dropped {
            self.log_disconnected(error);
        }
    }

    fn log_disconnected(&self, error: &impl Display) {
        self.errors.inc();
        if !self.is_disconnected.swap(true, Ordering::Relaxed) {
            log::warn!("redis: unreachable; using the store instead: server={}: {error}", self.server);
        }
    }

    fn log_rejected(&self, error: &RedisError) {
        self.errors.inc();
        let code = error.code().unwrap_or("OOM").to_owned();
        *self.last_rejection.lock() = Some((Instant::now(), code));
        let mut logged_at = self.rejection_logged_at.lock();
        if logged_at.is_none_or(|at| at.elapsed() >= REJECTION_LOG_INTERVAL) {
            *logged_at = Some(Instant::now());
            log::warn!("redis: command rejected; using the store instead: server={}: {error}", self.server);
        }
    }

    /// Returns the code of the last rejected command, if it was rejected within [`REJECTION_LOG_INTERVAL`].
    pub fn recent_rejection(&self) -> Option<String> {
        let last = self.last_rejection.lock();
        last.as_ref().filter(|(at, _)| at.elapsed() < REJECTION_LOG_INTERVAL).map(|(_, code)| code.clone())
    }

    fn log_reconnected(&self) {
        if self.is_disconnected.swap(false, Ordering::Relaxed) {
            log::info!("redis: reachable again: server={}", self.server);
        }
    }

    async fn wait_for_state(&self, holds: impl FnMut(&RedisConnectionState) -> bool) {
        // An error would mean that the sender was dropped, but `self` owns it.
        let mut state = self.state.subscribe();
        let _reached = state.wait_for(holds).await;
    }
}

/// Returns whether Redis rejected the command, so that the connection still works. Before Redis 7.0, the error of a
/// script has no code of its own; the code of the failed command is only in its text.
pub(super) fn is_rejection(error: &RedisError) -> bool {
    error.code().is_some_and(|code| REJECTION_CODES.contains(&code))
        || error.to_string().contains("OOM command not allowed")
}
