//! `console send --via`: tries one provider out and prints the whole conversation with it.
//!
//! The message goes straight to the provider: no store, no queue, no retry, no look at who wants no messages. Secrets of
//! the configuration are masked wherever they turn up; receipts that come later find no message and change nothing.

use tokio::time::timeout;

use super::{load_config, print_line};
use crate::cli::{Cli, SendArgs};
use postrider_core::address::{AddressKind, parse_address_of_kinds};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::name::ConfigName;
use postrider_core::random::Random;
use postrider_core::text_parts;
use postrider_engine::config::{Config, ProviderConfig};
use postrider_engine::gateway;
use postrider_providers::{HttpClientPool, OutboundMessage, Provider, Transcript};

/// Stands in the callback URLs of trials. No gateway accepts it, and none knows the message.
const TEST_CALLBACK_TOKEN: &str = "trial";

/// The kinds that an address is read as, where the provider takes any.
const ADDRESS_KINDS: [AddressKind; 4] = [
    AddressKind::Phone,
    AddressKind::Email,
    AddressKind::Url,
    AddressKind::Any,
];

/// Sends the message through one provider; fails when the provider did not take it.
pub async fn run(cli: &Cli, arguments: &SendArgs, via: &ConfigName) -> Result<()> {
    let config = load_config(cli, &[])?;
    let account = find_provider(&config, via)?;
    let tape = Transcript::new(&account.secret_values());
    let outbound = HttpClientPool::new()?.with_transcript(tape.clone());
    let provider = gateway::build_provider(account, &config.public_url, TEST_CALLBACK_TOKEN, &outbound)?;
    let parcel = outbound_message(&config, arguments, provider.as_ref(), Clock::System.now())?;
    let answer = timeout(account.connect_timeout + account.timeout, provider.send(&parcel)).await;
    for line in tape.lines() {
        print_line(line)?;
    }
    match answer {
        Ok(answer) => print_send_result(&answer),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("{via} was silent for too long: unknown whether it was sent"),
        )),
    }
}

fn find_provider<'c>(config: &'c Config, via: &ConfigName) -> Result<&'c ProviderConfig> {
    let known = || config.providers.iter();
    known().find(|provider| provider.name == *via).ok_or_else(|| {
        let names = known().map(|provider| provider.name.as_str()).collect::<Vec<_>>();
        Error::usage(format!(
            "there is no provider {via}; there are: {}",
            names.join(", ")
        ))
    })
}

fn outbound_message(
    config: &Config,
    arguments: &SendArgs,
    provider: &dyn Provider,
    now: Timestamp,
) -> Result<OutboundMessage> {
    let wanted = provider.address_kind();
    let kinds = if wanted == AddressKind::Any {
        &ADDRESS_KINDS[..]
    } else {
        &[wanted]
    };
    let (_, to) = parse_address_of_kinds(kinds, &arguments.to, &config.phone)
        .map_err(|why| Error::usage(format!("not a {}: {why}", wanted.description())))?;
    if arguments
        .subject
        .as_ref()
        .is_some_and(|subject| subject.contains(char::is_control))
    {
        return Err(Error::usage("the subject must be one line"));
    }
    let luck = Random::default().bytes();
    Ok(OutboundMessage {
        // Providers that know repetitions by it must not take two trials for one: no real message has such a number.
        delivery_id: DeliveryId::from_position(now.timestamp_millis(), 0),
        message_id: MessageId::new(now, luck),
        round: 1,
        to,
        spelling: arguments.to.clone(),
        subject: arguments.subject.clone().filter(|subject| !subject.is_empty()),
        body: arguments.body.clone(),
        parts: text_parts::count_parts(&arguments.body).count,
        expires_at: saturating_add(now, std::time::Duration::from_secs(60 * 60)),
    })
}

fn print_send_result(answer: &SendResult) -> Result<()> {
    let code = answer
        .code
        .as_deref()
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    let word = answer.outcome.as_str();
    match &answer.outcome {
        Outcome::Accepted { reference } => {
            let reference = reference
                .as_deref()
                .map(|id| format!(", its id is {id}"))
                .unwrap_or_default();
            print_line(format_args!("{word}{code}{reference}"))
        }
        outcome => {
            let reason = outcome.reason().unwrap_or_default();
            Err(Error::new(ErrorKind::Conflict, format!("{word}{code}: {reason}")))
        }
    }
}
