//! Moves the content of a store into another one while the old one is in use (`console move`).
//!
//! Triggers in the old store log the keys of changed rows. The new store saves its copy progress in the same
//! transactions as the copied rows, so that a killed run can be continued. Tables and columns are read from the
//! schemas, so that a new table or column cannot be forgotten. `docs/src/architecture/copying-a-store.md` describes the
//! steps.

mod compare;
mod meta;
mod schema;
mod source;
pub(super) mod statements;
pub(super) mod table;
pub(super) mod table_store;
mod target;
pub(super) mod value;
pub(super) mod write_guard;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use self::source::{CopySource, read_page};
use self::table_store::{LOCK_RETRY_TIMEOUT, POLL_INTERVAL, TableStore, finish_transaction};
use self::target::{CopyTarget, same_store_error};
use super::url::{database_file, is_postgres_url, migrate};
use super::{postgres, sqlite};
use postrider_core::clock;
use postrider_core::error::{Error, ErrorKind, Result};

pub use self::compare::TableComparison;

/// Time for which each check pauses claims while the move waits for open rounds: 5 s.
const MOVE_CLAIM_PAUSE: Duration = Duration::from_secs(5);

/// Maximum number of logged changes that may be left when the transaction that closes the old store begins.
const CHANGES_LEFT_MAX: usize = 500;

/// Maximum number of passes over the change log of a store that changes faster than it is copied.
const CATCH_UP_PASSES_MAX: usize = 200;

/// Progress of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveStage {
    /// Rows are copied; the old store is in use.
    Copying,
    /// The old store is closed for good; the new store is not open yet.
    Closed,
}

/// Options of `console move`.
#[derive(Clone, Copy, Debug)]
pub struct MoveOptions<'a> {
    /// URL of the old store.
    pub from: &'a str,
    /// URL of the new store.
    pub to: &'a str,
    /// Number of rows per batch.
    pub batch_rows: usize,
    /// Maximum time to wait for another process that holds the lock of a store.
    pub lock_timeout: Duration,
}

/// A move in progress.
pub struct StoreMove {
    source: CopySource,
    target: CopyTarget,
    stage: MoveStage,
    batch_rows: usize,
    copied_changes: u64,
}

impl StoreMove {
    /// Starts a move between two stores, or continues their move. `random` provides the ids of the move and of this run.
    pub async fn open(move_options: MoveOptions<'_>, random: [i64; 2]) -> Result<Self> {
        let (mut source, mut target) = open_stores(move_options).await?;
        let [move_id, run] = random.map(positive_id);
        let (source_marks, target_marks) = (source.marks().await?, target.marks().await?);
        if source_marks.receiving_run.is_some() {
            return Err(Error::usage(
                "the store to move from is the target of an unfinished move: finish that move first",
            ));
        }
        let is_same_move = source_marks.id.is_some()
            && source_marks.id == target_marks.id
            && target_marks.receiving_run.is_some();
        if let (Some(location), false) = (&source_marks.moved_to, is_same_move) {
            return Err(Error::usage(format!("the store to move from was already moved to {location}")));
        }
        let stage = if source_marks.moved_to.is_some() { MoveStage::Closed } else { MoveStage::Copying };
        match source_marks.id {
            Some(move_id) if is_same_move => {
                target.take_over(move_id, run).await?;
                source.resume(move_id);
            }
            _ => {
                target.require_empty(&source.store_secret().await?).await?;
                source.begin(move_id).await?;
                if let Err(error) = target.begin(move_id, run).await {
                    // Without a target the change log would only grow.
                    source.abandon(false).await?;
                    return Err(error);
                }
            }
        }
        Ok(Self { source, target, stage, batch_rows: move_options.batch_rows.max(1), copied_changes: 0 })
    }

