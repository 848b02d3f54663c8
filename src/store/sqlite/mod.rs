//! The embedded store: SQLite, one thread that writes, a few connections that read.
//!
//! This file is the verbs; each passes its work to the writer, which commits it together with whatever else is
//! waiting, or to a reader. Several processes may share the file; none of them keeps anything in memory that
//! another could change.

mod accept;
mod broadcasts;
mod connect;
mod copy;
mod desk;
mod events;
pub(super) mod fault;
mod look;
mod operate;
mod opting;
mod prune;
mod readers;
mod receipts;
mod report;
mod rounds;
mod rows;
mod sharing;
mod tally;
mod throttle;
mod transfer;
mod usage;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::fault::fault;
use self::readers::Readers;
pub(super) use self::transfer::side;
use self::writer::Writer;
use super::{
    Backlog, Cancelled, CommitStats, Heard, LastCall, Page, Passage, Probe, Progress, ProviderPlace, Query,
    Selection, Settled, Snapshot, Store, UsageQuery, UsageTotals,
};
use crate::clock::{Clock, Timestamp};
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

static STATE: &str = include_str!("../../../sql/sqlite/move_state.sql");
static SEAL: &str = include_str!("../../../sql/sqlite/seal.sql");

/// A store in a file.
pub struct SqliteStore {
    file: PathBuf,
    lock_wait: Duration,
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    pub fn open(file: &Path, lock_wait: Duration) -> Result<Self> {
        let (connection, _) = prepare(file, lock_wait)?;
        refuse_moved(&connection)?;
        let file = absolute(file)?;
        Ok(Self {
            readers: Readers::new(file.clone(), lock_wait),
            writer: Writer::start(connection, file.clone(), lock_wait)?,
            file,
            lock_wait,
        })
    }
}

/// Brings the file's schema up to date and returns the names of what was applied.
pub fn migrate(file: &Path, lock_wait: Duration) -> Result<Vec<String>> {
    prepare(file, lock_wait).map(|(_, applied)| applied)
}

/// The names of what [`migrate`] would apply. Makes no file, and changes nothing in one that is there.
pub fn missing(file: &Path, lock_wait: Duration) -> Result<Vec<String>> {
    let act = format!("cannot open the database {}", file.display());
    if !file.exists() {
        refuse_what_cannot_be_made(file).map_err(|cause| Error::because(Kind::Unavailable, act, cause))?;
        return Ok(super::migrate::all());
    }
    let connection = connect::reading(file, lock_wait).map_err(|error| fault(&act, error))?;
    super::migrate::missing(&connection)
}

/// Tries the folder with a file of another name, which goes at once.
fn refuse_what_cannot_be_made(file: &Path) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".check-{}", std::process::id()));
    let beside = file.with_file_name(name);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    std::fs::remove_file(&beside)
}

fn prepare(file: &Path, lock_wait: Duration) -> Result<(rusqlite::Connection, Vec<String>)> {
    let act = format!("cannot open the database {}", file.display());
    let mut connection = connect::writing(file, lock_wait).map_err(|error| fault(&act, error))?;
    let applied = super::migrate::apply(&mut connection)?;
    Ok((connection, applied))
}

/// A store that was moved, or is being filled by a move, is not for use.
fn refuse_moved(connection: &rusqlite::Connection) -> Result<()> {
    let state = connection.query_row(STATE, [], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))
    });
    let (moved, is_receiving) = state.map_err(|error| fault("cannot read the store's state", error))?;
    super::transfer::refuse_to_open(moved.as_deref(), is_receiving)
}

