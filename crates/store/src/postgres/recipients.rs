//! The status of recipients: read, set by an operator, and changed by opt-outs and opt-ins.

use async_trait::async_trait;

use super::admin::suppress_waiting;
use super::errors::PgError;
use super::escape::escape_text;
use super::pool::{PgTransaction, bind};
use super::store::PostgresStore;
use crate::RecipientStore;
use crate::rows::deliveries::decode_recipient;
use postrider_core::error::Result;
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::name::ConfigName;
use postrider_core::recipient::{Recipient, RecipientStatus};

static READ: &str = sql!("common/recipients/read_recipient");
static SAVE: &str = sql!("common/recipients/save_recipient");
static OPT_OUT: &str = sql!("common/recipients/opt_out_recipient");
static OPT_IN: &str = sql!("postgres/recipients/opt_in_recipient");
static INSERT_OPT_MESSAGE: &str = sql!("common/recipients/insert_opt_message");

#[async_trait]
impl RecipientStore for PostgresStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        let context = "cannot read the recipient";
        run_transaction!(self.begin_read, context, |transaction| recipient(&transaction, channel, address))
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        let context = "cannot change the recipient";
        run_transaction!(self.begin_write, context, |transaction| set_recipient(&transaction, &recipient))
    }

    async fn apply_opt_changes(&self, changes: Vec<OptChange>) -> Result<Vec<bool>> {
        let context = "cannot store opt-outs and opt-ins";
        run_transaction!(self.begin_write, context, |transaction| apply_opt_changes(&transaction, &changes))
    }
}

async fn recipient(
    transaction: &PgTransaction,
    channel: &ConfigName,
    address: &str,
) -> Result<Option<Recipient>, PgError> {
    let row = transaction.query_optional(READ, bind![channel.as_str(), escape_text(address)]).await?;
    row.map(|row| decode_recipient(&row, channel, address)).transpose()
}

async fn set_recipient(transaction: &PgTransaction, recipient: &Recipient) -> Result<(), PgError> {
    transaction
        .execute(
            SAVE,
            bind![
                recipient.channel.as_str(),
                escape_text(&recipient.address),
                recipient.status.as_str(),
                escape_text(&recipient.reason),
                escape_text(&recipient.changed_by),
                recipient.changed_at.timestamp_millis(),
            ],
        )
        .await?;
    match recipient.status {
        RecipientStatus::Active => Ok(()),
        RecipientStatus::Inactive | RecipientStatus::OptedOut => {
            suppress_waiting(transaction, &recipient.channel, &recipient.address, recipient.changed_at).await
        }
    }
}

async fn apply_opt_changes(transaction: &PgTransaction, changes: &[OptChange]) -> Result<Vec<bool>, PgError> {
    let mut has_changed = vec![false; changes.len()];
    // Sorted by address, so that two processes do not deadlock. The sort keeps the order of changes to one address.
    let mut sorted = changes.iter().zip(&mut has_changed).collect::<Vec<_>>();
    sorted.sort_by_key(|(change, _)| (&change.channel, &change.address));
    for (change, has_changed) in sorted {
        *has_changed = apply_opt_change(transaction, change).await?;
    }
    Ok(has_changed)
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

/// Returns whether the inbound message was not handled before.
async fn is_new(transaction: &PgTransaction, change: &OptChange) -> Result<bool, PgError> {
    let Some(reference) = &change.reference else {
        return Ok(true);
    };
    let inserted = transaction
        .execute(
            INSERT_OPT_MESSAGE,
            bind![
                change.provider.as_str(),
                escape_text(reference),
                change.channel.as_str(),
                escape_text(&change.address),
                change.at.timestamp_millis(),
            ],
        )
        .await?;
    Ok(inserted > 0)
}
