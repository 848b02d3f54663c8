//! The PostgreSQL side of a store move: reads and writes whole batches as array parameters.

use std::error::Error as Cause;

use async_trait::async_trait;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Row, types::private::BytesMut};

use super::escape::{escape_text, unescape_text};
use super::pool::{PgPool, PgTransaction, SqlValue, TypedValue};
use super::{connection_config::ServerRole, errors::PgError, partitions};
use crate::copy::statements::{CopyStatements, POSTGRES};
use crate::copy::table::{ColumnType, CopyTable};
use crate::copy::table_store::TableStore;
use crate::copy::value::{CopyRow, CopyValue};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::DeliveryId;

/// One connection that writes, one that reads at the same time, and one to replace a broken connection.
const CONNECTIONS_MAX: usize = 3;

const ERROR_CONTEXT: &str = "cannot move the store";

/// A store that a move reads or writes, and its current transaction.
struct PostgresTableStore {
    pool: PgPool,
    transaction: Option<PgTransaction>,
}

/// Opens a store for a move.
pub fn open_table_store(url: &str) -> Result<Box<dyn TableStore>> {
    let pool = PgPool::new(url, ServerRole::Primary, CONNECTIONS_MAX)?;
    Ok(Box::new(PostgresTableStore { pool, transaction: None }))
}

impl ToSql for CopyValue {
    fn to_sql(
        &self,
        sql_type: &Type,
        sql_bytes: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Cause + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *sql_type == Type::BOOL => (*number != 0).to_sql(sql_type, sql_bytes),
            Self::Integer(number) => number.to_sql(sql_type, sql_bytes),
            Self::Real(number) => number.to_sql(sql_type, sql_bytes),
            Self::Text(text) => escape_text(text).as_ref().to_sql(sql_type, sql_bytes),
            Self::Bytes(bytes) => bytes.to_sql(sql_type, sql_bytes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for CopyValue {
    fn from_sql(sql_type: &Type, sql_bytes: &'r [u8]) -> Result<Self, Box<dyn Cause + Sync + Send>> {
        Ok(match *sql_type {
            Type::INT8 => Self::Integer(i64::from_sql(sql_type, sql_bytes)?),
            Type::INT4 => Self::Integer(i32::from_sql(sql_type, sql_bytes)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(sql_type, sql_bytes)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(sql_type, sql_bytes)?.into()),
            Type::FLOAT8 => Self::Real(f64::from_sql(sql_type, sql_bytes)?),
            Type::FLOAT4 => Self::Real(f32::from_sql(sql_type, sql_bytes)?.into()),
            Type::BYTEA => Self::Bytes(Vec::from_sql(sql_type, sql_bytes)?),
            _ => Self::Text(unescape_text(String::from_sql(sql_type, sql_bytes)?)),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Cause + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(sql_type: &Type) -> bool {
        let copied_types =
            [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::FLOAT8, Type::FLOAT4, Type::BYTEA];
        copied_types.contains(sql_type) || <String as FromSql>::accepts(sql_type)
    }
}

impl SqlValue for CopyValue {
    fn with_type(&self) -> TypedValue<'_> {
        let sql_type = match self {
            // The server infers the type of NULL.
            Self::Null => Type::UNKNOWN,
            Self::Integer(_) => Type::INT8,
            Self::Real(_) => Type::FLOAT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
        };
        (self, sql_type)
    }
}

/// The values of one column as an array parameter.
struct ColumnArray<'r> {
    values: Vec<&'r CopyValue>,
    sql_type: Type,
}

impl SqlValue for ColumnArray<'_> {
    fn with_type(&self) -> TypedValue<'_> {
        (&self.values, self.sql_type.clone())
    }
}

/// Returns rows as one array per column. Replaces `{arrays}` in `sql` by the parameters, for example
/// `$1::BIGINT[], $2::TEXT[]`.
fn bind_arrays<'r>(
    sql: &str,
    column_types: impl Iterator<Item = ColumnType>,
    rows: &'r [CopyRow],
) -> (String, Vec<ColumnArray<'r>>) {
    let (mut arrays, mut parameters) = (Vec::new(), Vec::new());
    for (index, column_type) in column_types.enumerate() {
        let (sql_type, type_name) = match column_type {
            ColumnType::Integer => (Type::INT8_ARRAY, "BIGINT[]"),
            ColumnType::Boolean => (Type::BOOL_ARRAY, "BOOLEAN[]"),
            ColumnType::Real => (Type::FLOAT8_ARRAY, "DOUBLE PRECISION[]"),
            ColumnType::Text => (Type::TEXT_ARRAY, "TEXT[]"),
            ColumnType::Bytes => (Type::BYTEA_ARRAY, "BYTEA[]"),
        };
        arrays.push(ColumnArray { values: rows.iter().map(|row| &row[index]).collect(), sql_type });
        parameters.push(format!("${}::{type_name}", index + 1));
    }
    (sql.replace("{arrays}", &parameters.join(", ")), arrays)
}

/// Returns values in the form in which [`PgTransaction`] takes them.
fn as_parameters<V: SqlValue>(values: &[V]) -> Vec<&dyn SqlValue> {
    values.iter().map(|value| value as &dyn SqlValue).collect()
}

#[allow(clippy::needless_pass_by_value)] // The signature that `map_err` needs.
fn to_error(error: PgError) -> Error {
    error.to_error(ERROR_CONTEXT)
}

fn decode_row(row: &Row) -> Result<CopyRow, PgError> {
    let invalid_cell = |error: tokio_postgres::Error| PgError::InvalidRow(error.to_string());
    (0..row.len()).map(|index| row.try_get(index).map_err(invalid_cell)).collect()
}

/// Returns the message numbers of rows, if the table is partitioned by them.
fn message_numbers<'r>(table: &CopyTable, rows: &'r [CopyRow]) -> impl Iterator<Item = i64> + use<'r> {
    let per_message = match table.name.as_str() {
        "messages" => Some(1),
        "deliveries" | "attempts" => Some(DeliveryId::PER_MESSAGE),
        _ => None,
    };
    let key_index = table.key.first().copied().unwrap_or_default();
    let message_number =
        move |row: &CopyRow| Some(row.get(key_index)?.as_integer()?.div_euclid(per_message?));
    rows.iter().filter_map(message_number)
}

