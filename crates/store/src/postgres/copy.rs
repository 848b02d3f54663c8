//! The PostgreSQL side of a store move: reads and writes whole batches as array parameters.

use std::error::Error as Cause;

use async_trait::async_trait;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type as Kind, to_sql_checked};

use super::connection_config::ServerRole;
use super::errors::PgError;
use super::escape::{escape_text, unescape_text};
use super::partitions;
use super::pool::{PgPool, PgTransaction, TypedValue};
use crate::copy::statements::{CopyStatements, POSTGRES};
use crate::copy::table::{ColumnType, CopyTable};
use crate::copy::table_store::TableStore;
use crate::copy::value::{CopyRow, CopyValue};
use postrider_core::error::{Error, ErrorKind as Failure, Result};
use postrider_core::id::DeliveryId;

/// One connection that writes, one that reads beside it, and one to replace a broken one.
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
    fn to_sql(&self, sql_type: &Kind, out: &mut BytesMut) -> Result<IsNull, Box<dyn Cause + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *sql_type == Kind::BOOL => (*number != 0).to_sql(sql_type, out),
            Self::Integer(number) => number.to_sql(sql_type, out),
            Self::Real(number) => number.to_sql(sql_type, out),
            Self::Text(text) => escape_text(text).as_ref().to_sql(sql_type, out),
            Self::Bytes(bytes) => bytes.to_sql(sql_type, out),
        }
    }

    fn accepts(_: &Kind) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for CopyValue {
    fn from_sql(sql_type: &Kind, raw: &'r [u8]) -> Result<Self, Box<dyn Cause + Sync + Send>> {
        Ok(match *sql_type {
            Kind::INT8 => Self::Integer(i64::from_sql(sql_type, raw)?),
            Kind::INT4 => Self::Integer(i32::from_sql(sql_type, raw)?.into()),
            Kind::INT2 => Self::Integer(i16::from_sql(sql_type, raw)?.into()),
            Kind::BOOL => Self::Integer(bool::from_sql(sql_type, raw)?.into()),
            Kind::FLOAT8 => Self::Real(f64::from_sql(sql_type, raw)?),
            Kind::FLOAT4 => Self::Real(f32::from_sql(sql_type, raw)?.into()),
            Kind::BYTEA => Self::Bytes(Vec::from_sql(sql_type, raw)?),
            _ => Self::Text(unescape_text(String::from_sql(sql_type, raw)?)),
        })
    }

    fn from_sql_null(_: &Kind) -> Result<Self, Box<dyn Cause + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(sql_type: &Kind) -> bool {
        let copied_types =
            [Kind::INT8, Kind::INT4, Kind::INT2, Kind::BOOL, Kind::FLOAT8, Kind::FLOAT4, Kind::BYTEA];
        copied_types.contains(sql_type) || <String as FromSql>::accepts(sql_type)
    }
}

/// Returns the parameter type of a value. The server infers the type of NULL.
fn postgres_type(value: &CopyValue) -> Kind {
    match value {
        CopyValue::Null => Kind::UNKNOWN,
        CopyValue::Integer(_) => Kind::INT8,
        CopyValue::Real(_) => Kind::FLOAT8,
        CopyValue::Text(_) => Kind::TEXT,
        CopyValue::Bytes(_) => Kind::BYTEA,
    }
}

/// Returns the parameter type of a column's values, and its SQL name.
fn array_type(sql_type: ColumnType) -> (Kind, &'static str) {
    match sql_type {
        ColumnType::Integer => (Kind::INT8_ARRAY, "BIGINT[]"),
        ColumnType::Boolean => (Kind::BOOL_ARRAY, "BOOLEAN[]"),
        ColumnType::Real => (Kind::FLOAT8_ARRAY, "DOUBLE PRECISION[]"),
        ColumnType::Text => (Kind::TEXT_ARRAY, "TEXT[]"),
        ColumnType::Bytes => (Kind::BYTEA_ARRAY, "BYTEA[]"),
    }
}

/// Rows as one array per column.
struct ColumnArrays<'r> {
    columns: Vec<(Vec<&'r CopyValue>, Kind)>,
    type_names: Vec<&'static str>,
}

impl<'r> ColumnArrays<'r> {
    fn new(kinds: impl Iterator<Item = ColumnType>, rows: &'r [CopyRow]) -> Self {
        let mut arrays = Self { columns: Vec::new(), type_names: Vec::new() };
        for (index, sql_type) in kinds.enumerate() {
            let (sql_type, type_name) = array_type(sql_type);
            let column = rows.iter().map(|row| &row[index]).collect();
            arrays.columns.push((column, sql_type));
            arrays.type_names.push(type_name);
        }
        arrays
    }

    fn bind_values(&self) -> Vec<TypedValue<'_>> {
        self.columns
            .iter()
            .map(|(values, sql_type)| (values as &(dyn ToSql + Sync), sql_type.clone()))
            .collect()
    }

    /// Replaces `{arrays}` by the parameters, for example `$1::BIGINT[], $2::TEXT[]`.
    fn with_arrays(&self, sql: &str) -> String {
        let type_names = self.type_names.iter().enumerate();
        let type_names = type_names.map(|(index, type_name)| format!("${}::{type_name}", index + 1));
        sql.replace("{arrays}", &type_names.collect::<Vec<_>>().join(", "))
    }
}

