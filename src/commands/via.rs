//! `console send --via`: tries one provider out and prints the whole conversation with it.
//!
//! The message goes straight to the provider: no store, no queue, no retry, no look at who wants no messages. Secrets of
//! the configuration are masked wherever they turn up; receipts that come later find no message and change nothing.

use tokio::time::timeout;

use super::{configuration, say};
use crate::cli::{Cli, Send};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, ProviderConfig};
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Name;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::recipient::{self, AddressKind};
use crate::domain::retry::later;
use crate::domain::text;
use crate::error::{Error, Kind, Result};
use crate::gateway;
use crate::provider::{Outbound, Parcel, Provider, Tape};

/// Stands in the callback URLs of trials. No gateway accepts it, and none knows the message.
const TRIAL_TOKEN: &str = "trial";

/// The kinds that an address is read as, where the provider takes any.
const ANY: [AddressKind; 4] = [
    AddressKind::Phone,
    AddressKind::Email,
    AddressKind::Url,
    AddressKind::Any,
];

/// Sends the message through one provider; fails when the provider did not take it.
pub async fn run(cli: &Cli, arguments: &Send, via: &Name) -> Result<()> {
    let config = configuration(cli, &[])?;
    let account = account(&config, via)?;
    let tape = Tape::new(&account.secrets());
    let outbound = Outbound::new()?.taped(tape.clone());
    let provider = gateway::build(account, &config.public_url, TRIAL_TOKEN, &outbound)?;
    let parcel = parcel(&config, arguments, provider.as_ref(), Clock::System.now())?;
    let answer = timeout(account.connect_timeout + account.timeout, provider.send(&parcel)).await;
    for line in tape.lines() {
        say(line)?;
    }
    match answer {
        Ok(answer) => tell(&answer),
        Err(_) => Err(Error::new(
            Kind::Unavailable,
            format!("{via} was silent for too long: unknown whether it was sent"),
        )),
    }
}

fn account<'c>(config: &'c Config, via: &Name) -> Result<&'c ProviderConfig> {
    let known = || config.providers.iter();
    known().find(|provider| provider.name == *via).ok_or_else(|| {
        let names = known().map(|provider| provider.name.as_str()).collect::<Vec<_>>();
        Error::usage(format!(
            "there is no provider {via}; there are: {}",
            names.join(", ")
        ))
    })
}

fn parcel(config: &Config, arguments: &Send, provider: &dyn Provider, now: Timestamp) -> Result<Parcel> {
    let wanted = provider.address();
    let kinds = if wanted == AddressKind::Any {
        &ANY[..]
    } else {
        &[wanted]
    };
    let (_, to) = recipient::read_as_one_of(kinds, &arguments.to, &config.phone)
        .map_err(|why| Error::usage(format!("not a {}: {why}", wanted.noun())))?;
    if arguments
        .subject
        .as_ref()
        .is_some_and(|subject| subject.contains(char::is_control))
    {
        return Err(Error::usage("the subject must be one line"));
    }
    let luck = Dice::default().bytes();
    Ok(Parcel {
        // Providers that know repetitions by it must not take two trials for one: no real message has such a number.
        delivery: DeliveryId::of(now.timestamp_millis(), 0),
        message: MessageId::new(now, luck),
        round: 1,
        to,
        spelling: arguments.to.clone(),
        subject: arguments.subject.clone().filter(|subject| !subject.is_empty()),
        body: arguments.body.clone(),
        parts: text::parts(&arguments.body).count,
        expires_at: later(now, std::time::Duration::from_secs(60 * 60)),
    })
}

fn tell(answer: &Answer) -> Result<()> {
    let code = answer
        .code
        .as_deref()
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    let word = answer.outcome.word();
    match &answer.outcome {
        Outcome::Accepted { reference } => {
            let reference = reference
                .as_deref()
                .map(|id| format!(", its id is {id}"))
                .unwrap_or_default();
            say(format_args!("{word}{code}{reference}"))
        }
        outcome => {
            let reason = outcome.reason().unwrap_or_default();
            Err(Error::new(Kind::Conflict, format!("{word}{code}: {reason}")))
        }
    }
}
