//! Which tables a move copies, read from the schemas of both stores.
//!
//! A table or a column that only one of them has stops the move, unless it stands here with the reason.

use super::TableStore;
use super::value::{CopyRow, CopyValue};
use postrider_core::error::{Error, ErrorKind, Result};

/// Tables that are not copied row by row: how the schema came to be, what is known once (copied by name), and what a
/// move itself keeps; which partitions PostgreSQL has; and its leases, which are put down in the deliveries.
const EXCLUDED_TABLES: [&str; 6] = [
    "migrations",
    "meta",
    "copy_changes",
    "copy_progress",
    "partitions",
    LEASES_TABLE,
];

/// What PostgreSQL alone keeps of what is in workers' hands.
pub(super) const LEASES_TABLE: &str = "leases";

/// Columns that one dialect alone has, and the column whose value stands in until the end of the move.
const BACKEND_COLUMNS: [BackendColumn; 1] = [BackendColumn {
    table: "message_hours",
    column: "last_number",
    substitute: "first_number",
}];

/// A column that one dialect alone has.
#[derive(Debug)]
pub struct BackendColumn {
    pub table: &'static str,
    pub column: &'static str,
    pub substitute: &'static str,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Integer,
    Boolean,
    Real,
    Text,
    Bytes,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyColumn {
    pub name: String,
    pub kind: ColumnType,
}

/// A table with the columns that are copied, in the same order on both sides.
#[derive(Debug)]
pub struct CopyTable {
    pub name: String,
    pub columns: Vec<CopyColumn>,
    /// The places of the primary key's columns.
    pub key: Vec<usize>,
    /// A column of this side alone, filled from the place beside it.
    pub backend_column: Option<(&'static BackendColumn, usize)>,
}

impl CopyTable {
    /// The table that notes changes, as far as they are forgotten by number.
    pub fn changes_table() -> Self {
        let seq = CopyColumn {
            name: "seq".to_owned(),
            kind: ColumnType::Integer,
        };
        Self {
            name: "copy_changes".to_owned(),
            columns: vec![seq],
            key: vec![0],
            backend_column: None,
        }
    }

    /// The table of leases, as far as it is emptied, held and closed.
    pub fn leases_table() -> Self {
        Self::with_name(LEASES_TABLE)
    }

    /// A table of which only the name matters.
    pub fn with_name(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            backend_column: None,
        }
    }

    /// The key of a row.
    pub fn key_of(&self, row: &[CopyValue]) -> CopyRow {
        self.key.iter().map(|position| row[*position].clone()).collect()
    }

    /// The columns of the key.
    pub fn key_columns(&self) -> impl Iterator<Item = &CopyColumn> {
        self.key.iter().map(|position| &self.columns[*position])
    }

    /// A key as it was noted: every part as it is, or as text.
    pub fn parse_changed_key(&self, logged: &[CopyValue]) -> Result<CopyRow> {
        let parts = self.key_columns().zip(logged);
        parts
            .map(|(column, part)| column.parse_changed_value(part))
            .collect()
    }
}

impl CopyColumn {
    fn parse_changed_value(&self, part: &CopyValue) -> Result<CopyValue> {
        let invalid_key = || Error::new(ErrorKind::Internal, format!("a noted key has no {}", self.name));
        match (self.kind, part) {
            (_, CopyValue::Null) => Err(invalid_key()),
            (ColumnType::Integer, CopyValue::Text(text)) => {
                text.parse().map(CopyValue::Integer).map_err(|_| invalid_key())
            }
            (ColumnType::Bytes, CopyValue::Text(text)) => {
                from_hex(text).map(CopyValue::Bytes).ok_or_else(invalid_key)
            }
            (_, part) => Ok(part.clone()),
        }
    }
}

/// Bytes as PostgreSQL writes them out: `\x00ff`.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |letter: &u8| u8::try_from(char::from(*letter).to_digit(16)?).ok();
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    digits.chunks(2).map(pair).collect()
}

/// A column as the schema has it.
struct SchemaColumn {
    table: String,
    column: CopyColumn,
    /// Which part of the key; 0: none.
    key_position: i64,
}

