//! `console recipient`: shows the status of a recipient, and changes it.
//!
//! An address that a provider reported as invalid stays inactive until an operator activates it here. Messages rejected in
//! the meantime are not sent.

use super::{displayed_address, format_time, open_gateway, print_line};
use crate::cli::{Cli, RecipientArgs};
use postrider_core::error::{Error, Result};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_engine::gateway::Gateway;
use postrider_engine::recipient::{self, RecipientAddress, RecipientError, RecipientStatusChange};

/// Changes the status if an option sets one, and prints it.
pub async fn run(cli: &Cli, arguments: &RecipientArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let address = parse_recipient(&gateway, arguments)?;
    if let Some(recipient_status) = arguments.set {
        let change = RecipientStatusChange {
            status: recipient_status,
            reason: arguments.reason.clone().unwrap_or_default(),
            changed_by: arguments.by.clone().unwrap_or_default(),
        };
        recipient::set_status(&gateway, &address, change).await?;
    }
    let recipient = gateway.store.recipient(&address.channel, &address.address).await?;
    let displayed = displayed_address(&address.address, &gateway.config);
    print_line(format_recipient_status(&displayed, recipient.as_ref()))
}

fn parse_recipient(gateway: &Gateway, arguments: &RecipientArgs) -> Result<RecipientAddress> {
    let channel = &arguments.channel;
    recipient::parse_recipient(gateway, channel.as_str(), &arguments.address).map_err(|error| match error {
        RecipientError::UnknownChannel => {
            Error::usage(format!("unknown channel {channel}; name a configured one with --channel"))
        }
        RecipientError::InvalidAddress(cause) => Error::usage(cause.to_string()),
    })
}

fn format_recipient_status(address: &str, recipient: Option<&Recipient>) -> String {
    match recipient {
        None => format!("{address} is {} (no change recorded)", RecipientStatus::Active.as_str()),
        Some(recipient) => format!(
            "{address} is {} since {}, changed by {}: {}",
            recipient.status.as_str(),
            format_time(recipient.changed_at),
            recipient.changed_by,
            recipient.reason
        ),
    }
}
