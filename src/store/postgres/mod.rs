//! The store for more than one host: PostgreSQL, or what speaks its protocol.
//!
//! This file is the verbs. Accepts, claims, records, receipts and paces go into group commits; everything else is a
//! transaction of its own. Nothing is kept in memory that another host could change, and nothing in a server's session.

mod accept;
mod address;
mod broadcasts;
mod certificate;
mod door;
mod durability;
mod events;
mod fault;
mod gather;
mod link;
mod look;
mod migrate;
mod months;
mod operate;
mod opting;
mod prune;
mod receipts;
mod replica;
mod report;
mod retire;
mod rounds;
mod rows;
mod sharing;
mod standing;
mod tally;
mod throttle;
mod tls;
mod transfer;
mod usage;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::accept::Accept;
use self::address::Use;
use self::fault::Trouble;
use self::gather::{COLLISIONS_MAX, Lane};
use self::link::Link;
use self::prune::Months;
use self::receipts::Settle;
use self::replica::{Freshness, Replica};
use self::rounds::{Claim, Record};
use self::sharing::Pass;
pub(super) use self::transfer::side;
use super::{
    Backlog, Cancelled, CommitStats, Heard, LastCall, Page, Passage, Place, Probe, Progress, ProviderPlace,
    Query, Selection, Settled, Snapshot, Store, UsageQuery, UsageTotals,
};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::fleet::{Known, Learned, News};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::inbound::Opting;
use crate::domain::message::{Acceptance, Claimed, Message, NewMessage, Nudge, Recorded, Round};
use crate::domain::order::Order;
use crate::domain::recipient::Recipient;
use crate::domain::report::Report;
use crate::domain::throttle::PaceWish;
use crate::domain::turn::{Task, Turn};
use crate::domain::wish::Wish;
use crate::error::{Error, Kind, Result};

pub use self::replica::check as check_replica;

/// A store on a server.
pub struct PostgresStore {
    link: Link,
    replica: Option<Replica>,
    stats: Arc<CommitStats>,
    accepts: Lane<Accept>,
    claims: Lane<Claim>,
    records: Lane<Record>,
    passes: Lane<Pass>,
    settles: Lane<Settle>,
}

impl PostgresStore {
    /// Brings the schema of the database up to date and makes ready to use it. Blocks while it does.
    pub fn open(place: &Place<'_>) -> Result<Self> {
        let link = Link::new(place.url, Use::Writing, place.connections)?;
        let replica = match place.replica_url {
            None => None,
            Some(url) => Some(Replica::new(Link::new(url, Use::Reading, place.connections)?)),
        };
        let url = place.url.to_owned();
        on_a_thread(place.lock_wait, async move {
            // Connections belong to whoever runs them: none of those that served here can stay.
            let link = Link::new(&url, Use::Writing, 1)?;
            migrate::apply(&link).await?;
            transfer::refuse_moved(&link).await?;
            durability::warn(&link).await;
            Ok(())
        })?;
        let stats = Arc::new(CommitStats::default());
        Ok(Self {
            accepts: Lane::new(link.clone(), Arc::clone(&stats)),
            claims: Lane::new(link.clone(), Arc::clone(&stats)),
            records: Lane::new(link.clone(), Arc::clone(&stats)),
            passes: Lane::new(link.clone(), Arc::clone(&stats)),
            settles: Lane::new(link.clone(), Arc::clone(&stats)),
            link,
            replica,
            stats,
        })
    }
}

/// Brings the schema of a database up to date; returns the names of what was applied.
pub fn migrate(url: &str, patience: Duration) -> Result<Vec<String>> {
    let link = Link::new(url, Use::Writing, 1)?;
    on_a_thread(patience, async move { migrate::apply(&link).await })
}

/// The names of what [`migrate`] would apply. Changes nothing.
pub fn missing(url: &str, patience: Duration) -> Result<Vec<String>> {
    let link = Link::new(url, Use::Writing, 1)?;
    on_a_thread(patience, async move { migrate::missing(&link).await })
}