    /// Abandons a move: removes its state from the old store, and opens the old store again if it was closed and the new
    /// store is not open. A run that is still in progress can neither continue nor open the new store. `random` provides
    /// the id of this run.
    pub async fn abandon(move_options: MoveOptions<'_>, random: i64) -> Result<()> {
        require_existing(move_options.from)?;
        let mut store = open_table_store(move_options.from, move_options.lock_timeout)?;
        let tables = schema::read_tables(store.as_mut()).await?;
        let mut source = CopySource::new(store, tables);
        let source_marks = source.marks().await?;
        let move_id = source_marks.id.ok_or_else(source::no_move_error)?;
        source.resume(move_id);
        let may_reopen = match take_over_target(move_options, move_id, positive_id(random)).await {
            Ok(is_taken_over) => is_taken_over,
            Err(error) if source_marks.moved_to.is_some() => return Err(error),
            Err(error) => {
                // After this, a run that is still filling the target can no longer close the old store.
                log::warn!("cannot notify the store to move to: error={}", error.chain());
                false
            }
        };
        source.abandon(may_reopen).await
    }

    /// Returns the progress.
    pub fn stage(&self) -> MoveStage {
        self.stage
    }

    /// Returns the number of changes that were copied after their rows.
    pub fn changes(&self) -> u64 {
        self.copied_changes
    }

    /// Returns the numbers of rows of the old and the new store.
    pub async fn row_counts(&mut self) -> Result<[u64; 2]> {
        let source_rows = source::count_rows(self.source.store.as_mut(), &self.source.tables).await?;
        let target_rows = source::count_rows(self.target.store.as_mut(), &self.target.tables).await?;
        Ok([source_rows, target_rows])
    }

    /// Copies all rows that were not copied yet, and then the rows that changed during the copy. Calls `progress` with
    /// the number of rows of each batch.
    pub async fn copy(&mut self, progress: impl Fn(u64)) -> Result<()> {
        let bookmarks = self.target.bookmarks().await?;
        for table_index in 0..self.source.tables.len() {
            let mut bookmark = bookmarks.get(&self.source.tables[table_index].name).cloned();
            while bookmark != Some(None) {
                let last_key = bookmark.flatten();
                let CopySource { store, tables, .. } = &mut self.source;
                let (rows, next_key) =
                    read_page(store.as_mut(), &tables[table_index], last_key.as_ref(), self.batch_rows)
                        .await?;
                self.target.write_page(table_index, &rows, next_key.as_ref()).await?;
                progress(u64::try_from(rows.len()).unwrap_or(u64::MAX));
                bookmark = Some(next_key);
                self.catch_up_once().await?;
            }
        }
        self.target.analyze().await
    }

    /// Copies changes until few are left.
    pub async fn catch_up(&mut self) -> Result<()> {
        for _ in 0..CATCH_UP_PASSES_MAX {
            if self.catch_up_once().await? < CHANGES_LEFT_MAX.min(self.batch_rows) {
                break;
            }
        }
        Ok(())
    }

    async fn catch_up_once(&mut self) -> Result<usize> {
        let changes = self.source.changed_rows(self.batch_rows).await?;
        self.target.apply(&changes).await?;
        self.source.delete_changes(&changes).await?;
        let change_count = changes.sequence_numbers.len();
        self.copied_changes += u64::try_from(change_count).unwrap_or(u64::MAX);
        Ok(change_count)
    }

