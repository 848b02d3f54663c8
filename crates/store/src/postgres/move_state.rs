//! Refuses a database that was moved to another store, or that a move is filling.

use super::{errors::PgError, pool::PgPool};
use crate::{copy::write_guard::require_open, rows::SqlRow};
use postrider_core::error::Result;

static READ_STATE: &str = sql!("postgres/copy/read_state");

/// Fails if the store was moved, or if a move into it is not finished.
pub async fn refuse_moved(pool: &PgPool) -> Result<()> {
    let read_state = async {
        let transaction = pool.begin_read().await?;
        let state_row = transaction.query_one(READ_STATE, &[]).await;
        let state_row = transaction.finish(state_row).await?;
        Ok((state_row.optional_text("moved_to")?, state_row.bool("is_receiving")?))
    };
    let to_error = |error: PgError| error.to_error("cannot read the state of the store");
    let (moved_to, is_receiving) = read_state.await.map_err(to_error)?;
    require_open(moved_to.as_deref(), is_receiving)
}
