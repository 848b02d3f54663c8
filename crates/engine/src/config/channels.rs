//! Reads `[channels.NAME]` and `used_channels`, and checks the names of channels and providers against each other.

use super::{
    legacy_environment::channel_name, providers::ConfiguredProviders, retry::read_retry,
    table_reader::TableReader, test_mode::default_channel, text::did_you_mean,
};
use postrider_core::channel::{Addressing, Channel};
use postrider_core::error::{Error, Result};
use postrider_core::retry::{RetryPolicy, UNKNOWN_RETRIES_DEFAULT};
use postrider_core::{address::AddressKind, name::ConfigName, priority::Priority, routing::RoutingStrategy};
use std::collections::BTreeMap;

/// Reads `[channels.NAME]`; without any, returns the default channel.
pub(super) fn read_channels(
    top: &TableReader<'_>,
    providers: &ConfiguredProviders,
    retry: &RetryPolicy,
) -> Result<Vec<Channel>> {
    let tables = top.section("channels")?.named_tables()?;
    if tables.is_empty() {
        return Ok(default_channel(&providers.enabled, retry).into_iter().collect());
    }
    let mut enabled_channels = Vec::with_capacity(tables.len());
    for (name, channel_table) in &tables {
        let channel = read_channel(channel_table.parse_name(name)?, channel_table, providers, retry)?;
        if channel_table.get("enabled")?.unwrap_or(true) {
            enabled_channels.push(channel);
        }
    }
    match tables.first() {
        Some((_, channel_table)) if enabled_channels.is_empty() => Err(channel_table
            .error_at("enabled", "is false for every channel; enable at least one, or remove them all")),
        _ => Ok(enabled_channels),
    }
}

/// Reads `used_channels`, without disabled channels. Returns all channels if the key is not set.
pub(super) fn read_used_channels(top: &TableReader<'_>, channels: &[Channel]) -> Result<Vec<ConfigName>> {
    let listed = top.list("used_channels")?;
    let tables = top.section("channels")?.named_tables()?;
    let mut used_channels = Vec::new();
    for listed_name in &listed {
        let used_channel = channel_name(listed_name);
        match channels.iter().find(|channel| channel.name.as_str() == used_channel) {
            Some(channel) if used_channels.contains(&channel.name) => {}
            Some(channel) => used_channels.push(channel.name.clone()),
            None if tables.iter().any(|(disabled_name, _)| *disabled_name == used_channel) => {}
            None => {
                let suggestion =
                    did_you_mean(&used_channel, channels.iter().map(|channel| channel.name.as_str()));
                let channel_problem = format!(
                    "lists unknown channel {listed_name}: add [channels.{used_channel}] or correct the name{suggestion}"
                );
                return Err(top.error_at("used_channels", &channel_problem));
            }
        }
    }
    if listed.is_empty() {
        return Ok(channels.iter().map(|channel| channel.name.clone()).collect());
    }
    if used_channels.is_empty() {
        return Err(top.error_at("used_channels", "lists only disabled channels; enable one, or list others"));
    }
    Ok(used_channels)
}

fn read_channel(
    channel_name: ConfigName,
    channel_table: &TableReader<'_>,
    providers: &ConfiguredProviders,
    default_retry: &RetryPolicy,
) -> Result<Channel> {
    channel_table.reject_unknown_keys()?;
    let channel_providers = read_channel_providers(channel_table, providers)?;
    let strategy = read_strategy(channel_table, &channel_providers, providers)?;
    let addressing = match channel_table.get::<String>("address")?.as_deref() {
        Some("mixed") => Addressing::Mixed,
        Some(kind) => Addressing::Only(AddressKind::parse(kind).unwrap_or(AddressKind::Any)),
        None => Addressing::ByProviders(default_address_kind(&channel_name)),
    };
    let subject = channel_table.get::<String>("subject")?.filter(|subject| !subject.is_empty());
    if subject.as_ref().is_some_and(|subject| subject.contains(char::is_control)) {
        return Err(channel_table.error_at("subject", "must be one line without control characters"));
    }
    let has_word = |key, word| Ok::<_, Error>(channel_table.get::<String>(key)?.as_deref() == Some(word));
    Ok(Channel {
        name: channel_name,
        providers: channel_providers,
        strategy,
        retry: read_retry(&channel_table.section("retry")?, default_retry)?,
        unknown_retries: read_unknown_retries(channel_table)?,
        bounce_resends: u32::from(has_word("bounce", "resend")?),
        priority: if has_word("priority", "high")? { Priority::High } else { Priority::Normal },
        addressing,
        subject,
        expects_reply: channel_table.get("expects_reply")?.unwrap_or(false),
        user_per_hour: channel_table.get("user_per_hour")?,
        countries: channel_table.countries("countries")?,
    })
}

