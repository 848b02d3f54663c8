//! The store a move copies from: reads it, notes what changes in it, and closes it at the end.
//!
//! Writes nothing but what the move itself needs.

use std::time::Duration;

use super::value::{CopyRow, CopyValue};
use super::{CopyStatements, CopyTable, TableStore, finish_transaction, retry_while_locked};
use postrider_core::error::{Error, ErrorKind, Result};

/// What is known once, but is not the same in both stores: where a store's numbers are, and marks of moves.
const UNCOPIED_META: [&str; 6] = [
    "ping_counter",
    "number_pruned",
    "move_id",
    "moved",
    "claims_paused",
    "receiving",
];

/// Where a store stands in a move.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MoveMarks {
    /// Which move.
    pub id: Option<i64>,
    /// Where the store was moved to.
    pub moved_to: Option<String>,
    /// Who is filling it.
    pub receiving_run: Option<i64>,
}

/// What is known once, as name and value.
pub type MetaValues = Vec<(String, CopyValue)>;

/// What is known once, in any store.
pub async fn read_meta(store: &mut dyn TableStore) -> Result<MetaValues> {
    let rows = store.select(store.statements().meta, &[]).await?;
    let pair = |row: CopyRow| match row.as_slice() {
        [CopyValue::Text(name), CopyValue::Null, value] | [CopyValue::Text(name), value, _] => {
            Some((name.clone(), value.clone()))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// Where any store stands.
pub async fn read_marks(store: &mut dyn TableStore) -> Result<MoveMarks> {
    let mut marks = MoveMarks::default();
    for (name, value) in read_meta(store).await? {
        match (name.as_str(), value) {
            ("move_id", value) => marks.id = value.as_integer(),
            ("receiving", value) => marks.receiving_run = value.as_integer(),
            ("moved", CopyValue::Bytes(location)) => {
                marks.moved_to = Some(String::from_utf8_lossy(&location).into_owned());
            }
            _ => {}
        }
    }
    Ok(marks)
}

/// Of what is known once, that which moves.
pub async fn copied_meta(store: &mut dyn TableStore) -> Result<MetaValues> {
    let mut meta = read_meta(store).await?;
    meta.retain(|(name, _)| !UNCOPIED_META.contains(&name.as_str()));
    meta.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(meta)
}

/// Changes that were noted, with the rows as they are now.
#[derive(Default)]
pub struct ChangedRows {
    /// The numbers they were noted under.
    pub sequence_numbers: Vec<i64>,
    /// For each table by place: the keys, and the rows that are still there.
    pub tables: Vec<(usize, Vec<CopyRow>, Vec<CopyRow>)>,
}

/// The store a move copies from.
pub struct CopySource {
    pub store: Box<dyn TableStore>,
    pub tables: Vec<CopyTable>,
    id: i64,
}

impl CopySource {
    pub fn new(store: Box<dyn TableStore>, tables: Vec<CopyTable>) -> Self {
        Self { store, tables, id: 0 }
    }

    /// Goes on with the move of this number.
    pub fn resume(&mut self, id: i64) {
        self.id = id;
    }

    /// Begins a transaction in which the store knows this move and no other.
    async fn begin_write(&mut self) -> Result<()> {
        self.store.begin().await?;
        let own = self.store.statements().check_move_id;
        let found = self.store.execute(own, &[CopyValue::Integer(self.id)]).await;
        let error = match found {
            Ok(1) => return Ok(()),
            Ok(_) => Error::new(
                ErrorKind::Conflict,
                "the move was given up, or another one has begun",
            ),
            Err(error) => error,
        };
        self.store.rollback().await;
        Err(error)
    }

    async fn set_lock_timeout(&mut self) -> Result<()> {
        self.store
            .execute_script(self.store.statements().set_lock_timeout)
            .await
    }

    pub async fn marks(&mut self) -> Result<MoveMarks> {
        read_marks(self.store.as_mut()).await
    }

    pub async fn copied_meta(&mut self) -> Result<MetaValues> {
        copied_meta(self.store.as_mut()).await
    }

    pub async fn store_secret(&mut self) -> Result<Option<CopyValue>> {
        let meta = self.copied_meta().await?;
        Ok(meta
            .into_iter()
            .find(|(name, _)| name == "store_secret")
            .map(|(_, seal)| seal))
    }

    /// The last message number that was given out.
    pub async fn last_message_number(&mut self) -> Result<i64> {
        let sql = self.store.statements().last_message_number;
        read_number(self.store.as_mut(), sql).await
    }

    /// From now on every change is noted. What an earlier move left behind goes.
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
                "`console prune` is taking a month away: run it once more to its end, then move",
            ));
        }
        for table in &self.tables {
            self.store
                .execute_script(&statements.for_table(statements.create_change_trigger, table))
                .await?;
        }
        set_meta(self.store.as_mut(), "move_id", CopyValue::Integer(id)).await
    }

    /// Takes back whatever this move has done to the store. `may_reopen`: whether that holds for a store that is closed,
    /// because nobody can open the new one any more.
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
        for table in closed_tables(statements, &self.tables) {
            self.store
                .execute_script(&statements.for_table(statements.reopen, &table))
                .await?;
        }
        let moved = [CopyValue::Text("moved".to_owned())];
        self.store.execute(statements.meta_drop, &moved).await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await
    }

    /// Rows of a table after a key, in the order of keys, and the key to go on after; none at the end.
    pub async fn page(
        &mut self,
        table_index: usize,
        after: Option<&CopyRow>,
        limit: usize,
    ) -> Result<(Vec<CopyRow>, Option<CopyRow>)> {
        read_page(self.store.as_mut(), &self.tables[table_index], after, limit).await
    }

    /// At most so many of the changes that were noted, the oldest first.
    pub async fn changed_rows(&mut self, limit: usize) -> Result<ChangedRows> {
        let sql = self
            .store
            .statements()
            .changes
            .replace("{limit}", &limit.to_string());
        let logged = self.store.select(&sql, &[]).await?;
        let mut changes = ChangedRows::default();
        let mut keys = vec![Vec::new(); self.tables.len()];
        for row in &logged {
            let [CopyValue::Integer(number), CopyValue::Text(name), key @ ..] = row.as_slice() else {
                return Err(Error::new(ErrorKind::Internal, "a noted change cannot be read"));
            };
            changes.sequence_numbers.push(*number);
            if let Some(table_index) = self.tables.iter().position(|table| table.name == *name) {
                keys[table_index].push(self.tables[table_index].parse_changed_key(key)?);
            }
        }
        for (table_index, mut keys) in keys.into_iter().enumerate().filter(|(_, keys)| !keys.is_empty()) {
            deduplicate(&mut keys);
            let rows = self
                .store
                .select_by_keys(&self.tables[table_index], &keys)
                .await?;
            changes.tables.push((table_index, keys, rows));
        }
        Ok(changes)
    }

    /// Forgets changes that the new store has.
    pub async fn delete_changes(&mut self, changes: &ChangedRows) -> Result<()> {
        if changes.sequence_numbers.is_empty() {
            return Ok(());
        }
        let numbers = changes
            .sequence_numbers
            .iter()
            .map(|number| vec![CopyValue::Integer(*number)]);
        let numbers = numbers.collect::<Vec<_>>();
        self.begin_write().await?;
        let outcome = self
            .store
            .delete_rows(&CopyTable::changes_table(), &numbers)
            .await;
        finish_transaction(self.store.as_mut(), outcome).await
    }

    /// Makes it possible to hold rounds up.
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
        self.store
            .execute_script(self.store.statements().create_claim_pause)
            .await
    }

    /// No round begins in the time to come.
    pub async fn pause_claims(&mut self, time: Duration) -> Result<()> {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.begin_write().await?;
        let pause = self.store.statements().pause_claims;
        let outcome = self.store.execute(pause, &[CopyValue::Integer(millis)]).await;
        finish_transaction(self.store.as_mut(), outcome.map(drop)).await
    }

    /// Puts down in the deliveries what leases say, where they are kept beside; nothing is when no round has begun since.
    pub async fn write_back_leases(&mut self) -> Result<()> {
        let Some(sql) = self.store.statements().leases else {
            return Ok(());
        };
        self.begin_write().await?;
        let outcome = self.store.execute(sql, &[]).await;
        finish_transaction(self.store.as_mut(), outcome.map(drop)).await
    }

    /// Whether a lease stands beside the deliveries.
    pub async fn has_leases(&mut self) -> Result<bool> {
        let statements = self.store.statements();
        if statements.leases.is_none() {
            return Ok(false);
        }
        let sql = statements.for_table(statements.count, &CopyTable::leases_table());
        Ok(read_number(self.store.as_mut(), &sql).await? > 0)
    }

    /// How many rounds are in workers' hands.
    pub async fn count_leased(&mut self) -> Result<u64> {
        let sql = self.store.statements().count_leased;
        let count = read_number(self.store.as_mut(), sql).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Begins a transaction beside which nobody can write.
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
        let sql = statements.for_tables(statements.lock, &closed_tables(statements, &self.tables));
        self.store.execute_script(&sql).await
    }

    /// Closes the store for good, within the transaction: whoever writes is told that it was moved.
    pub async fn close(&mut self, location: &str) -> Result<()> {
        let statements = self.store.statements();
        let marks = super::source::read_marks(self.store.as_mut()).await?;
        drop_move_objects(self.store.as_mut(), &self.tables).await?;
        // A move that is killed before the new store is open must know that it was this one.
        if let Some(id) = marks.id {
            set_meta(self.store.as_mut(), "move_id", CopyValue::Integer(id)).await?;
        }
        set_meta(
            self.store.as_mut(),
            "moved",
            CopyValue::Bytes(location.as_bytes().to_vec()),
        )
        .await?;
        for table in closed_tables(statements, &self.tables) {
            self.store
                .execute_script(&statements.for_table(statements.create_close_trigger, &table))
                .await?;
        }
        Ok(())
    }
}

