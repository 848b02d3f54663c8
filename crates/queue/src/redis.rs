//! The queue in Redis, for several processes: two sorted sets by due time for each channel, and a notification channel.
//!
//! Pushed entries go into a limited buffer, from which a background task writes them to Redis in batches; a pop is one
//! round trip. An outage or a loss of data only delays deliveries: if the answer to a pop is lost, its ids are lost
//! too, and the store finds them again. Needs Redis 6.2 or later.

mod connection;
mod discovery;
mod url;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use redis::Script;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use self::connection::{RedisConnection, RequestError};
use self::discovery::COMMAND_TIMEOUT;
use self::url::RedisUrl;
use crate::queue::Queue;
use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::clock::{Timestamp, saturating_add, sleep};
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;

/// Maximum number of entries in one round trip.
const BATCH_ENTRIES_MAX: usize = 1_000;

/// Delay before entries that Redis rejected are sent again.
const REJECTED_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A buffer, a task that writes it to Redis, and a connection that reconnects automatically.
pub(super) struct RedisQueue {
    shared: Arc<RedisQueueState>,
    tasks: [JoinHandle<()>; 2],
}

struct RedisQueueState {
    connection: Arc<RedisConnection>,
    /// The prefix of every key.
    key_prefix: String,
    /// The key of the set of channels that have a queue.
    channels_key: String,
    notify_channel: String,
    push_script: Script,
    pop_script: Script,
    depth_script: Script,
    window: usize,
    buffer: Mutex<PushBuffer>,
    pushed: Notify,
    /// The channel that the next pop serves first.
    next_channel: AtomicU32,
    /// The number of the last batch that was written to Redis.
    written: watch::Sender<u64>,
}

/// Pushed entries that were not sent yet. When the buffer is emptied, its entries form the batch with the number
/// `batch_number`.
struct PushBuffer {
    entries: Vec<QueueEntry>,
    batch_number: u64,
    is_overflowing: bool,
}

impl PushBuffer {
    /// Empties the buffer and returns its entries with the number of their batch; none if there are no entries.
    fn take_batch(&mut self) -> Option<(Vec<QueueEntry>, u64)> {
        let batch =
            (!self.entries.is_empty()).then(|| (std::mem::take(&mut self.entries), self.batch_number))?;
        self.batch_number += 1;
        self.is_overflowing = false;
        Some(batch)
    }
}

impl RedisQueue {
    /// Starts the background tasks and waits for the end of the first connection attempt.
    pub async fn open(url: &str, window: usize) -> Result<Self> {
        let url = RedisUrl::parse(url)?;
        let key_prefix = url.prefix.clone();
        let channels_key = format!("{key_prefix}channels");
        let notify_channel = format!("{key_prefix}notify");
        let connection = RedisConnection::new(url, channels_key.clone(), notify_channel.clone());
        let shared = Arc::new(RedisQueueState {
            connection: Arc::new(connection),
            key_prefix,
            channels_key,
            notify_channel,
            push_script: Script::new(include_str!("redis/push.lua")),
            pop_script: Script::new(include_str!("redis/pop.lua")),
            depth_script: Script::new(include_str!("redis/depth.lua")),
            window: window.max(1),
            buffer: Mutex::new(PushBuffer { entries: Vec::new(), batch_number: 1, is_overflowing: false }),
            pushed: Notify::new(),
            next_channel: AtomicU32::new(0),
            written: watch::Sender::new(0),
        });
        let tasks = [
            tokio::spawn(Arc::clone(&shared.connection).run()),
            tokio::spawn(Arc::clone(&shared).run_writer()),
        ];
        let queue = Self { shared, tasks };
        let _attempted = timeout(COMMAND_TIMEOUT, queue.shared.connection.wait_first_attempt()).await;
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
    /// Writes pushed entries to Redis until the task is aborted. Sends a batch repeatedly until Redis has stored it.
    async fn run_writer(self: Arc<Self>) {
        loop {
            let (entries, batch_number) = self.next_batch().await;
            for batch in entries.chunks(BATCH_ENTRIES_MAX) {
                while let Err(error) = self.write_batch(batch).await {
                    match error {
                        RequestError::Disconnected => self.connection.wait_connected().await,
                        RequestError::Rejected => sleep(REJECTED_RETRY_DELAY).await,
                    }
                }
            }
            self.written.send_replace(batch_number);
        }
    }

    async fn next_batch(&self) -> (Vec<QueueEntry>, u64) {
        loop {
            if let Some(batch) = self.buffer.lock().take_batch() {
                return batch;
            }
            self.pushed.notified().await;
        }
    }

    async fn write_batch(&self, batch: &[QueueEntry]) -> std::result::Result<(), RequestError> {
        let mut by_channel: BTreeMap<&str, (Vec<&QueueEntry>, Vec<&QueueEntry>)> = BTreeMap::new();
        for queue_entry in batch {
            let (high, normal) = by_channel.entry(queue_entry.channel.as_str()).or_default();
            match queue_entry.priority {
                Priority::High => high.push(queue_entry),
                Priority::Normal => normal.push(queue_entry),
            }
        }
        let mut script = self.push_script.key(&self.channels_key);
        script.arg(&self.key_prefix).arg(&self.notify_channel).arg(self.window);
        for (channel, (high, normal)) in by_channel {
            script.arg(channel).arg(high.len()).arg(normal.len());
            for queue_entry in high.into_iter().chain(normal) {
                script.arg(queue_entry.due_at.timestamp_millis()).arg(queue_entry.id.0);
            }
        }
        let command = |mut connection| async move { script.invoke_async::<i64>(&mut connection).await };
        self.connection.request(command).await.map(drop)
    }

    /// Returns due ids and the time until the next id is due. If more ids are due, wakes another worker of this
    /// process.
    async fn pop_due(
        &self,
        capacity: &Capacity,
        now_ms: i64,
    ) -> std::result::Result<(Vec<DeliveryId>, Option<Duration>), RequestError> {
        let first_channel = self.next_channel.fetch_add(1, Ordering::Relaxed);
        let mut script = self.pop_script.key(&self.channels_key);
        script.arg(&self.key_prefix).arg(now_ms).arg(capacity.limit).arg(first_channel);
        for (channel, limit) in capacity.channel_limits() {
            script.arg(channel.as_str()).arg(*limit);
        }
        let command =
            |mut connection| async move { script.invoke_async::<(i64, Vec<String>)>(&mut connection).await };
        let (until_next_ms, due_ids) = self.connection.request(command).await?;
        if !due_ids.is_empty() && until_next_ms == 0 {
            self.connection.notify.notify_one();
        }
        let due_ids = due_ids.iter().filter_map(|id| id.parse().ok().map(DeliveryId)).collect();
        Ok((due_ids, u64::try_from(until_next_ms).ok().map(Duration::from_millis)))
    }
}

#[async_trait]
impl Queue for RedisQueue {
    fn push(&self, queue_entries: &[QueueEntry]) {
        let mut push_buffer = self.shared.buffer.lock();
        let free_entries = self.shared.window.saturating_sub(push_buffer.entries.len());
        let kept_count = queue_entries.len().min(free_entries);
        push_buffer.entries.extend_from_slice(&queue_entries[..kept_count]);
        let is_overflow = kept_count < queue_entries.len();
        let is_new_overflow = is_overflow && !std::mem::replace(&mut push_buffer.is_overflowing, is_overflow);
        drop(push_buffer);
        self.shared.pushed.notify_one();
        if is_new_overflow {
            log::info!("redis: push buffer full; the store keeps the remaining deliveries");
        }
    }

