//! Recipients in SQLite: their status, opt-outs and opt-ins.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::store::SqliteStore;
use super::unclaimed::suppress_waiting;
use super::write_transaction::WriteTransaction;
use crate::recipients::RecipientStore;
use crate::rows::deliveries::decode_recipient;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::name::ConfigName;
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::round::InvalidatedAddress;

static RECIPIENT: &str = sql!("sqlite/recipients/read_recipient");
static SAVE_RECIPIENT: &str = sql!("sqlite/recipients/save_recipient");
static DEACTIVATE: &str = sql!("sqlite/recipients/deactivate_recipient");
static OPT_OUT: &str = sql!("sqlite/recipients/opt_out_recipient");
static OPT_IN: &str = sql!("sqlite/recipients/opt_in_recipient");
static INSERT_OPT_MESSAGE: &str = sql!("sqlite/recipients/insert_opt_message");

#[async_trait]
impl RecipientStore for SqliteStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        let (channel, address) = (channel.clone(), address.to_owned());
        self.read("cannot read a recipient", move |connection| recipient(connection, &channel, &address))
            .await
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        self.write("cannot change a recipient", move |transaction| set_recipient(transaction, &recipient))
            .await
    }

    async fn apply_opt_changes(&self, changes: Vec<OptChange>) -> Result<Vec<bool>> {
        self.write("cannot apply opt-outs and opt-ins", move |transaction| {
            changes.iter().map(|change| apply_opt_change(transaction, change)).collect()
        })
        .await
    }
}

fn recipient(
    connection: &Connection,
    channel: &ConfigName,
    address: &str,
) -> rusqlite::Result<Option<Recipient>> {
    connection
        .prepare_cached(RECIPIENT)?
        .query_row([channel.as_str(), address], |row| decode_recipient(row, channel, address))
        .optional()
}

/// Sets the status of a recipient; see [`RecipientStore::set_recipient`].
pub fn set_recipient(transaction: &mut WriteTransaction<'_>, recipient: &Recipient) -> rusqlite::Result<()> {
    let changed_at = recipient.changed_at;
    transaction.statement(SAVE_RECIPIENT)?.execute(params![
        recipient.channel.as_str(),
        recipient.address,
        recipient.status.as_str(),
        recipient.reason,
        recipient.changed_by,
        changed_at.timestamp_millis(),
    ])?;
    transaction.mark_has_recipients();
    match recipient.status {
        RecipientStatus::Active => Ok(()),
        RecipientStatus::Inactive | RecipientStatus::OptedOut => {
            suppress_waiting(transaction, &recipient.channel, &recipient.address, changed_at)
        }
    }
}

fn apply_opt_change(transaction: &mut WriteTransaction<'_>, change: &OptChange) -> rusqlite::Result<bool> {
    if is_repeated(transaction, change)? {
        return Ok(false);
    }
    let statement = match change.action {
        OptAction::OptOut => OPT_OUT,
        OptAction::OptIn => OPT_IN,
    };
    let changed = transaction.statement(statement)?.execute(params![
        change.channel.as_str(),
        change.address,
        change.reason,
        change.provider.as_str(),
        change.at.timestamp_millis(),
    ])?;
    transaction.mark_has_recipients();
    if change.action == OptAction::OptOut {
        suppress_waiting(transaction, &change.channel, &change.address, change.at)?;
    }
    Ok(changed > 0)
}

/// Returns whether the inbound message was applied before, and remembers it otherwise.
fn is_repeated(transaction: &mut WriteTransaction<'_>, change: &OptChange) -> rusqlite::Result<bool> {
    let Some(reference) = &change.reference else {
        return Ok(false);
    };
    let inserted = transaction.statement(INSERT_OPT_MESSAGE)?.execute(params![
        change.provider.as_str(),
        reference,
        change.channel.as_str(),
        change.address,
        change.at.timestamp_millis(),
    ])?;
    Ok(inserted == 0)
}

/// Makes an address of a delivery inactive.
pub fn deactivate_address(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    invalidated: &InvalidatedAddress<'_>,
) -> rusqlite::Result<()> {
    transaction.statement(DEACTIVATE)?.execute(params![
        id.0,
        invalidated.reason,
        invalidated.provider.as_str(),
        invalidated.at.timestamp_millis(),
        invalidated.address,
    ])?;
    transaction.mark_has_recipients();
    Ok(())
}
