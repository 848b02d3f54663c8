//! The truth: messages, deliveries, attempts, receipts, recipients, the report's roll-ups.
//!
//! A verb that returns `Ok` has happened and is on disk; one that returns an error has not happened at all.
//! All verbs take batches. No connection, row or SQL crosses this boundary.

mod broadcasts;
mod commits;
mod migrate;
mod outbox;
mod place;
mod postgres;
mod rollups;
mod sharing;
mod sqlite;
mod tally;
mod transfer;
mod usage;

#[cfg(test)]
mod contract;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::{Standing, State};
use crate::domain::fleet::{Known, Learned, News};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::inbound::Opting;
use crate::domain::message::{Acceptance, Claimed, Message, NewMessage, Nudge, Priority, Recorded, Round};
use crate::domain::order::Order;
use crate::domain::receipt::Receipt;
use crate::domain::recipient::Recipient;
use crate::domain::report::Report;
use crate::domain::throttle::PaceWish;
use crate::domain::turn::{Task, Turn};
use crate::domain::wish::Wish;
use crate::error::Result;

pub use self::broadcasts::Broadcasts;
pub use self::commits::CommitStats;
pub use self::outbox::{Burial, EventLane, EventQuery, Outbox};
pub use self::place::{
    CONNECTIONS, LOCK_WAIT, MIGRATION_LIMIT, Place, check_replica, migrate, missing, missing_folder, open,
    open_at,
};
pub use self::transfer::{Comparison, Move, Route, Stage};
pub use self::usage::{UsageQuery, UsageTotals};

/// What every store can do. `contract.rs` decides what a store is.
#[async_trait]
pub trait Store: Outbox + Broadcasts {
    /// Stores messages with their deliveries and idempotency keys, in one transaction, on disk before it
    /// returns. A delivery to an inactive recipient is stored as suppressed; a message with no other
    /// delivery is not stored at all, nor is one whose throttles are used up, across all stores on this truth.
    /// Only what is stored uses a throttle up.
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>>;

    /// What is due at `now`, as much as is wished for: the highest priority first, from the channels in turn,
    /// within a channel the longest waiting first. Channels nobody configured any more are found as well; one
    /// without room is not read.
    async fn due(&self, now: Timestamp, wish: &Wish) -> Result<Vec<Nudge>>;

    /// Moves `due_at` to the end of the lease, so that a crashed worker needs no rescuer, and counts a round.
    /// An id that is not due, finished, or taken by a faster worker is left out of the answer.
    async fn claim(&self, ids: Vec<DeliveryId>, now: Timestamp, lease: Duration) -> Result<Vec<Claimed>>;

    /// Stores attempts and new states. A round that another claim has overtaken changes no state; its
    /// attempts are kept all the same. A round that ends in `InvalidRecipient` makes the recipient inactive.
    /// Receipts that came before the record are applied. Recording a round again changes nothing.
    async fn record(&self, rounds: Vec<Round>) -> Result<Vec<Recorded>>;

    /// Applies receipts. A receipt whose reference is not known (yet) is kept and applied by `record`, if it may wait
    /// and fewer than [`EARLY_RECEIPTS_MAX`] wait already; else it is dropped.
    async fn settle(&self, receipts: Vec<Heard>) -> Result<Vec<Settled>>;

    /// Calls off what still waits of a message and is not in a worker's hands.
    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Cancelled>;

