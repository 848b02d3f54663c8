//! A store put together from single capabilities, for tests that need only some of them.
//!
//! A test double implements the capability traits that its test uses and leaves the other parts out. A call of a
//! missing part returns an error, so a caller that uses more of the store than it should fails its test.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    AcceptStore, AdminStore, Backlog, BroadcastStore, Cancelled, CommitStats, CoordinationStore,
    DeadLetterRequest, DeliverySelection, EventQuery, EventStore, InboundQuery, InboundStore, LastAttempt,
    MaintenanceStore, MessageList, MessageQuery, ProbeDecision, Progress, ProviderEndpoint, RatePermit,
    ReadStore, ReceiptResult, ReceivedReceipt, RecipientStore, ReportSnapshot, ReportStore, Store,
    UsageQuery, UsageTotals, WaitingEndpoint, WorkStore,
};
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastCounts, BroadcastId, FanOutStep, NewBroadcast, NewUser, User,
    UserInboxPage, UserRegistration,
};
use postrider_core::circuit_breaker::ProbeUrgency;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::event::{ClaimedEvent, Event, EventAttemptResult, EventKey};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound_record::{InboundRecord, InboundTarget, NewInbound, StoredInbound};
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::message::{Acceptance, Message, NewMessage};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_core::{
    capacity::Capacity, clock::Timestamp, inbound::LateAcceptance, inbound::OptChange, name::ConfigName,
    provider_control::ProviderControl, queue_entry::QueueEntry, rate_limit::RateLimitRequest,
    recipient::Recipient, report::Report,
};

/// A store with the capabilities that are set.
#[derive(Clone, Default)]
pub struct StoreParts {
    pub accept: Option<Arc<dyn AcceptStore>>,
    pub work: Option<Arc<dyn WorkStore>>,
    pub read: Option<Arc<dyn ReadStore>>,
    pub recipients: Option<Arc<dyn RecipientStore>>,
    pub admin: Option<Arc<dyn AdminStore>>,
    pub coordination: Option<Arc<dyn CoordinationStore>>,
    pub report: Option<Arc<dyn ReportStore>>,
    pub events: Option<Arc<dyn EventStore>>,
    pub inbound: Option<Arc<dyn InboundStore>>,
    pub broadcasts: Option<Arc<dyn BroadcastStore>>,
    pub maintenance: Option<Arc<dyn MaintenanceStore>>,
}

impl Store for StoreParts {}

/// Implements a capability trait by calling the part that has it.
macro_rules! forward {
    (
        $trait:ident by $part:ident:
        $($method:ident($($argument:ident: $kind:ty),*) -> $reply:ty;)*
        $(=> $sync_method:ident -> $sync_reply:ty;)*
    ) => {
        #[async_trait]
        impl $trait for StoreParts {
            $(async fn $method(&self, $($argument: $kind),*) -> Result<$reply> {
                match &self.$part {
                    Some(part) => part.$method($($argument),*).await,
                    None => Err(Error::new(
                        ErrorKind::Internal,
                        concat!("the test store has no part for ", stringify!($method)),
                    )),
                }
            })*
            $(fn $sync_method(&self) -> $sync_reply {
                self.$part.as_ref().map(|part| part.$sync_method()).unwrap_or_default()
            })*
        }
    };
}

forward! {
    AcceptStore by accept:
    accept(messages: Vec<NewMessage>) -> Vec<Acceptance>;
}

forward! {
    WorkStore by work:
    due(now: Timestamp, capacity: &Capacity) -> Vec<QueueEntry>;
    claim(ids: Vec<DeliveryId>, now: Timestamp, lease: Duration) -> Vec<ClaimedDelivery>;
    extend_lease(claimed: &ClaimedDelivery, lease_expires_at: Timestamp) -> bool;
    record(rounds: Vec<CompletedRound>) -> Vec<RecordResult>;
    apply_receipts(receipts: Vec<ReceivedReceipt>) -> Vec<ReceiptResult>;
    apply_late_acceptance(
        provider: ConfigName,
        acceptance: LateAcceptance,
        received_at: Timestamp
    ) -> ReceiptResult;
    close_lost_rounds(now: Timestamp, limit: usize) -> Vec<DeliveryId>;
}

forward! {
    ReadStore by read:
    find_message(id: MessageId) -> Option<Message>;
    search(query: MessageQuery) -> MessageList;
    last_attempts(ids: Vec<DeliveryId>) -> Vec<LastAttempt>;
    usage(query: UsageQuery) -> MessageList;
    usage_totals(query: UsageQuery) -> UsageTotals;
    backlogs(now: Timestamp) -> Vec<(ConfigName, Backlog)>;
}

