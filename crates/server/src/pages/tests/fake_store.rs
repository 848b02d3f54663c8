//! A store that knows one report and some messages, and can go away.
//!
//! Stands in where a test has to take the store away in the middle. Whatever no page asks for is an error here,
//! so a page that asks for more than it should fails its test.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastCounts, BroadcastId, FanOutStep, NewBroadcast, NewUser, User,
    UserInboxPage, UserRegistration,
};
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::event::{ClaimedEvent, Event, EventAttemptResult, EventKey};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::OptChange;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::message::{Acceptance, Message, NewMessage};
use postrider_core::name::ConfigName;
use postrider_core::provider_control::ProviderControl;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::recipient::Recipient;
use postrider_core::report::Report;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_store::{
    Backlog, BroadcastStore, Cancelled, DeadLetterRequest, DeliverySelection, EventQuery, EventStore,
    LastAttempt, MessageList, MessageQuery, ProbeDecision, Progress, ProviderEndpoint, RatePermit,
    ReceiptResult, ReceivedReceipt, ReportSnapshot, Store, UsageQuery, UsageTotals, WaitingEndpoint,
};

/// What pages can read.
#[derive(Default)]
pub(super) struct FakeStore {
    pub(super) is_unavailable: AtomicBool,
    pub(super) snapshot_reads: AtomicUsize,
    pub(super) snapshot: Mutex<Option<ReportSnapshot>>,
    pub(super) messages: Mutex<Vec<Message>>,
}

impl FakeStore {
    /// Makes this the newest report.
    pub(super) fn set_report(&self, report: &Report) {
        *self.snapshot.lock().unwrap() = Some(ReportSnapshot {
            generation: report.as_of.timestamp_millis(),
            as_of: report.as_of,
            content: serde_json::to_vec(report).unwrap(),
        });
    }

    fn check_available(&self) -> Result<()> {
        if self.is_unavailable.load(Ordering::SeqCst) {
            Err(Error::new(ErrorKind::Unavailable, "read the store"))
        } else {
            Ok(())
        }
    }
}

fn unexpected_call<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "do what no page asks for"))
}

#[async_trait]
impl BroadcastStore for FakeStore {
    async fn register_users(&self, _: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        unexpected_call()
    }
    async fn user(&self, _: &str) -> Result<Option<User>> {
        unexpected_call()
    }
    async fn create_broadcast(&self, _: NewBroadcast) -> Result<BroadcastAcceptance> {
        unexpected_call()
    }
    async fn next_unfinished_broadcast(&self, _: i64) -> Result<Option<Broadcast>> {
        unexpected_call()
    }
    async fn next_broadcast_users(&self, _: &Broadcast, _: usize) -> Result<Vec<User>> {
        unexpected_call()
    }
    async fn fan_out(&self, _: FanOutStep, _: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        unexpected_call()
    }
    async fn broadcast(&self, _: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        unexpected_call()
    }
    async fn broadcasts(&self, _: Option<i64>, _: usize) -> Result<Vec<Broadcast>> {
        unexpected_call()
    }
    async fn user_inbox(&self, _: &str, _: Option<i64>, _: usize) -> Result<UserInboxPage> {
        unexpected_call()
    }
}

