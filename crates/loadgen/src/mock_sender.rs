//! Mock senders: providers of kind `mock` with an exponentially distributed call time and a failure rate.
//!
//! [`with_mock_sender`] replaces every provider of a configuration by one mock sender. Callers that must not replace real
//! providers check [`has_only_mock_providers`] first.

use std::time::Duration;

use toml::Value;

use postrider_core::{
    channel::Channel, duration::format_duration, name::ConfigName, routing::RoutingStrategy,
};
use postrider_engine::config::{Config, LEASE_MARGIN, ProviderConfig};

/// Timeout of a call, as a multiple of the mean call time. Only one call in e^40 would take longer.
const CALL_TIMEOUT_FACTOR: u32 = 40;

/// Minimum timeout of a call.
const CALL_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Speed and reliability of a mock sender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MockSender {
    /// Mean time of a call, exponentially distributed.
    pub mean_time: Duration,
    /// Share of calls that fail.
    pub failure_rate: f64,
}

/// State of a message after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Failed, as if the provider had rejected the message.
    Final,
    /// Waiting for a retry, as if the provider were unavailable.
    Retried,
}

/// Options that all mock senders of a run share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MockSenderOptions {
    /// State of a message after a failed call.
    pub failure_policy: FailurePolicy,
    /// Number of calls that each sender has in flight.
    pub concurrency: u32,
    /// Random seed: a message gets the same result on every run.
    pub seed: Option<u32>,
    /// Receipts that follow accepted messages; none without it.
    pub receipt_ratios: Option<ReceiptRatios>,
}

/// Receipts that follow accepted messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceiptRatios {
    /// Share of sent messages that are not delivered.
    pub loss_ratio: f64,
    /// Share of delivered messages that are opened.
    pub open_ratio: f64,
}

/// Returns whether every provider of the configuration is a mock.
pub fn has_only_mock_providers(config: &Config) -> bool {
    config.providers.iter().all(|provider| provider.kind == "mock")
}

/// Returns the configuration with one mock sender instead of its providers.
#[must_use]
pub fn with_mock_sender(
    mut config: Config,
    name: &ConfigName,
    sender: MockSender,
    mock_options: MockSenderOptions,
) -> Config {
    let concurrency = usize::try_from(mock_options.concurrency).unwrap_or(usize::MAX);
    let provider = mock_provider(name.clone(), sender, mock_options, concurrency);
    let slowest_call = provider.connect_timeout + provider.timeout + LEASE_MARGIN;
    config.work.lease = config.work.lease.max(slowest_call);
    config.work.concurrency = concurrency;
    for channel in &mut config.channels {
        *channel =
            Channel { providers: vec![name.clone()], strategy: RoutingStrategy::Failover, ..channel.clone() };
    }
    config.providers = vec![provider];
    config
}

fn mock_provider(
    name: ConfigName,
    sender: MockSender,
    options: MockSenderOptions,
    concurrency: usize,
) -> ProviderConfig {
    let mut provider = ProviderConfig::new(name, "mock", mock_settings(sender, options));
    provider.concurrency = concurrency;
    provider.timeout = (sender.mean_time * CALL_TIMEOUT_FACTOR).max(CALL_TIMEOUT_MIN);
    provider.connect_timeout = CALL_TIMEOUT_MIN;
    // Failures are intended in a simulation, so they must not open the circuit breaker.
    provider.breaker_failure_threshold = u32::MAX;
    provider
}

fn mock_settings(sender: MockSender, mock_options: MockSenderOptions) -> toml::Table {
    let failure_key = match mock_options.failure_policy {
        FailurePolicy::Final => "rejected",
        FailurePolicy::Retried => "failure_rate",
    };
    let mut provider_settings = toml::Table::from_iter([
        ("mean_time".to_owned(), Value::from(format_duration(sender.mean_time))),
        (failure_key.to_owned(), Value::from(sender.failure_rate)),
    ]);
    if let Some(seed) = mock_options.seed {
        provider_settings.insert("seed".to_owned(), Value::from(i64::from(seed)));
        provider_settings.insert("seed_by".to_owned(), Value::from("message"));
    }
    if let Some(ratios) = mock_options.receipt_ratios {
        let receipt_shares = toml::Table::from_iter([
            ("delivered".to_owned(), Value::from(1.0 - ratios.loss_ratio)),
            ("bounced".to_owned(), Value::from(ratios.loss_ratio)),
            ("opened".to_owned(), Value::from(ratios.open_ratio)),
        ]);
        provider_settings.insert("receipts".to_owned(), receipt_shares.into());
    }
    provider_settings
}

#[cfg(test)]
mod tests;