forward! {
    RecipientStore by recipients:
    recipient(channel: &ConfigName, address: &str) -> Option<Recipient>;
    set_recipient(recipient: Recipient) -> ();
    apply_opt_changes(changes: Vec<OptChange>) -> Vec<bool>;
}

forward! {
    AdminStore by admin:
    cancel_message(id: MessageId, now: Timestamp) -> Cancelled;
    cancel_deliveries(ids: Vec<DeliveryId>, now: Timestamp) -> Vec<ConfigName>;
    select_deliveries(selection: DeliverySelection) -> Vec<DeliveryId>;
    requeue(ids: Vec<DeliveryId>, now: Timestamp, expires_at: Timestamp) -> Vec<QueueEntry>;
}

forward! {
    CoordinationStore by coordination:
    current_time() -> Timestamp;
    acquire_rate_permits(request: RateLimitRequest, now: Timestamp) -> Vec<RatePermit>;
    load_health() -> Vec<SharedHealth>;
    report_health(reports: Vec<HealthReport>, now: Timestamp) -> Vec<ReportedHealth>;
    acquire_probe(provider: &ConfigName, urgency: ProbeUrgency, timeout: Duration, now: Timestamp) -> ProbeDecision;
    save_provider_control(control: ProviderControl) -> ();
    provider_controls() -> Vec<ProviderControl>;
    acquire_job_lock(job: ScheduledJob, holder: &str, now: Timestamp, lease: Duration) -> JobLockResult;
    renew_job_lock(job: ScheduledJob, holder: &str, expires_at: Timestamp) -> bool;
    release_job_lock(job: ScheduledJob, holder: &str, expires_at: Timestamp) -> ();
    store_secret() -> [u8; 32];
    session_generation(api_key_name: &str) -> i64;
    end_sessions(api_key_name: &str) -> ();
    => has_own_clock -> bool;
}

forward! {
    ReportStore by report:
    apply_changes(limit: usize) -> usize;
    begin_rebuild() -> ();
    report(as_of: Timestamp) -> Report;
    save_snapshot(snapshot: ReportSnapshot) -> ();
    snapshot() -> Option<ReportSnapshot>;
}

forward! {
    EventStore by events:
    waiting_endpoints(after: &str, limit: usize) -> Vec<WaitingEndpoint>;
    claim_events(capacities: Vec<(String, usize)>, now: Timestamp, lease: Duration) -> Vec<ClaimedEvent>;
    record_events(results: Vec<EventAttemptResult>) -> ();
    dead_letter_events(request: DeadLetterRequest) -> usize;
    events(query: EventQuery) -> Vec<Event>;
    replay_events(keys: Vec<EventKey>, now: Timestamp) -> usize;
}

forward! {
    InboundStore by inbound:
    store_inbound(messages: Vec<NewInbound>) -> Vec<StoredInbound>;
    find_inbound(id: MessageId) -> Option<InboundRecord>;
    inbound_messages(query: InboundQuery) -> Vec<InboundRecord>;
    waiting_inbound(target: InboundTarget, account: &str, limit: usize) -> Vec<InboundRecord>;
    mark_forwarded(ids: Vec<MessageId>, at: Timestamp) -> ();
}

forward! {
    BroadcastStore by broadcasts:
    register_users(users: Vec<NewUser>) -> Vec<UserRegistration>;
    users_with_id(id: &str) -> Vec<User>;
    has_users() -> bool;
    create_broadcast(broadcast: NewBroadcast) -> BroadcastAcceptance;
    next_unfinished_broadcast(after: i64) -> Option<Broadcast>;
    next_broadcast_users(broadcast: &Broadcast, limit: usize) -> Vec<User>;
    fan_out(step: FanOutStep, messages: Vec<NewMessage>) -> Option<Vec<Acceptance>>;
    broadcast(id: BroadcastId) -> Option<(Broadcast, BroadcastCounts)>;
    broadcasts(owner: Option<&str>, before: Option<i64>, limit: usize) -> Vec<Broadcast>;
    user_inbox(user: &str, owner: Option<&str>, before: Option<i64>, limit: usize) -> UserInboxPage;
}

forward! {
    MaintenanceStore by maintenance:
    prune(before: Timestamp, now: Timestamp, limit: usize) -> usize;
    prune_by_month(before: Timestamp, now: Timestamp, limit: usize) -> usize;
    delete_expired(before: Timestamp, now: Timestamp, limit: usize) -> usize;
    save_provider_endpoints(providers: Vec<ProviderEndpoint>) -> ();
    backup(file: PathBuf, progress: Progress) -> ();
    ping() -> ();
    => commit_stats -> Option<&CommitStats>;
}