/// Works on a thread of its own, so that it may be called from wherever.
fn on_a_thread<T: Send + 'static>(
    patience: Duration,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let act = "cannot bring the database up to date";
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build();
        let runtime = runtime.map_err(|error| Error::because(Kind::Unavailable, act, error))?;
        let done = runtime.block_on(async { tokio::time::timeout(patience, work).await });
        done.unwrap_or_else(|_| {
            let why = "the database server, or another host that is doing the same, takes too long";
            Err(Error::new(Kind::Unavailable, format!("{act}: {why}")))
        })
    };
    let thread = std::thread::Builder::new().name("store-migrate".to_owned());
    let thread = thread.spawn(run);
    let thread = thread.map_err(|error| Error::because(Kind::Unavailable, act, error))?;
    let broken = |_| Error::new(Kind::Internal, format!("{act}: it broke off"));
    thread.join().map_err(broken)?
}

/// Asks the replica, where there is one; returns its answer when it is new enough, goes on otherwise.
macro_rules! from_replica {
    ($self:ident, $freshness:expr, |$desk:ident| $work:expr) => {
        if let Some(replica) = &$self.replica {
            let answer = async {
                let $desk = replica.read(&$self.link, $freshness).await?;
                let outcome = $work.await;
                replica.end($desk, outcome).await
            };
            match tokio::time::timeout(replica::ANSWER_LIMIT, answer).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(_) => replica.rest(Trouble::Silent),
            }
        }
    };
}

/// How long a verb may take before its connection counts as hung. Those that go through much have no limit.
const VERB_LIMIT: Duration = Duration::from_secs(60);

/// Runs a verb in a transaction of its own, once more when it collides with another.
macro_rules! transact {
    ($self:ident.$begin:ident, $act:expr, |$desk:ident| $work:expr) => {{
        let outcome = tokio::time::timeout(VERB_LIMIT, async {
            transact!(unlimited $self.$begin, |$desk| $work)
        });
        let outcome = outcome.await.unwrap_or(Err(Trouble::Silent));
        outcome.map_err(|trouble| trouble.fault($act))
    }};
    (unlimited $self:ident.$begin:ident, $act:expr, |$desk:ident| $work:expr) => {{
        let outcome = transact!(unlimited $self.$begin, |$desk| $work);
        outcome.map_err(|trouble| trouble.fault($act))
    }};
    (unlimited $self:ident.$begin:ident, |$desk:ident| $work:expr) => {{
        let mut collisions = 0;
        loop {
            let outcome = match $self.link.$begin().await {
                Ok($desk) => {
                    let outcome = $work.await;
                    $desk.end(outcome).await
                }
                Err(trouble) => Err(trouble),
            };
            match outcome {
                Err(trouble) if trouble.is_collision() && collisions < COLLISIONS_MAX => collisions += 1,
                outcome => break outcome,
            }
        }
    }};
}

use transact;

impl PostgresStore {
    /// See [`Store::prune`]: single messages out of these months, and whole months.
    async fn prune_out_of(
        &self,
        months: Months,
        before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let act = "cannot delete old messages";
        let mut deleted = transact!(unlimited self.write, act, |desk| retire::settle(&desk))?;
        transact!(unlimited self.write, act, |desk| months::make(&desk))?;
        transact!(unlimited self.write, act, |desk| months::begin(&desk, now))?;
        deleted += transact!(unlimited self.write, act, |desk| prune::prune(&desk, before, months, limit))?;
        if deleted > 0 {
            return Ok(deleted);
        }
        while transact!(unlimited self.write, act, |desk| retire::retire(&desk, before))? {
            deleted += transact!(unlimited self.write, act, |desk| retire::settle(&desk))?;
        }
        Ok(deleted)
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let fits = |message: &NewMessage| {
            i64::try_from(message.deliveries.len()).is_ok_and(|count| count <= DeliveryId::PER_MESSAGE)
        };
        if !messages.iter().all(fits) {
            let act = "cannot store a message with more deliveries than 64";
            return Err(Error::new(Kind::Internal, act));
        }
        self.accepts.run(Accept(messages)).await
    }

