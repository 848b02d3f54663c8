//! `console recipient`: whether an address may be written to, who said so, and an operator's own word on it.
//!
//! A provider's word makes an address inactive for good; only here it becomes active again. Messages that were
//! refused in the meantime are not sent by this.

use super::{gateway, moment, say};
use crate::cli::{Cli, Recipient as Arguments};
use crate::domain::recipient::{self, Recipient, Standing, mask};
use crate::error::{Error, Result};
use crate::gateway::Gateway;

/// Who is said to have changed it.
const OPERATOR: &str = "operator";

/// Changes the standing if the options say so, and shows it.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let gateway = gateway(cli).await?;
    let address = read(&gateway, arguments)?;
    if let Some(standing) = arguments.set {
        let changed = Recipient {
            channel: arguments.channel.clone(),
            address: address.clone(),
            standing,
            reason: "changed by hand".to_owned(),
            changed_by: OPERATOR.to_owned(),
            changed_at: gateway.clock.now(),
        };
        gateway.store.set_recipient(changed).await?;
    }
    let known = gateway.store.recipient(&arguments.channel, &address).await?;
    let shown = if gateway.config.mask_numbers {
        mask(&address)
    } else {
        address
    };
    say(sentence(&shown, known.as_ref()))
}

fn read(gateway: &Gateway, arguments: &Arguments) -> Result<String> {
    let Some(route) = gateway.route(arguments.channel.as_str()) else {
        let channel = &arguments.channel;
        return Err(Error::usage(format!(
            "there is no channel {channel} in the configuration; name one with --channel"
        )));
    };
    recipient::read_as_one_of(route.kinds(), &arguments.address, &gateway.config.phone)
        .map(|(_, address)| address)
        .map_err(|why| Error::usage(why.to_string()))
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
