//! `console recipient`: whether an address may be written to, who said so, and an operator's own word on it.
//!
//! A provider's word makes an address inactive for good; only here it becomes active again. Messages that were
//! refused in the meantime are not sent by this.

use super::{gateway, moment, say};
use crate::cli::{Cli, Recipient as Arguments};
use crate::domain::recipient::{Recipient, Standing, mask};
use crate::error::{Error, Result};
use crate::flow::recipient::{self, Address, Nobody, Word};
use crate::gateway::Gateway;

/// Changes the standing if the options say so, and shows it.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let gateway = gateway(cli).await?;
    let address = read(&gateway, arguments)?;
    if let Some(standing) = arguments.set {
        let word = Word {
            standing,
            reason: arguments.reason.clone().unwrap_or_default(),
            by: arguments.by.clone().unwrap_or_default(),
        };
        recipient::change(&gateway, &address, word).await?;
    }
    let known = recipient::look(&gateway, &address).await?;
    let shown = if gateway.config.mask_numbers {
        mask(&address.normalised)
    } else {
        address.normalised
    };
    say(sentence(&shown, known.as_ref()))
}

fn read(gateway: &Gateway, arguments: &Arguments) -> Result<Address> {
    let channel = &arguments.channel;
    recipient::address(gateway, channel.as_str(), &arguments.address).map_err(|nobody| match nobody {
        Nobody::NoChannel => Error::usage(format!(
            "there is no channel {channel} in the configuration; name one with --channel"
        )),
        Nobody::BadAddress(why) => Error::usage(why.to_string()),
    })
}

fn sentence(address: &str, known: Option<&Recipient>) -> String {
    match known {
        None => format!(
            "{address} is {}: nothing was ever said of it",
            Standing::Active.word()
        ),
        Some(known) => format!(
            "{address} is {} since {}, says {}: {}",
            known.standing.word(),
            moment(known.changed_at),
            known.changed_by,
            known.reason
        ),
    }
}