/// Every table that is copied, leases, the list of months, and what is known once.
fn closed_tables(statements: &CopyStatements, tables: &[CopyTable]) -> Vec<CopyTable> {
    let mut closing = statements.guarded_tables(tables);
    closing.extend(statements.months.map(CopyTable::with_name));
    closing.push(CopyTable::with_name("meta"));
    closing
}

/// What a store that no move is under way from says.
pub fn no_move_error() -> Error {
    Error::usage("no move from this store is under way")
}

/// Takes away what a move keeps in a store, in a transaction that is under way.
pub async fn drop_move_objects(store: &mut dyn TableStore, tables: &[CopyTable]) -> Result<()> {
    let statements = store.statements();
    for table in statements.guarded_tables(tables) {
        store
            .execute_script(&statements.for_table(statements.drop_table_triggers, &table))
            .await?;
    }
    store.execute_script(statements.drop_move_objects).await
}

/// Sets what is known once, in a transaction that is under way.
pub async fn set_meta(store: &mut dyn TableStore, name: &str, value: CopyValue) -> Result<()> {
    let (number, bytes) = match value {
        CopyValue::Integer(_) => (value, CopyValue::Null),
        _ => (CopyValue::Null, value),
    };
    let values = [CopyValue::Text(name.to_owned()), number, bytes];
    store
        .execute(store.statements().meta_set, &values)
        .await
        .map(drop)
}

