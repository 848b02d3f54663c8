//! A PostgreSQL store as a move sees it: whole batches as arrays, one statement for each.
//!
//! What is U+0000 elsewhere is written and read back as the store's own verbs do.

use std::error::Error as Cause;

use async_trait::async_trait;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type as Kind, to_sql_checked};

use super::address::Use;
use super::fault::Trouble;
use super::link::{Bound, Desk, Link};
use super::months;
use super::rows::{kept, said};
use crate::domain::id::DeliveryId;
use crate::error::{Error, Kind as Failure, Result};
use crate::store::transfer::{POSTGRES, Phrases, Row, Side, Table, Type, Value, refuse_to_open};

static STATE: &str = include_str!("../../../sql/postgres/move_state.sql");

/// One that writes, one that reads beside it, and one to spare when one of them breaks.
const CONNECTIONS: usize = 3;

const ACT: &str = "cannot move the store";

/// The pool, and the transaction that is under way.
struct PostgresSide {
    link: Link,
    desk: Option<Desk>,
}

/// The store a URL names, for a move.
pub fn side(url: &str) -> Result<Box<dyn Side>> {
    let link = Link::new(url, Use::Writing, CONNECTIONS)?;
    Ok(Box::new(PostgresSide { link, desk: None }))
}

/// A store that was moved, or is being filled by a move, is not for use.
pub async fn refuse_moved(link: &Link) -> Result<()> {
    let act = "cannot read the store's state";
    let state = async {
        let desk = link.read().await?;
        let row = desk.one(STATE, &[]).await;
        let row = desk.end(row).await?;
        Ok((
            super::rows::get::<Option<String>>(&row, 0)?,
            super::rows::get(&row, 1)?,
        ))
    };
    let (moved, is_receiving) = state.await.map_err(|trouble: Trouble| trouble.fault(act))?;
    refuse_to_open(moved.as_deref(), is_receiving)
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Kind, out: &mut BytesMut) -> Result<IsNull, Box<dyn Cause + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *kind == Kind::BOOL => (*number != 0).to_sql(kind, out),
            Self::Integer(number) => number.to_sql(kind, out),
            Self::Real(number) => number.to_sql(kind, out),
            Self::Text(text) => kept(text).as_ref().to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Kind) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for Value {
    fn from_sql(kind: &Kind, raw: &'r [u8]) -> Result<Self, Box<dyn Cause + Sync + Send>> {
        Ok(match *kind {
            Kind::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Kind::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Kind::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Kind::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Kind::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            Kind::FLOAT4 => Self::Real(f32::from_sql(kind, raw)?.into()),
            Kind::BYTEA => Self::Bytes(Vec::from_sql(kind, raw)?),
            _ => Self::Text(said(String::from_sql(kind, raw)?)),
        })
    }

    fn from_sql_null(_: &Kind) -> Result<Self, Box<dyn Cause + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Kind) -> bool {
        let known = [
            Kind::INT8,
            Kind::INT4,
            Kind::INT2,
            Kind::BOOL,
            Kind::FLOAT8,
            Kind::FLOAT4,
            Kind::BYTEA,
        ];
        known.contains(kind) || <String as FromSql>::accepts(kind)
    }
}

/// A single value's type as the server is told; it finds out by itself what a missing value would be.
fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::UNKNOWN,
        Value::Integer(_) => Kind::INT8,
        Value::Real(_) => Kind::FLOAT8,
        Value::Text(_) => Kind::TEXT,
        Value::Bytes(_) => Kind::BYTEA,
    }
}

/// A column's values as the server is told, and the word for them.
fn array_of(kind: Type) -> (Kind, &'static str) {
    match kind {
        Type::Integer => (Kind::INT8_ARRAY, "BIGINT[]"),
        Type::Flag => (Kind::BOOL_ARRAY, "BOOLEAN[]"),
        Type::Real => (Kind::FLOAT8_ARRAY, "DOUBLE PRECISION[]"),
        Type::Text => (Kind::TEXT_ARRAY, "TEXT[]"),
        Type::Bytes => (Kind::BYTEA_ARRAY, "BYTEA[]"),
    }
}

/// Rows turned on their side: an array for each column.
struct Arrays<'r> {
    columns: Vec<(Vec<&'r Value>, Kind)>,
    words: Vec<&'static str>,
}

impl<'r> Arrays<'r> {
    fn new(kinds: impl Iterator<Item = Type>, rows: &'r [Row]) -> Self {
        let mut arrays = Self {
            columns: Vec::new(),
            words: Vec::new(),
        };
        for (place, kind) in kinds.enumerate() {
            let (kind, word) = array_of(kind);
            let column = rows.iter().map(|row| &row[place]).collect();
            arrays.columns.push((column, kind));
            arrays.words.push(word);
        }
        arrays
    }

