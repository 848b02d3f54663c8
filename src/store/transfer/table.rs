//! Which tables a move copies, read from the schemas of both stores.
//!
//! A table or a column that only one of them has stops the move, unless it stands here with the reason.

use super::Side;
use super::value::{Row, Value};
use crate::error::{Error, Kind, Result};

/// Tables that are not copied row by row: how the schema came to be, what is known once (copied by name), and what a
/// move itself keeps; which partitions PostgreSQL has; and its leases, which are put down in the deliveries.
const NOT_ROWS: [&str; 6] = [
    "migrations",
    "meta",
    "move_changes",
    "move_bookmarks",
    "months",
    LEASES,
];

/// What PostgreSQL alone keeps of what is in workers' hands.
pub(super) const LEASES: &str = "leases";

/// Columns that one dialect alone has, and the column whose value stands in until the end of the move.
const ONE_SIDED: [KeptApart; 1] = [KeptApart {
    table: "hours",
    column: "last_number",
    stand_in: "first_number",
}];

/// A column that one dialect alone has.
#[derive(Debug)]
pub struct KeptApart {
    pub table: &'static str,
    pub column: &'static str,
    pub stand_in: &'static str,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Integer,
    Flag,
    Real,
    Text,
    Bytes,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Type,
}

/// A table with the columns that are copied, in the same order on both sides.
#[derive(Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// The places of the primary key's columns.
    pub key: Vec<usize>,
    /// A column of this side alone, filled from the place beside it.
    pub filled: Option<(&'static KeptApart, usize)>,
}

impl Table {
    /// The table that notes changes, as far as they are forgotten by number.
    pub fn of_changes() -> Self {
        let seq = Column {
            name: "seq".to_owned(),
            kind: Type::Integer,
        };
        Self {
            name: "move_changes".to_owned(),
            columns: vec![seq],
            key: vec![0],
            filled: None,
        }
    }

    /// The table of leases, as far as it is emptied, held and closed.
    pub fn of_leases() -> Self {
        Self::named(LEASES)
    }

    /// A table of which only the name matters.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            filled: None,
        }
    }

    /// The key of a row.
    pub fn key_of(&self, row: &[Value]) -> Row {
        self.key.iter().map(|place| row[*place].clone()).collect()
    }

    /// The columns of the key.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|place| &self.columns[*place])
    }

    /// A key as it was noted: every part as it is, or as text.
    pub fn noted_key(&self, noted: &[Value]) -> Result<Row> {
        let parts = self.key_columns().zip(noted);
        parts.map(|(column, part)| column.noted(part)).collect()
    }
}