    async fn flush(&self, wait: Duration) -> bool {
        let batch_number = {
            let push_buffer = self.shared.buffer.lock();
            push_buffer.batch_number - u64::from(push_buffer.entries.is_empty())
        };
        let mut written = self.shared.written.subscribe();
        let last_batch_written = written.wait_for(|written_number| *written_number >= batch_number);
        timeout(wait, last_batch_written).await.is_ok()
    }

    fn notify_one(&self) {
        self.shared.connection.notify.notify_one();
    }

    async fn pop(&self, source: &dyn CapacitySource, now: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        let connection = &self.shared.connection;
        let wait_start = Instant::now();
        loop {
            let capacity = source.capacity();
            let now_ms = saturating_add(now, wait_start.elapsed()).timestamp_millis();
            let popped = self.shared.pop_due(&capacity, now_ms).await;
            let remaining = wait.saturating_sub(wait_start.elapsed());
            let (ids, until_next) = match popped {
                Ok(ids_and_wait) => ids_and_wait,
                Err(RequestError::Disconnected)
                    if !remaining.is_zero()
                        && timeout(remaining, connection.wait_connected()).await.is_ok() =>
                {
                    continue;
                }
                Err(RequestError::Disconnected) => return Vec::new(),
                Err(RequestError::Rejected) => {
                    sleep(remaining).await;
                    return Vec::new();
                }
            };
            if !ids.is_empty() || capacity.limit == 0 || remaining.is_zero() {
                return ids;
            }
            let pause = until_next.map_or(remaining, |until| until.min(remaining));
            let _notified = timeout(pause, connection.notify.notified()).await;
        }
    }

    fn errors(&self) -> Counter {
        self.shared.connection.errors.clone()
    }

    async fn depth(&self) -> Option<u64> {
        let mut script = self.shared.depth_script.key(&self.shared.channels_key);
        script.arg(&self.shared.key_prefix);
        let command = |mut connection| async move { script.invoke_async::<u64>(&mut connection).await };
        self.shared.connection.request(command).await.ok()
    }

    async fn problem(&self) -> Option<String> {
        let connection = &self.shared.connection;
        let info = |mut connection| async move {
            let answer = ::redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await;
            // A user without permission for INFO has no effect on the queue, so it is not a problem.
            if answer.as_ref().is_err_and(connection::is_rejection) { Ok(String::new()) } else { answer }
        };
        let info = connection.request(info).await.unwrap_or_default();
        memory_problem(&info, connection.recent_rejection())
    }
}

/// Returns the problem that follows from the answer to `INFO memory` and from the last rejected command.
fn memory_problem(info: &str, rejection: Option<String>) -> Option<String> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let bytes = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let (used, limit) = (bytes("used_memory"), bytes("maxmemory"));
    let policy = field("maxmemory_policy").unwrap_or("unknown");
    let memory = format!("maxmemory={limit} maxmemory-policy={policy}");
    if let Some(rejection) = rejection {
        return Some(format!(
            "Redis refuses commands ({rejection}; {memory}); workers read the store instead"
        ));
    }
    let is_full = limit > 0 && used >= limit;
    is_full.then(|| {
        format!("Redis is full ({memory}) and drops or refuses entries; raise maxmemory, workers read the store meanwhile")
    })
}

#[cfg(test)]
mod tests;
