//! Checks relations between keys that are valid one by one.
//!
//! Works on values that were read already; does not access the file or the environment.

use postrider_core::error::{Error, Result};
use postrider_core::{channel::Channel, duration::format_duration, name::ConfigName};
use std::{net::SocketAddr, time::Duration};

use super::source::ConfigSource;
use super::types::{Config, ProviderConfig};

/// Minimum difference between the lease and the slowest round: time for the claim, the record, and a slow
/// disk.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Maximum number of bytes that one character of a message takes in a request body: percent-encoded UTF-8.
const BYTES_PER_CHAR_MAX: usize = 12;

/// Returns an error for values that cannot work together.
pub(super) fn check_relations(config: &Config, config_source: &ConfigSource) -> Result<()> {
    for channel in &config.channels {
        let round_duration = slowest_round(channel, &config.providers);
        let lease_min = round_duration + LEASE_MARGIN;
        if config.work.lease < lease_min {
            let relation_problem = format!(
                "is {}, but a round over all providers of [channels.{}] can take {}: raise it to at least {}, \
                 or lower timeout and connect_timeout of its providers",
                format_duration(config.work.lease),
                channel.name,
                format_duration(round_duration),
                format_duration(lease_min),
            );
            return Err(config_source.error_at("work.lease", &relation_problem));
        }
    }
    check_account_channels(config, config_source)?;
    let body_bytes_min = config.limits.message_chars_max.saturating_mul(BYTES_PER_CHAR_MAX);
    if config.limits.body_bytes_max < body_bytes_min {
        let relation_problem = format!(
            "is too small for a message of limits.message_chars_max characters: raise it to at least {body_bytes_min}, \
             or lower limits.message_chars_max"
        );
        return Err(config_source.error_at("limits.body_bytes_max", &relation_problem));
    }
    let in_flight_min = config.limits.body_bytes_max.saturating_mul(2);
    if config.limits.body_bytes_in_flight_max < in_flight_min {
        let relation_problem = format!(
            "is less than twice limits.body_bytes_max: raise it to at least {in_flight_min}, or lower limits.body_bytes_max"
        );
        return Err(config_source.error_at("limits.body_bytes_in_flight_max", &relation_problem));
    }
    Ok(())
}

/// Returns an error for an account whose `channel` is not configured: each of its messages would be refused.
fn check_account_channels(config: &Config, config_source: &ConfigSource) -> Result<()> {
    let is_configured = |name: &str| config.channels.iter().any(|channel| channel.name.as_str() == name);
    for (index, key) in config.keys.iter().enumerate() {
        if let Some(channel) = key.account.channel.as_deref().filter(|channel| !is_configured(channel)) {
            let problem =
                format!("is \"{channel}\", which is not configured; add [channels.{channel}] or correct it");
            return Err(config_source.error_at(&format!("keys[{index}].channel"), &problem));
        }
    }
    Ok(())
}

/// Returns the duration of a round in which every provider of the channel uses its whole timeout.
fn slowest_round(channel: &Channel, providers: &[ProviderConfig]) -> Duration {
    providers
        .iter()
        .filter(|provider| channel.providers.contains(&provider.name))
        .map(ProviderConfig::call_duration_max)
        .sum()
}

/// Returns warnings for settings that are unusual but do not prevent the start.
pub(super) fn collect_warnings(config: &Config) -> Vec<String> {
    let is_used = |name: &ConfigName| config.channels.iter().any(|channel| channel.providers.contains(name));
    let unused = config.providers.iter().filter(|provider| !is_used(&provider.name));
    let mut warnings = unused
        .map(|provider| format!("no channel uses [providers.{}]; add it to one", provider.name))
        .collect::<Vec<_>>();
    let slowest_call = config.providers.iter().map(ProviderConfig::call_duration_max).max();
    if slowest_call.is_some_and(|duration| duration > config.work.grace) {
        warnings.push(
            "work.grace is shorter than a provider timeout: calls cut off at shutdown count as unknown"
                .to_owned(),
        );
    }
    warnings.extend(plain_http_warning(config));
    warnings
}

/// Returns the warning for API keys that leave this machine unencrypted.
fn plain_http_warning(config: &Config) -> Option<String> {
    let is_plain = !config.listen.ip().is_loopback()
        && !config.keys.is_empty()
        && config.public_url.starts_with("http:");
    is_plain.then(|| {
        format!(
            "listen is {}, which is not loopback, and public_url is http: API keys and session cookies cross the network \
             unencrypted; put a proxy with TLS in front and set public_url to its https:// address",
            config.listen
        )
    })
}

/// Requires API keys or `insecure = true` for a listen address other than loopback. Only `serve` needs this
/// check.
pub fn check_listen_address(config: &Config, listen: SocketAddr) -> Result<()> {
    if listen.ip().is_loopback() || !config.keys.is_empty() || config.insecure {
        return Ok(());
    }
    Err(Error::usage(format!(
        "listen is {listen}, which is not loopback, and no API keys are configured: add [[keys]] to the configuration \
         file, listen on 127.0.0.1, or set insecure = true"
    )))
}