    async fn due(&self, now: Timestamp, wish: &Wish) -> Result<Vec<Nudge>> {
        let act = "cannot look for what is due";
        transact!(self.read, act, |desk| rounds::due(&desk, now, wish))
    }

    async fn claim(&self, ids: Vec<DeliveryId>, now: Timestamp, lease: Duration) -> Result<Vec<Claimed>> {
        let claim = Claim {
            ids,
            now,
            lease,
            asked: Instant::now(),
        };
        self.claims.run(claim).await
    }

    async fn record(&self, rounds: Vec<Round>) -> Result<Vec<Recorded>> {
        self.records.run(Record(rounds)).await
    }

    async fn settle(&self, receipts: Vec<Heard>) -> Result<Vec<Settled>> {
        self.settles.run(Settle(receipts)).await
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let act = "cannot call a message off";
        transact!(self.write, act, |desk| operate::cancel(&desk, id, now))
    }

    async fn call_off(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<Name>> {
        let act = "cannot call deliveries off";
        transact!(self.write, act, |desk| operate::call_off(&desk, &ids, now))
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>> {
        let act = "cannot look a message up";
        transact!(self.read, act, |desk| look::find(&desk, id))
    }

    async fn search(&self, query: Query) -> Result<Page> {
        let act = "cannot search for messages";
        from_replica!(self, Freshness::Seconds, |desk| look::search(&desk, &query));
        transact!(self.read, act, |desk| look::search(&desk, &query))
    }

    async fn last_calls(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastCall>> {
        let act = "cannot look for the last calls";
        from_replica!(self, Freshness::Seconds, |desk| look::last_calls(&desk, &ids));
        transact!(self.read, act, |desk| look::last_calls(&desk, &ids))
    }

    async fn usage(&self, query: UsageQuery) -> Result<Page> {
        let act = "cannot look for what was sent";
        from_replica!(self, Freshness::Seconds, |desk| usage::page(&desk, &query));
        transact!(self.read, act, |desk| usage::page(&desk, &query))
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        let act = "cannot count what was sent";
        from_replica!(self, Freshness::Seconds, |desk| usage::totals(&desk, &query));
        transact!(self.read, act, |desk| usage::totals(&desk, &query))
    }

    async fn select(&self, selection: Selection) -> Result<Vec<DeliveryId>> {
        let act = "cannot look for deliveries";
        transact!(unlimited self.read, act, |desk| look::select(&desk, &selection))
    }

    async fn revive(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Nudge>> {
        let act = "cannot send deliveries again";
        transact!(self.write, act, |desk| operate::revive(
            &desk, &ids, now, expires_at
        ))
    }

    async fn recipient(&self, channel: &Name, address: &str) -> Result<Option<Recipient>> {
        let act = "cannot look a recipient up";
        transact!(self.read, act, |desk| operate::recipient(&desk, channel, address))
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        let act = "cannot change a recipient";
        transact!(self.write, act, |desk| operate::set_recipient(&desk, &recipient))
    }

    async fn opt(&self, wishes: Vec<Opting>) -> Result<Vec<bool>> {
        let act = "cannot keep a person's wish";
        transact!(self.write, act, |desk| opting::opt(&desk, &wishes))
    }

    async fn fold(&self, limit: usize) -> Result<usize> {
        let act = "cannot bring the report up to date";
        let horizon = report::horizon(&self.link).await;
        let horizon = horizon.map_err(|trouble| trouble.fault(act))?;
        transact!(unlimited self.write, act, |desk| report::fold(&desk, horizon, limit))
    }

    async fn unfold(&self) -> Result<()> {
        let act = "cannot reset the report";
        transact!(unlimited self.write, act, |desk| report::unfold(&desk))
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        let act = "cannot read the report";
        // It is asked for right after the changes were folded in.
        from_replica!(self, Freshness::Now, |desk| report::report(&desk, as_of));
        transact!(self.read, act, |desk| report::report(&desk, as_of))
    }

    async fn keep_snapshot(&self, snapshot: Snapshot) -> Result<()> {
        let act = "cannot keep the report";
        transact!(self.write, act, |desk| report::keep_snapshot(&desk, &snapshot))
    }

    async fn snapshot(&self) -> Result<Option<Snapshot>> {
        let act = "cannot read the kept report";
        transact!(self.read, act, |desk| report::snapshot(&desk))
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(Name, Backlog)>> {
        let act = "cannot count what waits";
        transact!(self.read, act, |desk| look::backlogs(&desk, now))
    }

    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune_out_of(Months::All, before, now, limit).await
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune_out_of(Months::Old, before, now, limit).await
    }

    async fn forget(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let act = "cannot delete what is outdated";
        transact!(self.write, act, |desk| prune::forget(&desk, before, now, limit))
    }

    async fn name_providers(&self, providers: Vec<ProviderPlace>) -> Result<()> {
        let act = "cannot note where providers are";
        transact!(self.write, act, |desk| operate::name_providers(&desk, &providers))
    }

    async fn time(&self) -> Result<Timestamp> {
        let act = "cannot ask the store for the time";
        transact!(self.read, act, |desk| sharing::time(&desk))
    }

    fn has_own_clock(&self) -> bool {
        true
    }

    async fn pass(&self, wish: PaceWish, now: Timestamp) -> Result<Vec<Passage>> {
        let asked = Instant::now();
        self.passes.run(Pass { wish, now, asked }).await
    }

    async fn standings(&self) -> Result<Vec<Known>> {
        let act = "cannot look how providers do";
        transact!(self.read, act, |desk| sharing::standings(&desk))
    }

    async fn tell(&self, news: Vec<News>, now: Timestamp) -> Result<Vec<Learned>> {
        let act = "cannot tell how providers do";
        transact!(self.write, act, |desk| sharing::tell(&desk, &news, now))
    }

    async fn probe(&self, provider: &Name, patience: Duration, now: Timestamp) -> Result<Probe> {
        let act = "cannot ask whose the probe is";
        let provider = provider.as_str();
        transact!(self.write, act, |desk| sharing::probe(
            &desk, provider, patience, now
        ))
    }

    async fn order(&self, order: Order) -> Result<()> {
        let act = "cannot keep an order";
        transact!(self.write, act, |desk| sharing::order(&desk, &order))
    }

    async fn orders(&self) -> Result<Vec<Order>> {
        let act = "cannot look for orders";
        transact!(self.read, act, |desk| sharing::orders(&desk))
    }

    async fn take_turn(&self, task: Task, holder: &str, now: Timestamp, hold: Duration) -> Result<Turn> {
        let act = "cannot ask whose turn it is";
        transact!(self.write, act, |desk| sharing::take_turn(
            &desk, task, holder, now, hold
        ))
    }

    async fn renew_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<bool> {
        let act = "cannot renew a turn";
        transact!(self.write, act, |desk| sharing::renew_turn(
            &desk, task, holder, ends_at
        ))
    }

    async fn end_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<()> {
        let act = "cannot end a turn";
        transact!(self.write, act, |desk| sharing::end_turn(
            &desk, task, holder, ends_at
        ))
    }

    async fn seal(&self) -> Result<[u8; 32]> {
        let act = "cannot read the store's seal";
        transact!(self.read, act, |desk| operate::seal(&desk))
    }

    async fn backup(&self, _file: PathBuf, _progress: Progress) -> Result<()> {
        Err(Error::usage(
            "a store on PostgreSQL is copied with PostgreSQL's own programs: pg_dump --format=custom --file=FILE URL, \
             and pg_restore to bring it back",
        ))
    }

    async fn ping(&self) -> Result<()> {
        let act = "cannot write to the store";
        transact!(self.write, act, |desk| operate::ping(&desk))
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(&self.stats)
    }
}