/// The tables of both stores, side by side: the same names and columns in the same order.
pub async fn matching_tables(
    from: &mut dyn TableStore,
    to: &mut dyn TableStore,
) -> Result<(Vec<CopyTable>, Vec<CopyTable>)> {
    let (old, new) = (read_schema(from).await?, read_schema(to).await?);
    let mut pairs = (Vec::new(), Vec::new());
    for name in table_names(&old, &new) {
        let (own_columns, other_columns) = (columns_of_table(&old, &name), columns_of_table(&new, &name));
        let common = |column: &&&SchemaColumn| {
            other_columns
                .iter()
                .any(|other| other.column.name == column.column.name)
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

/// The tables of one store.
pub async fn tables_of(store: &mut dyn TableStore) -> Result<Vec<CopyTable>> {
    let found = read_schema(store).await?;
    let names = table_names(&found, &[]);
    let one = |name: &String| {
        let own_columns = columns_of_table(&found, name);
        build_table(name, &own_columns, &own_columns)
    };
    names.iter().map(one).collect()
}

fn table_names(old: &[SchemaColumn], new: &[SchemaColumn]) -> Vec<String> {
    let all = old.iter().chain(new).map(|found| found.table.clone());
    let mut names = all
        .filter(|name| !EXCLUDED_TABLES.contains(&name.as_str()))
        .collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

fn columns_of_table<'f>(found: &'f [SchemaColumn], table: &str) -> Vec<&'f SchemaColumn> {
    found.iter().filter(|column| column.table == table).collect()
}

fn refuse_unmatched_columns(table: &str, some: &[&SchemaColumn], others: &[&SchemaColumn]) -> Result<()> {
    let unmatched = some.iter().map(|found| found.column.name.as_str()).find(|name| {
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
        let column = own_columns
            .iter()
            .find(|found| found.column.name == shared.column.name);
        column.map(|found| found.column.clone())
    };
    let columns = shared.iter().filter_map(own).collect::<Vec<_>>();
    let position = |name: &str| columns.iter().position(|column| column.name == name);
    let mut parts = own_columns
        .iter()
        .filter(|found| found.key_position > 0)
        .collect::<Vec<_>>();
    parts.sort_by_key(|found| found.key_position);
    let key = parts
        .iter()
        .filter_map(|found| position(&found.column.name))
        .collect::<Vec<_>>();
    if key.is_empty() || key.len() != parts.len() || key.len() > 4 {
        let act = format!("cannot move {name}: its key must have one to four columns that both stores have");
        return Err(Error::new(ErrorKind::Internal, act));
    }
    let filled = own_columns.iter().find_map(|found| {
        let backend_column = backend_column(name, &found.column.name)?;
        let is_shared = position(backend_column.column).is_some();
        (!is_shared).then_some((backend_column, position(backend_column.substitute)?))
    });
    Ok(CopyTable {
        name: name.to_owned(),
        columns,
        key,
        backend_column: filled,
    })
}

async fn read_schema(store: &mut dyn TableStore) -> Result<Vec<SchemaColumn>> {
    let rows = store.select(store.statements().columns, &[]).await?;
    let mut found = Vec::with_capacity(rows.len());
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
            let act = format!("cannot move {table}.{column}: values of type {kind} are not known");
            return Err(Error::new(ErrorKind::Internal, act));
        };
        let name = column.to_owned();
        found.push(SchemaColumn {
            table: table.to_owned(),
            column: CopyColumn { name, kind },
            key_position: part.as_integer().unwrap_or_default(),
        });
    }
    Ok(found)
}

fn parse_column_type(word: &str) -> Option<ColumnType> {
    Some(match word.to_ascii_lowercase().as_str() {
        "integer" | "int" | "bigint" | "smallint" => ColumnType::Integer,
        "boolean" => ColumnType::Boolean,
        "real" | "double precision" => ColumnType::Real,
        "text" => ColumnType::Text,
        "blob" | "bytea" => ColumnType::Bytes,
        _ => return None,
    })
}
