//! Polls Pushy for the status of accepted messages, because Pushy sends no callbacks.
//!
//! A message is polled after 5 s, 30 s, 5 min, 1 h, and when it expires. The schedule is kept in this process only: a
//! message sent before a restart stays `sent`, unless its app acknowledges it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use postrider_core::clock::{Timestamp, saturating_add};
use postrider_core::inbound::CallbackItem;
use postrider_core::receipt::{Receipt, ReceiptStatus};

use super::api::PushyApi;
use crate::json_api::JsonResponse;

/// Delays between the send and the polls.
const POLL_DELAYS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60 * 60),
];

/// Delay between the expiry of a message and its last poll.
const FINAL_POLL_DELAY: Duration = Duration::from_secs(5);

/// Maximum number of scheduled pushes; further pushes are not polled.
const TRACKED_PUSHES_MAX: usize = 100_000;

/// Maximum number of concurrent polls.
const CONCURRENT_POLLS_MAX: usize = 16;

/// Pause of all polls after Pushy throttled a poll.
const THROTTLED_PAUSE: Duration = Duration::from_secs(60);

/// An accepted push.
#[derive(Clone)]
pub(super) struct AcceptedPush {
    pub id: String,
    pub device_token: String,
    /// The id that the receipts of the push will have.
    pub reference: String,
    pub expires_at: Timestamp,
}

/// Polls the status of accepted pushes.
pub(super) struct ReceiptPoller {
    api: Arc<PushyApi>,
    schedule: Mutex<PollSchedule>,
    /// Notified when a push is scheduled.
    push_added: Notify,
}

/// The time of a poll, and a number that distinguishes polls at the same time.
type PollKey = (Timestamp, u64);

#[derive(Default)]
struct PollSchedule {
    /// Polls in the order of their times.
    polls: BTreeMap<PollKey, ScheduledPoll>,
    last_sequence: u64,
    paused_until: Option<Timestamp>,
}

#[derive(Clone)]
struct ScheduledPoll {
    push: AcceptedPush,
    sent_at: Timestamp,
    polls_done: usize,
}

/// The status of a push at Pushy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PushStatus {
    Delivered,
    Pending,
    /// Pushy does not know the push, or has deleted it.
    UnknownPush,
    Throttled,
    /// Pushy could not report the status.
    Unavailable,
}

impl ReceiptPoller {
    /// Returns a poller with an empty schedule.
    pub fn new(api: Arc<PushyApi>) -> Self {
        Self { api, schedule: Mutex::default(), push_added: Notify::new() }
    }

    /// Schedules the polls of a push.
    pub fn track(&self, push: AcceptedPush) {
        let now = self.api.clock.now();
        let mut schedule = self.schedule.lock();
        if schedule.polls.len() >= TRACKED_PUSHES_MAX {
            log::debug!("pushy: push not tracked for receipts: limit reached limit={TRACKED_PUSHES_MAX}");
            return;
        }
        schedule.add(ScheduledPoll { push, sent_at: now, polls_done: 0 });
        drop(schedule);
        self.push_added.notify_one();
    }

    /// Waits for receipts and returns them. Cancel-safe: an unfinished poll is repeated.
    pub async fn receive(&self) -> Vec<CallbackItem> {
        loop {
            let due_polls = self.schedule.lock().due_polls(self.api.clock.now());
            if due_polls.is_empty() {
                self.wait_for_next_poll().await;
                continue;
            }
            let mut polls = JoinSet::new();
            for (key, poll) in due_polls {
                let api = Arc::clone(&self.api);
                polls.spawn(async move { (key, fetch_status(&api, &poll.push).await) });
            }
            let statuses = polls.join_all().await;
            let receipts = self.schedule.lock().apply_statuses(statuses, self.api.clock.now());
            if !receipts.is_empty() {
                return receipts;
            }
        }
    }

