//! Asks Pushy what became of the messages it took, because it does not tell by itself.
//!
//! After 5 s, 30 s, 5 min, 1 h, and when the message expires. What is to be asked is known to this process only: a message
//! sent before a restart stays `sent`, unless its app acknowledges it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Desk;
use crate::clock::Timestamp;
use crate::domain::inbound::Incoming;
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::retry::later;
use crate::provider::api::Heard;

/// How long after the send Pushy is asked.
const STEPS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60 * 60),
];

/// How long after the message's end the last question is.
const LAST_DELAY: Duration = Duration::from_secs(5);

/// The most messages that are remembered; of what is beyond, only the app can tell.
const REMEMBERED_MAX: usize = 100_000;

/// The most questions under way.
const AT_ONCE: usize = 16;

/// How long nothing is asked after Pushy said "too fast".
const PAUSE: Duration = Duration::from_secs(60);

/// A push that was taken.
#[derive(Clone)]
pub(super) struct Push {
    pub id: String,
    pub token: String,
    pub reference: String,
    pub expires_at: Timestamp,
}

/// What there is to ask.
pub(super) struct Polling {
    desk: Arc<Desk>,
    plan: Mutex<Plan>,
    news: Notify,
}

#[derive(Default)]
struct Plan {
    /// By the time of its next question; the number keeps two of the same time apart.
    pushes: BTreeMap<(Timestamp, u64), Planned>,
    count: u64,
    quiet_until: Option<Timestamp>,
}

#[derive(Clone)]
struct Planned {
    push: Push,
    sent_at: Timestamp,
    asked: usize,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Arrived,
    Pending,
    /// Pushy knows no such push, or no longer.
    Gone,
    TooFast,
    /// Pushy could not say.
    Unheard,
}

impl Polling {
    /// Nothing was sent yet.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self {
            desk,
            plan: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Puts a push on the plan.
    pub fn remember(&self, push: Push) {
        let now = self.desk.clock.now();
        let planned = Planned {
            push,
            sent_at: now,
            asked: 0,
        };
        let mut plan = self.plan();
        if plan.pushes.len() >= REMEMBERED_MAX {
            log::debug!("a push will not be asked for, too many are already");
            return;
        }
        plan.add(planned);
        drop(plan);
        self.news.notify_one();
    }

    /// Waits until something became of something. May be dropped at any await: what was not answered is asked again.
    pub async fn receipts(&self) -> Vec<Incoming> {
        loop {
            let due = self.plan().due(self.desk.clock.now());
            if due.is_empty() {
                self.rest().await;
                continue;
            }
            let mut asking = JoinSet::new();
            for (key, planned) in due {
                let desk = Arc::clone(&self.desk);
                asking.spawn(async move { (key, desk.standing(&planned.push).await) });
            }
            let standings = asking.join_all().await;
            let receipts = self.plan().learn(standings, self.desk.clock.now());
            if !receipts.is_empty() {
                return receipts;
            }
        }
    }

    /// Until the next question, or another push.
    async fn rest(&self) {
        let next = self.plan().next();
        let Some(next) = next else {
            return self.news.notified().await;
        };
        let wait = (next - self.desk.clock.now()).to_std().unwrap_or_default();
        tokio::select! {
            () = self.desk.clock.pause(wait) => {}
            () = self.news.notified() => {}
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// Puts it down for its next question; after the last one it is forgotten.
    fn add(&mut self, planned: Planned) {
        let end = later(planned.push.expires_at, LAST_DELAY);
        let steps = STEPS.into_iter().map(|step| later(planned.sent_at, step));
        let next = steps
            .take_while(|step| *step < end)
            .chain([end])
            .nth(planned.asked);
        if let Some(next) = next {
            self.count += 1;
            self.pushes.insert((next, self.count), planned);
        }
    }

    fn next(&self) -> Option<Timestamp> {
        let first = self.pushes.keys().next()?.0;
        Some(self.quiet_until.map_or(first, |until| first.max(until)))
    }

    /// The first few whose time has come. They stay on the plan until they are answered.
    fn due(&self, now: Timestamp) -> Vec<((Timestamp, u64), Planned)> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let due = self.pushes.iter().take_while(|((at, _), _)| *at <= now);
        due.take(AT_ONCE)
            .map(|(key, planned)| (*key, planned.clone()))
            .collect()
    }

    fn learn(&mut self, standings: Vec<((Timestamp, u64), Standing)>, now: Timestamp) -> Vec<Incoming> {
        let mut receipts = Vec::new();
        for (key, standing) in standings {
            if standing == Standing::TooFast {
                self.quiet_until = Some(later(now, PAUSE));
                continue;
            }
            let Some(planned) = self.pushes.remove(&key) else {
                continue;
            };
            match verdict(standing, planned.push.expires_at <= now) {
                Some(verdict) => receipts.push(Incoming::Receipt(Receipt {
                    reference: planned.push.reference,
                    verdict,
                    at: now,
                })),
                None if standing == Standing::Gone => {}
                None => self.add(Planned {
                    asked: planned.asked + 1,
                    ..planned
                }),
            }
        }
        receipts
    }
}

fn verdict(standing: Standing, has_expired: bool) -> Option<Verdict> {
    match standing {
        Standing::Arrived => Some(Verdict::Delivered),
        Standing::Pending if has_expired => Some(Verdict::Bounced {
            reason: "expired before the device was reached".to_owned(),
        }),
        Standing::Pending | Standing::Gone | Standing::TooFast | Standing::Unheard => None,
    }
}

impl Desk {
    async fn standing(&self, push: &Push) -> Standing {
        match self.get(&["pushes", &push.id]).await {
            Ok(heard) => standing(&heard, &push.token),
            Err(_) => Standing::Unheard,
        }
    }
}

/// A device that is no longer among those that are waited for has got it.
fn standing(heard: &Heard, token: &str) -> Standing {
    let pending = heard
        .json
        .pointer("/push/pending_devices")
        .and_then(Value::as_array);
    match (heard.status, pending) {
        (200, Some(pending)) if pending.iter().any(|one| one.as_str() == Some(token)) => Standing::Pending,
        (200, Some(_)) => Standing::Arrived,
        (429, _) => Standing::TooFast,
        (400 | 404, _) => Standing::Gone,
        _ => Standing::Unheard,
    }
}
