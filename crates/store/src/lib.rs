//! The truth: messages, deliveries, attempts, receipts, recipients, the report's roll-ups.
//!
//! A verb that returns `Ok` has happened and is on disk; one that returns an error has not happened at all.
//! All verbs take batches. No connection, row or SQL crosses this boundary.

#[macro_use]
mod sql;

mod broadcasts;
mod commit_stats;
mod coordination;
mod copy;
mod events;
mod migrate;
mod postgres;
mod report;
mod rollups;
mod sqlite;
mod url;
mod usage;

#[cfg(test)]
mod testing;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use postrider_core::capacity::Capacity;
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::OptChange;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::message::{
    Acceptance, ClaimedDelivery, CompletedRound, Message, NewMessage, Priority, QueueEntry, RecordResult,
};
use postrider_core::provider_control::ProviderControl;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::receipt::Receipt;
use postrider_core::recipient::Recipient;
use postrider_core::report::Report;
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};

pub use self::broadcasts::BroadcastStore;
pub use self::commit_stats::CommitStats;
pub use self::copy::{MoveOptions, MoveStage, StoreMove, TableComparison};
pub use self::events::{DeadLetterRequest, EventQuery, EventStore, WaitingEndpoint};
pub use self::url::{
    DEFAULT_CONNECTIONS_MAX, DEFAULT_LOCK_TIMEOUT, MIGRATION_TIMEOUT, StoreOptions, check_replica, migrate,
    missing_folder, open, open_with, pending_migrations,
};
pub use self::usage::{UsageQuery, UsageTotals};

/// What every store can do. `contract.rs` decides what a store is.
#[async_trait]
pub trait Store: EventStore + BroadcastStore {
    /// Stores messages with their deliveries and idempotency keys, in one transaction, on disk before it
    /// returns. A delivery to an inactive recipient is stored as suppressed; a message with no other
    /// delivery is not stored at all, nor is one whose throttles are used up, across all stores on this truth.
    /// Only what is stored uses a throttle up.
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>>;

    /// What is due at `now`, as much as is wished for: the highest priority first, from the channels in turn,
    /// within a channel the longest waiting first. Channels nobody configured any more are found as well; one
    /// without room is not read.
    async fn due(&self, now: Timestamp, wish: &Capacity) -> Result<Vec<QueueEntry>>;

    /// Moves `due_at` to the end of the lease, so that a crashed worker needs no rescuer, and counts a round.
    /// An id that is not due, finished, or taken by a faster worker is left out of the answer.
    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>>;

    /// Stores attempts and new states. A round that another claim has overtaken changes no state; its
    /// attempts are kept all the same. A round that ends in `InvalidRecipient` makes the recipient inactive.
    /// Receipts that came before the record are applied. Recording a round again changes nothing.
    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>>;

    /// Applies receipts. A receipt whose reference is not known (yet) is kept and applied by `record`, if it may wait
    /// and fewer than [`EARLY_RECEIPTS_MAX`] wait already; else it is dropped.
    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>>;

    /// Calls off what still waits of a message and is not in a worker's hands.
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled>;

    /// Calls off those of the deliveries that wait and are in no worker's hands; returns the channel of each.
    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>>;

    /// A message with its deliveries and every attempt.
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>>;

    /// Messages, newest first, without their attempts.
    async fn search(&self, query: MessageQuery) -> Result<MessageList>;

    /// The last call made for each of the deliveries; one that no call was made for is left out.
    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>>;

    /// What was sent, newest first, without attempts: to one person, or to all.
    async fn usage(&self, query: UsageQuery) -> Result<MessageList>;

    /// The same counted by day, person and channel, as far as can be counted in a moment. `before` and `limit` count
    /// for nothing.
    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals>;

    /// The deliveries an operator speaks of, oldest first.
    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>>;

    /// Makes failed deliveries wait again with fresh tries (and an expiry no earlier than `expires_at`), and
    /// waiting ones that are in no worker's hands due at once. Returns those that were changed.
    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>>;

    /// What is known of a recipient; none when nothing was ever said of it, which means active.
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>>;

    /// Sets what is known of a recipient. What waits for one that may not be written to any more is called off, unless
    /// a worker has it in hand.
    async fn set_recipient(&self, recipient: Recipient) -> Result<()>;

