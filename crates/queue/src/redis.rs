//! The queue in Redis, for several processes: two sorted sets by due time for each channel, and a bell.
//!
//! A push goes into a bounded buffer here and reaches Redis in batches by a task of the queue's own; a pop
//! is one round trip. Redis killed, emptied, stopped or slow costs time only: an answer that gets lost on
//! its way takes its ids along, and the store finds them again. Needs Redis 6.2 or later.

mod connection;
mod discovery;
mod url;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;
use redis::Script;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use self::connection::{COMMAND_TIMEOUT, RedisConnection, RequestError};
use self::url::RedisUrl;
use super::Queue;
use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::clock::{Timestamp, sleep};
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;

/// How many nudges travel in one round trip.
const BATCH_ENTRIES_MAX: usize = 1_000;

/// How long a Redis that refuses nudges is left alone with them.
const REJECTED_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A buffer, a task that empties it into Redis, and a link that mends itself.
pub(super) struct RedisQueue {
    shared: Arc<RedisQueueState>,
    tasks: [JoinHandle<()>; 2],
}

struct RedisQueueState {
    connection: Arc<RedisConnection>,
    keys: RedisKeys,
    scripts: LuaScripts,
    window: usize,
    buffer: Mutex<PushBuffer>,
    pushed: Notify,
    /// Which channel is asked first by the next pop.
    next_channel: AtomicU32,
    /// The number of the last load of the buffer that has reached Redis.
    written: watch::Sender<u64>,
}

struct RedisKeys {
    /// What every name begins with.
    prefix: String,
    /// The set of channels that have a row.
    channels: String,
    notify_channel: String,
}

struct LuaScripts {
    push: Script,
    pop: Script,
    depth: Script,
}

/// What was pushed and is not on its way yet. Each time it is emptied its load gets the next number.
struct PushBuffer {
    entries: Vec<QueueEntry>,
    batch_number: u64,
    is_overflowing: bool,
}

impl RedisQueue {
    /// Starts the queue's tasks and waits for the first attempt to connect, however it ends.
    pub async fn open(url: &str, window: usize) -> Result<Self> {
        let address = RedisUrl::parse(url)?;
        let prefix = address.prefix.clone();
        let names = RedisKeys {
            channels: format!("{prefix}channels"),
            notify_channel: format!("{prefix}bell"),
            prefix,
        };
        let shared = Arc::new(RedisQueueState {
            connection: Arc::new(RedisConnection::new(
                address,
                names.channels.clone(),
                names.notify_channel.clone(),
            )),
            keys: names,
            scripts: LuaScripts {
                push: Script::new(include_str!("redis/push.lua")),
                pop: Script::new(include_str!("redis/pop.lua")),
                depth: Script::new(include_str!("redis/depth.lua")),
            },
            window: window.max(1),
            buffer: Mutex::new(PushBuffer {
                entries: Vec::new(),
                batch_number: 1,
                is_overflowing: false,
            }),
            pushed: Notify::new(),
            next_channel: AtomicU32::new(0),
            written: watch::Sender::new(0),
        });
        let tasks = [
            tokio::spawn(Arc::clone(&shared.connection).run()),
            tokio::spawn(Arc::clone(&shared).run_writer()),
        ];
        let queue = Self { shared, tasks };
        let _tried = timeout(COMMAND_TIMEOUT, queue.shared.connection.wait_first_attempt()).await;
        Ok(queue)
    }
}

impl Drop for RedisQueue {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl RedisQueueState {
    fn buffer(&self) -> MutexGuard<'_, PushBuffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries what is pushed to Redis for as long as the task lives; what did not arrive goes again.
    async fn run_writer(self: Arc<Self>) {
        loop {
            let (nudges, load) = self.next_batch().await;
            for batch in nudges.chunks(BATCH_ENTRIES_MAX) {
                while let Err(missing) = self.write_batch(batch).await {
                    match missing {
                        RequestError::Disconnected => self.connection.wait_connected().await,
                        RequestError::Rejected => sleep(REJECTED_RETRY_DELAY).await,
                    }
                }
            }
            self.written.send_replace(load);
        }
    }

    async fn next_batch(&self) -> (Vec<QueueEntry>, u64) {
        loop {
            {
                let mut buffer = self.buffer();
                if !buffer.entries.is_empty() {
                    let load = buffer.batch_number;
                    buffer.batch_number += 1;
                    buffer.is_overflowing = false;
                    return (std::mem::take(&mut buffer.entries), load);
                }
            }
            self.pushed.notified().await;
        }
    }

