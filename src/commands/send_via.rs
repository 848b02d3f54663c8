//! `console send --via`: sends one message directly through a provider and prints the transcript.
//!
//! The command uses no store, queue or retry, and does not check opt-outs. Configured secrets are masked in the
//! transcript. Receipts that arrive later match no message and change nothing.

use tokio::time::timeout;

use super::{load_config, print_line};
use crate::cli::{Cli, SendArgs};
use postrider_core::address::{AddressKind, outgoing_address, parse_address_of_kinds};
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

/// Callback token of test messages. No gateway accepts it.
const TEST_CALLBACK_TOKEN: &str = "test";

/// Address kinds in the order in which they are tried for a provider that accepts any kind.
const ADDRESS_KINDS: [AddressKind; 4] =
    [AddressKind::Phone, AddressKind::Email, AddressKind::Url, AddressKind::Any];

/// Sends the message; fails when the provider does not accept it.
pub async fn run(cli: &Cli, arguments: &SendArgs, via: &ConfigName) -> Result<()> {
    let config = load_config(cli, &[])?;
    let account = find_provider(&config, via)?;
    let transcript = Transcript::new(&account.secret_values());
    let clients = HttpClientPool::new()?.with_transcript(transcript.clone());
    let provider = gateway::build_provider(account, &config.public_url, TEST_CALLBACK_TOKEN, &clients)?;
    let message = build_outbound_message(&config, arguments, provider.as_ref(), Clock::System.now())?;
    let sent = timeout(account.connect_timeout + account.timeout, provider.send(&message)).await;
    for line in transcript.lines() {
        print_line(line)?;
    }
    match sent {
        Ok(send_result) => print_send_result(&send_result),
        Err(_) => {
            Err(Error::new(ErrorKind::Unavailable, format!("{via} did not respond in time: outcome unknown")))
        }
    }
}

fn find_provider<'c>(config: &'c Config, via: &ConfigName) -> Result<&'c ProviderConfig> {
    let providers = || config.providers.iter();
    providers().find(|provider| provider.name == *via).ok_or_else(|| {
        let names = providers().map(|provider| provider.name.as_str()).collect::<Vec<_>>();
        Error::usage(format!("unknown provider {via}; configured: {}", names.join(", ")))
    })
}

fn build_outbound_message(
    config: &Config,
    arguments: &SendArgs,
    provider: &dyn Provider,
    now: Timestamp,
) -> Result<OutboundMessage> {
    let kind = provider.address_kind();
    let kinds = if kind == AddressKind::Any { &ADDRESS_KINDS[..] } else { &[kind] };
    let (kind, address) = parse_address_of_kinds(kinds, &arguments.to, &config.phone)
        .map_err(|cause| Error::usage(format!("not a {}: {cause}", kind.description())))?;
    let to = outgoing_address(kind, &address, &arguments.to, &config.phone).into_owned();
    if arguments.subject.as_ref().is_some_and(|subject| subject.contains(char::is_control)) {
        return Err(Error::usage("the subject must be one line"));
    }
    Ok(OutboundMessage {
        // The id belongs to no stored message. It is different for each test, because some providers reject repeated
        // ids.
        delivery_id: DeliveryId::from_position(now.timestamp_millis(), 0),
        message_id: MessageId::new(now, Random::default().bytes()),
        round: 1,
        to,
        spelling: arguments.to.clone(),
        registered_at: None,
        subject: arguments.subject.clone().filter(|subject| !subject.is_empty()),
        sender: None,
        body: arguments.body.clone(),
        parts: text_parts::count_parts(&arguments.body).count,
        expires_at: saturating_add(now, std::time::Duration::from_secs(60 * 60)),
    })
}

fn print_send_result(result: &SendResult) -> Result<()> {
    let code = result.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    let outcome = result.outcome.as_str();
    match &result.outcome {
        Outcome::Accepted { reference } => {
            let reference = reference.as_deref().map(|id| format!(", reference {id}")).unwrap_or_default();
            print_line(format_args!("{outcome}{code}{reference}"))
        }
        failed => {
            let reason = failed.reason().unwrap_or_default();
            Err(Error::new(ErrorKind::Conflict, format!("{outcome}{code}: {reason}")))
        }
    }
}
