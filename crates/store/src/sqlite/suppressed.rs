//! Checks whether recipients may be written to.

use super::write_transaction::WriteTransaction;
use crate::rows::SqlRow;
use postrider_core::{contact::Contact, message::NewDelivery, name::ConfigName};

static IS_SUPPRESSED: &str = sql!("sqlite/accept/find_suppressed_recipients");

/// Returns whether no address of a delivery is active.
pub fn has_no_active_address(
    transaction: &mut WriteTransaction<'_>,
    delivery: &NewDelivery,
) -> rusqlite::Result<bool> {
    let channel = &delivery.channel;
    if delivery.contacts.is_empty() {
        return is_suppressed(transaction, channel, &delivery.address);
    }
    for contact in &delivery.contacts {
        if !is_suppressed(transaction, channel, &contact.address)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the active contacts.
pub fn active_contacts(
    transaction: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    contacts: Vec<Contact>,
) -> rusqlite::Result<Vec<Contact>> {
    let mut active_contacts = Vec::with_capacity(contacts.len());
    for contact in contacts {
        if !is_suppressed(transaction, channel, &contact.address)? {
            active_contacts.push(contact);
        }
    }
    Ok(active_contacts)
}

fn is_suppressed(
    transaction: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    address: &str,
) -> rusqlite::Result<bool> {
    if !transaction.has_recipients()? {
        return Ok(false);
    }
    let channel_and_address = [channel.as_str(), address];
    let is_suppressed =
        transaction.query_optional(IS_SUPPRESSED, channel_and_address, |row| row.bool("is_suppressed"))?;
    Ok(is_suppressed.unwrap_or(false))
}
