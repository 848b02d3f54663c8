//! Reads the tables of both stores from their schemas.
//!
//! A table or a column that only one store has is an error, unless this module lists it.

use std::collections::BTreeSet;

use super::table::{BackendColumn, ColumnType, CopyColumn, CopyTable, LEASES_TABLE};
use super::{table_store::TableStore, value::CopyValue};
use postrider_core::error::{Error, ErrorKind, Result};

/// Tables that are not copied row by row: `meta` is copied by name, leases are merged into the deliveries, and the
/// others describe the store or the move itself.
const EXCLUDED_TABLES: [&str; 6] =
    ["migrations", "meta", "copy_changes", "copy_progress", "partitions", LEASES_TABLE];

/// Columns that only one backend has.
const BACKEND_COLUMNS: [BackendColumn; 1] =
    [BackendColumn { table: "message_hours", column: "last_number", substitute: "first_number" }];

/// A column of a schema.
struct SchemaColumn {
    table: String,
    column: CopyColumn,
    /// Position in the primary key, from 1; 0 if the column is not part of the key.
    key_position: i64,
}

impl SchemaColumn {
    fn name(&self) -> &str {
        &self.column.name
    }
}

/// Returns the tables of both stores, with the same names and columns in the same order.
pub async fn matching_tables(
    source: &mut dyn TableStore,
    target: &mut dyn TableStore,
) -> Result<(Vec<CopyTable>, Vec<CopyTable>)> {
    let (source_schema, target_schema) = (read_schema(source).await?, read_schema(target).await?);
    let mut tables = (Vec::new(), Vec::new());
    for table_name in table_names(&source_schema, &target_schema) {
        let source_columns = columns_of_table(&source_schema, &table_name);
        let target_columns = columns_of_table(&target_schema, &table_name);
        refuse_unmatched_columns(&table_name, &source_columns, &target_columns)?;
        refuse_unmatched_columns(&table_name, &target_columns, &source_columns)?;
        let mut shared_names = source_columns.iter().map(|column| column.name()).collect::<Vec<_>>();
        shared_names.retain(|column_name| find_column(&target_columns, column_name).is_some());
        tables.0.push(build_table(&table_name, &source_columns, &shared_names)?);
        tables.1.push(build_table(&table_name, &target_columns, &shared_names)?);
    }
    Ok(tables)
}

/// Returns the tables of one store.
pub async fn read_tables(store: &mut dyn TableStore) -> Result<Vec<CopyTable>> {
    let schema = read_schema(store).await?;
    let read_table = |table: &String| {
        let columns = columns_of_table(&schema, table);
        let names = columns.iter().map(|column| column.name()).collect::<Vec<_>>();
        build_table(table, &columns, &names)
    };
    table_names(&schema, &[]).iter().map(read_table).collect()
}

/// Returns the names of all tables in alphabetical order, each once.
fn table_names(source_schema: &[SchemaColumn], target_schema: &[SchemaColumn]) -> BTreeSet<String> {
    source_schema.iter().chain(target_schema).map(|column| column.table.clone()).collect()
}

fn columns_of_table<'s>(schema: &'s [SchemaColumn], table: &str) -> Vec<&'s SchemaColumn> {
    schema.iter().filter(|column| column.table == table).collect()
}

fn find_column<'s>(columns: &[&'s SchemaColumn], name: &str) -> Option<&'s SchemaColumn> {
    columns.iter().copied().find(|column| column.name() == name)
}

/// Refuses columns that `other_columns` lacks, except columns of one backend.
fn refuse_unmatched_columns(
    table: &str,
    columns: &[&SchemaColumn],
    other_columns: &[&SchemaColumn],
) -> Result<()> {
    let unmatched_name = columns.iter().map(|column| column.name()).find(|name| {
        find_column(other_columns, name).is_none() && find_backend_column(table, name).is_none()
    });
    match unmatched_name {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::Internal,
            format!("cannot move {table}.{name}: only one of the stores has it"),
        )),
    }
}

fn find_backend_column(table: &str, column: &str) -> Option<&'static BackendColumn> {
    BACKEND_COLUMNS
        .iter()
        .find(|backend_column| backend_column.table == table && backend_column.column == column)
}

/// Builds a table of the shared columns, in the order of `shared_names`. `schema_columns` has all columns of the table.
fn build_table(
    table_name: &str,
    schema_columns: &[&SchemaColumn],
    shared_names: &[&str],
) -> Result<CopyTable> {
    let position = |column: &str| shared_names.iter().position(|column_name| *column_name == column);
    let columns = shared_names.iter().filter_map(|column_name| find_column(schema_columns, column_name));
    let columns = columns.map(|column| column.column.clone()).collect();
    let mut key_columns = schema_columns.iter().filter(|column| column.key_position > 0).collect::<Vec<_>>();
    key_columns.sort_by_key(|column| column.key_position);
    let key_positions = key_columns.iter().filter_map(|column| position(column.name())).collect::<Vec<_>>();
    if key_positions.is_empty() || key_positions.len() != key_columns.len() || key_positions.len() > 4 {
        let context =
            format!("cannot move {table_name}: its key must have one to four columns that both stores have");
        return Err(Error::new(ErrorKind::Internal, context));
    }
    let backend_column = schema_columns.iter().find_map(|column| {
        let backend_column = find_backend_column(table_name, column.name())?;
        let is_shared = position(backend_column.column).is_some();
        (!is_shared).then_some((backend_column, position(backend_column.substitute)?))
    });
    Ok(CopyTable { name: table_name.to_owned(), columns, key: key_positions, backend_column })
}

/// Reads the columns of all tables that are not excluded.
async fn read_schema(store: &mut dyn TableStore) -> Result<Vec<SchemaColumn>> {
    let rows = store.select(store.statements().list_columns, &[]).await?;
    let mut schema = Vec::with_capacity(rows.len());
    for row in &rows {
        let [CopyValue::Text(table), CopyValue::Text(name), CopyValue::Text(sql_type), key_position] =
            row.as_slice()
        else {
            continue;
        };
        if EXCLUDED_TABLES.contains(&table.as_str()) {
            continue;
        }
        let Some(kind) = parse_column_type(sql_type) else {
            let context = format!("cannot move {table}.{name}: unknown type {sql_type}");
            return Err(Error::new(ErrorKind::Internal, context));
        };
        schema.push(SchemaColumn {
            table: table.clone(),
            column: CopyColumn { name: name.clone(), kind },
            key_position: key_position.as_integer().unwrap_or_default(),
        });
    }
    Ok(schema)
}

fn parse_column_type(sql_type: &str) -> Option<ColumnType> {
    Some(match sql_type.to_ascii_lowercase().as_str() {
        "integer" | "int" | "bigint" | "smallint" => ColumnType::Integer,
        "boolean" => ColumnType::Boolean,
        "real" | "double precision" => ColumnType::Real,
        "text" => ColumnType::Text,
        "blob" | "bytea" => ColumnType::Bytes,
        _ => return None,
    })
}
