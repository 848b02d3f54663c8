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
pub async fn apply_opt_changes(desk: &PgTransaction, wishes: &[OptChange]) -> Result<Vec<bool>, PgError> {
    let mut changed = vec![false; wishes.len()];
    // In one order, so that two hosts do not wait for each other in a ring; wishes about one address stay in theirs.
    let mut ordered = wishes.iter().zip(&mut changed).collect::<Vec<_>>();
    ordered.sort_by_key(|(opting, _)| (&opting.channel, &opting.address));
    for (opting, changed) in ordered {
        *changed = apply_opt_change(desk, opting).await?;
    }
    Ok(changed)
}

async fn apply_opt_change(desk: &PgTransaction, opting: &OptChange) -> Result<bool, PgError> {
    if !is_new(desk, opting).await? {
        return Ok(false);
    }
    let statement = match opting.action {
        OptAction::OptOut => OPT_OUT,
        OptAction::OptIn => OPT_IN,
    };
    let changed = desk
        .execute(
            statement,
            bind![
                opting.channel.as_str(),
                escape_text(&opting.address),
                escape_text(&opting.reason),
                opting.provider.as_str(),
                opting.at.timestamp_millis(),
            ],
        )
        .await?;
    if opting.action == OptAction::OptOut {
        suppress_waiting(desk, &opting.channel, &opting.address, opting.at).await?;
    }
    Ok(changed > 0)
}

/// Whether the text was not heard before.
async fn is_new(desk: &PgTransaction, opting: &OptChange) -> Result<bool, PgError> {
    let Some(reference) = &opting.reference else {
        return Ok(true);
    };
    let noted = desk
        .execute(
            INSERT_SEEN_TEXT,
            bind![
                opting.provider.as_str(),
                escape_text(reference),
                opting.channel.as_str(),
                escape_text(&opting.address),
                opting.at.timestamp_millis(),
            ],
        )
        .await?;
    Ok(noted > 0)
}