    /// Calls off those of the deliveries that wait and are in no worker's hands; returns the channel of each.
    async fn call_off(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<Name>>;

    /// A message with its deliveries and every attempt.
    async fn find(&self, id: MessageId) -> Result<Option<Message>>;

    /// Messages, newest first, without their attempts.
    async fn search(&self, query: Query) -> Result<Page>;

    /// The last call made for each of the deliveries; one that no call was made for is left out.
    async fn last_calls(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastCall>>;

    /// What was sent, newest first, without attempts: to one person, or to all.
    async fn usage(&self, query: UsageQuery) -> Result<Page>;

    /// The same counted by day, person and channel, as far as can be counted in a moment. `before` and `limit` count
    /// for nothing.
    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals>;

    /// The deliveries an operator speaks of, oldest first.
    async fn select(&self, selection: Selection) -> Result<Vec<DeliveryId>>;

    /// Makes failed deliveries wait again with fresh tries (and an expiry no earlier than `expires_at`), and
    /// waiting ones that are in no worker's hands due at once. Returns those that were changed.
    async fn revive(&self, ids: Vec<DeliveryId>, now: Timestamp, expires_at: Timestamp)
    -> Result<Vec<Nudge>>;

    /// What is known of a recipient; none when nothing was ever said of it, which means active.
    async fn recipient(&self, channel: &Name, address: &str) -> Result<Option<Recipient>>;

    /// Sets what is known of a recipient. What waits for one that may not be written to any more is called off, unless
    /// a worker has it in hand.
    async fn set_recipient(&self, recipient: Recipient) -> Result<()>;

    /// Does what persons ask of us: stop makes a recipient `opted_out`, whatever it was, start makes it active only
    /// when it had opted out before. A text that was heard already changes nothing. What waits for who opts out is called
    /// off as in [`Store::set_recipient`]. Says of each whether it changed something.
    async fn opt(&self, wishes: Vec<Opting>) -> Result<Vec<bool>>;

    /// Brings at most `limit` changed deliveries into the roll-ups; returns how many it took. Zero: up to date.
    async fn fold(&self, limit: usize) -> Result<usize>;

    /// Forgets the roll-ups of what still exists, so that `fold` builds them again from nothing.
    async fn unfold(&self) -> Result<()>;

    /// The report as the roll-ups have it, with `as_of` as its time.
    async fn report(&self, as_of: Timestamp) -> Result<Report>;

    /// Keeps a rendered snapshot of the report and makes it the newest.
    async fn keep_snapshot(&self, snapshot: Snapshot) -> Result<()>;

    /// The newest snapshot.
    async fn snapshot(&self) -> Result<Option<Snapshot>>;

    /// What waits now in each channel where anything does, counted live.
    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(Name, Backlog)>>;

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
    async fn forget(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;

    /// Tells the store where providers are, so that people's own queries can show it.
    async fn name_providers(&self, providers: Vec<ProviderPlace>) -> Result<()>;

    /// The store's own present, which everybody who uses it goes by.
    async fn time(&self) -> Result<Timestamp>;

    /// Whether [`Store::time`] may be another than this machine's.
    fn has_own_clock(&self) -> bool {
        false
    }

    /// Lets messages go to a provider, or says how long each has to wait, so that all processes together never
    /// exceed its rate. Nothing that was let go is given back.
    async fn pass(&self, wish: PaceWish, now: Timestamp) -> Result<Vec<Passage>>;

    /// How providers do, as far as any process has told.
    async fn standings(&self) -> Result<Vec<Known>>;

    /// Tells the others how providers do; returns what came of it for each, in the same order. Of all who find out the
    /// same about a provider, one is told that it is news.
    async fn tell(&self, news: Vec<News>, now: Timestamp) -> Result<Vec<Learned>>;

    /// Asks to make the one call that finds out whether a provider is back after its rest. Of all who ask, one is
    /// told yes; when nothing is heard of him for `patience`, another one.
    async fn probe(&self, provider: &Name, patience: Duration, now: Timestamp) -> Result<Probe>;

    /// Keeps an operator's word on a provider instead of the one before. To be woken also makes it known as well.
    async fn order(&self, order: Order) -> Result<()>;

    /// The last word on each provider that an operator ever spoke of.
    async fn orders(&self) -> Result<Vec<Order>>;

    /// Asks to be the only one who does a piece of work. The turn ends by itself after `hold`, which is the same for
    /// all who ask, unless it is renewed.
    async fn take_turn(&self, task: Task, holder: &str, now: Timestamp, hold: Duration) -> Result<Turn>;

    /// Moves the end of a turn. False when it is not the holder's any more.
    async fn renew_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<bool>;

    /// Says that the work is done. Nobody else gets a turn before `ends_at`, which may be now.
    async fn end_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<()>;

    /// A secret that is made once and lives as long as the store: what it seals, only processes on the same
    /// store can open.
    async fn seal(&self) -> Result<[u8; 32]>;

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
pub type Passage = Result<(), Duration>;

/// Whose the probe of a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whoever asked makes it; this is known from now on.
    Yours(Known),
    /// Another makes it, or none is needed; this is what is known.
    NotYours(Option<Known>),
}

/// A receipt as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who says so; none when the door it came through belongs to no single provider.
    pub provider: Option<Name>,
    /// What it says.
    pub receipt: Receipt,
    /// The delivery it speaks of, where that is known; else the receipt's reference tells.
    pub delivery: Option<DeliveryId>,
    /// When we heard it.
    pub heard_at: Timestamp,
    /// Whether it is kept when its reference is not known yet. False for a receipt of an unauthenticated caller, who
    /// could fill the store with receipts for made-up references.
    pub may_wait: bool,
}

/// How many receipts with an unknown reference are kept at most, of all providers together. A send is recorded within
/// seconds, so in normal operation a few hundred wait.
pub const EARLY_RECEIPTS_MAX: usize = 10_000;

/// What a store made of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It changed the delivery.
    Applied(Settlement),
    /// The delivery had ended, or knew this already.
    Unchanged(Settlement),
    /// Nothing with this reference is known; the receipt is kept until it is.
    Kept,
    /// Nothing with this reference is known, and the receipt was not kept: it may not wait, or too many wait already.
    Dropped,
}

/// The delivery a receipt speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which delivery.
    pub id: DeliveryId,
    /// Over which channel.
    pub channel: Name,
    /// Who carried it.
    pub provider: Name,
    /// The address as the client wrote it.
    pub spelling: String,
    /// What the message says.
    pub body: String,
    /// Whether it goes before others.
    pub priority: Priority,
    /// Where it stood before.
    pub from: Standing,
    /// The state it is in now.
    pub state: State,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// A delivery on each of these channels was called off.
    Done(Vec<Name>),
    /// Nothing of it waits any more, or a worker has it in hand.
    TooLate,
    /// There is no such message.
    Missing,
}

/// Which messages a search is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// With a delivery to this normalised address.
    pub to: Option<String>,
    /// With a delivery in this state.
    pub state: Option<Standing>,
    /// Accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// Older than the message with this running number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// A page of messages, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The messages, without attempts.
    pub messages: Vec<Message>,
    /// What `before` must be for the next page; none on the last one.
    pub next: Option<i64>,
}

/// The last call made for a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCall {
    /// Which delivery.
    pub id: DeliveryId,
    /// Who was asked; none where nobody knows.
    pub provider: Option<Name>,
    /// The provider's own code.
    pub code: Option<String>,
    /// Whether the end of any of its calls is unknown, so that it may have been sent twice.
    pub may_be_twice: bool,
}

/// Which deliveries an operator speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// In which state.
    pub pick: Pick,
    /// Only those this provider was the last to be asked for.
    pub provider: Option<Name>,
    /// Only those accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// The states an operator can send again from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Waiting, whether due or not.
    Waiting,
    /// Failed, of whatever kind but cancelled or suppressed.
    Failed,
}

/// A rendered report with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
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
pub struct ProviderPlace {
    /// Its name.
    pub name: Name,
    /// Its host, or its kind where it has none.
    pub host: String,
    /// Its port; 0 where it has none.
    pub port: u16,
}
