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

use super::PushyApi;
use crate::json_api::JsonResponse;
use postrider_core::clock::{Timestamp, saturating_add};
use postrider_core::inbound::CallbackItem;
use postrider_core::receipt::{Receipt, ReceiptStatus};

/// How long after the send Pushy is asked.
const POLL_DELAYS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60 * 60),
];

/// How long after the message's end the last question is.
const FINAL_POLL_DELAY: Duration = Duration::from_secs(5);

/// The most messages that are remembered; of what is beyond, only the app can tell.
const TRACKED_PUSHES_MAX: usize = 100_000;

/// The most questions under way.
const CONCURRENT_POLLS_MAX: usize = 16;

/// How long nothing is asked after Pushy said "too fast".
const THROTTLED_PAUSE: Duration = Duration::from_secs(60);

/// A push that was taken.
#[derive(Clone)]
pub(super) struct AcceptedPush {
    pub id: String,
    pub token: String,
    pub reference: String,
    pub expires_at: Timestamp,
}

/// What there is to ask.
pub(super) struct ReceiptPoller {
    api: Arc<PushyApi>,
    schedule: Mutex<PollSchedule>,
    changed: Notify,
}

#[derive(Default)]
struct PollSchedule {
    /// By the time of its next question; the number keeps two of the same time apart.
    polls: BTreeMap<(Timestamp, u64), ScheduledPoll>,
    last_sequence: u64,
    paused_until: Option<Timestamp>,
}

#[derive(Clone)]
struct ScheduledPoll {
    push: AcceptedPush,
    sent_at: Timestamp,
    polls_done: usize,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PushStatus {
    Delivered,
    Pending,
    /// Pushy knows no such push, or no longer.
    UnknownPush,
    Throttled,
    /// Pushy could not say.
    Unavailable,
}

impl ReceiptPoller {
    /// Nothing was sent yet.
    pub fn new(desk: Arc<PushyApi>) -> Self {
        Self {
            api: desk,
            schedule: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Puts a push on the plan.
    pub fn track(&self, push: AcceptedPush) {
        let now = self.api.clock.now();
        let planned = ScheduledPoll {
            push,
            sent_at: now,
            polls_done: 0,
        };
        let mut plan = self.lock_schedule();
        if plan.polls.len() >= TRACKED_PUSHES_MAX {
            log::debug!("a push will not be asked for, too many are already");
            return;
        }
        plan.add(planned);
        drop(plan);
        self.changed.notify_one();
    }

    /// Waits until something became of something. May be dropped at any await: what was not answered is asked again.
    pub async fn receive(&self) -> Vec<CallbackItem> {
        loop {
            let due = self.lock_schedule().due(self.api.clock.now());
            if due.is_empty() {
                self.wait_for_next_poll().await;
                continue;
            }
            let mut asking = JoinSet::new();
            for (key, planned) in due {
                let desk = Arc::clone(&self.api);
                asking.spawn(async move { (key, desk.fetch_status(&planned.push).await) });
            }
            let standings = asking.join_all().await;
            let receipts = self
                .lock_schedule()
                .apply_statuses(standings, self.api.clock.now());
            if !receipts.is_empty() {
                return receipts;
            }
        }
    }

    /// Until the next question, or another push.
    async fn wait_for_next_poll(&self) {
        let next = self.lock_schedule().next_due_at();
        let Some(next) = next else {
            return self.changed.notified().await;
        };
        let wait = (next - self.api.clock.now()).to_std().unwrap_or_default();
        tokio::select! {
            () = self.api.clock.sleep(wait) => {}
            () = self.changed.notified() => {}
        }
    }

    fn lock_schedule(&self) -> MutexGuard<'_, PollSchedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PollSchedule {
    /// Puts it down for its next question; after the last one it is forgotten.
    fn add(&mut self, planned: ScheduledPoll) {
        let end = saturating_add(planned.push.expires_at, FINAL_POLL_DELAY);
        let steps = POLL_DELAYS
            .into_iter()
            .map(|step| saturating_add(planned.sent_at, step));
        let next = steps
            .take_while(|step| *step < end)
            .chain([end])
            .nth(planned.polls_done);
        if let Some(next) = next {
            self.last_sequence += 1;
            self.polls.insert((next, self.last_sequence), planned);
        }
    }

    fn next_due_at(&self) -> Option<Timestamp> {
        let first = self.polls.keys().next()?.0;
        Some(self.paused_until.map_or(first, |until| first.max(until)))
    }

    /// The first few whose time has come. They stay on the plan until they are answered.
    fn due(&self, now: Timestamp) -> Vec<((Timestamp, u64), ScheduledPoll)> {
        if self.paused_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let due = self.polls.iter().take_while(|((at, _), _)| *at <= now);
        due.take(CONCURRENT_POLLS_MAX)
            .map(|(key, planned)| (*key, planned.clone()))
            .collect()
    }

    fn apply_statuses(
        &mut self,
        standings: Vec<((Timestamp, u64), PushStatus)>,
        now: Timestamp,
    ) -> Vec<CallbackItem> {
        let mut receipts = Vec::new();
        for (key, standing) in standings {
            if standing == PushStatus::Throttled {
                self.paused_until = Some(saturating_add(now, THROTTLED_PAUSE));
                continue;
            }
            let Some(planned) = self.polls.remove(&key) else {
                continue;
            };
            match receipt_status(standing, planned.push.expires_at <= now) {
                Some(verdict) => receipts.push(CallbackItem::Receipt(Receipt {
                    reference: planned.push.reference,
                    status: verdict,
                    at: now,
                })),
                None if standing == PushStatus::UnknownPush => {}
                None => self.add(ScheduledPoll {
                    polls_done: planned.polls_done + 1,
                    ..planned
                }),
            }
        }
        receipts
    }
}

fn receipt_status(standing: PushStatus, has_expired: bool) -> Option<ReceiptStatus> {
    match standing {
        PushStatus::Delivered => Some(ReceiptStatus::Delivered),
        PushStatus::Pending if has_expired => Some(ReceiptStatus::Bounced {
            reason: "expired before the device was reached".to_owned(),
        }),
        PushStatus::Pending | PushStatus::UnknownPush | PushStatus::Throttled | PushStatus::Unavailable => {
            None
        }
    }
}

impl PushyApi {
    async fn fetch_status(&self, push: &AcceptedPush) -> PushStatus {
        match self.get(&["pushes", &push.id]).await {
            Ok(heard) => parse_status(&heard, &push.token),
            Err(_) => PushStatus::Unavailable,
        }
    }
}

/// A device that is no longer among those that are waited for has got it.
fn parse_status(heard: &JsonResponse, token: &str) -> PushStatus {
    let pending = heard
        .json
        .pointer("/push/pending_devices")
        .and_then(Value::as_array);
    match (heard.status, pending) {
        (200, Some(pending)) if pending.iter().any(|one| one.as_str() == Some(token)) => PushStatus::Pending,
        (200, Some(_)) => PushStatus::Delivered,
        (429, _) => PushStatus::Throttled,
        (400 | 404, _) => PushStatus::UnknownPush,
        _ => PushStatus::Unavailable,
    }
}
