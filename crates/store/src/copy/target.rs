//! The store that a move copies to: filled, with its progress, and opened at the end.
//!
//! Until the store is open, no other process may write to it. Every transaction checks that no other run has taken over
//! the move.

use std::collections::HashMap;

use super::meta::{MetaValues, MoveMarks, read_marks, read_meta, set_meta};
use super::source::{ChangedRows, drop_move_objects};
use super::table::{CopyTable, LEASES_TABLE};
use super::table_store::{TableStore, finish_transaction, retry_while_locked};
use super::value::{CopyRow, CopyValue};
use postrider_core::error::{Error, ErrorKind, Result};

/// Tables that a running process writes to even without messages.
const RUNTIME_TABLES: [&str; 5] =
    ["providers", "rate_limiters", "provider_health", "job_locks", LEASES_TABLE];

fn is_runtime_table(table: &CopyTable) -> bool {
    RUNTIME_TABLES.contains(&table.name.as_str())
}

/// Returns the error for a move of a store into itself.
pub fn same_store_error() -> Error {
    Error::usage("both URLs name the same store: name another store to move to")
}

fn superseded_error() -> Error {
    let context = "another `console move` has continued, finished or abandoned this move";
    Error::new(ErrorKind::Conflict, context)
}

/// Makes `run` the only run that may write to a store that move `id` is filling. Returns false if move `id` is not filling
/// the store.
pub async fn take_over(store: &mut dyn TableStore, id: i64, run: i64) -> Result<bool> {
    retry_while_locked(async || {
        store.begin().await?;
        let outcome = take_over_in_transaction(store, id, run).await;
        finish_transaction(store, outcome).await
    })
    .await
}

async fn take_over_in_transaction(store: &mut dyn TableStore, id: i64, run: i64) -> Result<bool> {
    let statements = store.statements();
    store.execute_script(statements.set_lock_timeout).await?;
    let sql = statements.for_tables(statements.lock_tables, &[CopyTable::with_name("meta")]);
    store.execute_script(&sql).await?;
    let marks = read_marks(store).await?;
    let is_being_filled = marks.id == Some(id) && marks.receiving_run.is_some();
    if is_being_filled {
        set_meta(store, "receiving", CopyValue::Integer(run)).await?;
    }
    Ok(is_being_filled)
}

/// The store that a move copies to.
pub struct CopyTarget {
    pub store: Box<dyn TableStore>,
    pub tables: Vec<CopyTable>,
    run: i64,
}

impl CopyTarget {
    pub fn new(store: Box<dyn TableStore>, tables: Vec<CopyTable>) -> Self {
        Self { store, tables, run: 0 }
    }

    pub async fn marks(&mut self) -> Result<MoveMarks> {
        read_marks(self.store.as_mut()).await
    }

    /// Refuses a store with content. `source_secret` is the secret of the old store.
    pub async fn require_empty(&mut self, source_secret: &Option<CopyValue>) -> Result<()> {
        let meta = read_meta(self.store.as_mut()).await?.into_iter().collect::<HashMap<_, _>>();
        let target_secret = meta.get("store_secret");
        if target_secret.is_some() && target_secret == source_secret.as_ref() {
            return Err(same_store_error());
        }
        if meta.contains_key("receiving") {
            return Err(Error::usage(
                "the store to move to is the target of another move that was not finished or was abandoned: name an \
                 empty store",
            ));
        }
        self.require_no_rows().await
    }

    async fn require_no_rows(&mut self) -> Result<()> {
        let statements = self.store.statements();
        for copied_table in &self.tables {
            let sql = statements.for_table(statements.read_first_page, copied_table).replace("{limit}", "1");
            let is_empty = self.store.select(&sql, &[]).await?.is_empty();
            if !is_empty && !is_runtime_table(copied_table) {
                return Err(Error::usage(format!(
                    "the store to move to is not empty (table {} has rows): name an empty store",
                    copied_table.name
                )));
            }
        }
        Ok(())
    }

    /// Makes this run the only process that may write. Refuses a store that was used since it was checked.
    pub async fn begin(&mut self, id: i64, run: i64) -> Result<()> {
        retry_while_locked(async || {
            self.store.begin().await?;
            let outcome = self.begin_in_transaction(id, run).await;
            finish_transaction(self.store.as_mut(), outcome).await
        })
        .await?;
        self.run = run;
        Ok(())
    }

    async fn begin_in_transaction(&mut self, id: i64, run: i64) -> Result<()> {
        let statements = self.store.statements();
        self.store.execute_script(statements.set_lock_timeout).await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await?;
        let guarded_tables = statements.guarded_tables(&self.tables);
        for copied_table in &guarded_tables {
            let sql = statements.for_table(statements.create_receiving_guard, copied_table);
            self.store.execute_script(&sql).await?;
        }
        // Creating the guards waited for all transactions that were writing. The rows of those transactions are visible
        // now.
        self.require_no_rows().await?;
        for copied_table in guarded_tables.iter().filter(|copied_table| is_runtime_table(copied_table)) {
            self.store.execute(&statements.for_table(statements.delete_all_rows, copied_table), &[]).await?;
        }
        self.store.execute_script(statements.create_progress_table).await?;
        set_meta(self.store.as_mut(), "move_id", CopyValue::Integer(id)).await?;
        set_meta(self.store.as_mut(), "receiving", CopyValue::Integer(run)).await
    }

