//! The queue in Redis, for several processes: two sorted sets by due time for each channel, and a bell.
//!
//! A push goes into a bounded buffer here and reaches Redis in batches by a task of the queue's own; a pop
//! is one round trip. Redis killed, emptied, stopped or slow costs time only: an answer that gets lost on
//! its way takes its ids along, and the store finds them again. Needs Redis 6.2 or later.

mod address;
mod link;
mod seek;

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

use self::address::Address;
use self::link::{COMMAND_LIMIT, Link, Missing};
use super::Queue;
use crate::clock::{Timestamp, pause};
use crate::domain::id::DeliveryId;
use crate::domain::message::{Nudge, Priority};
use crate::domain::wish::{Appetite, Wish};
use crate::error::Result;

/// How many nudges travel in one round trip.
const BATCH: usize = 1_000;

/// How long a Redis that refuses nudges is left alone with them.
const REFUSED_REST: Duration = Duration::from_secs(1);

/// A buffer, a task that empties it into Redis, and a link that mends itself.
pub(super) struct Redis {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

struct Shared {
    link: Arc<Link>,
    names: Names,
    scripts: Scripts,
    window: usize,
    buffer: Mutex<Buffer>,
    pushed: Notify,
    /// Which channel is asked first by the next pop.
    turn: AtomicU32,
    /// The number of the last load of the buffer that has reached Redis.
    written: watch::Sender<u64>,
}

struct Names {
    /// What every name begins with.
    rows: String,
    /// The set of channels that have a row.
    channels: String,
    bell: String,
}

struct Scripts {
    push: Script,
    pop: Script,
    depth: Script,
}

/// What was pushed and is not on its way yet. Each time it is emptied its load gets the next number.
struct Buffer {
    nudges: Vec<Nudge>,
    load: u64,
    overflowing: bool,
}

impl Redis {
    /// Starts the queue's tasks and waits for the first attempt to connect, however it ends.
    pub async fn open(url: &str, window: usize) -> Result<Self> {
        let address = Address::read(url)?;
        let prefix = address.prefix.clone();
        let names = Names {
            channels: format!("{prefix}channels"),
            bell: format!("{prefix}bell"),
            rows: prefix,
        };
        let shared = Arc::new(Shared {
            link: Arc::new(Link::new(address, names.channels.clone(), names.bell.clone())),
            names,
            scripts: Scripts {
                push: Script::new(include_str!("push.lua")),
                pop: Script::new(include_str!("pop.lua")),
                depth: Script::new(include_str!("depth.lua")),
            },
            window: window.max(1),
            buffer: Mutex::new(Buffer {
                nudges: Vec::new(),
                load: 1,
                overflowing: false,
            }),
            pushed: Notify::new(),
            turn: AtomicU32::new(0),
            written: watch::Sender::new(0),
        });
        let tasks = [
            tokio::spawn(Arc::clone(&shared.link).keep()),
            tokio::spawn(Arc::clone(&shared).drain()),
        ];
        let queue = Self { shared, tasks };
        let _tried = timeout(COMMAND_LIMIT, queue.shared.link.tried()).await;
        Ok(queue)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries what is pushed to Redis for as long as the task lives; what did not arrive goes again.
    async fn drain(self: Arc<Self>) {
        loop {
            let (nudges, load) = self.next_load().await;
            for batch in nudges.chunks(BATCH) {
                while let Err(missing) = self.write(batch).await {
                    match missing {
                        Missing::Away => self.link.up().await,
                        Missing::Refused => pause(REFUSED_REST).await,
                    }
                }
            }
            self.written.send_replace(load);
        }
    }

    async fn next_load(&self) -> (Vec<Nudge>, u64) {
        loop {
            {
                let mut buffer = self.buffer();
                if !buffer.nudges.is_empty() {
                    let load = buffer.load;
                    buffer.load += 1;
                    buffer.overflowing = false;
                    return (std::mem::take(&mut buffer.nudges), load);
                }
            }
            self.pushed.notified().await;
        }
    }

    async fn write(&self, batch: &[Nudge]) -> std::result::Result<(), Missing> {
        let mut rows: BTreeMap<&str, (Vec<&Nudge>, Vec<&Nudge>)> = BTreeMap::new();
        for nudge in batch {
            let (high, normal) = rows.entry(nudge.channel.as_str()).or_default();
            match nudge.priority {
                Priority::High => high.push(nudge),
                Priority::Normal => normal.push(nudge),
            }
        }
        let names = &self.names;
        let mut call = self.scripts.push.key(&names.channels);
        call.arg(&names.rows).arg(&names.bell).arg(self.window);
        for (channel, (high, normal)) in rows {
            call.arg(channel).arg(high.len()).arg(normal.len());
            for nudge in high.into_iter().chain(normal) {
                call.arg(nudge.due_at.timestamp_millis()).arg(nudge.id.0);
            }
        }
        let ask = |mut connection| async move { call.invoke_async::<i64>(&mut connection).await };
        self.link.ask(ask).await.map(drop)
    }

    /// What is due, and how long until the next one is. Rings on for another worker of this process when more is due.
    async fn take(
        &self,
        wish: &Wish,
        now: i64,
    ) -> std::result::Result<(Vec<DeliveryId>, Option<Duration>), Missing> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut call = self.scripts.pop.key(&self.names.channels);
        call.arg(&self.names.rows).arg(now).arg(wish.limit).arg(turn);
        for (channel, room) in wish.rooms() {
            call.arg(channel.as_str()).arg(*room);
        }
        let ask =
            |mut connection| async move { call.invoke_async::<(i64, Vec<String>)>(&mut connection).await };
        let (until_next, ids) = self.link.ask(ask).await?;
        if !ids.is_empty() && until_next == 0 {
            self.link.ring_on();
        }
        let ids = ids
            .iter()
            .filter_map(|id| id.parse().ok().map(DeliveryId))
            .collect();
        Ok((ids, u64::try_from(until_next).ok().map(Duration::from_millis)))
    }
}

#[async_trait]
impl Queue for Redis {
    fn push(&self, nudges: &[Nudge]) {
        let mut buffer = self.shared.buffer();
        let room = self.shared.window.saturating_sub(buffer.nudges.len());
        let kept = nudges.len().min(room);
        buffer.nudges.extend_from_slice(&nudges[..kept]);
        let overflows =
            kept < nudges.len() && !std::mem::replace(&mut buffer.overflowing, kept < nudges.len());
        drop(buffer);
        self.shared.pushed.notify_one();
        if overflows {
            log::info!("the buffer before redis is full: the store holds the rest");
        }
    }