    /// Closes the old store: waits until no round is open, at most for `timeout`, then copies the last changes and
    /// closes the store in one transaction. `location` appears in the errors of processes that still use it. Returns
    /// the number of rounds that were still open; the new store will record them as `unknown`.
    pub async fn close(&mut self, location: &str, timeout: Duration, on_wait: impl Fn(u64)) -> Result<u64> {
        let started = Instant::now();
        let mut first_refusal = None;
        self.source.prepare_claim_pause().await?;
        loop {
            self.source.pause_claims(MOVE_CLAIM_PAUSE).await?;
            self.catch_up().await?;
            let open_rounds = self.source.count_leased().await?;
            if open_rounds > 0 && started.elapsed() < timeout {
                on_wait(open_rounds);
                clock::sleep(POLL_INTERVAL).await;
                continue;
            }
            self.source.write_back_leases().await?;
            match self.close_now(location, started.elapsed() < timeout).await {
                Ok(Some(open_rounds)) => {
                    self.stage = MoveStage::Closed;
                    return Ok(open_rounds);
                }
                // A round can begin in spite of the claim pause if this process was suspended for longer than the
                // pause.
                Ok(None) => {}
                Err(error) if error.kind() != ErrorKind::Unavailable => return Err(error),
                Err(error) => {
                    let first_refusal = *first_refusal.get_or_insert_with(Instant::now);
                    if first_refusal.elapsed() >= LOCK_RETRY_TIMEOUT {
                        return Err(error);
                    }
                    clock::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    /// Returns none if a round began before the tables were locked and there is time left to wait for that round.
    async fn close_now(&mut self, location: &str, may_wait: bool) -> Result<Option<u64>> {
        self.source.lock().await?;
        let outcome = self.close_locked(location, may_wait).await;
        finish_transaction(self.source.store.as_mut(), outcome).await
    }

    async fn close_locked(&mut self, location: &str, may_wait: bool) -> Result<Option<u64>> {
        let open_rounds = self.source.count_leased().await?;
        if open_rounds > 0 && may_wait || self.source.has_leases().await? {
            return Ok(None);
        }
        let mut applied_count = 0;
        loop {
            // The tables are locked, so no change is added. The log is read to its end, and the applied changes are not
            // deleted from it.
            let changes = self.source.changed_rows(applied_count + self.batch_rows).await?;
            if changes.sequence_numbers.len() == applied_count {
                break;
            }
            applied_count = changes.sequence_numbers.len();
            self.target.apply(&changes).await?;
        }
        let (meta, last_number) =
            (self.source.read_copied_meta().await?, self.source.last_message_number().await?);
        self.target.finish(&meta, last_number).await?;
        self.source.close(location).await?;
        Ok(Some(open_rounds))
    }

    /// Compares both stores table by table. The old store must be closed.
    pub async fn compare(&mut self, progress: impl Fn(u64)) -> Result<Vec<TableComparison>> {
        compare::compare(&mut self.source, &mut self.target, self.batch_rows, progress).await
    }

    /// Opens the new store.
    pub async fn open_target(&mut self) -> Result<()> {
        self.target.open().await
    }
}

/// Returns a positive id.
fn positive_id(random: i64) -> i64 {
    random.unsigned_abs().cast_signed().max(1)
}

/// Makes `run` the only run that may fill the new store. Returns false if move `id` is not filling the new store.
async fn take_over_target(move_options: MoveOptions<'_>, id: i64, run: i64) -> Result<bool> {
    if !store_exists(move_options.to)? {
        return Err(Error::usage("the store to move to does not exist"));
    }
    let mut store = open_table_store(move_options.to, move_options.lock_timeout)?;
    // Fails at once if the server is down; otherwise the error would be retried like a locked table.
    meta::read_marks(store.as_mut()).await?;
    target::take_over(store.as_mut(), id, run).await
}

/// Migrates and opens both stores.
async fn open_stores(move_options: MoveOptions<'_>) -> Result<(CopySource, CopyTarget)> {
    require_existing(move_options.from)?;
    if move_options.from == move_options.to {
        return Err(same_store_error());
    }
    for url in [move_options.from, move_options.to] {
        migrate(url, move_options.lock_timeout)?;
    }
    let mut source = open_table_store(move_options.from, move_options.lock_timeout)?;
    let mut target = open_table_store(move_options.to, move_options.lock_timeout)?;
    let (source_tables, target_tables) = schema::matching_tables(source.as_mut(), target.as_mut()).await?;
    Ok((CopySource::new(source, source_tables), CopyTarget::new(target, target_tables)))
}

/// Fails if a store does not exist: opening a missing file would create an empty store.
fn require_existing(url: &str) -> Result<()> {
    if store_exists(url)? {
        return Ok(());
    }
    let store_file = database_file(url)?.display();
    Err(Error::usage(format!("no store to move from: {store_file} does not exist")))
}

fn store_exists(url: &str) -> Result<bool> {
    Ok(is_postgres_url(url) || Path::exists(database_file(url)?))
}

fn open_table_store(url: &str, lock_timeout: Duration) -> Result<Box<dyn TableStore>> {
    if is_postgres_url(url) {
        return postgres::open_table_store(url);
    }
    sqlite::open_table_store(database_file(url)?, lock_timeout)
}