impl Column {
    fn noted(&self, part: &Value) -> Result<Value> {
        let strange = || Error::new(Kind::Internal, format!("a noted key has no {}", self.name));
        match (self.kind, part) {
            (_, Value::Null) => Err(strange()),
            (Type::Integer, Value::Text(text)) => text.parse().map(Value::Integer).map_err(|_| strange()),
            (Type::Bytes, Value::Text(text)) => from_hex(text).map(Value::Bytes).ok_or_else(strange),
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
struct Found {
    table: String,
    column: Column,
    /// Which part of the key; 0: none.
    part: i64,
}

/// The tables of both stores, side by side: the same names and columns in the same order.
pub async fn pairs(from: &mut dyn Side, to: &mut dyn Side) -> Result<(Vec<Table>, Vec<Table>)> {
    let (old, new) = (found(from).await?, found(to).await?);
    let mut pairs = (Vec::new(), Vec::new());
    for name in names(&old, &new) {
        let (mine, theirs) = (columns(&old, &name), columns(&new, &name));
        let common = |column: &&&Found| theirs.iter().any(|other| other.column.name == column.column.name);
        let shared = mine.iter().filter(common).copied().collect::<Vec<_>>();
        for (some, others) in [(&mine, &theirs), (&theirs, &mine)] {
            refuse_strange(&name, some, others)?;
        }
        pairs.0.push(table(&name, &mine, &shared)?);
        pairs.1.push(table(&name, &theirs, &shared)?);
    }
    Ok(pairs)
}

/// The tables of one store.
pub async fn alone(side: &mut dyn Side) -> Result<Vec<Table>> {
    let found = found(side).await?;
    let names = names(&found, &[]);
    let one = |name: &String| {
        let mine = columns(&found, name);
        table(name, &mine, &mine)
    };
    names.iter().map(one).collect()
}

fn names(old: &[Found], new: &[Found]) -> Vec<String> {
    let all = old.iter().chain(new).map(|found| found.table.clone());
    let mut names = all
        .filter(|name| !NOT_ROWS.contains(&name.as_str()))
        .collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

fn columns<'f>(found: &'f [Found], table: &str) -> Vec<&'f Found> {
    found.iter().filter(|column| column.table == table).collect()
}

fn refuse_strange(table: &str, some: &[&Found], others: &[&Found]) -> Result<()> {
    let alone = some.iter().map(|found| found.column.name.as_str()).find(|name| {
        !others.iter().any(|other| other.column.name == *name) && one_sided(table, name).is_none()
    });
    match alone {
        None => Ok(()),
        Some(column) => Err(Error::new(
            Kind::Internal,
            format!("cannot move {table}.{column}: only one of the stores has it"),
        )),
    }
}

fn one_sided(table: &str, column: &str) -> Option<&'static KeptApart> {
    ONE_SIDED
        .iter()
        .find(|apart| apart.table == table && apart.column == column)
}

fn table(name: &str, mine: &[&Found], shared: &[&Found]) -> Result<Table> {
    let own = |shared: &&Found| {
        let column = mine.iter().find(|found| found.column.name == shared.column.name);
        column.map(|found| found.column.clone())
    };
    let columns = shared.iter().filter_map(own).collect::<Vec<_>>();
    let place = |name: &str| columns.iter().position(|column| column.name == name);
    let mut parts = mine.iter().filter(|found| found.part > 0).collect::<Vec<_>>();
    parts.sort_by_key(|found| found.part);
    let key = parts
        .iter()
        .filter_map(|found| place(&found.column.name))
        .collect::<Vec<_>>();
    if key.is_empty() || key.len() != parts.len() || key.len() > 4 {
        let act = format!("cannot move {name}: its key must have one to four columns that both stores have");
        return Err(Error::new(Kind::Internal, act));
    }
    let filled = mine.iter().find_map(|found| {
        let apart = one_sided(name, &found.column.name)?;
        let is_shared = place(apart.column).is_some();
        (!is_shared).then_some((apart, place(apart.stand_in)?))
    });
    Ok(Table {
        name: name.to_owned(),
        columns,
        key,
        filled,
    })
}

async fn found(side: &mut dyn Side) -> Result<Vec<Found>> {
    let rows = side.read(side.phrases().columns, &[]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let [table, column, kind, part] = row.as_slice() else {
            continue;
        };
        let (Some(table), Some(column), Some(kind)) = (table.text(), column.text(), kind.text()) else {
            continue;
        };
        if NOT_ROWS.contains(&table) {
            continue;
        }
        let Some(kind) = kind_of(kind) else {
            let act = format!("cannot move {table}.{column}: values of type {kind} are not known");
            return Err(Error::new(Kind::Internal, act));
        };
        let name = column.to_owned();
        found.push(Found {
            table: table.to_owned(),
            column: Column { name, kind },
            part: part.integer().unwrap_or_default(),
        });
    }
    Ok(found)
}

fn kind_of(word: &str) -> Option<Type> {
    Some(match word.to_ascii_lowercase().as_str() {
        "integer" | "int" | "bigint" | "smallint" => Type::Integer,
        "boolean" => Type::Flag,
        "real" | "double precision" => Type::Real,
        "text" => Type::Text,
        "blob" | "bytea" => Type::Bytes,
        _ => return None,
    })
}