    async fn flush(&self, wait: Duration) -> bool {
        let load = {
            let buffer = self.shared.buffer();
            buffer.load - u64::from(buffer.nudges.is_empty())
        };
        let mut written = self.shared.written.subscribe();
        let arrived = written.wait_for(|written| *written >= load);
        timeout(wait, arrived).await.is_ok()
    }

    fn ring(&self) {
        self.shared.link.ring_on();
    }

    async fn pop(&self, appetite: &dyn Appetite, now: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        let link = &self.shared.link;
        let began = Instant::now();
        loop {
            let passed = began.elapsed();
            let wish = appetite.wish();
            let answer = self.shared.take(&wish, super::later(now, passed)).await;
            let left = wait.saturating_sub(began.elapsed());
            let (taken, next) = match answer {
                Ok(answer) => answer,
                Err(Missing::Away) if !left.is_zero() && timeout(left, link.up()).await.is_ok() => continue,
                Err(Missing::Away) => return Vec::new(),
                Err(Missing::Refused) => {
                    pause(left).await;
                    return Vec::new();
                }
            };
            if !taken.is_empty() || wish.limit == 0 || left.is_zero() {
                return taken;
            }
            let _rung = timeout(next.map_or(left, |until| until.min(left)), link.rung()).await;
        }
    }

    fn errors(&self) -> Counter {
        self.shared.link.errors()
    }

    async fn depth(&self) -> Option<u64> {
        let names = &self.shared.names;
        let mut call = self.shared.scripts.depth.key(&names.channels);
        call.arg(&names.rows);
        let ask = |mut connection| async move { call.invoke_async::<u64>(&mut connection).await };
        self.shared.link.ask(ask).await.ok()
    }
}

#[cfg(test)]
mod tests;
