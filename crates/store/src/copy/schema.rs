//! Reads the tables of both stores from their schemas.
//!
//! A table or a column that only one store has is an error, unless it is listed here.

use super::table::{BackendColumn, ColumnType, CopyColumn, CopyTable, LEASES_TABLE};
use super::table_store::TableStore;
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
    /// Position in the primary key, from 1; 0 if it is not part of it.
    key_position: i64,
}

/// Returns the tables of both stores, with the same names and columns in the same order.
pub async fn matching_tables(
    from: &mut dyn TableStore,
    to: &mut dyn TableStore,
) -> Result<(Vec<CopyTable>, Vec<CopyTable>)> {
    let (old, new) = (read_schema(from).await?, read_schema(to).await?);
    let mut pairs = (Vec::new(), Vec::new());
    for name in table_names(&old, &new) {
        let (own_columns, other_columns) = (columns_of_table(&old, &name), columns_of_table(&new, &name));
        let common = |column: &&&SchemaColumn| {
            other_columns.iter().any(|other| other.column.name == column.column.name)
        };
        let shared = own_columns.iter().filter(common).copied().collect::<Vec<_>>();
        for (some, others) in [(&own_columns, &other_columns), (&other_columns, &own_columns)] {
            refuse_unmatched_columns(&name, some, others)?;
        }
        pairs.0.push(build_table(&name, &own_columns, &shared)?);
        pairs.1.push(build_table(&name, &other_columns, &shared)?);
    }
    Ok(pairs)
}

/// Returns the tables of one store.
pub async fn read_tables(store: &mut dyn TableStore) -> Result<Vec<CopyTable>> {
    let schema = read_schema(store).await?;
    let names = table_names(&schema, &[]);
    let read_table = |name: &String| {
        let own_columns = columns_of_table(&schema, name);
        build_table(name, &own_columns, &own_columns)
    };
    names.iter().map(read_table).collect()
}

fn table_names(old: &[SchemaColumn], new: &[SchemaColumn]) -> Vec<String> {
    let all = old.iter().chain(new).map(|schema| schema.table.clone());
    let mut names = all.filter(|name| !EXCLUDED_TABLES.contains(&name.as_str())).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

fn columns_of_table<'f>(schema: &'f [SchemaColumn], table: &str) -> Vec<&'f SchemaColumn> {
    schema.iter().filter(|column| column.table == table).collect()
}

fn refuse_unmatched_columns(table: &str, some: &[&SchemaColumn], others: &[&SchemaColumn]) -> Result<()> {
    let unmatched = some.iter().map(|schema| schema.column.name.as_str()).find(|name| {
        !others.iter().any(|other| other.column.name == *name) && backend_column(table, name).is_none()
    });
    match unmatched {
        None => Ok(()),
        Some(column) => Err(Error::new(
            ErrorKind::Internal,
            format!("cannot move {table}.{column}: only one of the stores has it"),
        )),
    }
}

fn backend_column(table: &str, column: &str) -> Option<&'static BackendColumn> {
    BACKEND_COLUMNS
        .iter()
        .find(|backend_column| backend_column.table == table && backend_column.column == column)
}

fn build_table(name: &str, own_columns: &[&SchemaColumn], shared: &[&SchemaColumn]) -> Result<CopyTable> {
    let own = |shared: &&SchemaColumn| {
        let column = own_columns.iter().find(|schema| schema.column.name == shared.column.name);
        column.map(|schema| schema.column.clone())
    };
    let columns = shared.iter().filter_map(own).collect::<Vec<_>>();
    let position = |name: &str| columns.iter().position(|column| column.name == name);
    let mut parts = own_columns.iter().filter(|schema| schema.key_position > 0).collect::<Vec<_>>();
    parts.sort_by_key(|schema| schema.key_position);
    let key = parts.iter().filter_map(|schema| position(&schema.column.name)).collect::<Vec<_>>();
    if key.is_empty() || key.len() != parts.len() || key.len() > 4 {
        let context =
            format!("cannot move {name}: its key must have one to four columns that both stores have");
        return Err(Error::new(ErrorKind::Internal, context));
    }
    let filled = own_columns.iter().find_map(|schema| {
        let backend_column = backend_column(name, &schema.column.name)?;
        let is_shared = position(backend_column.column).is_some();
        (!is_shared).then_some((backend_column, position(backend_column.substitute)?))
    });
    Ok(CopyTable { name: name.to_owned(), columns, key, backend_column: filled })
}

async fn read_schema(store: &mut dyn TableStore) -> Result<Vec<SchemaColumn>> {
    let rows = store.select(store.statements().list_columns, &[]).await?;
    let mut schema = Vec::with_capacity(rows.len());
    for row in &rows {
        let [table, column, kind, part] = row.as_slice() else {
            continue;
        };
        let (Some(table), Some(column), Some(kind)) = (table.as_text(), column.as_text(), kind.as_text())
        else {
            continue;
        };
        if EXCLUDED_TABLES.contains(&table) {
            continue;
        }
        let Some(kind) = parse_column_type(kind) else {
            let context = format!("cannot move {table}.{column}: unknown type {kind}");
            return Err(Error::new(ErrorKind::Internal, context));
        };
        let name = column.to_owned();
        schema.push(SchemaColumn {
            table: table.to_owned(),
            column: CopyColumn { name, kind },
            key_position: part.as_integer().unwrap_or_default(),
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
