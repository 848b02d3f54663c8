//! Checks whether recipients may be written to.

use super::write_transaction::WriteTransaction;
use crate::rows::SqlRow;
use postrider_core::{contact::Contact, message::NewDelivery, name::ConfigName, recipient::RecipientStatus};

static FIND_SUPPRESSED: &str = sql!("sqlite/accept/find_suppressed_recipients");

/// Returns why no address of a delivery is active; none if one is.
pub fn find_refusing_status(
    transaction: &mut WriteTransaction<'_>,
    delivery: &NewDelivery,
) -> rusqlite::Result<Option<RecipientStatus>> {
    let channel = &delivery.channel;
    if delivery.contacts.is_empty() {
        return find_status(transaction, channel, &delivery.address);
    }
    let mut status_of_all = None;
    for contact in &delivery.contacts {
        match find_status(transaction, channel, &contact.address)? {
            None => return Ok(None),
            Some(status) => {
                status_of_all =
                    Some(status_of_all.map_or(status, |other: RecipientStatus| other.or_opted_out(status)));
            }
        }
    }
    Ok(status_of_all)
}

/// Returns the active contacts.
pub fn active_contacts(
    transaction: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    contacts: Vec<Contact>,
) -> rusqlite::Result<Vec<Contact>> {
    let mut active_contacts = Vec::with_capacity(contacts.len());
    for contact in contacts {
        if find_status(transaction, channel, &contact.address)?.is_none() {
            active_contacts.push(contact);
        }
    }
    Ok(active_contacts)
}

/// Returns the status of a recipient that is not active.
fn find_status(
    transaction: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    address: &str,
) -> rusqlite::Result<Option<RecipientStatus>> {
    if !transaction.has_recipients()? {
        return Ok(None);
    }
    let channel_and_address = [channel.as_str(), address];
    transaction.query_optional(FIND_SUPPRESSED, channel_and_address, |row| {
        row.parsed("status", RecipientStatus::parse)
    })
}
