//! The proof: what both stores hold, counted and summed up table by table.
//!
//! Reads every row of both; never looks at what the move believes to have done.

use super::source::{Source, moving_meta, page};
use super::target::Target;
use super::value::{Sum, Value};
use super::{Side, Table};
use crate::error::Result;

/// What both stores hold in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The table's name.
    pub table: String,
    /// Rows in the old store and in the new one.
    pub rows: [u64; 2],
    /// A sum over all rows that does not depend on their order, of the old store and of the new one.
    pub checksums: [u128; 2],
}

impl Comparison {
    /// Whether both hold the same.
    pub fn is_same(&self) -> bool {
        self.rows[0] == self.rows[1] && self.checksums[0] == self.checksums[1]
    }

    fn new(table: &str, old: Sum, new: Sum) -> Self {
        Self {
            table: table.to_owned(),
            rows: [old.rows, new.rows],
            checksums: [old.checksum, new.checksum],
        }
    }
}

/// Compares table by table; tells `progress` how many rows were read.
pub async fn compare(
    source: &mut Source,
    target: &mut Target,
    batch: usize,
    progress: impl Fn(u64),
) -> Result<Vec<Comparison>> {
    let mut comparisons = Vec::new();
    for (old, new) in source.tables.iter().zip(&target.tables) {
        let one = sum(source.side.as_mut(), old, batch, &progress).await?;
        let other = sum(target.side.as_mut(), new, batch, &progress).await?;
        comparisons.push(Comparison::new(&old.name, one, other));
    }
    let one = sum_of_meta(source.side.as_mut()).await?;
    let other = sum_of_meta(target.side.as_mut()).await?;
    comparisons.push(Comparison::new("meta", one, other));
    Ok(comparisons)
}

async fn sum(side: &mut dyn Side, table: &Table, batch: usize, progress: &impl Fn(u64)) -> Result<Sum> {
    let mut sum = Sum::default();
    let mut after = None;
    loop {
        let (rows, next) = page(side, table, after.as_ref(), batch).await?;
        rows.iter().for_each(|row| sum.add(row));
        progress(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        if next.is_none() {
            return Ok(sum);
        }
        after = next;
    }
}

async fn sum_of_meta(side: &mut dyn Side) -> Result<Sum> {
    let mut sum = Sum::default();
    for (name, value) in moving_meta(side).await? {
        sum.add(&[Value::Text(name), value]);
    }
    Ok(sum)
}
