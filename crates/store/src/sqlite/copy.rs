//! A SQLite store as one side of `console move`: one connection that reads, one that writes.
//!
//! Reads block no other process. Writes to the old store use short transactions.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row, ToSql, params_from_iter};

use super::{connect, errors::to_error};
use crate::copy::statements::{CopyStatements, SQLITE};
use crate::copy::value::{CopyRow, CopyValue};
use crate::{copy::table::CopyTable, copy::table_store::TableStore};
use postrider_core::{clock::sleep_thread, error::Result};

const ERROR_CONTEXT: &str = "cannot move the store";

/// Delay between two tries for the write lock: a busy writer releases the lock only for milliseconds.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(1);

/// Both connections to the file.
struct SqliteTableStore {
    reader: Connection,
    writer: Connection,
}

/// Opens the store in a file for a move.
pub fn open_table_store(file: &Path, lock_timeout: Duration) -> Result<Box<dyn TableStore>> {
    Ok(Box::new(open_connections(file, lock_timeout).map_err(to_error(ERROR_CONTEXT))?))
}

fn open_connections(file: &Path, lock_timeout: Duration) -> rusqlite::Result<SqliteTableStore> {
    let mut writer = connect::open_writer(file, lock_timeout)?;
    let tries_max = lock_timeout.as_millis() / LOCK_RETRY_DELAY.as_millis();
    writer.busy_handler(Some(move |tries: i32| {
        sleep_thread(LOCK_RETRY_DELAY);
        u128::try_from(tries).is_ok_and(|tries| tries < tries_max)
    }))?;
    let reader = connect::open_reader(file, lock_timeout)?;
    Ok(SqliteTableStore { reader, writer })
}

impl ToSql for CopyValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn decode_value(value: ValueRef<'_>) -> rusqlite::Result<CopyValue> {
    Ok(match value {
        ValueRef::Null => CopyValue::Null,
        ValueRef::Integer(number) => CopyValue::Integer(number),
        ValueRef::Real(number) => CopyValue::Real(number),
        ValueRef::Text(text) => CopyValue::Text(std::str::from_utf8(text)?.to_owned()),
        ValueRef::Blob(bytes) => CopyValue::Bytes(bytes.to_vec()),
    })
}

fn select_rows(connection: &Connection, sql: &str, values: &[CopyValue]) -> rusqlite::Result<Vec<CopyRow>> {
    let mut statement = connection.prepare_cached(sql)?;
    let column_count = statement.column_count();
    let decode_row =
        |row: &Row<'_>| (0..column_count).map(|index| decode_value(row.get_ref(index)?)).collect();
    statement.query_map(params_from_iter(values), decode_row)?.collect()
}

fn upsert_rows(connection: &Connection, copied_table: &CopyTable, rows: &[CopyRow]) -> rusqlite::Result<()> {
    let column_count = copied_table.columns.len();
    let sql = match copied_table.backend_column {
        None => SQLITE.with_placeholders(&SQLITE.for_table(SQLITE.upsert_rows, copied_table), column_count),
        Some((backend_column, _)) => {
            let columns = format!("{{columns}}, \"{}\"", backend_column.column);
            let sql = SQLITE.upsert_rows.replace("{columns}", &columns);
            SQLITE.with_placeholders(&SQLITE.for_table(&sql, copied_table), column_count + 1)
        }
    };
    let mut statement = connection.prepare_cached(&sql)?;
    for row in rows {
        let substitute =
            copied_table.backend_column.map(|(_, substitute_position)| &row[substitute_position]);
        statement.execute(params_from_iter(row.iter().chain(substitute)))?;
    }
    Ok(())
}

fn delete_rows(connection: &Connection, table: &CopyTable, keys: &[CopyRow]) -> rusqlite::Result<()> {
    let sql = SQLITE.for_table(SQLITE.delete_rows, table);
    let mut statement = connection.prepare_cached(&SQLITE.with_placeholders(&sql, table.key.len()))?;
    for key in keys {
        statement.execute(params_from_iter(key))?;
    }
    Ok(())
}

#[async_trait]
impl TableStore for SqliteTableStore {
    fn statements(&self) -> &'static CopyStatements {
        &SQLITE
    }

    async fn select(&mut self, sql: &str, values: &[CopyValue]) -> Result<Vec<CopyRow>> {
        let connection = if self.writer.is_autocommit() { &self.reader } else { &self.writer };
        select_rows(connection, sql, values).map_err(to_error(ERROR_CONTEXT))
    }

    async fn select_by_keys(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<Vec<CopyRow>> {
        let sql = SQLITE.for_table(SQLITE.fetch_rows, table);
        let sql = SQLITE.with_placeholders(&sql, table.key.len());
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.extend(select_rows(&self.reader, &sql, key).map_err(to_error(ERROR_CONTEXT))?);
        }
        Ok(rows)
    }

    async fn begin(&mut self) -> Result<()> {
        self.execute_script("BEGIN IMMEDIATE").await
    }

    async fn execute(&mut self, sql: &str, values: &[CopyValue]) -> Result<u64> {
        let changed_rows = self
            .writer
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values)))
            .map_err(to_error(ERROR_CONTEXT))?;
        Ok(u64::try_from(changed_rows).unwrap_or(u64::MAX))
    }

    async fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.writer.execute_batch(sql).map_err(to_error(ERROR_CONTEXT))
    }

    async fn upsert_rows(&mut self, table: &CopyTable, rows: &[CopyRow]) -> Result<()> {
        upsert_rows(&self.writer, table, rows).map_err(to_error(ERROR_CONTEXT))
    }

    async fn delete_rows(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<()> {
        delete_rows(&self.writer, table, keys).map_err(to_error(ERROR_CONTEXT))
    }

    async fn create_partitions(&mut self) -> Result<()> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        let outcome = self.execute_script("COMMIT").await;
        if outcome.is_err() {
            self.rollback().await;
        }
        outcome
    }

    async fn rollback(&mut self) {
        if !self.writer.is_autocommit()
            && let Err(error) = self.execute_script("ROLLBACK").await
        {
            log::error!("{}", error.chain());
        }
    }
}
