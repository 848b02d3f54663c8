//! Reads and changes the status of recipients.
//!
//! A message that was refused because of the old status is not sent after the change.

use crate::gateway::Gateway;
use postrider_core::address::{AddressError, parse_address_of_kinds};
use postrider_core::error::{Error, Result};
use postrider_core::name::ConfigName;
use postrider_core::recipient::{Recipient, RecipientStatus};

/// Maximum length of a reason or an author, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// Author of a change that names no author.
pub const DEFAULT_CHANGED_BY: &str = "operator";

/// Reason of a change that names no reason.
pub const DEFAULT_REASON: &str = "changed manually";

/// A normalised address on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientAddress {
    /// Channel of the recipient.
    pub channel: ConfigName,
    /// Normalised address of the recipient.
    pub address: String,
}

/// The reason why a recipient could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientError {
    /// No channel has this name.
    UnknownChannel,
    /// The address is not valid on the channel.
    InvalidAddress(AddressError),
}

/// Parses an address in any form that the channel accepts.
pub fn parse_recipient(
    gateway: &Gateway,
    channel: &str,
    text: &str,
) -> std::result::Result<RecipientAddress, RecipientError> {
    let route = gateway.route(channel).ok_or(RecipientError::UnknownChannel)?;
    let (_, address) = parse_address_of_kinds(route.address_kinds(), text, &gateway.config.phone)
        .map_err(RecipientError::InvalidAddress)?;
    Ok(RecipientAddress { channel: route.channel.name.clone(), address })
}

/// A change of a recipient's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStatusChange {
    /// New status of the recipient.
    pub status: RecipientStatus,
    /// Reason for the change; if empty, [`DEFAULT_REASON`].
    pub reason: String,
    /// Author of the change; if empty, [`DEFAULT_CHANGED_BY`].
    pub changed_by: String,
}

/// Sets the status of a recipient and returns it.
pub async fn set_status(
    gateway: &Gateway,
    address: &RecipientAddress,
    change: RecipientStatusChange,
) -> Result<Recipient> {
    let recipient = Recipient {
        channel: address.channel.clone(),
        address: address.address.clone(),
        status: change.status,
        reason: validate_line(&change.reason, "the reason", DEFAULT_REASON)?,
        changed_by: validate_line(&change.changed_by, "the name", DEFAULT_CHANGED_BY)?,
        changed_at: gateway.clock.now(),
    };
    gateway.store.set_recipient(recipient.clone()).await?;
    Ok(recipient)
}

fn validate_line(note_line: &str, label: &str, default_line: &str) -> Result<String> {
    let note_line = note_line.trim();
    if note_line.chars().count() > REASON_CHARS_MAX || note_line.contains(char::is_control) {
        return Err(Error::usage(format!(
            "{label} must be at most {REASON_CHARS_MAX} characters on one line"
        )));
    }
    Ok(if note_line.is_empty() { default_line } else { note_line }.to_owned())
}