    /// Continues a move: from now on only this run may write.
    pub async fn take_over(&mut self, id: i64, run: i64) -> Result<()> {
        if !take_over(self.store.as_mut(), id, run).await? {
            return Err(superseded_error());
        }
        self.run = run;
        Ok(())
    }

    /// Returns the last copied key of each table, or none for a complete table.
    pub async fn bookmarks(&mut self) -> Result<HashMap<String, Option<CopyRow>>> {
        let rows = self.store.select(self.store.statements().read_progress, &[]).await?;
        let context = "cannot read the copy progress";
        let parse_bookmark = |row: CopyRow| match row.as_slice() {
            [CopyValue::Text(name), CopyValue::Text(json)] => match serde_json::from_str(json) {
                Ok(key) => Ok((name.clone(), Some(key))),
                Err(error) => Err(Error::with_source(ErrorKind::Internal, context, error)),
            },
            [CopyValue::Text(name), _] => Ok((name.clone(), None)),
            _ => Err(Error::new(ErrorKind::Internal, context)),
        };
        rows.into_iter().map(parse_bookmark).collect()
    }

    /// Writes a page of a table and its bookmark in one transaction; no bookmark completes the table.
    pub async fn write_page(
        &mut self,
        table_index: usize,
        rows: &[CopyRow],
        bookmark: Option<&CopyRow>,
    ) -> Result<()> {
        self.begin_write().await?;
        let outcome = self.write_page_in_transaction(table_index, rows, bookmark).await;
        self.finish_write(outcome).await
    }

    async fn write_page_in_transaction(
        &mut self,
        table_index: usize,
        rows: &[CopyRow],
        bookmark: Option<&CopyRow>,
    ) -> Result<()> {
        let to_error =
            |error| Error::with_source(ErrorKind::Internal, "cannot save the copy progress", error);
        let copied_table = &self.tables[table_index];
        self.store.upsert_rows(copied_table, rows).await?;
        let bookmark = match bookmark {
            Some(key) => CopyValue::Text(serde_json::to_string(key).map_err(to_error)?),
            None => CopyValue::Null,
        };
        let values = [CopyValue::Text(copied_table.name.clone()), bookmark];
        self.store.execute(self.store.statements().save_progress, &values).await.map(drop)
    }

    /// Applies changes: writes the current rows and deletes the rows that no longer exist.
    pub async fn apply(&mut self, changes: &ChangedRows) -> Result<()> {
        if changes.tables.is_empty() {
            return Ok(());
        }
        self.begin_write().await?;
        let outcome = self.apply_in_transaction(changes).await;
        self.finish_write(outcome).await
    }

    async fn apply_in_transaction(&mut self, changes: &ChangedRows) -> Result<()> {
        for (table_index, keys, rows) in &changes.tables {
            let copied_table = &self.tables[*table_index];
            if rows.len() < keys.len() {
                self.store.delete_rows(copied_table, keys).await?;
            }
            self.store.upsert_rows(copied_table, rows).await?;
        }
        Ok(())
    }

    /// Updates the statistics of the query planner.
    pub async fn analyze(&mut self) -> Result<()> {
        let statements = self.store.statements();
        let sql = statements.for_tables(statements.analyze_tables, &self.tables);
        self.begin_write().await?;
        let outcome = self.store.execute_script(&sql).await;
        self.finish_write(outcome).await
    }

    /// Writes `meta` and the columns that only this backend has. `last_number` is the last allocated message number.
    pub async fn finish(&mut self, meta: &MetaValues, last_number: i64) -> Result<()> {
        self.begin_write().await?;
        let outcome = self.finish_in_transaction(meta, last_number).await;
        self.finish_write(outcome).await
    }

    async fn finish_in_transaction(&mut self, meta: &MetaValues, last_number: i64) -> Result<()> {
        let statements = self.store.statements();
        for (name, value) in meta {
            set_meta(self.store.as_mut(), name, value.clone()).await?;
        }
        let with_last_number = |sql: &str| sql.replace("{last_number}", &last_number.to_string());
        self.store.execute_script(&with_last_number(statements.set_last_number)).await?;
        self.store.create_partitions().await?;
        match statements.fill_columns {
            Some(fill) if self.tables.iter().any(|table| table.backend_column.is_some()) => {
                self.store.execute_script(&with_last_number(fill)).await
            }
            _ => Ok(()),
        }
    }

    /// Opens the store and removes the state of the move.
    pub async fn open(&mut self) -> Result<()> {
        retry_while_locked(async || {
            self.begin_write().await?;
            let outcome = self.open_in_transaction().await;
            finish_transaction(self.store.as_mut(), outcome).await
        })
        .await
    }

    async fn open_in_transaction(&mut self) -> Result<()> {
        self.store.execute_script(self.store.statements().set_lock_timeout).await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await
    }

    /// Begins a transaction in which only this run may write.
    async fn begin_write(&mut self) -> Result<()> {
        self.store.begin().await?;
        let lift_mark = self.store.statements().lift_receiving_mark;
        let error = match self.store.execute(lift_mark, &[CopyValue::Integer(self.run)]).await {
            Ok(1) => return Ok(()),
            Ok(_) => superseded_error(),
            Err(error) => error,
        };
        self.store.rollback().await;
        Err(error)
    }

    async fn finish_write(&mut self, outcome: Result<()>) -> Result<()> {
        let outcome = match outcome {
            Ok(()) => set_meta(self.store.as_mut(), "receiving", CopyValue::Integer(self.run)).await,
            Err(error) => Err(error),
        };
        finish_transaction(self.store.as_mut(), outcome).await
    }
}