/// Reads how often a message is sent again after an `unknown` outcome; `unknown = "hold"` means 0.
fn read_unknown_retries(channel_table: &TableReader<'_>) -> Result<u32> {
    let is_held = channel_table.get::<String>("unknown")?.as_deref() == Some("hold");
    match channel_table.get::<u32>("unknown_retries")? {
        Some(unknown_retries) if is_held && unknown_retries > 0 => {
            let problem = "must be 0 with unknown = \"hold\"; remove one of the two";
            Err(channel_table.error_at("unknown_retries", problem))
        }
        Some(unknown_retries) => Ok(unknown_retries),
        None => Ok(if is_held { 0 } else { UNKNOWN_RETRIES_DEFAULT }),
    }
}

/// Reads the enabled providers of a channel, in order.
fn read_channel_providers(
    channel_table: &TableReader<'_>,
    providers: &ConfiguredProviders,
) -> Result<Vec<ConfigName>> {
    let mut channel_providers: Vec<ConfigName> = Vec::new();
    let enabled_names = || providers.enabled.iter().map(|provider| &provider.name);
    for listed_provider in channel_table.list("providers")? {
        let is_disabled =
            providers.disabled.iter().any(|provider_name| provider_name.as_str() == listed_provider);
        match enabled_names().find(|provider_name| provider_name.as_str() == listed_provider) {
            Some(provider_name) if channel_providers.contains(provider_name) => {
                return Err(
                    channel_table.error_at("providers", &format!("lists provider {listed_provider} twice"))
                );
            }
            Some(provider_name) => channel_providers.push(provider_name.clone()),
            None if is_disabled => {}
            None => {
                let suggestion = did_you_mean(&listed_provider, enabled_names().map(ConfigName::as_str));
                let provider_problem = format!(
                    "lists unknown provider {listed_provider}: add [providers.{listed_provider}] or correct the name{suggestion}"
                );
                return Err(channel_table.error_at("providers", &provider_problem));
            }
        }
    }
    if channel_providers.is_empty() {
        let provider_problem = "has no enabled provider; list at least one, such as providers = [\"red\"]";
        return Err(channel_table.error_at("providers", provider_problem));
    }
    Ok(channel_providers)
}

fn read_strategy(
    channel_table: &TableReader<'_>,
    channel_providers: &[ConfigName],
    providers: &ConfiguredProviders,
) -> Result<RoutingStrategy> {
    let weights = channel_table.get::<BTreeMap<String, u32>>("weights")?;
    let strategy = channel_table.get::<String>("strategy")?;
    if strategy.as_deref() != Some("weighted") && weights.is_some() {
        let problem = "is only for strategy = \"weighted\"; set that or remove the weights";
        return Err(channel_table.error_at("weights", problem));
    }
    match strategy.as_deref() {
        Some("failover") => Ok(RoutingStrategy::Failover),
        Some("least_busy") => Ok(RoutingStrategy::LeastBusy),
        Some("weighted") => {
            let weights = weights.unwrap_or_default();
            weights_in_order(channel_table, &weights, channel_providers, providers)
                .map(RoutingStrategy::Weighted)
        }
        _ => Ok(RoutingStrategy::RoundRobin),
    }
}

/// Returns one weight for each provider of the channel, in their order.
fn weights_in_order(
    channel_table: &TableReader<'_>,
    weights: &BTreeMap<String, u32>,
    channel_providers: &[ConfigName],
    providers: &ConfiguredProviders,
) -> Result<Vec<u32>> {
    let error = |weights_problem: String| channel_table.error_at("weights", &weights_problem);
    let is_known =
        |text: &str| channel_providers.iter().chain(&providers.disabled).any(|name| name.as_str() == text);
    if let Some(unknown) = weights.keys().find(|text| !is_known(text)) {
        let suggestion = did_you_mean(unknown, channel_providers.iter().map(ConfigName::as_str));
        let weights_problem =
            format!("has a weight for {unknown}, which is not a provider of this channel{suggestion}");
        return Err(error(weights_problem));
    }
    let weight_of = |name: &ConfigName| {
        let missing = || error(format!("has no weight for {name}; 0 makes it a last resort"));
        weights.get(name.as_str()).copied().ok_or_else(missing)
    };
    let ordered_weights = channel_providers.iter().map(weight_of).collect::<Result<Vec<_>>>()?;
    if ordered_weights.iter().all(|weight| *weight == 0) {
        return Err(error("are all 0; at least one must be greater".to_owned()));
    }
    Ok(ordered_weights)
}

fn default_address_kind(name: &ConfigName) -> AddressKind {
    match name.as_str() {
        "email" => AddressKind::Email,
        "push" => AddressKind::Push,
        "messenger" => AddressKind::Messenger,
        "webhook" => AddressKind::Any,
        _ => AddressKind::Phone,
    }
}
