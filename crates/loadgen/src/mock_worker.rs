//! `work --mean-time`: one mock sender in place of every provider.
//!
//! Rejects a configuration with a real provider: its messages would be marked as sent without being sent.

use std::time::Duration;

use crate::mock_sender::{
    FailurePolicy, MockSender, MockSenderOptions, has_only_mock_providers, with_mock_sender,
};
use crate::options::{failure_rate_from_environment, mean_time_from_environment};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::{duration::format_duration, name::ConfigName};
use postrider_engine::config::{Config, Environment};

/// Returns the mock sender of the options; without options, that of the environment; none if neither sets one.
pub fn mock_sender(
    mean_time: Option<Duration>,
    failure_rate: Option<f64>,
    environment: &Environment,
) -> Result<Option<MockSender>> {
    let mean_time = mean_time.or(mean_time_from_environment(environment)?);
    let failure_rate = failure_rate.or(failure_rate_from_environment(environment)?);
    if mean_time.is_none() && failure_rate.is_none() {
        return Ok(None);
    }
    Ok(Some(MockSender {
        mean_time: mean_time.unwrap_or_default(),
        failure_rate: failure_rate.unwrap_or_default(),
    }))
}

/// Returns the configuration with `sender` as its only provider. A message whose call fails is failed, as in system D.
///
/// # Errors
///
/// Returns a usage error if the configuration has a real provider.
pub fn with_mock_sender_only(config: Config, sender: MockSender, concurrency: u32) -> Result<Config> {
    if !has_only_mock_providers(&config) {
        return Err(Error::usage(
            "a mock sender would mark messages as sent without sending them, and this configuration has real providers: \
             remove --mean-time, --failure-rate, SENDER_MEAN_TIME and SENDER_FAILURE_RATE, or name a configuration \
             without real providers",
        ));
    }
    let sender_name = "sender".parse::<ConfigName>();
    let sender_name =
        sender_name.map_err(|_| Error::new(ErrorKind::Internal, "invalid name of the mock sender"))?;
    let options = MockSenderOptions {
        failure_policy: FailurePolicy::Final,
        concurrency,
        seed: None,
        receipt_ratios: None,
    };
    log::info!(
        "mock sender mean_time={} failure_rate={} concurrency={concurrency}",
        format_duration(sender.mean_time),
        sender.failure_rate
    );
    Ok(with_mock_sender(config, &sender_name, sender, options))
}

#[cfg(test)]
mod tests;
