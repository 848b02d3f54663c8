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

use super::address::Address;
use crate::clock::pause;

/// How long one command, and one attempt to connect, may take before Redis counts as away.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_secs(1);

/// The rest between two attempts to connect grows from the first to the second.
const REST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A connection that lasted this long is followed by a short rest; a shorter one shows that Redis answers
/// but refuses, so that the rest goes on growing.
const STEADY: Duration = Duration::from_secs(5);

/// What a server refuses and would refuse as well over another connection: its memory is full, it cannot write its
/// snapshot or reach its replicas, the user may not do that, another's script runs.
const REFUSALS: [&str; 5] = ["OOM", "MISCONF", "NOREPLICAS", "NOPERM", "BUSY"];

/// How often a refusal is worth a word.
const REFUSAL_SAID_EVERY: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Redis is away.
    Away,
    /// Redis is there and refuses.
    Refused,
}

#[derive(Clone)]
enum Standing {
    Opening,
    Up {
        number: u64,
        connection: MultiplexedConnection,
    },
    Away,
}

/// The connection as it stands now.
pub(super) struct Link {
    address: Address,
    /// One of our names, by which a cluster knows whose they are.
    key: String,
    channel: String,
    place: String,
    standing: watch::Sender<Standing>,
    bell: Arc<Notify>,
    in_trouble: AtomicBool,
    refusal_said: Mutex<Option<Instant>>,
    errors: Counter,
}

impl Link {
    /// A link that is not connected yet; [`keep`](Self::keep) does that.
    pub fn new(address: Address, key: String, channel: String) -> Self {
        Self {
            place: address.place(),
            address,
            key,
            channel,
            standing: watch::Sender::new(Standing::Opening),
            bell: Arc::new(Notify::new()),
            in_trouble: AtomicBool::new(false),
            refusal_said: Mutex::default(),
            errors: Counter::default(),
        }
    }

    /// Counts every time that it could not be reached, was lost, or refused something.
    pub fn errors(&self) -> Counter {
        self.errors.clone()
    }

    /// Connects for as long as the task lives.
    pub async fn keep(self: Arc<Self>) {
        let mut rest = REST.0;
        for number in 0.. {
            match self.connect(number).await {
                Ok(connection) => {
                    self.standing.send_replace(Standing::Up { number, connection });
                    self.bell.notify_one();
                    let began = Instant::now();
                    self.until(|standing| matches!(standing, Standing::Away)).await;
                    if began.elapsed() > STEADY {
                        rest = REST.0;
                    }
                }
                Err(trouble) => {
                    self.standing.send_replace(Standing::Away);
                    self.says_away(&trouble);
                }
            }
            pause(rest).await;
            rest = (rest * 2).min(REST.1);
        }
    }

    /// Returns when the first attempt to connect has ended, however it did.
    pub async fn tried(&self) {
        self.until(|standing| !matches!(standing, Standing::Opening))
            .await;
    }

    /// Returns when Redis can be asked.
    pub async fn up(&self) {
        self.until(|standing| matches!(standing, Standing::Up { .. }))
            .await;
    }

    /// Returns when the bell has rung since it was last heard, or the connection is new.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Passes a ring on to another one who waits in this process.
    pub fn ring_on(&self) {
        self.bell.notify_one();
    }

    /// The answer, unless Redis is away, refuses, or is too slow, which makes it away.
    pub async fn ask<T, F>(&self, question: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Missing>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Standing::Up { number, connection } = self.standing.borrow().clone() else {
            return Err(Missing::Away);
        };
        match timeout(COMMAND_LIMIT, question(connection)).await {
            Ok(Ok(answer)) => {
                self.says_works();
                return Ok(answer);
            }
            Ok(Err(refusal)) if is_refusal(&refusal) => {
                self.says_refuses(&refusal);
                return Err(Missing::Refused);
            }
            Ok(Err(trouble)) => self.lost(number, &trouble),
            Err(_) => self.lost(number, &"no answer within the time limit"),
        }
        Err(Missing::Away)
    }

    async fn connect(self: &Arc<Self>, number: u64) -> Result<MultiplexedConnection, String> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(COMMAND_LIMIT))
            .set_response_timeout(Some(COMMAND_LIMIT))
            .set_push_sender(self.listener(number));
        let client = self.address.server(&self.key).await?;
        let attempt = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&settings)
                .await?;
            match connection.subscribe(&self.channel).await {
                Err(refusal) if refusal.code() == Some("NOPERM") => {
                    log::warn!(
                        "redis at {}: new work is noticed late, because the user may not use the channel: \
                         grant it with `ACL SETUSER <user> &{}`",
                        self.place,
                        self.channel
                    );
                }
                answer => answer?,
            }
            Ok::<_, redis::RedisError>(connection)
        };
        match timeout(COMMAND_LIMIT * 2, attempt).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(trouble)) => Err(trouble.to_string()),
            Err(_) => Err("no answer within the time limit".into()),
        }
    }

    /// Hears the bell, and hears at once when this connection ends.
    fn listener(
        self: &Arc<Self>,
        number: u64,
    ) -> impl Fn(PushInfo) -> Result<(), &'static str> + Send + Sync + 'static {
        let bell = Arc::clone(&self.bell);
        let link = Arc::downgrade(self);
        move |push| {
            match push.kind {
                PushKind::Message => bell.notify_one(),
                PushKind::Disconnection => {
                    if let Some(link) = link.upgrade() {
                        link.lost(number, &"the connection was closed");
                    }
                }
                _ => {}
            }
            Ok(())
        }
    }

    /// Gives up this very connection; a newer one stays.
    fn lost(&self, lost: u64, trouble: &impl Display) {
        let gave_up = self.standing.send_if_modified(|standing| {
            let same = matches!(standing, Standing::Up { number, .. } if *number == lost);
            if same {
                *standing = Standing::Away;
            }
            same
        });
        if gave_up {
            self.says_away(trouble);
        }
    }

    fn says_away(&self, trouble: &impl Display) {
        self.errors.inc();
        if !self.in_trouble.swap(true, Ordering::Relaxed) {
            log::warn!(
                "redis at {} is away, the store is asked instead: {trouble}",
                self.place
            );
        }
    }

    fn says_refuses(&self, refusal: &RedisError) {
        self.errors.inc();
        let mut said = self.refusal_said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= REFUSAL_SAID_EVERY) {
            *said = Some(Instant::now());
            log::warn!(
                "redis at {} refuses what it is asked, the store is asked instead: {refusal}",
                self.place
            );
        }
    }

    fn says_works(&self) {
        if self.in_trouble.swap(false, Ordering::Relaxed) {
            log::info!("redis at {} is back", self.place);
        }
    }

    async fn until(&self, holds: impl FnMut(&Standing) -> bool) {
        // An error would mean that the sender is gone, but `self` is the sender.
        let mut standing = self.standing.subscribe();
        let _reached = standing.wait_for(holds).await;
    }
}

/// Before 7.0 a script's own words hide the code of what was refused in it.
fn is_refusal(trouble: &RedisError) -> bool {
    trouble.code().is_some_and(|code| REFUSALS.contains(&code))
        || trouble.to_string().contains("OOM command not allowed")
}
