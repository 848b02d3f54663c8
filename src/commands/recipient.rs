//! `console recipient`: whether an address may be written to, who said so, and an operator's own word on it.
//!
//! A provider's word makes an address inactive for good; only here it becomes active again. Messages that were
//! refused in the meantime are not sent by this.

use super::{format_time, open_gateway, print_line};
use crate::cli::{Cli, RecipientArgs as Arguments};
use postrider_core::address::mask_address;
use postrider_core::error::{Error, Result};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_engine::gateway::Gateway;
use postrider_engine::recipient::{self, RecipientAddress, RecipientError, RecipientStatusChange};

/// Changes the standing if the options say so, and shows it.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let address = parse_recipient(&gateway, arguments)?;
    if let Some(standing) = arguments.set {
        let word = RecipientStatusChange {
            status: standing,
            reason: arguments.reason.clone().unwrap_or_default(),
            changed_by: arguments.by.clone().unwrap_or_default(),
        };
        recipient::set_status(&gateway, &address, word).await?;
    }
    let known = recipient::find_recipient(&gateway, &address).await?;
    let shown = if gateway.config.mask_numbers {
        mask_address(&address.address)
    } else {
        address.address
    };
    print_line(format_recipient_status(&shown, known.as_ref()))
}

fn parse_recipient(gateway: &Gateway, arguments: &Arguments) -> Result<RecipientAddress> {
    let channel = &arguments.channel;
    recipient::parse_recipient(gateway, channel.as_str(), &arguments.address).map_err(|nobody| match nobody {
        RecipientError::UnknownChannel => Error::usage(format!(
            "there is no channel {channel} in the configuration; name one with --channel"
        )),
        RecipientError::InvalidAddress(why) => Error::usage(why.to_string()),
    })
}

fn format_recipient_status(address: &str, known: Option<&Recipient>) -> String {
    match known {
        None => format!(
            "{address} is {}: nothing was ever said of it",
            RecipientStatus::Active.as_str()
        ),
        Some(known) => format!(
            "{address} is {} since {}, says {}: {}",
            known.status.as_str(),
            format_time(known.changed_at),
            known.changed_by,
            known.reason
        ),
    }
}
