//! What persons ask of us by text: no more messages, or messages again.
//!
//! Never begins or ends a transaction.

use super::admin::suppress_waiting;
use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::rows::escape_text;
use postrider_core::inbound::{OptAction, OptChange};

static OPT_OUT: &str = sql!("postgres/recipients/opt_out_recipient");
static INSERT_SEEN_TEXT: &str = sql!("postgres/recipients/insert_opt_message");
static OPT_IN: &str = sql!("postgres/recipients/opt_in_recipient");

/// See [`crate::Store::opt`].
pub async fn apply_opt_changes(
    transaction: &PgTransaction,
    changes: &[OptChange],
) -> Result<Vec<bool>, PgError> {
    let mut changed = vec![false; changes.len()];
    // In one order, so that two hosts do not wait for each other in a ring; wishes about one address stay in theirs.
    let mut ordered = changes.iter().zip(&mut changed).collect::<Vec<_>>();
    ordered.sort_by_key(|(change, _)| (&change.channel, &change.address));
    for (change, changed) in ordered {
        *changed = apply_opt_change(transaction, change).await?;
    }
    Ok(changed)
}

async fn apply_opt_change(transaction: &PgTransaction, change: &OptChange) -> Result<bool, PgError> {
    if !is_new(transaction, change).await? {
        return Ok(false);
    }
    let statement = match change.action {
        OptAction::OptOut => OPT_OUT,
        OptAction::OptIn => OPT_IN,
    };
    let changed = transaction
        .execute(
            statement,
            bind![
                change.channel.as_str(),
                escape_text(&change.address),
                escape_text(&change.reason),
                change.provider.as_str(),
                change.at.timestamp_millis(),
            ],
        )
        .await?;
    if change.action == OptAction::OptOut {
        suppress_waiting(transaction, &change.channel, &change.address, change.at).await?;
    }
    Ok(changed > 0)
}

/// Whether the text was not heard before.
async fn is_new(transaction: &PgTransaction, change: &OptChange) -> Result<bool, PgError> {
    let Some(reference) = &change.reference else {
        return Ok(true);
    };
    let noted = transaction
        .execute(
            INSERT_SEEN_TEXT,
            bind![
                change.provider.as_str(),
                escape_text(reference),
                change.channel.as_str(),
                escape_text(&change.address),
                change.at.timestamp_millis(),
            ],
        )
        .await?;
    Ok(noted > 0)
}
