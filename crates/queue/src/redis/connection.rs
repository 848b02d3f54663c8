//! One connection to Redis that mends itself: a task of its own connects, subscribes to the bell, and
//! connects again with back-off when the connection is lost or an answer takes too long.
//!
//! Says once when Redis goes and once when it is back, never per call. Callers never connect and never wait
//! for more than one command's time limit; while Redis is away they learn so at once. A Redis that answers, but refuses
//! what it is asked (its memory is full), keeps its connection.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, RedisResult};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::url::RedisUrl;
use postrider_core::clock::sleep;

/// How long one command, and one attempt to connect, may take before Redis counts as away.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// The rest between two attempts to connect grows from the first to the second.
const RECONNECT_DELAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A connection that lasted this long is followed by a short rest; a shorter one shows that Redis answers
/// but refuses, so that the rest goes on growing.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// What a server refuses and would refuse as well over another connection: its memory is full, it cannot write its
/// snapshot or reach its replicas, the user may not do that, another's script runs.
const REJECTION_CODES: [&str; 5] = ["OOM", "MISCONF", "NOREPLICAS", "NOPERM", "BUSY"];

/// How often a refusal is worth a word.
const REJECTION_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestError {
    /// Redis is away.
    Disconnected,
    /// Redis is there and refuses.
    Rejected,
}

#[derive(Clone)]
enum RedisConnectionState {
    Connecting,
    Connected {
        generation: u64,
        connection: MultiplexedConnection,
    },
    Disconnected,
}

/// The connection as it stands now.
pub(super) struct RedisConnection {
    url: RedisUrl,
    /// One of our names, by which a cluster knows whose they are.
    key: String,
    notify_channel: String,
    server: String,
    state: watch::Sender<RedisConnectionState>,
    notify: Arc<Notify>,
    is_disconnected: AtomicBool,
    rejection_logged_at: Mutex<Option<Instant>>,
    errors: Counter,
}

impl RedisConnection {
    /// A link that is not connected yet; [`keep`](Self::keep) does that.
    pub fn new(address: RedisUrl, key: String, channel: String) -> Self {
        Self {
            server: address.hosts_text(),
            url: address,
            key,
            notify_channel: channel,
            state: watch::Sender::new(RedisConnectionState::Connecting),
            notify: Arc::new(Notify::new()),
            is_disconnected: AtomicBool::new(false),
            rejection_logged_at: Mutex::default(),
            errors: Counter::default(),
        }
    }

    /// Counts every time that it could not be reached, was lost, or refused something.
    pub fn errors(&self) -> Counter {
        self.errors.clone()
    }

    /// Connects for as long as the task lives.
    pub async fn run(self: Arc<Self>) {
        let mut rest = RECONNECT_DELAY.0;
        for number in 0.. {
            match self.connect(number).await {
                Ok(connection) => {
                    self.state.send_replace(RedisConnectionState::Connected {
                        generation: number,
                        connection,
                    });
                    self.notify.notify_one();
                    let began = Instant::now();
                    self.wait_for_state(|standing| matches!(standing, RedisConnectionState::Disconnected))
                        .await;
                    if began.elapsed() > STABLE_AFTER {
                        rest = RECONNECT_DELAY.0;
                    }
                }
                Err(trouble) => {
                    self.state.send_replace(RedisConnectionState::Disconnected);
                    self.log_disconnected(&trouble);
                }
            }
            sleep(rest).await;
            rest = (rest * 2).min(RECONNECT_DELAY.1);
        }
    }

    /// Returns when the first attempt to connect has ended, however it did.
    pub async fn wait_first_attempt(&self) {
        self.wait_for_state(|standing| !matches!(standing, RedisConnectionState::Connecting))
            .await;
    }

    /// Returns when Redis can be asked.
    pub async fn wait_connected(&self) {
        self.wait_for_state(|standing| matches!(standing, RedisConnectionState::Connected { .. }))
            .await;
    }

    /// Returns when the bell has rung since it was last heard, or the connection is new.
    pub async fn wait_notified(&self) {
        self.notify.notified().await;
    }

    /// Passes a ring on to another one who waits in this process.
    pub fn notify_one(&self) {
        self.notify.notify_one();
    }

