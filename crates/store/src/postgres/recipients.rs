//! The status of recipients: read, set by an operator, and changed by opt-outs and opt-ins.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::pool::{PgTransaction, bind};
use super::{admin::suppress_waiting, errors::PgError, escape::escape_text, store::PostgresStore};
use crate::{RecipientStore, rows::deliveries::decode_recipient};
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{error::Result, name::ConfigName};

static READ: &str = sql!("common/recipients/read_recipient");
static SAVE: &str = sql!("common/recipients/save_recipient");
static OPT_OUT: &str = sql!("common/recipients/opt_out_recipient");
static OPT_IN: &str = sql!("postgres/recipients/opt_in_recipient");
static INSERT_OPT_MESSAGE: &str = sql!("common/recipients/insert_opt_message");

#[async_trait]
impl RecipientStore for PostgresStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        run_transaction!(self.begin_read, "cannot read the recipient", |transaction| {
            let values = bind![channel.as_str(), escape_text(address)];
            let decode = |row: &Row| decode_recipient(row, channel, address);
            transaction.query_optional(READ, values, decode).await
        })
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        run_transaction!(self.begin_write, "cannot change the recipient", |transaction| {
            set_recipient(transaction, &recipient).await
        })
    }

    async fn apply_opt_changes(&self, changes: Vec<OptChange>) -> Result<Vec<bool>> {
        run_transaction!(self.begin_write, "cannot store opt-outs and opt-ins", |transaction| {
            apply_opt_changes(transaction, &changes).await
        })
    }
}

async fn set_recipient(transaction: &PgTransaction, recipient: &Recipient) -> Result<(), PgError> {
    let values = bind![
        recipient.channel.as_str(),
        escape_text(&recipient.address),
        recipient.status.as_str(),
        escape_text(&recipient.reason),
        escape_text(&recipient.changed_by),
        recipient.changed_at.timestamp_millis(),
    ];
    transaction.execute(SAVE, values).await?;
    match recipient.status {
        RecipientStatus::Active => Ok(()),
        RecipientStatus::Inactive | RecipientStatus::OptedOut => {
            suppress_waiting(
                transaction,
                &recipient.channel,
                &recipient.address,
                recipient.status,
                recipient.changed_at,
            )
            .await
        }
    }
}

/// Applies opt-outs and opt-ins and returns for each whether it changed the status of the recipient.
pub async fn apply_opt_changes(
    transaction: &PgTransaction,
    changes: &[OptChange],
) -> Result<Vec<bool>, PgError> {
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
    if !is_new_message(transaction, change).await? {
        return Ok(false);
    }
    let statement = match change.action {
        OptAction::OptOut => OPT_OUT,
        OptAction::OptIn => OPT_IN,
    };
    let values = bind![
        change.channel.as_str(),
        escape_text(&change.address),
        escape_text(&change.reason),
        change.provider.as_str(),
        change.at.timestamp_millis(),
    ];
    let changed_rows = transaction.execute_and_count(statement, values).await?;
    if change.action == OptAction::OptOut {
        suppress_waiting(transaction, &change.channel, &change.address, RecipientStatus::OptedOut, change.at)
            .await?;
    }
    Ok(changed_rows > 0)
}

/// Returns whether the inbound message was not handled before. A message without a reference always counts as new.
async fn is_new_message(transaction: &PgTransaction, change: &OptChange) -> Result<bool, PgError> {
    let Some(reference) = &change.reference else {
        return Ok(true);
    };
    let values = bind![
        change.provider.as_str(),
        escape_text(reference),
        change.channel.as_str(),
        escape_text(&change.address),
        change.at.timestamp_millis(),
    ];
    Ok(transaction.execute_and_count(INSERT_OPT_MESSAGE, values).await? > 0)
}
