//! Reads `[channels.NAME]` and `used_channels`, and checks the names of channels and providers against each other.

use super::legacy_environment::channel_name;
use super::providers::ConfiguredProviders;
use super::retry::read_retry;
use super::table_reader::TableReader;
use super::test_mode::default_channel;
use super::text::did_you_mean;
use postrider_core::address::AddressKind;
use postrider_core::channel::{Addressing, Channel};
use postrider_core::error::Result;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::retry::{RetryPolicy, UnknownPolicy};
use postrider_core::routing::RoutingStrategy;

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
    let mut channels = Vec::with_capacity(tables.len());
    for (name, values) in &tables {
        let channel = read_channel(values.parse_name(name)?, values, providers, retry)?;
        if values.flag("enabled")?.unwrap_or(true) {
            channels.push(channel);
        }
    }
    match tables.first() {
        Some((_, values)) if channels.is_empty() => {
            Err(values
                .error_at("enabled", "is false for every channel; enable at least one, or remove them all"))
        }
        _ => Ok(channels),
    }
}

/// Reads `used_channels` without disabled channels; returns all channels if it is not set.
pub(super) fn read_used_channels(top: &TableReader<'_>, channels: &[Channel]) -> Result<Vec<ConfigName>> {
    let names = || channels.iter().map(|channel| &channel.name);
    let tables = top.section("channels")?.named_tables()?;
    let is_disabled = |wanted: &str| tables.iter().any(|(name, _)| *name == wanted);
    let mut used = Vec::new();
    for text in top.list("used_channels")? {
        let wanted = channel_name(text);
        let Some(name) = names().find(|name| name.as_str() == wanted) else {
            if is_disabled(&wanted) {
                continue;
            }
            let suggestion = did_you_mean(&wanted, names().map(ConfigName::as_str));
            let remedy = format!(
                "lists unknown channel {text}: add [channels.{wanted}] or correct the name{suggestion}"
            );
            return Err(top.error_at("used_channels", &remedy));
        };
        if !used.contains(name) {
            used.push(name.clone());
        }
    }
    if !used.is_empty() {
        return Ok(used);
    }
    match top.list("used_channels")?.as_slice() {
        [] => Ok(names().cloned().collect()),
        _ => Err(top.error_at("used_channels", "lists only disabled channels; enable one, or list others")),
    }
}

fn read_channel(
    name: ConfigName,
    values: &TableReader<'_>,
    providers: &ConfiguredProviders,
    retry: &RetryPolicy,
) -> Result<Channel> {
    values.reject_unknown_keys()?;
    let listed = read_channel_providers(values, providers)?;
    let strategy = read_strategy(values, &listed, providers)?;
    let address = match values.choice("address")? {
        Some("mixed") => Addressing::Mixed,
        Some(text) => Addressing::Only(AddressKind::parse(text).unwrap_or(AddressKind::Any)),
        None => Addressing::ByProviders(default_address_kind(&name)),
    };
    let subject = values.text("subject")?.filter(|subject| !subject.is_empty());
    if subject.is_some_and(|subject| subject.contains(char::is_control)) {
        return Err(values.error_at("subject", "must be one line without control characters"));
    }
    Ok(Channel {
        name,
        providers: listed,
        strategy,
        retry: read_retry(&values.section("retry")?, retry)?,
        unknown_policy: match values.choice("unknown")? {
            Some("hold") => UnknownPolicy::Hold,
            _ => UnknownPolicy::Resend,
        },
        bounce_resends: u32::from(values.choice("bounce")? == Some("resend")),
        priority: match values.choice("priority")? {
            Some("high") => Priority::High,
            _ => Priority::Normal,
        },
        addressing: address,
        subject: subject.map(str::to_owned),
        expects_reply: values.flag("expects_reply")?.unwrap_or(false),
        user_per_hour: values.count("user_per_hour")?,
    })
}

/// Reads the enabled providers of a channel, in order.
fn read_channel_providers(
    values: &TableReader<'_>,
    providers: &ConfiguredProviders,
) -> Result<Vec<ConfigName>> {
    let mut listed: Vec<ConfigName> = Vec::new();
    let enabled_names = || providers.enabled.iter().map(|provider| &provider.name);
    for text in values.list("providers")? {
        let disabled = providers.disabled.iter().any(|name| name.as_str() == text);
        match enabled_names().find(|name| name.as_str() == text) {
            Some(name) if listed.contains(name) => {
                return Err(values.error_at("providers", &format!("lists provider {text} twice")));
            }
            Some(name) => listed.push(name.clone()),
            None if disabled => {}
            None => {
                let suggestion = did_you_mean(text, enabled_names().map(ConfigName::as_str));
                let remedy = format!(
                    "lists unknown provider {text}: add [providers.{text}] or correct the name{suggestion}"
                );
                return Err(values.error_at("providers", &remedy));
            }
        }
    }
    if listed.is_empty() {
        let remedy = "has no enabled provider; list at least one, such as providers = [\"red\"]";
        return Err(values.error_at("providers", remedy));
    }
    Ok(listed)
}

fn read_strategy(
    values: &TableReader<'_>,
    listed: &[ConfigName],
    providers: &ConfiguredProviders,
) -> Result<RoutingStrategy> {
    let weights = values.weights("weights")?;
    let text = values.choice("strategy")?;
    if text != Some("weighted") && weights.is_some() {
        return Err(
            values.error_at("weights", "is only for strategy = \"weighted\"; set that or remove the weights")
        );
    }
    match text {
        Some("failover") => Ok(RoutingStrategy::Failover),
        Some("least_busy") => Ok(RoutingStrategy::LeastBusy),
        Some("weighted") => {
            let weights = weights_in_order(values, &weights.unwrap_or_default(), listed, providers)?;
            Ok(RoutingStrategy::Weighted(weights))
        }
        _ => Ok(RoutingStrategy::RoundRobin),
    }
}

/// Returns one weight for each listed provider, in their order.
fn weights_in_order(
    values: &TableReader<'_>,
    weights: &[(&str, u32)],
    listed: &[ConfigName],
    providers: &ConfiguredProviders,
) -> Result<Vec<u32>> {
    let is_listed = |text: &str| listed.iter().chain(&providers.disabled).any(|name| name.as_str() == text);
    if let Some((unknown, _)) = weights.iter().find(|(text, _)| !is_listed(text)) {
        let suggestion = did_you_mean(unknown, listed.iter().map(ConfigName::as_str));
        let remedy =
            format!("has a weight for {unknown}, which is not a provider of this channel{suggestion}");
        return Err(values.error_at("weights", &remedy));
    }
    let weight_of = |name: &ConfigName| {
        let name_and_weight = weights.iter().find(|(text, _)| *text == name.as_str());
        name_and_weight.map(|(_, weight)| *weight).ok_or_else(|| {
            let remedy = format!("has no weight for {name}; 0 makes it a last resort");
            values.error_at("weights", &remedy)
        })
    };
    let ordered = listed.iter().map(weight_of).collect::<Result<Vec<_>>>()?;
    if ordered.iter().all(|weight| *weight == 0) {
        return Err(values.error_at("weights", "are all 0; at least one must be greater"));
    }
    Ok(ordered)
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