    /// The answer, unless Redis is away, refuses, or is too slow, which makes it away.
    pub async fn request<T, F>(
        &self,
        question: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, RequestError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let RedisConnectionState::Connected {
            generation: number,
            connection,
        } = self.state.borrow().clone()
        else {
            return Err(RequestError::Disconnected);
        };
        match timeout(COMMAND_TIMEOUT, question(connection)).await {
            Ok(Ok(answer)) => {
                self.log_reconnected();
                return Ok(answer);
            }
            Ok(Err(refusal)) if is_rejection(&refusal) => {
                self.log_rejected(&refusal);
                return Err(RequestError::Rejected);
            }
            Ok(Err(trouble)) => self.disconnect(number, &trouble),
            Err(_) => self.disconnect(number, &"no answer within the time limit"),
        }
        Err(RequestError::Disconnected)
    }

    async fn connect(self: &Arc<Self>, number: u64) -> Result<MultiplexedConnection, String> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND_TIMEOUT))
            .set_response_timeout(Some(COMMAND_TIMEOUT))
            .set_push_sender(self.push_listener(number));
        let client = self.url.find_server(&self.key).await?;
        let attempt = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&settings)
                .await?;
            match connection.subscribe(&self.notify_channel).await {
                Err(refusal) if refusal.code() == Some("NOPERM") => {
                    log::warn!(
                        "redis at {}: new work is noticed late, because the user may not use the channel: \
                         grant it with `ACL SETUSER <user> &{}`",
                        self.server,
                        self.notify_channel
                    );
                }
                answer => answer?,
            }
            Ok::<_, redis::RedisError>(connection)
        };
        match timeout(COMMAND_TIMEOUT * 2, attempt).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(trouble)) => Err(trouble.to_string()),
            Err(_) => Err("no answer within the time limit".into()),
        }
    }

    /// Hears the bell, and hears at once when this connection ends.
    fn push_listener(
        self: &Arc<Self>,
        number: u64,
    ) -> impl Fn(PushInfo) -> Result<(), &'static str> + Send + Sync + 'static {
        let bell = Arc::clone(&self.notify);
        let link = Arc::downgrade(self);
        move |push| {
            match push.kind {
                PushKind::Message => bell.notify_one(),
                PushKind::Disconnection => {
                    if let Some(link) = link.upgrade() {
                        link.disconnect(number, &"the connection was closed");
                    }
                }
                _ => {}
            }
            Ok(())
        }
    }

    /// Gives up this very connection; a newer one stays.
    fn disconnect(&self, lost: u64, trouble: &impl Display) {
        let gave_up = self.state.send_if_modified(|standing| {
            let same =
                matches!(standing, RedisConnectionState::Connected { generation, .. } if *generation == lost);
            if same {
                *standing = RedisConnectionState::Disconnected;
            }
            same
        });
        if gave_up {
            self.log_disconnected(trouble);
        }
    }

    fn log_disconnected(&self, trouble: &impl Display) {
        self.errors.inc();
        if !self.is_disconnected.swap(true, Ordering::Relaxed) {
            log::warn!(
                "redis at {} is away, the store is asked instead: {trouble}",
                self.server
            );
        }
    }

    fn log_rejected(&self, refusal: &RedisError) {
        self.errors.inc();
        let mut said = self
            .rejection_logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= REJECTION_LOG_INTERVAL) {
            *said = Some(Instant::now());
            log::warn!(
                "redis at {} refuses what it is asked, the store is asked instead: {refusal}",
                self.server
            );
        }
    }

    fn log_reconnected(&self) {
        if self.is_disconnected.swap(false, Ordering::Relaxed) {
            log::info!("redis at {} is back", self.server);
        }
    }

    async fn wait_for_state(&self, holds: impl FnMut(&RedisConnectionState) -> bool) {
        // An error would mean that the sender is gone, but `self` is the sender.
        let mut standing = self.state.subscribe();
        let _reached = standing.wait_for(holds).await;
    }
}

/// Before 7.0 a script's own words hide the code of what was refused in it.
fn is_rejection(trouble: &RedisError) -> bool {
    trouble.code().is_some_and(|code| REJECTION_CODES.contains(&code))
        || trouble.to_string().contains("OOM command not allowed")
}
