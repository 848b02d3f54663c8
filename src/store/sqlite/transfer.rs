//! A SQLite store as a move sees it: one connection that reads, one that writes.
//!
//! Reads never hold anybody up; what is written in the old store is little, and in short transactions.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value as Cell, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::connect;
use super::fault::fault;
use crate::clock::pause_thread;
use crate::error::Result;
use crate::store::transfer::{Phrases, Row, SQLITE, Side, Table, Value};

const ACT: &str = "cannot move the store";

/// How long to wait before asking again for a lock that a busy writer gives back only for moments.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Both connections.
struct SqliteSide {
    reading: Connection,
    writing: Connection,
}

/// The store in a file, for a move.
pub fn side(file: &Path, lock_wait: Duration) -> Result<Box<dyn Side>> {
    let opened = || {
        let mut writing = connect::writing(file, lock_wait)?;
        let asks_max = lock_wait.as_millis() / ASK_AGAIN.as_millis();
        writing.busy_handler(Some(move |asked: i32| {
            pause_thread(ASK_AGAIN);
            u128::try_from(asked).is_ok_and(|asked| asked < asks_max)
        }))?;
        let reading = connect::reading(file, lock_wait)?;
        Ok(SqliteSide { reading, writing })
    };
    let side: rusqlite::Result<SqliteSide> = opened();
    Ok(Box::new(side.map_err(|error| fault(ACT, error))?))
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Cell::Null),
            Self::Integer(number) => ToSqlOutput::Owned(Cell::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Cell::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn value(cell: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text)?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

fn rows(connection: &Connection, sql: &str, values: &[Value]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cells = (0..columns).map(|place| value(row.get_ref(place)?));
        rows.push(cells.collect::<rusqlite::Result<Row>>()?);
    }
    Ok(rows)
}

fn put(connection: &Connection, table: &Table, rows: &[Row]) -> rusqlite::Result<()> {
    let (phrase, count) = (SQLITE.put, table.columns.len());
    let sql = match table.filled {
        None => SQLITE.with_marks(&SQLITE.about(phrase, table), count),
        Some((apart, _)) => {
            let sql = phrase.replace("{columns}", &format!("{{columns}}, \"{}\"", apart.column));
            SQLITE.with_marks(&SQLITE.about(&sql, table), count + 1)
        }
    };
    let mut statement = connection.prepare_cached(&sql)?;
    for row in rows {
        let filled = table.filled.map(|(_, stand_in)| &row[stand_in]);
        statement.execute(params_from_iter(row.iter().chain(filled)))?;
    }
    Ok(())
}

fn erase(connection: &Connection, table: &Table, keys: &[Row]) -> rusqlite::Result<()> {
    let sql = SQLITE.about(SQLITE.erase, table);
    let mut statement = connection.prepare_cached(&SQLITE.with_marks(&sql, table.key.len()))?;
    for key in keys {
        statement.execute(params_from_iter(key))?;
    }
    Ok(())
}

#[async_trait]
impl Side for SqliteSide {
    fn phrases(&self) -> &'static Phrases {
        &SQLITE
    }

    async fn read(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        let connection = if self.writing.is_autocommit() {
            &self.reading
        } else {
            &self.writing
        };
        rows(connection, sql, values).map_err(|error| fault(ACT, error))
    }

    async fn fetch(&mut self, table: &Table, keys: &[Row]) -> Result<Vec<Row>> {
        let sql = SQLITE.about(SQLITE.fetch, table);
        let sql = SQLITE.with_marks(&sql, table.key.len());
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.extend(rows(&self.reading, &sql, key).map_err(|error| fault(ACT, error))?);
        }
        Ok(found)
    }

    async fn begin(&mut self) -> Result<()> {
        self.script("BEGIN IMMEDIATE").await
    }

    async fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        let changed = self
            .writing
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values)));
        let changed = changed.map_err(|error| fault(ACT, error))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        self.writing.execute_batch(sql).map_err(|error| fault(ACT, error))
    }

    async fn put(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        put(&self.writing, table, rows).map_err(|error| fault(ACT, error))
    }

    async fn erase(&mut self, table: &Table, keys: &[Row]) -> Result<()> {
        erase(&self.writing, table, keys).map_err(|error| fault(ACT, error))
    }

    async fn make_room(&mut self) -> Result<()> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        let outcome = self.script("COMMIT").await;
        if outcome.is_err() {
            self.undo().await;
        }
        outcome
    }

    async fn undo(&mut self) {
        if !self.writing.is_autocommit()
            && let Err(error) = self.script("ROLLBACK").await
        {
            log::error!("{}", error.chain());
        }
    }
}
