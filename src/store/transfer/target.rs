//! The store a move copies to: takes rows, remembers how far it got, and opens at the end.
//!
//! Until it is open nobody else may write to it. Every batch checks that this run is still the one that fills it.

use std::collections::HashMap;

use super::source::{Changes, Marks, Meta, forget_all, marks, meta, set_mark};
use super::table::LEASES;
use super::value::{Row, Value};
use super::{Side, Table, end, patiently, same_store};
use crate::error::{Error, Kind, Result};

/// What a store that took no message may hold: what processes write that merely run on it.
const MAY_HOLD_ROWS: [&str; 5] = ["providers", "paces", "standings", "turns", LEASES];

fn may_hold_rows(table: &Table) -> bool {
    MAY_HOLD_ROWS.contains(&table.name.as_str())
}

fn ended_elsewhere() -> Error {
    let act = "another `console move` has gone on with this move, ended it or given it up";
    Error::new(Kind::Conflict, act)
}

/// Makes a run the only one that may write to a store, if this move is filling it; whether it is.
pub async fn take_over(side: &mut dyn Side, id: i64, run: i64) -> Result<bool> {
    patiently(async || {
        side.begin().await?;
        let outcome = take_over_within(side, id, run).await;
        end(side, outcome).await
    })
    .await
}

async fn take_over_within(side: &mut dyn Side, id: i64, run: i64) -> Result<bool> {
    let phrases = side.phrases();
    side.script(phrases.patience).await?;
    let sql = phrases.about_all(phrases.lock, &[Table::named("meta")]);
    side.script(&sql).await?;
    let marks = marks(side).await?;
    let is_being_filled = marks.id == Some(id) && marks.receiving.is_some();
    if is_being_filled {
        set_mark(side, "receiving", Value::Integer(run)).await?;
    }
    Ok(is_being_filled)
}

/// The store a move copies to.
pub struct Target {
    pub side: Box<dyn Side>,
    pub tables: Vec<Table>,
    run: i64,
}

impl Target {
    pub fn new(side: Box<dyn Side>, tables: Vec<Table>) -> Self {
        Self { side, tables, run: 0 }
    }

    pub async fn marks(&mut self) -> Result<Marks> {
        marks(self.side.as_mut()).await
    }

    /// Refuses a store that holds something. `seal` is the old store's.
    pub async fn refuse_what_is_not_empty(&mut self, seal: &Option<Value>) -> Result<()> {
        let known = meta(self.side.as_mut()).await?;
        let own_seal = known
            .iter()
            .find(|(name, _)| name == "seal")
            .map(|(_, seal)| seal);
        if own_seal.is_some() && own_seal == seal.as_ref() {
            return Err(same_store());
        }
        if known.iter().any(|(name, _)| name == "receiving") {
            return Err(Error::usage(
                "the store to move to holds the unfinished move of another store, or of one that was given up: name \
                 an empty one",
            ));
        }
        self.refuse_rows().await
    }

    async fn refuse_rows(&mut self) -> Result<()> {
        let phrases = self.side.phrases();
        for table in &self.tables {
            let sql = phrases.about(phrases.first, table).replace("{limit}", "1");
            let is_empty = self.side.read(&sql, &[]).await?.is_empty();
            if !is_empty && !may_hold_rows(table) {
                return Err(Error::usage(format!(
                    "the store to move to is not empty (it has {}): name an empty one",
                    table.name
                )));
            }
        }
        Ok(())
    }

    /// From now on only this run may write. Refuses a store that somebody has used since it was looked at.
    pub async fn begin(&mut self, id: i64, run: i64) -> Result<()> {
        patiently(async || {
            self.side.begin().await?;
            let outcome = self.begin_within(id, run).await;
            end(self.side.as_mut(), outcome).await
        })
        .await?;
        self.run = run;
        Ok(())
    }

    async fn begin_within(&mut self, id: i64, run: i64) -> Result<()> {
        let phrases = self.side.phrases();
        self.side.script(phrases.patience).await?;
        forget_all(self.side.as_mut(), &self.tables).await?;
        let fenced = phrases.fenced(&self.tables);
        for table in &fenced {
            self.side.script(&phrases.about(phrases.guard, table)).await?;
        }
        // Whoever was writing has ended before the guards stood, and can be seen.
        self.refuse_rows().await?;
        for table in fenced.iter().filter(|table| may_hold_rows(table)) {
            self.side.run(&phrases.about(phrases.empty, table), &[]).await?;
        }
        self.side.script(phrases.bookmarks).await?;
        set_mark(self.side.as_mut(), "move", Value::Integer(id)).await?;
        set_mark(self.side.as_mut(), "receiving", Value::Integer(run)).await
    }

    /// Goes on with a move that stopped half-way: from now on only this run may write.
    pub async fn take_over(&mut self, id: i64, run: i64) -> Result<()> {
        if !take_over(self.side.as_mut(), id, run).await? {
            return Err(ended_elsewhere());
        }
        self.run = run;
        Ok(())
    }

