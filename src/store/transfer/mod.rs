//! Moves everything a store holds into another one while the old one is in use.
//!
//! Triggers in the old store note the keys of rows that change; the new store keeps bookmarks in the same
//! transactions as the rows they speak of. So whatever is killed at whatever moment, the next run goes on where this
//! one was. Tables and columns are read from the stores themselves, so that none can be forgotten. ARCHITECTURE.md
//! tells the whole way.

mod compare;
mod fence;
mod phrases;
mod source;
mod table;
mod target;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::source::Source;
use self::target::Target;
use super::migrate;
use super::place::{file_of, is_postgres};
use crate::clock;
use crate::error::{Error, Kind, Result};

pub(super) use self::fence::{Fence, refuse_to_open};
pub(super) use self::phrases::{POSTGRES, Phrases, SQLITE};
pub(super) use self::table::{Table, Type};
pub(super) use self::value::{Row, Value};

pub use self::compare::Comparison;

/// How long no round may begin after the last word of a move that waits for the rounds in hand.
const HOLD: Duration = Duration::from_secs(5);

/// How often the rounds in hand are counted.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long tables that others use are asked for again and again.
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// How many changed rows may be left for the moment in which nothing can be written.
const CHANGES_LEFT_MAX: usize = 500;

/// How often a busy store is caught up with before it has to wait for the rest.
const ROUNDS_MAX: usize = 200;

/// One of the two stores, as a move sees it: tables with rows of plain values. Statements come from [`Phrases`];
/// only what is fast in each dialect in a way of its own has a verb here.
#[async_trait]
pub(super) trait Side: Send {
    /// Its statements.
    fn phrases(&self) -> &'static Phrases;