/// Rows of a table after a key, in the order of keys, and the key to go on after; none at the end.
pub async fn read_page(
    store: &mut dyn TableStore,
    table: &CopyTable,
    after: Option<&CopyRow>,
    limit: usize,
) -> Result<(Vec<CopyRow>, Option<CopyRow>)> {
    let statements = store.statements();
    let statement = if after.is_some() {
        statements.next_page
    } else {
        statements.first_page
    };
    let sql = statements
        .for_table(statement, table)
        .replace("{limit}", &limit.to_string());
    let sql = statements.with_placeholders(&sql, table.key.len());
    let rows = store
        .select(&sql, after.map(Vec::as_slice).unwrap_or_default())
        .await?;
    let last = rows.last().filter(|_| rows.len() >= limit);
    let next = last.map(|row| table.key_of(row));
    Ok((rows, next))
}

/// How many rows a store holds.
pub async fn count_rows(store: &mut dyn TableStore, tables: &[CopyTable]) -> Result<u64> {
    let statements = store.statements();
    let mut all = 0;
    for table in tables {
        let rows = read_number(store, &statements.for_table(statements.count, table)).await?;
        all += u64::try_from(rows).unwrap_or_default();
    }
    Ok(all)
}

async fn read_number(store: &mut dyn TableStore, sql: &str) -> Result<i64> {
    let rows = store.select(sql, &[]).await?;
    let number = rows
        .first()
        .and_then(|row| row.first())
        .and_then(CopyValue::as_integer);
    number.ok_or_else(|| Error::new(ErrorKind::Internal, "a number is missing"))
}

/// Keys have no order of their own that both dialects share, so they are told apart by what they are written as.
fn deduplicate(keys: &mut Vec<CopyRow>) {
    let mut seen = std::collections::HashSet::new();
    keys.retain(|key| seen.insert(format!("{key:?}")));
}