impl PostgresTableStore {
    fn transaction(&self) -> Result<&PgTransaction> {
        self.transaction.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("{ERROR_CONTEXT}: no transaction has begun"))
        })
    }

    /// Runs a query in a transaction of its own.
    async fn query_once(&self, sql: &str, values: &[&dyn SqlValue]) -> Result<Vec<CopyRow>> {
        let transaction = self.pool.begin_read().await.map_err(to_error)?;
        let rows = transaction.query_all(sql, values, decode_row).await;
        transaction.finish(rows).await.map_err(to_error)
    }
}

#[async_trait]
impl TableStore for PostgresTableStore {
    fn statements(&self) -> &'static CopyStatements {
        &POSTGRES
    }

    async fn select(&mut self, sql: &str, values: &[CopyValue]) -> Result<Vec<CopyRow>> {
        match &self.transaction {
            None => self.query_once(sql, &as_parameters(values)).await,
            Some(transaction) => {
                transaction.query_all(sql, &as_parameters(values), decode_row).await.map_err(to_error)
            }
        }
    }

    async fn select_by_keys(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<Vec<CopyRow>> {
        let sql = POSTGRES.for_table(POSTGRES.fetch_rows, table);
        let (sql, arrays) = bind_arrays(&sql, table.key_columns().map(|column| column.kind), keys);
        self.query_once(&sql, &as_parameters(&arrays)).await
    }

    async fn begin(&mut self) -> Result<()> {
        self.transaction = Some(self.pool.begin_write().await.map_err(to_error)?);
        Ok(())
    }

    async fn execute(&mut self, sql: &str, values: &[CopyValue]) -> Result<u64> {
        self.transaction()?.execute_and_count(sql, &as_parameters(values)).await.map_err(to_error)
    }

    async fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.transaction()?.batch_execute(sql).await.map_err(to_error)
    }

    async fn upsert_rows(&mut self, copied_table: &CopyTable, rows: &[CopyRow]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let sql = POSTGRES.for_table(POSTGRES.upsert_rows, copied_table);
        let (sql, arrays) = bind_arrays(&sql, copied_table.columns.iter().map(|column| column.kind), rows);
        let transaction = self.transaction()?;
        let numbers = message_numbers(copied_table, rows);
        partitions::create_for_numbers(transaction, numbers).await.map_err(to_error)?;
        transaction.execute(&sql, &as_parameters(&arrays)).await.map_err(to_error)
    }

    async fn delete_rows(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<()> {
        let sql = POSTGRES.for_table(POSTGRES.delete_rows, table);
        let (sql, arrays) = bind_arrays(&sql, table.key_columns().map(|column| column.kind), keys);
        self.transaction()?.execute(&sql, &as_parameters(&arrays)).await.map_err(to_error)
    }

    async fn create_partitions(&mut self) -> Result<()> {
        partitions::create_ahead(self.transaction()?).await.map_err(to_error)
    }

    async fn commit(&mut self) -> Result<()> {
        match self.transaction.take() {
            Some(transaction) => transaction.finish(Ok(())).await.map_err(to_error),
            None => Ok(()),
        }
    }

    async fn rollback(&mut self) {
        // Dropping the transaction closes its connection, and the server rolls the transaction back.
        self.transaction = None;
    }
}