fn to_error(error: &PgError) -> Error {
    error.to_error(ERROR_CONTEXT)
}

fn decode_rows(rows: &[tokio_postgres::Row]) -> Result<Vec<CopyRow>, PgError> {
    let row = |row: &tokio_postgres::Row| {
        let cells = (0..row.len())
            .map(|index| row.try_get(index).map_err(|error| PgError::InvalidRow(error.to_string())));
        cells.collect::<Result<CopyRow, PgError>>()
    };
    rows.iter().map(row).collect()
}

/// Returns the message numbers of rows, if the table is partitioned by them.
fn message_numbers<'r>(table: &CopyTable, rows: &'r [CopyRow]) -> impl Iterator<Item = i64> + use<'r> {
    let per_message = match table.name.as_str() {
        "messages" => Some(1),
        "deliveries" | "attempts" => Some(DeliveryId::PER_MESSAGE),
        _ => None,
    };
    let index = table.key.first().copied().unwrap_or_default();
    let number = move |row: &CopyRow| Some(row.get(index)?.as_integer()?.div_euclid(per_message?));
    rows.iter().filter_map(number)
}

impl PostgresTableStore {
    fn transaction(&self) -> Result<&PgTransaction> {
        let none = || Error::new(Failure::Internal, format!("{ERROR_CONTEXT}: no transaction has begun"));
        self.transaction.as_ref().ok_or_else(none)
    }

    async fn query_once(&self, sql: &str, values: &[TypedValue<'_>]) -> Result<Vec<CopyRow>> {
        let transaction = self.pool.begin_read().await.map_err(|error| to_error(&error))?;
        let rows = transaction.query(sql, values).await;
        let rows = transaction.finish(rows).await.and_then(|rows| decode_rows(&rows));
        rows.map_err(|error| to_error(&error))
    }
}

#[async_trait]
impl TableStore for PostgresTableStore {
    fn statements(&self) -> &'static CopyStatements {
        &POSTGRES
    }

    async fn select(&mut self, sql: &str, values: &[CopyValue]) -> Result<Vec<CopyRow>> {
        let parameters = values.iter().map(|value| (value as &(dyn ToSql + Sync), postgres_type(value)));
        let parameters = parameters.collect::<Vec<_>>();
        let Some(transaction) = &self.transaction else {
            return self.query_once(sql, &parameters).await;
        };
        let rows = transaction.query(sql, &parameters).await.and_then(|rows| decode_rows(&rows));
        rows.map_err(|error| to_error(&error))
    }

    async fn select_by_keys(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<Vec<CopyRow>> {
        let arrays = ColumnArrays::new(table.key_columns().map(|column| column.kind), keys);
        let sql = arrays.with_arrays(&POSTGRES.for_table(POSTGRES.fetch_rows, table));
        self.query_once(&sql, &arrays.bind_values()).await
    }

    async fn begin(&mut self) -> Result<()> {
        let transaction = self.pool.begin_write().await.map_err(|error| to_error(&error))?;
        self.transaction = Some(transaction);
        Ok(())
    }

    async fn execute(&mut self, sql: &str, values: &[CopyValue]) -> Result<u64> {
        let parameters = values.iter().map(|value| (value as &(dyn ToSql + Sync), postgres_type(value)));
        let changed = self.transaction()?.execute(sql, &parameters.collect::<Vec<_>>()).await;
        changed.map_err(|error| to_error(&error))
    }

    async fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.transaction()?.batch_execute(sql).await.map_err(|error| to_error(&error))
    }

    async fn upsert_rows(&mut self, table: &CopyTable, rows: &[CopyRow]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let arrays = ColumnArrays::new(table.columns.iter().map(|column| column.kind), rows);
        let sql = arrays.with_arrays(&POSTGRES.for_table(POSTGRES.upsert_rows, table));
        let transaction = self.transaction()?;
        let upserted = async {
            partitions::create_for_numbers(transaction, message_numbers(table, rows)).await?;
            transaction.execute(&sql, &arrays.bind_values()).await
        };
        upserted.await.map(drop).map_err(|error| to_error(&error))
    }

    async fn delete_rows(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<()> {
        let arrays = ColumnArrays::new(table.key_columns().map(|column| column.kind), keys);
        let sql = arrays.with_arrays(&POSTGRES.for_table(POSTGRES.delete_rows, table));
        let deleted = self.transaction()?.execute(&sql, &arrays.bind_values()).await;
        deleted.map(drop).map_err(|error| to_error(&error))
    }

    async fn create_partitions(&mut self) -> Result<()> {
        let created = partitions::create_ahead(self.transaction()?).await;
        created.map_err(|error| to_error(&error))
    }

    async fn commit(&mut self) -> Result<()> {
        match self.transaction.take() {
            Some(transaction) => transaction.finish(Ok(())).await.map_err(|error| to_error(&error)),
            None => Ok(()),
        }
    }

    async fn rollback(&mut self) {
        // Dropping a transaction closes its connection, which rolls it back.
        self.transaction = None;
    }
}