    /// Waits until the next poll is due or another push is scheduled.
    async fn wait_for_next_poll(&self) {
        let next_due_at = self.schedule.lock().next_due_at();
        let Some(next_due_at) = next_due_at else {
            return self.push_added.notified().await;
        };
        let delay = (next_due_at - self.api.clock.now()).to_std().unwrap_or_default();
        tokio::select! {
            () = self.api.clock.sleep(delay) => {}
            () = self.push_added.notified() => {}
        }
    }
}

impl PollSchedule {
    /// Schedules the next poll of a push. A push is dropped after its last poll.
    fn add(&mut self, poll: ScheduledPoll) {
        let last_poll_at = saturating_add(poll.push.expires_at, FINAL_POLL_DELAY);
        let early_polls = POLL_DELAYS.into_iter().map(|delay| saturating_add(poll.sent_at, delay));
        let mut poll_times = early_polls.take_while(|time| *time < last_poll_at).chain([last_poll_at]);
        if let Some(due_at) = poll_times.nth(poll.polls_done) {
            self.last_sequence += 1;
            self.polls.insert((due_at, self.last_sequence), poll);
        }
    }

    fn next_due_at(&self) -> Option<Timestamp> {
        let (first_due_at, _) = self.polls.keys().next()?;
        Some(self.paused_until.map_or(*first_due_at, |until| until.max(*first_due_at)))
    }

    /// Returns the first polls that are due. They stay scheduled until their status is applied.
    fn due_polls(&self, now: Timestamp) -> Vec<(PollKey, ScheduledPoll)> {
        if self.paused_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let due_polls = self.polls.iter().take_while(|((at, _), _)| *at <= now);
        due_polls.take(CONCURRENT_POLLS_MAX).map(|(key, poll)| (*key, poll.clone())).collect()
    }

    /// Returns the receipts of finished pushes, and schedules the next polls of the others.
    fn apply_statuses(&mut self, statuses: Vec<(PollKey, PushStatus)>, now: Timestamp) -> Vec<CallbackItem> {
        let mut receipts = Vec::new();
        for (key, status) in statuses {
            if status == PushStatus::Throttled {
                self.paused_until = Some(saturating_add(now, THROTTLED_PAUSE));
                continue;
            }
            let Some(poll) = self.polls.remove(&key) else {
                continue;
            };
            match receipt_status(status, poll.push.expires_at <= now) {
                Some(receipt_status) => receipts.push(CallbackItem::Receipt(Receipt {
                    reference: poll.push.reference,
                    status: receipt_status,
                    at: now,
                })),
                None if status == PushStatus::UnknownPush => {}
                None => self.add(ScheduledPoll { polls_done: poll.polls_done + 1, ..poll }),
            }
        }
        receipts
    }
}

fn receipt_status(status: PushStatus, has_expired: bool) -> Option<ReceiptStatus> {
    match status {
        PushStatus::Delivered => Some(ReceiptStatus::Delivered),
        PushStatus::Pending if has_expired => {
            Some(ReceiptStatus::Bounced { reason: "expired before the device was reached".to_owned() })
        }
        PushStatus::Pending | PushStatus::UnknownPush | PushStatus::Throttled | PushStatus::Unavailable => {
            None
        }
    }
}

async fn fetch_status(api: &PushyApi, push: &AcceptedPush) -> PushStatus {
    match api.get(&["pushes", &push.id]).await {
        Ok(response) => parse_status(&response, &push.device_token),
        Err(_) => PushStatus::Unavailable,
    }
}

/// Parses a status. A push is delivered when its device is not pending.
fn parse_status(response: &JsonResponse, device_token: &str) -> PushStatus {
    match (response.status, response.json["push"]["pending_devices"].as_array()) {
        (200, Some(devices)) if devices.iter().any(|device| *device == *device_token) => PushStatus::Pending,
        (200, Some(_)) => PushStatus::Delivered,
        (429, _) => PushStatus::Throttled,
        (400 | 404, _) => PushStatus::UnknownPush,
        _ => PushStatus::Unavailable,
    }
}
