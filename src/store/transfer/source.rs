//! The store a move copies from: reads it, notes what changes in it, and closes it at the end.
//!
//! Writes nothing but what the move itself needs.

use std::time::Duration;

use super::value::{Row, Value};
use super::{Phrases, Side, Table, end, patiently};
use crate::error::{Error, Kind, Result};

/// What is known once, but is not the same in both stores: where a store's numbers are, and marks of moves.
const OWN_MARKS: [&str; 6] = ["pulse", "number_pruned", "move", "moved", "held", "receiving"];

/// Where a store stands in a move.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Which move.
    pub id: Option<i64>,
    /// Where the store was moved to.
    pub moved: Option<String>,
    /// Who is filling it.
    pub receiving: Option<i64>,
}

/// What is known once, as name and value.
pub type Meta = Vec<(String, Value)>;

/// What is known once, in any store.
pub async fn meta(side: &mut dyn Side) -> Result<Meta> {
    let rows = side.read(side.phrases().meta, &[]).await?;
    let pair = |row: Row| match row.as_slice() {
        [Value::Text(name), Value::Null, value] | [Value::Text(name), value, _] => {
            Some((name.clone(), value.clone()))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// Where any store stands.
pub async fn marks(side: &mut dyn Side) -> Result<Marks> {
    let mut marks = Marks::default();
    for (name, value) in meta(side).await? {
        match (name.as_str(), value) {
            ("move", value) => marks.id = value.integer(),
            ("receiving", value) => marks.receiving = value.integer(),
            ("moved", Value::Bytes(place)) => {
                marks.moved = Some(String::from_utf8_lossy(&place).into_owned());
            }
            _ => {}
        }
    }
    Ok(marks)
}

/// Of what is known once, that which moves.
pub async fn moving_meta(side: &mut dyn Side) -> Result<Meta> {
    let mut meta = meta(side).await?;
    meta.retain(|(name, _)| !OWN_MARKS.contains(&name.as_str()));
    meta.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(meta)
}

/// Changes that were noted, with the rows as they are now.
#[derive(Default)]
pub struct Changes {
    /// The numbers they were noted under.
    pub numbers: Vec<i64>,
    /// For each table by place: the keys, and the rows that are still there.
    pub tables: Vec<(usize, Vec<Row>, Vec<Row>)>,
}

/// The store a move copies from.
pub struct Source {
    pub side: Box<dyn Side>,
    pub tables: Vec<Table>,
    id: i64,
}

impl Source {
    pub fn new(side: Box<dyn Side>, tables: Vec<Table>) -> Self {
        Self { side, tables, id: 0 }
    }

    /// Goes on with the move of this number.
    pub fn go_on(&mut self, id: i64) {
        self.id = id;
    }

    /// Begins a transaction in which the store knows this move and no other.
    async fn write(&mut self) -> Result<()> {
        self.side.begin().await?;
        let own = self.side.phrases().mine;
        let known = self.side.run(own, &[Value::Integer(self.id)]).await;
        let error = match known {
            Ok(1) => return Ok(()),
            Ok(_) => Error::new(Kind::Conflict, "the move was given up, or another one has begun"),
            Err(error) => error,
        };
        self.side.undo().await;
        Err(error)
    }

    async fn patience(&mut self) -> Result<()> {
        self.side.script(self.side.phrases().patience).await
    }

    pub async fn marks(&mut self) -> Result<Marks> {
        marks(self.side.as_mut()).await
    }

    pub async fn meta(&mut self) -> Result<Meta> {
        moving_meta(self.side.as_mut()).await
    }

    pub async fn seal(&mut self) -> Result<Option<Value>> {
        let meta = self.meta().await?;
        Ok(meta
            .into_iter()
            .find(|(name, _)| name == "seal")
            .map(|(_, seal)| seal))
    }

    /// The last message number that was given out.
    pub async fn numbers(&mut self) -> Result<i64> {
        let sql = self.side.phrases().numbers;
        number(self.side.as_mut(), sql).await
    }

    /// From now on every change is noted. What an earlier move left behind goes.
    pub async fn begin(&mut self, id: i64) -> Result<()> {
        patiently(async || {
            self.side.begin().await?;
            let outcome = self.begin_within(id).await;
            end(self.side.as_mut(), outcome).await
        })
        .await?;
        self.id = id;
        Ok(())
    }

    async fn begin_within(&mut self, id: i64) -> Result<()> {
        let phrases = self.side.phrases();
        self.patience().await?;
        forget_all(self.side.as_mut(), &self.tables).await?;
        self.side.script(phrases.log).await?;
        if number(self.side.as_mut(), phrases.ready).await? > 0 {
            return Err(Error::new(
                Kind::Conflict,
                "`console prune` is taking a month away: run it once more to its end, then move",
            ));
        }
        for table in &self.tables {
            self.side.script(&phrases.about(phrases.note, table)).await?;
        }
        set_mark(self.side.as_mut(), "move", Value::Integer(id)).await
    }

    /// Takes back whatever this move has done to the store. `may_reopen`: whether that holds for a store that is closed,
    /// because nobody can open the new one any more.
    pub async fn abandon(&mut self, may_reopen: bool) -> Result<()> {
        patiently(async || {
            self.side.begin().await?;
            let outcome = self.abandon_within(may_reopen).await;
            end(self.side.as_mut(), outcome).await
        })
        .await
    }

    async fn abandon_within(&mut self, may_reopen: bool) -> Result<()> {
        let phrases = self.side.phrases();
        self.lock_within().await?;
        let marks = self.marks().await?;
        if marks.id != Some(self.id) {
            return Err(no_move());
        }
        if let (Some(place), false) = (&marks.moved, may_reopen) {
            return Err(Error::usage(format!(
                "the move to {place} is finished: the old store cannot be opened again"
            )));
        }
        for table in closing(phrases, &self.tables) {
            self.side.script(&phrases.about(phrases.reopen, &table)).await?;
        }
        let moved = [Value::Text("moved".to_owned())];
        self.side.run(phrases.meta_drop, &moved).await?;
        forget_all(self.side.as_mut(), &self.tables).await
    }

    /// Rows of a table after a key, in the order of keys, and the key to go on after; none at the end.
    pub async fn page(
        &mut self,
        place: usize,
        after: Option<&Row>,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<Row>)> {
        page(self.side.as_mut(), &self.tables[place], after, limit).await
    }

    /// At most so many of the changes that were noted, the oldest first.
    pub async fn changes(&mut self, limit: usize) -> Result<Changes> {
        let sql = self.side.phrases().changes.replace("{limit}", &limit.to_string());
        let noted = self.side.read(&sql, &[]).await?;
        let mut changes = Changes::default();
        let mut keys = vec![Vec::new(); self.tables.len()];
        for row in &noted {
            let [Value::Integer(number), Value::Text(name), key @ ..] = row.as_slice() else {
                return Err(Error::new(Kind::Internal, "a noted change cannot be read"));
            };
            changes.numbers.push(*number);
            if let Some(place) = self.tables.iter().position(|table| table.name == *name) {
                keys[place].push(self.tables[place].noted_key(key)?);
            }
        }
        for (place, mut keys) in keys.into_iter().enumerate().filter(|(_, keys)| !keys.is_empty()) {
            without_repetition(&mut keys);
            let rows = self.side.fetch(&self.tables[place], &keys).await?;
            changes.tables.push((place, keys, rows));
        }
        Ok(changes)
    }

    /// Forgets changes that the new store has.
    pub async fn forget(&mut self, changes: &Changes) -> Result<()> {
        if changes.numbers.is_empty() {
            return Ok(());
        }
        let numbers = changes.numbers.iter().map(|number| vec![Value::Integer(*number)]);
        let numbers = numbers.collect::<Vec<_>>();
        self.write().await?;
        let outcome = self.side.erase(&Table::of_changes(), &numbers).await;
        end(self.side.as_mut(), outcome).await
    }

    /// Makes it possible to hold rounds up.
    pub async fn prepare_hold(&mut self) -> Result<()> {
        patiently(async || {
            self.write().await?;
            let outcome = self.prepare_hold_within().await;
            end(self.side.as_mut(), outcome).await
        })
        .await
    }

    async fn prepare_hold_within(&mut self) -> Result<()> {
        self.patience().await?;
        self.side.script(self.side.phrases().hold).await
    }

    /// No round begins in the time to come.
    pub async fn hold(&mut self, time: Duration) -> Result<()> {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.write().await?;
        let held = self.side.phrases().held;
        let outcome = self.side.run(held, &[Value::Integer(millis)]).await;
        end(self.side.as_mut(), outcome.map(drop)).await
    }

    /// Puts down in the deliveries what leases say, where they are kept beside; nothing is when no round has begun since.
    pub async fn put_leases_down(&mut self) -> Result<()> {
        let Some(sql) = self.side.phrases().leases else {
            return Ok(());
        };
        self.write().await?;
        let outcome = self.side.run(sql, &[]).await;
        end(self.side.as_mut(), outcome.map(drop)).await
    }

    /// Whether a lease stands beside the deliveries.
    pub async fn has_leases(&mut self) -> Result<bool> {
        let phrases = self.side.phrases();
        if phrases.leases.is_none() {
            return Ok(false);
        }
        let sql = phrases.about(phrases.count, &Table::of_leases());
        Ok(number(self.side.as_mut(), &sql).await? > 0)
    }

    /// How many rounds are in workers' hands.
    pub async fn in_hand(&mut self) -> Result<u64> {
        let sql = self.side.phrases().in_hand;
        let count = number(self.side.as_mut(), sql).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Begins a transaction beside which nobody can write.
    pub async fn lock(&mut self) -> Result<()> {
        self.write().await?;
        let outcome = self.lock_within().await;
        if outcome.is_err() {
            self.side.undo().await;
        }
        outcome
    }

    async fn lock_within(&mut self) -> Result<()> {
        self.patience().await?;
        let phrases = self.side.phrases();
        let sql = phrases.about_all(phrases.lock, &closing(phrases, &self.tables));
        self.side.script(&sql).await
    }

    /// Closes the store for good, within the transaction: whoever writes is told that it was moved.
    pub async fn close(&mut self, place: &str) -> Result<()> {
        let phrases = self.side.phrases();
        let marks = super::source::marks(self.side.as_mut()).await?;
        forget_all(self.side.as_mut(), &self.tables).await?;
        // A move that is killed before the new store is open must know that it was this one.
        if let Some(id) = marks.id {
            set_mark(self.side.as_mut(), "move", Value::Integer(id)).await?;
        }
        set_mark(
            self.side.as_mut(),
            "moved",
            Value::Bytes(place.as_bytes().to_vec()),
        )
        .await?;
        for table in closing(phrases, &self.tables) {
            self.side.script(&phrases.about(phrases.close, &table)).await?;
        }
        Ok(())
    }
}

/// Every table that is copied, leases, the list of months, and what is known once.
fn closing(phrases: &Phrases, tables: &[Table]) -> Vec<Table> {
    let mut closing = phrases.fenced(tables);
    closing.extend(phrases.months.map(Table::named));
    closing.push(Table::named("meta"));
    closing
}

/// What a store that no move is under way from says.
pub fn no_move() -> Error {
    Error::usage("no move from this store is under way")
}

/// Takes away what a move keeps in a store, in a transaction that is under way.
pub async fn forget_all(side: &mut dyn Side, tables: &[Table]) -> Result<()> {
    let phrases = side.phrases();
    for table in phrases.fenced(tables) {
        side.script(&phrases.about(phrases.forget_table, &table)).await?;
    }
    side.script(phrases.forget).await
}

/// Sets what is known once, in a transaction that is under way.
pub async fn set_mark(side: &mut dyn Side, name: &str, value: Value) -> Result<()> {
    let (number, bytes) = match value {
        Value::Integer(_) => (value, Value::Null),
        _ => (Value::Null, value),
    };
    let values = [Value::Text(name.to_owned()), number, bytes];
    side.run(side.phrases().meta_set, &values).await.map(drop)
}

/// Rows of a table after a key, in the order of keys, and the key to go on after; none at the end.
pub async fn page(
    side: &mut dyn Side,
    table: &Table,
    after: Option<&Row>,
    limit: usize,
) -> Result<(Vec<Row>, Option<Row>)> {
    let phrases = side.phrases();
    let phrase = if after.is_some() {
        phrases.next
    } else {
        phrases.first
    };
    let sql = phrases
        .about(phrase, table)
        .replace("{limit}", &limit.to_string());
    let sql = phrases.with_marks(&sql, table.key.len());
    let rows = side
        .read(&sql, after.map(Vec::as_slice).unwrap_or_default())
        .await?;
    let last = rows.last().filter(|_| rows.len() >= limit);
    let next = last.map(|row| table.key_of(row));
    Ok((rows, next))
}

/// How many rows a store holds.
pub async fn rows(side: &mut dyn Side, tables: &[Table]) -> Result<u64> {
    let phrases = side.phrases();
    let mut all = 0;
    for table in tables {
        let rows = number(side, &phrases.about(phrases.count, table)).await?;
        all += u64::try_from(rows).unwrap_or_default();
    }
    Ok(all)
}

async fn number(side: &mut dyn Side, sql: &str) -> Result<i64> {
    let rows = side.read(sql, &[]).await?;
    let number = rows.first().and_then(|row| row.first()).and_then(Value::integer);
    number.ok_or_else(|| Error::new(Kind::Internal, "a number is missing"))
}

/// Keys have no order of their own that both dialects share, so they are told apart by what they are written as.
fn without_repetition(keys: &mut Vec<Row>) {
    let mut seen = std::collections::HashSet::new();
    keys.retain(|key| seen.insert(format!("{key:?}")));
}