    /// Does what persons ask of us: stop makes a recipient `opted_out`, whatever it was, start makes it active only
    /// when it had opted out before. A text that was heard already changes nothing. What waits for who opts out is called
    /// off as in [`Store::set_recipient`]. Says of each whether it changed something.
    async fn apply_opt_changes(&self, wishes: Vec<OptChange>) -> Result<Vec<bool>>;

    /// Brings at most `limit` changed deliveries into the roll-ups; returns how many it took. Zero: up to date.
    async fn apply_changes(&self, limit: usize) -> Result<usize>;

    /// Forgets the roll-ups of what still exists, so that `fold` builds them again from nothing.
    async fn begin_rebuild(&self) -> Result<()>;

    /// The report as the roll-ups have it, with `as_of` as its time.
    async fn report(&self, as_of: Timestamp) -> Result<Report>;

    /// Keeps a rendered snapshot of the report and makes it the newest.
    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()>;

    /// The newest snapshot.
    async fn snapshot(&self) -> Result<Option<ReportSnapshot>>;

    /// What waits now in each channel where anything does, counted live.
    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>>;

    /// The same of all channels together.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let backlogs = self.backlogs(now).await?;
        Ok(backlogs.into_iter().map(|(_, backlog)| backlog).sum())
    }

    /// Deletes at most `limit` messages that were accepted before `before` and have ended (a month of which nothing
    /// else is left as a whole, where the store is kept by month); what the report counts of them stays counted.
    /// Returns the number of messages deleted. Zero: nothing is left to delete.
    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;

    /// The same, but where the store is kept by month nothing of a month is deleted before all of it is that old, so
    /// that it can go as a whole.
    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune(before, now, limit).await
    }

    /// Deletes at most `limit` of each kind of what is outdated beside messages: keys, throttles that count nothing
    /// any more, receipts that were heard before `before` and belong to nothing, and broadcasts of before then that are
    /// spread and of whose messages none is left. Returns how many in all.
    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;

    /// Tells the store where providers are, so that people's own queries can show it.
    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()>;

    /// The store's own present, which everybody who uses it goes by.
    async fn current_time(&self) -> Result<Timestamp>;

    /// Whether [`Store::time`] may be another than this machine's.
    fn has_own_clock(&self) -> bool {
        false
    }

    /// Lets messages go to a provider, or says how long each has to wait, so that all processes together never
    /// exceed its rate. Nothing that was let go is given back.
    async fn acquire_rate_permits(&self, wish: RateLimitRequest, now: Timestamp) -> Result<Vec<RatePermit>>;

    /// How providers do, as far as any process has told.
    async fn load_health(&self) -> Result<Vec<SharedHealth>>;

    /// Tells the others how providers do; returns what came of it for each, in the same order. Of all who find out the
    /// same about a provider, one is told that it is news.
    async fn report_health(&self, news: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>>;

    /// Asks to make the one call that finds out whether a provider is back after its rest. Of all who ask, one is
    /// told yes; when nothing is heard of him for `patience`, another one.
    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        patience: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision>;

    /// Keeps an operator's word on a provider instead of the one before. To be woken also makes it known as well.
    async fn save_provider_control(&self, order: ProviderControl) -> Result<()>;

    /// The last word on each provider that an operator ever spoke of.
    async fn provider_controls(&self) -> Result<Vec<ProviderControl>>;

    /// Asks to be the only one who does a piece of work. The turn ends by itself after `hold`, which is the same for
    /// all who ask, unless it is renewed.
    async fn acquire_job_lock(
        &self,
        task: ScheduledJob,
        holder: &str,
        now: Timestamp,
        hold: Duration,
    ) -> Result<JobLockResult>;

    /// Moves the end of a turn. False when it is not the holder's any more.
    async fn renew_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<bool>;

    /// Says that the work is done. Nobody else gets a turn before `ends_at`, which may be now.
    async fn release_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<()>;

    /// A secret that is made once and lives as long as the store: what it seals, only processes on the same
    /// store can open.
    async fn store_secret(&self) -> Result<[u8; 32]>;

    /// Copies the whole store to a file while it is in use. Calls `progress` with pages done and pages in all.
    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()>;

    /// Whether the truth can be read and written now.
    async fn ping(&self) -> Result<()>;

    /// What was committed so far, where the store groups commits itself.
    fn commit_stats(&self) -> Option<&CommitStats> {
        None
    }
}

/// Told how far a long piece of work is: done, and in all.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// Whether a message may go to a provider, or how long it has to wait.
pub type RatePermit = Result<(), Duration>;