/// The path as it is now, so that a later change of the working directory changes nothing.
fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file)
        .map_err(|error| Error::because(Kind::Usage, "cannot find the working directory", error))
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.close();
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let fits = |message: &NewMessage| {
            i64::try_from(message.deliveries.len()).is_ok_and(|count| count <= DeliveryId::PER_MESSAGE)
        };
        if !messages.iter().all(fits) {
            let act = "cannot store a message with more deliveries than 64";
            return Err(Error::new(Kind::Internal, act));
        }
        let act = "cannot store messages";
        self.writer
            .run(act, move |desk| accept::accept(desk, &messages))
            .await
    }

    async fn due(&self, now: Timestamp, wish: &Wish) -> Result<Vec<Nudge>> {
        let act = "cannot look for what is due";
        let wish = wish.clone();
        self.readers
            .read(act, move |connection| rounds::due(connection, now, &wish))
            .await
    }

    async fn claim(&self, ids: Vec<DeliveryId>, now: Timestamp, lease: Duration) -> Result<Vec<Claimed>> {
        let act = "cannot claim deliveries";
        let asked = Instant::now();
        // A lease begins when the claim is written: behind another process's lock that can be much later.
        self.writer
            .run(act, move |desk| {
                let waited = Duration::from_secs(asked.elapsed().as_secs());
                rounds::claim(desk, &ids, now, lease + waited)
            })
            .await
    }

    async fn record(&self, rounds: Vec<Round>) -> Result<Vec<Recorded>> {
        let act = "cannot record what was sent";
        self.writer
            .run(act, move |desk| rounds::record(desk, &rounds))
            .await
    }

    async fn settle(&self, receipts: Vec<Heard>) -> Result<Vec<Settled>> {
        let act = "cannot store receipts";
        self.writer
            .run(act, move |desk| receipts::settle(desk, &receipts))
            .await
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let act = "cannot call a message off";
        self.writer
            .run(act, move |desk| operate::cancel(desk, id, now))
            .await
    }

    async fn call_off(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<Name>> {
        let act = "cannot call deliveries off";
        self.writer
            .run(act, move |desk| operate::call_off(desk, &ids, now))
            .await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>> {
        let act = "cannot look a message up";
        self.readers
            .read(act, move |connection| look::find(connection, id))
            .await
    }

    async fn search(&self, query: Query) -> Result<Page> {
        let act = "cannot search for messages";
        self.readers
            .read(act, move |connection| look::search(connection, &query))
            .await
    }

    async fn last_calls(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastCall>> {
        let act = "cannot look for the last calls";
        self.readers
            .read(act, move |connection| look::last_calls(connection, &ids))
            .await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Page> {
        let act = "cannot look for what was sent";
        self.readers
            .read(act, move |connection| usage::page(connection, &query))
            .await
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        let act = "cannot count what was sent";
        self.readers
            .read(act, move |connection| usage::totals(connection, &query))
            .await
    }

    async fn select(&self, selection: Selection) -> Result<Vec<DeliveryId>> {
        let act = "cannot look for deliveries";
        self.readers
            .read(act, move |connection| look::select(connection, &selection))
            .await
    }

    async fn revive(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Nudge>> {
        let act = "cannot send deliveries again";
        self.writer
            .run(act, move |desk| operate::revive(desk, &ids, now, expires_at))
            .await
    }

    async fn recipient(&self, channel: &Name, address: &str) -> Result<Option<Recipient>> {
        let (channel, address) = (channel.clone(), address.to_owned());
        let act = "cannot look a recipient up";
        self.readers
            .read(act, move |connection| {
                operate::recipient(connection, &channel, &address)
            })
            .await
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        let act = "cannot change a recipient";
        self.writer
            .run(act, move |desk| operate::set_recipient(desk, &recipient))
            .await
    }

    async fn opt(&self, wishes: Vec<Opting>) -> Result<Vec<bool>> {
        let act = "cannot keep a person's wish";
        self.writer.run(act, move |desk| opting::opt(desk, &wishes)).await
    }

    async fn fold(&self, limit: usize) -> Result<usize> {
        let act = "cannot bring the report up to date";
        self.writer.run(act, move |desk| report::fold(desk, limit)).await
    }

    async fn unfold(&self) -> Result<()> {
        self.writer.run("cannot reset the report", report::unfold).await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        let act = "cannot read the report";
        self.readers
            .read(act, move |connection| report::report(connection, as_of))
            .await
    }

    async fn keep_snapshot(&self, snapshot: Snapshot) -> Result<()> {
        let act = "cannot keep the report";
        self.writer
            .run(act, move |desk| report::keep_snapshot(desk, &snapshot))
            .await
    }

    async fn snapshot(&self) -> Result<Option<Snapshot>> {
        let act = "cannot read the kept report";
        self.readers.read(act, report::snapshot).await
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(Name, Backlog)>> {
        let act = "cannot count what waits";
        self.readers
            .read(act, move |connection| look::backlogs(connection, now))
            .await
    }

    async fn prune(&self, before: Timestamp, _now: Timestamp, limit: usize) -> Result<usize> {
        let act = "cannot delete old messages";
        self.writer
            .run(act, move |desk| prune::prune(desk, before, limit))
            .await
    }

    async fn forget(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let act = "cannot delete what is outdated";
        self.writer
            .run(act, move |desk| prune::forget(desk, before, now, limit))
            .await
    }

    async fn name_providers(&self, providers: Vec<ProviderPlace>) -> Result<()> {
        let act = "cannot note where providers are";
        self.writer
            .run(act, move |desk| operate::name_providers(desk, &providers))
            .await
    }

    async fn time(&self) -> Result<Timestamp> {
        Ok(Clock::System.now())
    }

    async fn pass(&self, wish: PaceWish, now: Timestamp) -> Result<Vec<Passage>> {
        let act = "cannot count what goes to a provider";
        let asked = Instant::now();
        // It goes when it is counted: behind another process's lock that can be much later.
        self.writer
            .run(act, move |desk| {
                let waited = Duration::from_secs(asked.elapsed().as_secs());
                sharing::pass(desk, &wish, now + waited)
            })
            .await
    }

    async fn standings(&self) -> Result<Vec<Known>> {
        let act = "cannot look how providers do";
        self.readers.read(act, sharing::standings).await
    }

    async fn tell(&self, news: Vec<News>, now: Timestamp) -> Result<Vec<Learned>> {
        let act = "cannot tell how providers do";
        self.writer
            .run(act, move |desk| sharing::tell(desk, &news, now))
            .await
    }

    async fn probe(&self, provider: &Name, patience: Duration, now: Timestamp) -> Result<Probe> {
        let act = "cannot ask whose the probe is";
        let provider = provider.clone();
        self.writer
            .run(act, move |desk| {
                sharing::probe(desk, provider.as_str(), patience, now)
            })
            .await
    }

    async fn order(&self, order: Order) -> Result<()> {
        let act = "cannot keep an order";
        self.writer
            .run(act, move |desk| sharing::order(desk, &order))
            .await
    }

    async fn orders(&self) -> Result<Vec<Order>> {
        let act = "cannot look for orders";
        self.readers.read(act, sharing::orders).await
    }

    async fn take_turn(&self, task: Task, holder: &str, now: Timestamp, hold: Duration) -> Result<Turn> {
        let act = "cannot ask whose turn it is";
        let holder = holder.to_owned();
        self.writer
            .run(act, move |desk| {
                sharing::take_turn(desk, task, &holder, now, hold)
            })
            .await
    }

    async fn renew_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<bool> {
        let act = "cannot renew a turn";
        let holder = holder.to_owned();
        self.writer
            .run(act, move |desk| sharing::renew_turn(desk, task, &holder, ends_at))
            .await
    }

    async fn end_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<()> {
        let act = "cannot end a turn";
        let holder = holder.to_owned();
        self.writer
            .run(act, move |desk| sharing::end_turn(desk, task, &holder, ends_at))
            .await
    }

    async fn seal(&self) -> Result<[u8; 32]> {
        let act = "cannot read the store's seal";
        self.readers
            .read(act, |connection| connection.query_row(SEAL, [], |row| row.get(0)))
            .await
    }

    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()> {
        let (from, lock_wait) = (self.file.clone(), self.lock_wait);
        tokio::task::spawn_blocking(move || copy::copy(&from, &file, lock_wait, &progress))
            .await
            .map_err(|error| Error::because(Kind::Internal, "the copy broke off", error))?
    }

    async fn ping(&self) -> Result<()> {
        self.writer.run("cannot write to the store", operate::ping).await
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(self.writer.stats())
    }
}
