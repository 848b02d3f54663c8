//! The store that a move copies from: read, observed by a change log, and closed at the end.

use std::time::Duration;

use super::meta::{MetaValues, MoveMarks, read_copied_meta, read_marks, set_meta};
use super::table_store::{TableStore, finish_transaction, retry_while_locked};
use super::value::{CopyRow, CopyValue};
use super::{statements::CopyStatements, table::CopyTable, table::LEASES_TABLE};
use postrider_core::error::{Error, ErrorKind, Result};

/// Logged changes and the current rows.
#[derive(Default)]
pub struct ChangedRows {
    /// Sequence numbers of the log entries.
    pub sequence_numbers: Vec<i64>,
    /// For each changed table: its index, the changed keys, and the rows of these keys that still exist.
    pub tables: Vec<(usize, Vec<CopyRow>, Vec<CopyRow>)>,
}

/// The store that a move copies from.
pub struct CopySource {
    pub store: Box<dyn TableStore>,
    pub tables: Vec<CopyTable>,
    id: i64,
}

impl CopySource {
    pub fn new(store: Box<dyn TableStore>, tables: Vec<CopyTable>) -> Self {
        Self { store, tables, id: 0 }
    }

    /// Continues the move with this id.
    pub fn resume(&mut self, id: i64) {
        self.id = id;
    }

    /// Begins a transaction in which the store belongs to this move.
    async fn begin_write(&mut self) -> Result<()> {
        self.store.begin().await?;
        let check = self.store.statements().check_move;
        let error = match self.store.execute(check, &[CopyValue::Integer(self.id)]).await {
            Ok(1) => return Ok(()),
            Ok(_) => Error::new(ErrorKind::Conflict, "the move was abandoned, or another move has begun"),
            Err(error) => error,
        };
        self.store.rollback().await;
        Err(error)
    }

    async fn set_lock_timeout(&mut self) -> Result<()> {
        self.store.execute_script(self.store.statements().set_lock_timeout).await
    }

    pub async fn marks(&mut self) -> Result<MoveMarks> {
        read_marks(self.store.as_mut()).await
    }

    pub async fn read_copied_meta(&mut self) -> Result<MetaValues> {
        read_copied_meta(self.store.as_mut()).await
    }

    pub async fn store_secret(&mut self) -> Result<Option<CopyValue>> {
        let meta = self.read_copied_meta().await?;
        Ok(meta.into_iter().find(|(name, _)| name == "store_secret").map(|(_, secret)| secret))
    }

    /// Returns the last allocated message number.
    pub async fn last_message_number(&mut self) -> Result<i64> {
        let sql = self.store.statements().read_last_number;
        read_number(self.store.as_mut(), sql).await
    }

    /// Starts logging changes. Removes the state of an earlier move.
    pub async fn begin(&mut self, id: i64) -> Result<()> {
        retry_while_locked(async || {
            self.store.begin().await?;
            let outcome = self.begin_in_transaction(id).await;
            finish_transaction(self.store.as_mut(), outcome).await
        })
        .await?;
        self.id = id;
        Ok(())
    }

    async fn begin_in_transaction(&mut self, id: i64) -> Result<()> {
        let statements = self.store.statements();
        self.set_lock_timeout().await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await?;
        self.store.execute_script(statements.create_change_log).await?;
        if read_number(self.store.as_mut(), statements.count_detached_partitions).await? > 0 {
            return Err(Error::new(
                ErrorKind::Conflict,
                "`console prune` has not finished dropping a month: run it again to its end, then move",
            ));
        }
        for copied_table in &self.tables {
            self.store
                .execute_script(&statements.for_table(statements.create_change_triggers, copied_table))
                .await?;
        }
        set_meta(self.store.as_mut(), "move_id", CopyValue::Integer(id)).await
    }

    /// Removes the state of this move. If `may_reopen` is true and the store was closed, opens it again; the caller
    /// must ensure that the new store cannot be opened any more.
    pub async fn abandon(&mut self, may_reopen: bool) -> Result<()> {
        retry_while_locked(async || {
            self.store.begin().await?;
            let outcome = self.abandon_in_transaction(may_reopen).await;
            finish_transaction(self.store.as_mut(), outcome).await
        })
        .await
    }