/// Whose the probe of a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeDecision {
    /// Whoever asked makes it; this is known from now on.
    Granted(SharedHealth),
    /// Another makes it, or none is needed; this is what is known.
    Denied(Option<SharedHealth>),
}

/// A receipt as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedReceipt {
    /// Who says so; none when the door it came through belongs to no single provider.
    pub provider: Option<ConfigName>,
    /// What it says.
    pub receipt: Receipt,
    /// The delivery it speaks of, where that is known; else the receipt's reference tells.
    pub delivery: Option<DeliveryId>,
    /// When we heard it.
    pub received_at: Timestamp,
    /// Whether it is kept when its reference is not known yet. False for a receipt of an unauthenticated caller, who
    /// could fill the store with receipts for made-up references.
    pub can_wait: bool,
}

/// How many receipts with an unknown reference are kept at most, of all providers together. A send is recorded within
/// seconds, so in normal operation a few hundred wait.
pub const UNMATCHED_RECEIPTS_MAX: usize = 10_000;

/// What a store made of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptResult {
    /// It changed the delivery.
    Applied(MatchedDelivery),
    /// The delivery had ended, or knew this already.
    Unchanged(MatchedDelivery),
    /// Nothing with this reference is known; the receipt is kept until it is.
    Unmatched,
    /// Nothing with this reference is known, and the receipt was not kept: it may not wait, or too many wait already.
    Dropped,
}

/// The delivery a receipt speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedDelivery {
    /// Which delivery.
    pub id: DeliveryId,
    /// Over which channel.
    pub channel: ConfigName,
    /// Who carried it.
    pub provider: ConfigName,
    /// The address as the client wrote it.
    pub spelling: String,
    /// What the message says.
    pub body: String,
    /// Whether it goes before others.
    pub priority: Priority,
    /// Where it stood before.
    pub previous_kind: DeliveryStateKind,
    /// The state it is in now.
    pub state: DeliveryState,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// A delivery on each of these channels was called off.
    Done(Vec<ConfigName>),
    /// Nothing of it waits any more, or a worker has it in hand.
    TooLate,
    /// There is no such message.
    NotFound,
}

/// Which messages a search is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// With a delivery to this normalised address.
    pub to: Option<String>,
    /// With a delivery in this state.
    pub state: Option<DeliveryStateKind>,
    /// Accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// Older than the message with this running number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// A page of messages, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageList {
    /// The messages, without attempts.
    pub messages: Vec<Message>,
    /// What `before` must be for the next page; none on the last one.
    pub next: Option<i64>,
}

/// The last call made for a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    /// Which delivery.
    pub id: DeliveryId,
    /// Who was asked; none where nobody knows.
    pub provider: Option<ConfigName>,
    /// The provider's own code.
    pub code: Option<String>,
    /// Whether the end of any of its calls is unknown, so that it may have been sent twice.
    pub has_unknown_attempt: bool,
}

/// Which deliveries an operator speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySelection {
    /// In which state.
    pub status: SelectableStatus,
    /// Only those this provider was the last to be asked for.
    pub provider: Option<ConfigName>,
    /// Only those accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// The states an operator can send again from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectableStatus {
    /// Waiting, whether due or not.
    Waiting,
    /// Failed, of whatever kind but cancelled or suppressed.
    Failed,
}

/// A rendered report with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSnapshot {
    /// Which rendering it is; each new one is greater.
    pub generation: i64,
    /// The moment it speaks of.
    pub as_of: Timestamp,
    /// The report as `flow/sync_report` writes it.
    pub content: Vec<u8>,
}

/// What waits now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that wait, due or not.
    pub waiting: u64,
    /// Of these, due now.
    pub due: u64,
    /// Since when the longest waiting due delivery has been due.
    pub oldest_due_at: Option<Timestamp>,
}

impl std::iter::Sum for Backlog {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            waiting: sum.waiting + one.waiting,
            due: sum.due + one.due,
            oldest_due_at: sum.oldest_due_at.into_iter().chain(one.oldest_due_at).min(),
        })
    }
}

/// Where a provider is, as the `notifications` view shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEndpoint {
    /// Its name.
    pub name: ConfigName,
    /// Its host, or its kind where it has none.
    pub host: String,
    /// Its port; 0 where it has none.
    pub port: u16,
}
