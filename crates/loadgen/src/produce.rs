//! `produce`: generates messages into the store and the queue of a configured gateway.
//!
//! The messages wait there until a worker on the same store delivers them. Refuses a channel with a provider that is
//! neither a mock nor on this host.

use std::{sync::Arc, time::Duration};

use crate::{interrupts::Interrupts, messages};
use postrider_core::error::{Error, Result};
use postrider_core::random::Random;
use postrider_engine::gateway::Gateway;
use postrider_providers::Provider;

/// Result of [`produce`].
#[derive(Clone, Copy, Debug)]
pub struct ProduceResult {
    /// Number of messages stored.
    pub stored: u64,
    /// Duration of the run.
    pub elapsed: Duration,
    /// True if an interrupt ended the run early.
    pub is_interrupted: bool,
}

/// Generates `count` messages over `channel`; calls `on_stored` with the size of each stored batch.
///
/// The first interrupt ends the run after the batch that is being written, the second one aborts it.
///
/// # Errors
///
/// Returns a usage error if the channel has a provider that is neither a mock nor on this host.
pub async fn produce(
    gateway: &Arc<Gateway>,
    channel: &str,
    count: u32,
    seed: Option<u32>,
    interrupts: &Interrupts,
    on_stored: impl Fn(u64),
) -> Result<ProduceResult> {
    reject_real_providers(gateway, channel)?;
    let random = Random::from_optional_seed(seed);
    let is_running = || !interrupts.is_requested();
    let stopwatch = gateway.clock.stopwatch();
    let generating = messages::generate_messages(gateway, channel, count, &random, is_running, on_stored);
    let advice = "the last batch is stored as a whole or not at all";
    let stored_messages = interrupts.abort_at_second(generating, advice).await?;
    Ok(ProduceResult {
        stored: stored_messages,
        elapsed: stopwatch.elapsed(),
        is_interrupted: interrupts.is_requested() && stored_messages < u64::from(count),
    })
}

/// Returns an error if the channel has a real provider: generated numbers may belong to people, and any worker on the
/// store would send to them.
fn reject_real_providers(gateway: &Gateway, channel: &str) -> Result<()> {
    let Some(route) = gateway.route(channel) else {
        return Ok(());
    };
    let real_provider = gateway.providers().iter().find(|provider| {
        route.channel.providers.contains(&provider.name) && !is_mock_or_loopback(provider.adapter().as_ref())
    });
    match real_provider {
        None => Ok(()),
        Some(real_provider) => Err(Error::usage(format!(
            "generated messages would be sent by real provider {} of channel {channel}: name a configuration with mock \
             providers only, or another channel with --channel",
            real_provider.name
        ))),
    }
}

/// Returns whether the provider is a mock or listens on this host, as the sandbox server does.
fn is_mock_or_loopback(provider: &dyn Provider) -> bool {
    let (host, _) = provider.endpoint();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    provider.is_mock() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
