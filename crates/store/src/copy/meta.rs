//! The values of `meta`: those that are copied, and those that describe a move.

use super::table_store::TableStore;
use super::value::{CopyRow, CopyValue};
use postrider_core::error::Result;

/// Names of the values of `meta` that differ between the stores or belong to a move.
const UNCOPIED_META: [&str; 6] =
    ["ping_counter", "number_pruned", "move_id", "moved", "claims_paused", "receiving"];

/// The move that a store takes part in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MoveMarks {
    /// Id of the move.
    pub id: Option<i64>,
    /// Location that the store was moved to.
    pub moved_to: Option<String>,
    /// Id of the run that fills the store.
    pub receiving_run: Option<i64>,
}

/// Values of `meta`, by name.
pub type MetaValues = Vec<(String, CopyValue)>;

/// Reads all values of `meta`.
pub async fn read_meta(store: &mut dyn TableStore) -> Result<MetaValues> {
    let rows = store.select(store.statements().read_meta, &[]).await?;
    let name_and_value = |row: CopyRow| match row.as_slice() {
        [CopyValue::Text(name), CopyValue::Null, value] | [CopyValue::Text(name), value, _] => {
            Some((name.clone(), value.clone()))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(name_and_value).collect())
}

/// Reads the move that a store takes part in.
pub async fn read_marks(store: &mut dyn TableStore) -> Result<MoveMarks> {
    let mut marks = MoveMarks::default();
    for (name, value) in read_meta(store).await? {
        match (name.as_str(), value) {
            ("move_id", value) => marks.id = value.as_integer(),
            ("receiving", value) => marks.receiving_run = value.as_integer(),
            ("moved", CopyValue::Bytes(location)) => {
                marks.moved_to = Some(String::from_utf8_lossy(&location).into_owned());
            }
            _ => {}
        }
    }
    Ok(marks)
}

/// Reads the values of `meta` that are copied, sorted by name.
pub async fn read_copied_meta(store: &mut dyn TableStore) -> Result<MetaValues> {
    let mut meta = read_meta(store).await?;
    meta.retain(|(name, _)| !UNCOPIED_META.contains(&name.as_str()));
    meta.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(meta)
}

/// Saves a value of `meta`, in the current transaction.
pub async fn set_meta(store: &mut dyn TableStore, name: &str, meta_value: CopyValue) -> Result<()> {
    let (number, bytes) = match meta_value {
        CopyValue::Integer(_) => (meta_value, CopyValue::Null),
        _ => (CopyValue::Null, meta_value),
    };
    let values = [CopyValue::Text(name.to_owned()), number, bytes];
    store.execute(store.statements().save_meta, &values).await.map(drop)
}