    /// The rows of a statement: as the transaction that writes sees them, or in one that reads while there is none.
    async fn read(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>>;

    /// The rows with these keys; those that are not there are left out.
    async fn fetch(&mut self, table: &Table, keys: &[Row]) -> Result<Vec<Row>>;

    /// Begins a transaction that writes. Only one at a time.
    async fn begin(&mut self) -> Result<()>;

    /// Runs a statement in the transaction; how many rows it changed.
    async fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64>;

    /// Runs statements without values in the transaction.
    async fn script(&mut self, sql: &str) -> Result<()>;

    /// Writes rows in the transaction, over those that have the same keys.
    async fn put(&mut self, table: &Table, rows: &[Row]) -> Result<()>;

    /// Deletes the rows with these keys in the transaction.
    async fn erase(&mut self, table: &Table, keys: &[Row]) -> Result<()>;

    /// Makes room for what is accepted next, in the transaction, once the last number given out is known.
    async fn make_room(&mut self) -> Result<()>;

    /// Makes everything since `begin` durable.
    async fn commit(&mut self) -> Result<()>;

    /// Undoes everything since `begin`.
    async fn undo(&mut self);
}

/// Ends a transaction as its work came out.
async fn end<T>(side: &mut dyn Side, outcome: Result<T>) -> Result<T> {
    match outcome {
        Ok(outcome) => side.commit().await.map(|()| outcome),
        Err(error) => {
            side.undo().await;
            Err(error)
        }
    }
}

/// Does a transaction that must have tables to itself, and again for a while when others do not let go of them.
async fn patiently<T>(mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match work().await {
            Err(error) if error.kind() == Kind::Unavailable && began.elapsed() < ASK_LIMIT => {
                log::debug!("asking again: {}", error.chain());
                clock::pause(LOOK_AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

/// Where a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Rows are on their way; the old store is in use.
    Copying,
    /// The old store is closed for good; the new one is not open yet.
    Closed,
}

/// What `console move` was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The old store's URL.
    pub from: &'a str,
    /// The new store's URL.
    pub to: &'a str,
    /// How many rows go at a time.
    pub batch: usize,
    /// How long a store waits for another process that holds its lock.
    pub lock_wait: Duration,
}

/// A move under way.
pub struct Move {
    source: Source,
    target: Target,
    stage: Stage,
    batch: usize,
    changes: u64,
}

impl Move {
    /// Begins a move, or goes on with the one between these stores. `luck` is for marks that no other run has.
    pub async fn open(route: Route<'_>, luck: [i64; 2]) -> Result<Self> {
        let (mut source, mut target) = sides(route).await?;
        let [id, run] = luck.map(mark);
        let (old, new) = (source.marks().await?, target.marks().await?);
        if old.receiving.is_some() {
            return Err(Error::usage(
                "the store to move from is itself the unfinished target of a move: finish that one first",
            ));
        }
        let is_same_move = old.id.is_some() && old.id == new.id && new.receiving.is_some();
        if let (Some(place), false) = (&old.moved, is_same_move) {
            return Err(Error::usage(format!(
                "the store to move from was moved to {place} already"
            )));
        }
        let stage = if old.moved.is_some() {
            Stage::Closed
        } else {
            Stage::Copying
        };
        match old.id {
            Some(id) if is_same_move => {
                target.take_over(id, run).await?;
                source.go_on(id);
            }
            _ => {
                target.refuse_what_is_not_empty(&source.seal().await?).await?;
                source.begin(id).await?;
                if let Err(error) = target.begin(id, run).await {
                    // Nobody would ever read the notes.
                    source.abandon(false).await?;
                    return Err(error);
                }
            }
        }
        Ok(Self {
            source,
            target,
            stage,
            batch: route.batch.max(1),
            changes: 0,
        })
    }

    /// Gives a move up: the old store forgets it, and is open again if it was closed and the new one is not yet. A run
    /// that is under way meanwhile can neither go on nor open the new one. `luck` is for a mark that no run has.
    pub async fn abandon(route: Route<'_>, luck: i64) -> Result<()> {
        refuse_what_is_not_there(route.from)?;
        let mut from = side(route.from, route.lock_wait)?;
        let tables = table::alone(from.as_mut()).await?;
        let mut source = Source::new(from, tables);
        let old = source.marks().await?;
        let id = old.id.ok_or_else(source::no_move)?;
        source.go_on(id);
        let may_reopen = match take_away(route, id, mark(luck)).await {
            Ok(taken) => taken,
            Err(error) if old.moved.is_some() => return Err(error),
            Err(error) => {
                // Whatever it holds, a run that still fills it cannot close the old store any more.
                log::warn!("the store to move to cannot be told: {}", error.chain());
                false
            }
        };
        source.abandon(may_reopen).await
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How many changes were copied after the rows they belong to.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many rows the old store and the new one hold now.
    pub async fn rows(&mut self) -> Result<[u64; 2]> {
        let old = source::rows(self.source.side.as_mut(), &self.source.tables).await?;
        let new = source::rows(self.target.side.as_mut(), &self.target.tables).await?;
        Ok([old, new])
    }

    /// Copies what was not copied yet, a batch at a time, and what changes meanwhile. Tells `progress` how many rows
    /// each batch had.
    pub async fn copy(&mut self, progress: impl Fn(u64)) -> Result<()> {
        let bookmarks = self.target.bookmarks().await?;
        for place in 0..self.source.tables.len() {
            let mut after = bookmarks.get(&self.source.tables[place].name).cloned();
            while after != Some(None) {
                let from = after.flatten();
                let (rows, next) = self.source.page(place, from.as_ref(), self.batch).await?;
                self.target.store(place, &rows, next.as_ref()).await?;
                progress(u64::try_from(rows.len()).unwrap_or(u64::MAX));
                after = Some(next);
                self.catch_up_once().await?;
            }
        }
        self.target.analyze().await
    }

    /// Copies what has changed until almost nothing is left.
    pub async fn catch_up(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if self.catch_up_once().await? < CHANGES_LEFT_MAX.min(self.batch) {
                break;
            }
        }
        Ok(())
    }

    async fn catch_up_once(&mut self) -> Result<usize> {
        let changes = self.source.changes(self.batch).await?;
        self.target.apply(&changes).await?;
        self.source.forget(&changes).await?;
        let count = changes.numbers.len();
        self.changes += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }

    /// The switch: waits until no round is in a worker's hands, at most for `patience`, then copies the last changes
    /// and closes the old store in one step. `place` is what those who come later are told. Returns how many rounds
    /// were still in hand: the new store will count them as `unknown`.
    pub async fn close(&mut self, place: &str, patience: Duration, waiting: impl Fn(u64)) -> Result<u64> {
        let began = Instant::now();
        let mut refused_since = None;
        self.source.prepare_hold().await?;
        loop {
            self.source.hold(HOLD).await?;
            self.catch_up().await?;
            let in_hand = self.source.in_hand().await?;
            if in_hand > 0 && began.elapsed() < patience {
                waiting(in_hand);
                clock::pause(LOOK_AGAIN).await;
                continue;
            }
            self.source.put_leases_down().await?;
            match self.close_now(place, began.elapsed() < patience).await {
                Ok(Some(in_hand)) => {
                    self.stage = Stage::Closed;
                    return Ok(in_hand);
                }
                // A round began after all, because this process stood still for longer than the hold.
                Ok(None) => {}
                Err(error) if error.kind() != Kind::Unavailable => return Err(error),
                Err(error) => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= ASK_LIMIT {
                        return Err(error);
                    }
                    clock::pause(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// None when a round began meanwhile and there is time to wait for it.
    async fn close_now(&mut self, place: &str, may_wait: bool) -> Result<Option<u64>> {
        self.source.lock().await?;
        let outcome = self.close_locked(place, may_wait).await;
        end(self.source.side.as_mut(), outcome).await
    }

    async fn close_locked(&mut self, place: &str, may_wait: bool) -> Result<Option<u64>> {
        let in_hand = self.source.in_hand().await?;
        if in_hand > 0 && may_wait || self.source.has_leases().await? {
            return Ok(None);
        }
        let mut seen = 0;
        loop {
            // Nothing can change any more, so that what was seen once need not be forgotten to see the rest.
            let changes = self.source.changes(seen + self.batch).await?;
            if changes.numbers.len() == seen {
                break;
            }
            seen = changes.numbers.len();
            self.target.apply(&changes).await?;
        }
        let (meta, numbers) = (self.source.meta().await?, self.source.numbers().await?);
        self.target.finish(&meta, numbers).await?;
        self.source.close(place).await?;
        Ok(Some(in_hand))
    }

    /// Reads both stores and compares them table by table. The old one must be closed.
    pub async fn compare(&mut self, progress: impl Fn(u64)) -> Result<Vec<Comparison>> {
        compare::compare(&mut self.source, &mut self.target, self.batch, progress).await
    }

    /// Opens the new store: from now on it is the truth.
    pub async fn open_target(&mut self) -> Result<()> {
        self.target.open().await
    }
}

/// A number that a move or a run of it is known by.
fn mark(luck: i64) -> i64 {
    luck.unsigned_abs().cast_signed().max(1)
}

/// Takes the new store away from whatever run is filling it; false when it is not, or no longer, being filled.
async fn take_away(route: Route<'_>, id: i64, run: i64) -> Result<bool> {
    if !is_there(route.to)? {
        return Err(Error::usage("the store to move to does not exist"));
    }
    let mut to = side(route.to, route.lock_wait)?;
    // A server that is away is not waited for as tables in use are.
    source::marks(to.as_mut()).await?;
    target::take_over(to.as_mut(), id, run).await
}

/// Both stores with their schemas up to date.
async fn sides(route: Route<'_>) -> Result<(Source, Target)> {
    refuse_what_is_not_there(route.from)?;
    if route.from == route.to {
        return Err(same_store());
    }
    for url in [route.from, route.to] {
        migrate(url, route.lock_wait)?;
    }
    let (mut from, mut to) = (
        side(route.from, route.lock_wait)?,
        side(route.to, route.lock_wait)?,
    );
    let (old, new) = table::pairs(from.as_mut(), to.as_mut()).await?;
    Ok((Source::new(from, old), Target::new(to, new)))
}

fn same_store() -> Error {
    Error::usage("both URLs name the same store: give another one to move to")
}

/// A file that is not there would be made, and be empty.
fn refuse_what_is_not_there(url: &str) -> Result<()> {
    if is_there(url)? {
        return Ok(());
    }
    let file = file_of(url)?.display();
    Err(Error::usage(format!(
        "there is no store to move from: {file} does not exist"
    )))
}

fn is_there(url: &str) -> Result<bool> {
    Ok(is_postgres(url) || Path::exists(file_of(url)?))
}

fn side(url: &str, lock_wait: Duration) -> Result<Box<dyn Side>> {
    if is_postgres(url) {
        return super::postgres::side(url);
    }
    super::sqlite::side(file_of(url)?, lock_wait)
}
