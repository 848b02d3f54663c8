//! Compares both stores after a copy: row counts and checksums of every table.
//!
//! Reads every row of both stores and does not use the progress of the move.

use super::source::{CopySource, read_page};
use super::value::{CopyValue, TableChecksum};
use super::{meta::read_copied_meta, table::CopyTable, table_store::TableStore, target::CopyTarget};
use postrider_core::error::Result;

/// Comparison of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableComparison {
    /// Name of the table.
    pub table: String,
    /// Numbers of rows in the old and the new store.
    pub rows: [u64; 2],
    /// Checksums over all rows, independent of their order, of the old and the new store.
    pub checksums: [u128; 2],
}

impl TableComparison {
    /// Returns whether both stores have the same rows.
    pub fn is_same(&self) -> bool {
        self.rows[0] == self.rows[1] && self.checksums[0] == self.checksums[1]
    }

    fn new(table: &str, source: TableChecksum, target: TableChecksum) -> Self {
        Self {
            table: table.to_owned(),
            rows: [source.rows, target.rows],
            checksums: [source.checksum, target.checksum],
        }
    }
}

/// Compares all tables. Calls `progress` with the number of rows of each batch.
pub async fn compare(
    source_store: &mut CopySource,
    target_store: &mut CopyTarget,
    batch_rows: usize,
    progress: impl Fn(u64),
) -> Result<Vec<TableComparison>> {
    let mut comparisons = Vec::new();
    for (source_table, target_table) in source_store.tables.iter().zip(&target_store.tables) {
        let source_checksum =
            table_checksum(source_store.store.as_mut(), source_table, batch_rows, &progress).await?;
        let target_checksum =
            table_checksum(target_store.store.as_mut(), target_table, batch_rows, &progress).await?;
        comparisons.push(TableComparison::new(&source_table.name, source_checksum, target_checksum));
    }
    let source_checksum = meta_checksum(source_store.store.as_mut()).await?;
    let target_checksum = meta_checksum(target_store.store.as_mut()).await?;
    comparisons.push(TableComparison::new("meta", source_checksum, target_checksum));
    Ok(comparisons)
}

async fn table_checksum(
    store: &mut dyn TableStore,
    table: &CopyTable,
    batch_rows: usize,
    progress: &impl Fn(u64),
) -> Result<TableChecksum> {
    let mut checksum = TableChecksum::default();
    let mut last_key = None;
    loop {
        let (rows, next_key) = read_page(store, table, last_key.as_ref(), batch_rows).await?;
        rows.iter().for_each(|row| checksum.add(row));
        progress(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        if next_key.is_none() {
            return Ok(checksum);
        }
        last_key = next_key;
    }
}

async fn meta_checksum(store: &mut dyn TableStore) -> Result<TableChecksum> {
    let mut checksum = TableChecksum::default();
    for (name, value) in read_copied_meta(store).await? {
        checksum.add(&[CopyValue::Text(name), value]);
    }
    Ok(checksum)
}