    /// How far each table was copied: the last key; no key when all of it was.
    pub async fn bookmarks(&mut self) -> Result<HashMap<String, Option<Row>>> {
        let rows = self.side.read(self.side.phrases().bookmarks_all, &[]).await?;
        let broken = |error| Error::because(Kind::Internal, "a bookmark cannot be read", error);
        let read = |row: Row| match row.as_slice() {
            [Value::Text(name), Value::Text(key)] => {
                let key = serde_json::from_str(key).map_err(broken)?;
                Ok((name.clone(), Some(key)))
            }
            [Value::Text(name), _] => Ok((name.clone(), None)),
            _ => Err(Error::new(Kind::Internal, "a bookmark cannot be read")),
        };
        rows.into_iter().map(read).collect()
    }

    /// Writes a page of a table and how far it goes, together.
    pub async fn store(&mut self, place: usize, rows: &[Row], next: Option<&Row>) -> Result<()> {
        self.write().await?;
        let outcome = self.store_within(place, rows, next).await;
        self.written(outcome).await
    }

    async fn store_within(&mut self, place: usize, rows: &[Row], next: Option<&Row>) -> Result<()> {
        let broken = |error| Error::because(Kind::Internal, "a bookmark cannot be written", error);
        let table = &self.tables[place];
        self.side.put(table, rows).await?;
        let key = match next {
            Some(key) => Value::Text(serde_json::to_string(key).map_err(broken)?),
            None => Value::Null,
        };
        let values = [Value::Text(table.name.clone()), key];
        self.side.run(self.side.phrases().bookmark_set, &values).await?;
        Ok(())
    }

    /// Writes what has changed, and deletes what is no longer there.
    pub async fn apply(&mut self, changes: &Changes) -> Result<()> {
        if changes.tables.is_empty() {
            return Ok(());
        }
        self.write().await?;
        let outcome = self.apply_within(changes).await;
        self.written(outcome).await
    }

    async fn apply_within(&mut self, changes: &Changes) -> Result<()> {
        for (place, keys, rows) in &changes.tables {
            let table = &self.tables[*place];
            if rows.len() < keys.len() {
                self.side.erase(table, keys).await?;
            }
            self.side.put(table, rows).await?;
        }
        Ok(())
    }

    /// Brings the servers' own knowledge of how the rows lie up to date.
    pub async fn analyze(&mut self) -> Result<()> {
        let phrases = self.side.phrases();
        let sql = phrases.about_all(phrases.analyze, &self.tables);
        self.write().await?;
        let outcome = self.side.script(&sql).await;
        self.written(outcome).await
    }

    /// Writes what is known once, and what only this dialect keeps. `numbers` is the last number given out.
    pub async fn finish(&mut self, meta: &Meta, numbers: i64) -> Result<()> {
        self.write().await?;
        let outcome = self.finish_within(meta, numbers).await;
        self.written(outcome).await
    }

    async fn finish_within(&mut self, meta: &Meta, numbers: i64) -> Result<()> {
        let phrases = self.side.phrases();
        for (name, value) in meta {
            set_mark(self.side.as_mut(), name, value.clone()).await?;
        }
        let numbered = |sql: &str| sql.replace("{numbers}", &numbers.to_string());
        self.side.script(&numbered(phrases.finish)).await?;
        self.side.make_room().await?;
        match phrases.derive {
            Some(derive) if self.tables.iter().any(|table| table.filled.is_some()) => {
                self.side.script(&numbered(derive)).await
            }
            _ => Ok(()),
        }
    }

    /// Opens the store: whoever comes may use it, and nothing of the move stays in it.
    pub async fn open(&mut self) -> Result<()> {
        patiently(async || {
            self.write().await?;
            let outcome = self.open_within().await;
            end(self.side.as_mut(), outcome).await
        })
        .await
    }

    async fn open_within(&mut self) -> Result<()> {
        self.side.script(self.side.phrases().patience).await?;
        forget_all(self.side.as_mut(), &self.tables).await
    }

    /// Begins a transaction in which this run, and nobody else, may write.
    async fn write(&mut self) -> Result<()> {
        self.side.begin().await?;
        let lifted = self
            .side
            .run(self.side.phrases().lift, &[Value::Integer(self.run)])
            .await;
        let lifted = match lifted {
            Ok(1) => return Ok(()),
            Ok(_) => ended_elsewhere(),
            Err(error) => error,
        };
        self.side.undo().await;
        Err(lifted)
    }

    async fn written(&mut self, outcome: Result<()>) -> Result<()> {
        let outcome = match outcome {
            Ok(()) => set_mark(self.side.as_mut(), "receiving", Value::Integer(self.run)).await,
            Err(error) => Err(error),
        };
        end(self.side.as_mut(), outcome).await
    }
}