    fn bound(&self) -> Vec<Bound<'_>> {
        self.columns
            .iter()
            .map(|(values, kind)| (values as &(dyn ToSql + Sync), kind.clone()))
            .collect()
    }

    /// `$1::BIGINT[], $2::TEXT[]`
    fn place(&self, sql: &str) -> String {
        let words = self.words.iter().enumerate();
        let words = words.map(|(place, word)| format!("${}::{word}", place + 1));
        sql.replace("{arrays}", &words.collect::<Vec<_>>().join(", "))
    }
}

fn failed(trouble: &Trouble) -> Error {
    trouble.fault(ACT)
}

fn values_of(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, Trouble> {
    let row = |row: &tokio_postgres::Row| {
        let cells = (0..row.len()).map(|place| super::rows::get(row, place));
        cells.collect::<Result<Row, Trouble>>()
    };
    rows.iter().map(row).collect()
}

/// The numbers of the messages that rows belong to, where the table is kept by month.
fn numbers<'r>(table: &Table, rows: &'r [Row]) -> impl Iterator<Item = i64> + use<'r> {
    let per_message = match table.name.as_str() {
        "messages" => Some(1),
        "deliveries" | "attempts" => Some(DeliveryId::PER_MESSAGE),
        _ => None,
    };
    let place = table.key.first().copied().unwrap_or_default();
    let number = move |row: &Row| Some(row.get(place)?.integer()?.div_euclid(per_message?));
    rows.iter().filter_map(number)
}

impl PostgresSide {
    fn desk(&self) -> Result<&Desk> {
        let none = || Error::new(Failure::Internal, format!("{ACT}: no transaction is under way"));
        self.desk.as_ref().ok_or_else(none)
    }

    async fn look(&self, sql: &str, values: &[Bound<'_>]) -> Result<Vec<Row>> {
        let desk = self.link.read().await.map_err(|trouble| failed(&trouble))?;
        let found = desk.rows(sql, values).await;
        let found = desk.end(found).await.and_then(|rows| values_of(&rows));
        found.map_err(|trouble| failed(&trouble))
    }
}

#[async_trait]
impl Side for PostgresSide {
    fn phrases(&self) -> &'static Phrases {
        &POSTGRES
    }

    async fn read(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        let bound = values
            .iter()
            .map(|value| (value as &(dyn ToSql + Sync), kind_of(value)));
        let bound = bound.collect::<Vec<_>>();
        let Some(desk) = &self.desk else {
            return self.look(sql, &bound).await;
        };
        let found = desk.rows(sql, &bound).await.and_then(|rows| values_of(&rows));
        found.map_err(|trouble| failed(&trouble))
    }

    async fn fetch(&mut self, table: &Table, keys: &[Row]) -> Result<Vec<Row>> {
        let arrays = Arrays::new(table.key_columns().map(|column| column.kind), keys);
        let sql = arrays.place(&POSTGRES.about(POSTGRES.fetch, table));
        self.look(&sql, &arrays.bound()).await
    }

    async fn begin(&mut self) -> Result<()> {
        let desk = self.link.write().await.map_err(|trouble| failed(&trouble))?;
        self.desk = Some(desk);
        Ok(())
    }

    async fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        let bound = values
            .iter()
            .map(|value| (value as &(dyn ToSql + Sync), kind_of(value)));
        let changed = self.desk()?.run(sql, &bound.collect::<Vec<_>>()).await;
        changed.map_err(|trouble| failed(&trouble))
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        self.desk()?.script(sql).await.map_err(|trouble| failed(&trouble))
    }

    async fn put(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let arrays = Arrays::new(table.columns.iter().map(|column| column.kind), rows);
        let sql = arrays.place(&POSTGRES.about(POSTGRES.put, table));
        let desk = self.desk()?;
        let put = async {
            months::make_for(desk, numbers(table, rows)).await?;
            desk.run(&sql, &arrays.bound()).await
        };
        put.await.map(drop).map_err(|trouble| failed(&trouble))
    }

    async fn erase(&mut self, table: &Table, keys: &[Row]) -> Result<()> {
        let arrays = Arrays::new(table.key_columns().map(|column| column.kind), keys);
        let sql = arrays.place(&POSTGRES.about(POSTGRES.erase, table));
        let erased = self.desk()?.run(&sql, &arrays.bound()).await;
        erased.map(drop).map_err(|trouble| failed(&trouble))
    }

    async fn make_room(&mut self) -> Result<()> {
        let made = months::make(self.desk()?).await;
        made.map_err(|trouble| failed(&trouble))
    }

    async fn commit(&mut self) -> Result<()> {
        match self.desk.take() {
            Some(desk) => desk.end(Ok(())).await.map_err(|trouble| failed(&trouble)),
            None => Ok(()),
        }
    }

    async fn undo(&mut self) {
        // A transaction that is dropped takes its connection with it, and is undone.
        self.desk = None;
    }
}