    async fn abandon_in_transaction(&mut self, may_reopen: bool) -> Result<()> {
        let statements = self.store.statements();
        self.lock_in_transaction().await?;
        let marks = self.marks().await?;
        if marks.id != Some(self.id) {
            return Err(no_move_error());
        }
        if let (Some(location), false) = (&marks.moved_to, may_reopen) {
            return Err(Error::usage(format!(
                "the move to {location} is finished: the old store cannot be opened again"
            )));
        }
        for copied_table in closed_tables(statements, &self.tables) {
            self.store
                .execute_script(&statements.for_table(statements.drop_moved_guard, &copied_table))
                .await?;
        }
        let moved_mark = [CopyValue::Text("moved".to_owned())];
        self.store.execute(statements.delete_meta, &moved_mark).await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await
    }

    /// Returns at most `limit` logged changes, the oldest first.
    pub async fn changed_rows(&mut self, limit: usize) -> Result<ChangedRows> {
        let sql = self.store.statements().read_changes.replace("{limit}", &limit.to_string());
        let log_entries = self.store.select(&sql, &[]).await?;
        let mut changes = ChangedRows::default();
        let mut keys_by_table = vec![Vec::new(); self.tables.len()];
        for entry in &log_entries {
            let [CopyValue::Integer(number), CopyValue::Text(name), key @ ..] = entry.as_slice() else {
                return Err(Error::new(ErrorKind::Internal, "cannot read a logged change"));
            };
            changes.sequence_numbers.push(*number);
            if let Some(table_index) = self.tables.iter().position(|table| table.name == *name) {
                keys_by_table[table_index].push(self.tables[table_index].parse_logged_key(key)?);
            }
        }
        for (table_index, mut keys) in keys_by_table.into_iter().enumerate() {
            if keys.is_empty() {
                continue;
            }
            remove_repeated_keys(&mut keys);
            let rows = self.store.select_by_keys(&self.tables[table_index], &keys).await?;
            changes.tables.push((table_index, keys, rows));
        }
        Ok(changes)
    }

    /// Deletes log entries that the new store has applied.
    pub async fn delete_changes(&mut self, changes: &ChangedRows) -> Result<()> {
        if changes.sequence_numbers.is_empty() {
            return Ok(());
        }
        let log_keys = changes.sequence_numbers.iter().map(|number| vec![CopyValue::Integer(*number)]);
        let log_keys = log_keys.collect::<Vec<_>>();
        self.begin_write().await?;
        let outcome = self.store.delete_rows(&CopyTable::changes_table(), &log_keys).await;
        finish_transaction(self.store.as_mut(), outcome).await
    }

    /// Creates the trigger that pauses claims.
    pub async fn prepare_claim_pause(&mut self) -> Result<()> {
        retry_while_locked(async || {
            self.begin_write().await?;
            let outcome = self.prepare_claim_pause_in_transaction().await;
            finish_transaction(self.store.as_mut(), outcome).await
        })
        .await
    }

    async fn prepare_claim_pause_in_transaction(&mut self) -> Result<()> {
        self.set_lock_timeout().await?;
        self.store.execute_script(self.store.statements().create_claims_guard).await
    }

    /// Pauses claims for `duration` from now.
    pub async fn pause_claims(&mut self, duration: Duration) -> Result<()> {
        let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.begin_write().await?;
        let pause = self.store.statements().pause_claims;
        let outcome = self.store.execute(pause, &[CopyValue::Integer(duration_ms)]).await;
        finish_transaction(self.store.as_mut(), outcome.map(drop)).await
    }

    /// Merges leases into the deliveries, if this backend has a table of leases. If a lease exists afterwards, a round
    /// has begun since then.
    pub async fn write_back_leases(&mut self) -> Result<()> {
        let Some(sql) = self.store.statements().merge_leases else {
            return Ok(());
        };
        self.begin_write().await?;
        let outcome = self.store.execute(sql, &[]).await;
        finish_transaction(self.store.as_mut(), outcome.map(drop)).await
    }

    /// Returns whether the table of leases has rows.
    pub async fn has_leases(&mut self) -> Result<bool> {
        let statements = self.store.statements();
        if statements.merge_leases.is_none() {
            return Ok(false);
        }
        let sql = statements.for_table(statements.count_rows, &CopyTable::with_name(LEASES_TABLE));
        Ok(read_number(self.store.as_mut(), &sql).await? > 0)
    }

