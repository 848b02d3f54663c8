//! Recipients in SQLite: their status, opt-outs and opt-ins.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    query::query_optional, store::SqliteStore, unclaimed::suppress_waiting,
    write_transaction::WriteTransaction,
};
use crate::{recipients::RecipientStore, rows::deliveries::decode_recipient};
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{error::Result, id::DeliveryId, name::ConfigName, round::InvalidatedAddress};

static RECIPIENT: &str = sql!("common/recipients/read_recipient");
static SAVE_RECIPIENT: &str = sql!("common/recipients/save_recipient");
static DEACTIVATE: &str = sql!("sqlite/recipients/deactivate_recipient");
static OPT_OUT: &str = sql!("common/recipients/opt_out_recipient");
static OPT_IN: &str = sql!("sqlite/recipients/opt_in_recipient");
static INSERT_OPT_MESSAGE: &str = sql!("common/recipients/insert_opt_message");

#[async_trait]
impl RecipientStore for SqliteStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        let (channel, address) = (channel.clone(), address.to_owned());
        self.read("cannot read a recipient", move |connection| load_recipient(connection, &channel, &address))
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

fn load_recipient(
    connection: &Connection,
    channel: &ConfigName,
    address: &str,
) -> rusqlite::Result<Option<Recipient>> {
    let channel_and_address = [channel.as_str(), address];
    query_optional(connection, RECIPIENT, channel_and_address, |row| decode_recipient(row, channel, address))
}

/// Sets the status of a recipient; see [`RecipientStore::set_recipient`].
pub fn set_recipient(transaction: &mut WriteTransaction<'_>, recipient: &Recipient) -> rusqlite::Result<()> {
    let recipient_values = params![
        recipient.channel.as_str(),
        recipient.address,
        recipient.status.as_str(),
        recipient.reason,
        recipient.changed_by,
        recipient.changed_at.timestamp_millis(),
    ];
    transaction.execute(SAVE_RECIPIENT, recipient_values)?;
    transaction.mark_has_recipients();
    if recipient.status == RecipientStatus::Active {
        return Ok(());
    }
    suppress_waiting(
        transaction,
        &recipient.channel,
        &recipient.address,
        recipient.status,
        recipient.changed_at,
    )
}

/// Applies an opt-out or opt-in and returns whether it changed the status of the recipient.
pub fn apply_opt_change(
    transaction: &mut WriteTransaction<'_>,
    change: &OptChange,
) -> rusqlite::Result<bool> {
    if is_repeated(transaction, change)? {
        return Ok(false);
    }
    let sql = match change.action {
        OptAction::OptOut => OPT_OUT,
        OptAction::OptIn => OPT_IN,
    };
    let (channel, provider) = (change.channel.as_str(), change.provider.as_str());
    let change_values =
        params![channel, change.address, change.reason, provider, change.at.timestamp_millis()];
    let changed_rows = transaction.execute(sql, change_values)?;
    transaction.mark_has_recipients();
    if change.action == OptAction::OptOut {
        suppress_waiting(
            transaction,
            &change.channel,
            &change.address,
            RecipientStatus::OptedOut,
            change.at,
        )?;
    }
    Ok(changed_rows > 0)
}

/// Returns whether the inbound message was applied before. If not, stores its reference, so that the next call returns
/// true.
fn is_repeated(transaction: &mut WriteTransaction<'_>, change: &OptChange) -> rusqlite::Result<bool> {
    let Some(reference) = &change.reference else {
        return Ok(false);
    };
    let (provider, channel) = (change.provider.as_str(), change.channel.as_str());
    let message_values = params![provider, reference, channel, change.address, change.at.timestamp_millis()];
    Ok(transaction.execute(INSERT_OPT_MESSAGE, message_values)? == 0)
}

/// Makes an address of a delivery inactive.
pub fn deactivate_address(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    invalidated: &InvalidatedAddress<'_>,
) -> rusqlite::Result<()> {
    let (provider, at) = (invalidated.provider.as_str(), invalidated.at.timestamp_millis());
    let recipient_values = params![id.0, invalidated.reason, provider, at, invalidated.address];
    transaction.execute(DEACTIVATE, recipient_values)?;
    transaction.mark_has_recipients();
    Ok(())
}