#[async_trait]
impl EventStore for FakeStore {
    async fn waiting_endpoints(&self, _: &str, _: usize) -> Result<Vec<WaitingEndpoint>> {
        unexpected_call()
    }
    async fn claim_events(
        &self,
        _: Vec<(String, usize)>,
        _: Timestamp,
        _: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        unexpected_call()
    }
    async fn record_events(&self, _: Vec<EventAttemptResult>) -> Result<()> {
        unexpected_call()
    }
    async fn dead_letter_events(&self, _: DeadLetterRequest) -> Result<usize> {
        unexpected_call()
    }
    async fn events(&self, _: EventQuery) -> Result<Vec<Event>> {
        unexpected_call()
    }
    async fn replay_events(&self, _: Vec<EventKey>, _: Timestamp) -> Result<usize> {
        unexpected_call()
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        self.check_available()?;
        let messages = self.messages.lock().unwrap();
        Ok(messages.iter().find(|message| message.id == id).cloned())
    }
    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        self.check_available()?;
        let to = query.to.unwrap_or_default();
        let has = |message: &&Message| message.deliveries.iter().any(|delivery| delivery.address == to);
        let messages: Vec<Message> = self
            .messages
            .lock()
            .unwrap()
            .iter()
            .filter(has)
            .cloned()
            .collect();
        let next = messages.last().map(|message| message.number);
        Ok(MessageList { messages, next })
    }
    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        self.snapshot_reads.fetch_add(1, Ordering::SeqCst);
        self.check_available()?;
        Ok(self.snapshot.lock().unwrap().clone())
    }
    async fn accept(&self, _: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        unexpected_call()
    }
    async fn due(&self, _: Timestamp, _: &Capacity) -> Result<Vec<QueueEntry>> {
        unexpected_call()
    }
    async fn claim(&self, _: Vec<DeliveryId>, _: Timestamp, _: Duration) -> Result<Vec<ClaimedDelivery>> {
        unexpected_call()
    }
    async fn record(&self, _: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        unexpected_call()
    }
    async fn apply_receipts(&self, _: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        unexpected_call()
    }
    async fn cancel_message(&self, _: MessageId, _: Timestamp) -> Result<Cancelled> {
        unexpected_call()
    }
    async fn usage(&self, _: UsageQuery) -> Result<MessageList> {
        unexpected_call()
    }

    async fn usage_totals(&self, _: UsageQuery) -> Result<UsageTotals> {
        unexpected_call()
    }

    async fn select_deliveries(&self, _: DeliverySelection) -> Result<Vec<DeliveryId>> {
        unexpected_call()
    }
    async fn requeue(&self, _: Vec<DeliveryId>, _: Timestamp, _: Timestamp) -> Result<Vec<QueueEntry>> {
        unexpected_call()
    }
    async fn recipient(&self, _: &ConfigName, _: &str) -> Result<Option<Recipient>> {
        unexpected_call()
    }
    async fn set_recipient(&self, _: Recipient) -> Result<()> {
        unexpected_call()
    }
    async fn apply_opt_changes(&self, _: Vec<OptChange>) -> Result<Vec<bool>> {
        unexpected_call()
    }
    async fn apply_changes(&self, _: usize) -> Result<usize> {
        unexpected_call()
    }
    async fn begin_rebuild(&self) -> Result<()> {
        unexpected_call()
    }
    async fn report(&self, _: Timestamp) -> Result<Report> {
        unexpected_call()
    }
    async fn save_snapshot(&self, _: ReportSnapshot) -> Result<()> {
        unexpected_call()
    }
    async fn backlogs(&self, _: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        unexpected_call()
    }
    async fn prune(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<usize> {
        unexpected_call()
    }
    async fn delete_expired(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<usize> {
        unexpected_call()
    }
    async fn save_provider_endpoints(&self, _: Vec<ProviderEndpoint>) -> Result<()> {
        unexpected_call()
    }
    async fn current_time(&self) -> Result<Timestamp> {
        unexpected_call()
    }
    async fn acquire_rate_permits(&self, _: RateLimitRequest, _: Timestamp) -> Result<Vec<RatePermit>> {
        unexpected_call()
    }
    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        unexpected_call()
    }
    async fn save_provider_control(&self, _: ProviderControl) -> Result<()> {
        unexpected_call()
    }
    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        unexpected_call()
    }
    async fn cancel_deliveries(&self, _: Vec<DeliveryId>, _: Timestamp) -> Result<Vec<ConfigName>> {
        unexpected_call()
    }
    async fn last_attempts(&self, _: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        unexpected_call()
    }
    async fn report_health(&self, _: Vec<HealthReport>, _: Timestamp) -> Result<Vec<ReportedHealth>> {
        unexpected_call()
    }
    async fn acquire_probe(&self, _: &ConfigName, _: Duration, _: Timestamp) -> Result<ProbeDecision> {
        unexpected_call()
    }
    async fn acquire_job_lock(
        &self,
        _: ScheduledJob,
        _: &str,
        _: Timestamp,
        _: Duration,
    ) -> Result<JobLockResult> {
        unexpected_call()
    }
    async fn renew_job_lock(&self, _: ScheduledJob, _: &str, _: Timestamp) -> Result<bool> {
        unexpected_call()
    }
    async fn release_job_lock(&self, _: ScheduledJob, _: &str, _: Timestamp) -> Result<()> {
        unexpected_call()
    }
    async fn store_secret(&self) -> Result<[u8; 32]> {
        unexpected_call()
    }
    async fn backup(&self, _: PathBuf, _: Progress) -> Result<()> {
        unexpected_call()
    }
    async fn ping(&self) -> Result<()> {
        self.check_available()
    }
}