    async fn write_batch(&self, batch: &[QueueEntry]) -> std::result::Result<(), RequestError> {
        let mut rows: BTreeMap<&str, (Vec<&QueueEntry>, Vec<&QueueEntry>)> = BTreeMap::new();
        for nudge in batch {
            let (high, normal) = rows.entry(nudge.channel.as_str()).or_default();
            match nudge.priority {
                Priority::High => high.push(nudge),
                Priority::Normal => normal.push(nudge),
            }
        }
        let names = &self.keys;
        let mut call = self.scripts.push.key(&names.channels);
        call.arg(&names.prefix)
            .arg(&names.notify_channel)
            .arg(self.window);
        for (channel, (high, normal)) in rows {
            call.arg(channel).arg(high.len()).arg(normal.len());
            for nudge in high.into_iter().chain(normal) {
                call.arg(nudge.due_at.timestamp_millis()).arg(nudge.id.0);
            }
        }
        let ask = |mut connection| async move { call.invoke_async::<i64>(&mut connection).await };
        self.connection.request(ask).await.map(drop)
    }

    /// What is due, and how long until the next one is. Rings on for another worker of this process when more is due.
    async fn pop_due(
        &self,
        wish: &Capacity,
        now: i64,
    ) -> std::result::Result<(Vec<DeliveryId>, Option<Duration>), RequestError> {
        let turn = self.next_channel.fetch_add(1, Ordering::Relaxed);
        let mut call = self.scripts.pop.key(&self.keys.channels);
        call.arg(&self.keys.prefix).arg(now).arg(wish.limit).arg(turn);
        for (channel, room) in wish.channel_limits() {
            call.arg(channel.as_str()).arg(*room);
        }
        let ask =
            |mut connection| async move { call.invoke_async::<(i64, Vec<String>)>(&mut connection).await };
        let (until_next, ids) = self.connection.request(ask).await?;
        if !ids.is_empty() && until_next == 0 {
            self.connection.notify_one();
        }
        let ids = ids
            .iter()
            .filter_map(|id| id.parse().ok().map(DeliveryId))
            .collect();
        Ok((ids, u64::try_from(until_next).ok().map(Duration::from_millis)))
    }
}

#[async_trait]
impl Queue for RedisQueue {
    fn push(&self, nudges: &[QueueEntry]) {
        let mut buffer = self.shared.buffer();
        let room = self.shared.window.saturating_sub(buffer.entries.len());
        let kept = nudges.len().min(room);
        buffer.entries.extend_from_slice(&nudges[..kept]);
        let overflows =
            kept < nudges.len() && !std::mem::replace(&mut buffer.is_overflowing, kept < nudges.len());
        drop(buffer);
        self.shared.pushed.notify_one();
        if overflows {
            log::info!("the buffer before redis is full: the store holds the rest");
        }
    }

    async fn flush(&self, wait: Duration) -> bool {
        let load = {
            let buffer = self.shared.buffer();
            buffer.batch_number - u64::from(buffer.entries.is_empty())
        };
        let mut written = self.shared.written.subscribe();
        let arrived = written.wait_for(|written| *written >= load);
        timeout(wait, arrived).await.is_ok()
    }

    fn notify_one(&self) {
        self.shared.connection.notify_one();
    }

    async fn pop(&self, appetite: &dyn CapacitySource, now: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        let link = &self.shared.connection;
        let began = Instant::now();
        loop {
            let passed = began.elapsed();
            let wish = appetite.capacity();
            let answer = self.shared.pop_due(&wish, super::millis_after(now, passed)).await;
            let left = wait.saturating_sub(began.elapsed());
            let (taken, next) = match answer {
                Ok(answer) => answer,
                Err(RequestError::Disconnected)
                    if !left.is_zero() && timeout(left, link.wait_connected()).await.is_ok() =>
                {
                    continue;
                }
                Err(RequestError::Disconnected) => return Vec::new(),
                Err(RequestError::Rejected) => {
                    sleep(left).await;
                    return Vec::new();
                }
            };
            if !taken.is_empty() || wish.limit == 0 || left.is_zero() {
                return taken;
            }
            let _rung = timeout(next.map_or(left, |until| until.min(left)), link.wait_notified()).await;
        }
    }

    fn errors(&self) -> Counter {
        self.shared.connection.errors()
    }

    async fn depth(&self) -> Option<u64> {
        let names = &self.shared.keys;
        let mut call = self.shared.scripts.depth.key(&names.channels);
        call.arg(&names.prefix);
        let ask = |mut connection| async move { call.invoke_async::<u64>(&mut connection).await };
        self.shared.connection.request(ask).await.ok()
    }
}

#[cfg(test)]
mod tests;