    /// Returns the number of open rounds.
    pub async fn count_leased(&mut self) -> Result<u64> {
        let sql = self.store.statements().count_open_rounds;
        let count = read_number(self.store.as_mut(), sql).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Begins a transaction during which no other transaction can write.
    pub async fn lock(&mut self) -> Result<()> {
        self.begin_write().await?;
        let outcome = self.lock_in_transaction().await;
        if outcome.is_err() {
            self.store.rollback().await;
        }
        outcome
    }

    async fn lock_in_transaction(&mut self) -> Result<()> {
        self.set_lock_timeout().await?;
        let statements = self.store.statements();
        let sql = statements.for_tables(statements.lock_tables, &closed_tables(statements, &self.tables));
        self.store.execute_script(&sql).await
    }

    /// Closes the store for good, in the current transaction.
    pub async fn close(&mut self, location: &str) -> Result<()> {
        let statements = self.store.statements();
        let marks = read_marks(self.store.as_mut()).await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await?;
        // If the run is killed before it opens the new store, the next run finds the move by this id.
        if let Some(id) = marks.id {
            set_meta(self.store.as_mut(), "move_id", CopyValue::Integer(id)).await?;
        }
        set_meta(self.store.as_mut(), "moved", CopyValue::Bytes(location.as_bytes().to_vec())).await?;
        for table in closed_tables(statements, &self.tables) {
            self.store.execute_script(&statements.for_table(statements.create_moved_guard, &table)).await?;
        }
        Ok(())
    }
}

/// Returns every table that a closed store protects.
fn closed_tables(statements: &CopyStatements, tables: &[CopyTable]) -> Vec<CopyTable> {
    let mut closed_tables = statements.guarded_tables(tables);
    closed_tables.extend(statements.partitions_table.map(CopyTable::with_name));
    closed_tables.push(CopyTable::with_name("meta"));
    closed_tables
}

/// Returns the error for a store without a move.
pub fn no_move_error() -> Error {
    Error::usage("no move from this store is in progress")
}

/// Removes the state of a move from a store, in the current transaction.
pub async fn drop_move_objects(store: &mut dyn TableStore, tables: &[CopyTable]) -> Result<()> {
    let statements = store.statements();
    for copied_table in statements.guarded_tables(tables) {
        store.execute_script(&statements.for_table(statements.drop_table_triggers, &copied_table)).await?;
    }
    store.execute_script(statements.drop_state).await
}

/// Returns the page of rows after `last_key`, in the order of keys, and its last key. The last key is none if this is
/// the last page.
pub async fn read_page(
    store: &mut dyn TableStore,
    copied_table: &CopyTable,
    last_key: Option<&CopyRow>,
    limit: usize,
) -> Result<(Vec<CopyRow>, Option<CopyRow>)> {
    let statements = store.statements();
    let statement = if last_key.is_some() { statements.read_next_page } else { statements.read_first_page };
    let sql = statements.for_table(statement, copied_table).replace("{limit}", &limit.to_string());
    let sql = statements.with_placeholders(&sql, copied_table.key.len());
    let rows = store.select(&sql, last_key.map(Vec::as_slice).unwrap_or_default()).await?;
    let last_row = rows.last().filter(|_| rows.len() >= limit);
    let next_key = last_row.map(|row| copied_table.key_of(row));
    Ok((rows, next_key))
}

/// Counts the rows of all tables.
pub async fn count_rows(store: &mut dyn TableStore, tables: &[CopyTable]) -> Result<u64> {
    let statements = store.statements();
    let mut row_count = 0;
    for copied_table in tables {
        let table_rows =
            read_number(store, &statements.for_table(statements.count_rows, copied_table)).await?;
        row_count += u64::try_from(table_rows).unwrap_or_default();
    }
    Ok(row_count)
}

async fn read_number(store: &mut dyn TableStore, sql: &str) -> Result<i64> {
    let rows = store.select(sql, &[]).await?;
    let number = rows.first().and_then(|row| row.first()).and_then(CopyValue::as_integer);
    number.ok_or_else(|| Error::new(ErrorKind::Internal, "a number is missing"))
}

/// Removes repeated keys. Compares the keys by their debug form, because floating-point values have no hash.
fn remove_repeated_keys(keys: &mut Vec<CopyRow>) {
    let mut seen_keys = std::collections::HashSet::new();
    keys.retain(|key| seen_keys.insert(format!("{key:?}")));
}
