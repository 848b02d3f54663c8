//! Reads the named tables: `[channels.NAME]`, `[providers.NAME]` and `[[keys]]`, and their defaults.
//!
//! Names are checked against each other here; the settings of an adapter are checked by the adapter.

use sha2::{Digest, Sha256};
use toml::Value;

use super::environment::Environment;
use super::legacy_environment::channel_name;
use super::secret::{mask_table, resolve_table, resolve_text};
use super::source::did_you_mean;
use super::table_reader::TableReader;
use super::{ApiKey, EventsConfig, ProviderConfig, Scope, events};
use postrider_core::channel::{Addressing, Channel, ConfigName, UnknownPolicy};
use postrider_core::error::Result;
use postrider_core::message::Priority;
use postrider_core::recipient::AddressKind;
use postrider_core::retry::RetryPolicy;
use postrider_core::routing::RoutingStrategy;

/// Returns two mock providers with a failure rate that makes failover visible.
pub(super) fn mock_providers() -> Vec<ProviderConfig> {
    let settings = |mean_time: &str| {
        toml::Table::from_iter([
            ("mean_time".to_owned(), Value::from(mean_time)),
            ("failure_rate".to_owned(), Value::from(0.1)),
            ("receipts".to_owned(), Value::from("delivered")),
            ("receipt_delay".to_owned(), Value::from("2s")),
        ])
    };
    [("mock-blue", "30ms"), ("mock-red", "50ms")]
        .into_iter()
        .filter_map(|(name, mean_time)| {
            Some(ProviderConfig::new(
                name.parse().ok()?,
                "mock",
                settings(mean_time),
            ))
        })
        .collect()
}

/// Returns the channel `sms` over all providers in round robin: the default without `[channels]`.
pub(super) fn default_channel(providers: &[ProviderConfig], retry: &RetryPolicy) -> Option<Channel> {
    Some(Channel {
        name: "sms".parse().ok()?,
        providers: providers.iter().map(|provider| provider.name.clone()).collect(),
        strategy: RoutingStrategy::RoundRobin,
        retry: retry.clone(),
        unknown_policy: UnknownPolicy::default(),
        bounce_resends: 0,
        priority: Priority::default(),
        addressing: Addressing::ByProviders(AddressKind::Phone),
        subject: None,
        expects_reply: false,
        user_per_hour: None,
    })
}

/// Configured providers, and the names of the disabled ones.
pub(super) struct ConfiguredProviders {
    pub enabled: Vec<ProviderConfig>,
    pub disabled: Vec<ConfigName>,
}

/// Reads `[providers.NAME]`.
pub(super) fn read_providers(
    top: &TableReader<'_>,
    environment: &Environment,
) -> Result<ConfiguredProviders> {
    let mut configured = ConfiguredProviders {
        enabled: Vec::new(),
        disabled: Vec::new(),
    };
    for (name, values) in top.section("providers")?.named_tables()? {
        let name = parse_name(name, &values)?;
        if values.flag("enabled")?.unwrap_or(true) {
            configured.enabled.push(read_provider(name, &values, environment)?);
        } else {
            configured.disabled.push(name);
        }
    }
    Ok(configured)
}

fn read_provider(
    name: ConfigName,
    values: &TableReader<'_>,
    environment: &Environment,
) -> Result<ProviderConfig> {
    let Some(kind) = values.text("kind")? else {
        return Err(values.error_at(
            "kind",
            "is missing; say which adapter speaks to it, such as \"http\"",
        ));
    };
    let entries = values
        .other_entries()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect::<toml::Table>();
    let settings = resolve_table(&entries, values, environment)?;
    let rate = values.number("rate")?;
    if rate.is_some_and(|rate| rate <= 0.0) {
        return Err(values.error_at(
            "rate",
            "must be more than 0 parts per second; leave it out for no limit, or say enabled = false",
        ));
    }
    let defaults = ProviderConfig::new(name, kind, settings);
    Ok(ProviderConfig {
        rate,
        concurrency: values.count("concurrency")?.unwrap_or(defaults.concurrency),
        connect_timeout: values
            .duration("connect_timeout")?
            .unwrap_or(defaults.connect_timeout),
        timeout: values.duration("timeout")?.unwrap_or(defaults.timeout),
        breaker_failure_threshold: values
            .count("rest_after")?
            .unwrap_or(defaults.breaker_failure_threshold),
        breaker_open_duration: values
            .duration("rest_for")?
            .unwrap_or(defaults.breaker_open_duration),
        masked_settings: mask_table(&entries),
        ..defaults
    })
}

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
        let channel = read_channel(parse_name(name, values)?, values, providers, retry)?;
        if values.flag("enabled")?.unwrap_or(true) {
            channels.push(channel);
        }
    }
    match tables.first() {
        Some((_, values)) if channels.is_empty() => Err(values.error_at(
            "enabled",
            "is false for every channel; enable at least one, or remove them all",
        )),
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
                "names {text}, but there is no [channels.{wanted}]; add it or correct the name{suggestion}"
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
        _ => Err(top.error_at(
            "used_channels",
            "names only channels that are not enabled; enable one, or name others",
        )),
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
        retry: super::load::read_retry(&values.section("retry")?, retry)?,
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
    let known = || providers.enabled.iter().map(|provider| &provider.name);
    for text in values.list("providers")? {
        let disabled = providers.disabled.iter().any(|name| name.as_str() == text);
        match known().find(|name| name.as_str() == text) {
            Some(name) if listed.contains(name) => {
                return Err(values.error_at("providers", &format!("lists {text} twice; list it once")));
            }
            Some(name) => listed.push(name.clone()),
            None if disabled => {}
            None => {
                let suggestion = did_you_mean(text, known().map(ConfigName::as_str));
                let remedy = format!(
                    "names {text}, but there is no [providers.{text}]; add it or correct the name{suggestion}"
                );
                return Err(values.error_at("providers", &remedy));
            }
        }
    }
    if listed.is_empty() {
        let remedy = "has no provider that is enabled; list at least one, such as providers = [\"red\"]";
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
        return Err(values.error_at(
            "weights",
            "is for strategy = \"weighted\" only; set that or remove the weights",
        ));
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
    let is_listed = |text: &str| {
        listed
            .iter()
            .chain(&providers.disabled)
            .any(|name| name.as_str() == text)
    };
    if let Some((unknown, _)) = weights.iter().find(|(text, _)| !is_listed(text)) {
        let suggestion = did_you_mean(unknown, listed.iter().map(ConfigName::as_str));
        let remedy = format!("has one for {unknown}, which is not in the channel's providers{suggestion}");
        return Err(values.error_at("weights", &remedy));
    }
    let weight_of = |name: &ConfigName| {
        let found = weights.iter().find(|(text, _)| *text == name.as_str());
        found.map(|(_, weight)| *weight).ok_or_else(|| {
            let remedy = format!("has none for {name}; give it one, 0 makes it a last resort");
            values.error_at("weights", &remedy)
        })
    };
    let ordered = listed.iter().map(weight_of).collect::<Result<Vec<_>>>()?;
    if ordered.iter().all(|weight| *weight == 0) {
        return Err(values.error_at("weights", "are all 0; give at least one provider a share"));
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

fn parse_name(text: &str, values: &TableReader<'_>) -> Result<ConfigName> {
    text.parse().map_err(|_| {
        let bytes_max = ConfigName::BYTES_MAX;
        let problem = format!("is not a name; use 1 to {bytes_max} letters, digits, -, _ or .");
        values.table_error(&problem)
    })
}

/// Reads `[[keys]]`.
pub(super) fn read_api_keys(
    top: &TableReader<'_>,
    events: &EventsConfig,
    environment: &Environment,
) -> Result<Vec<ApiKey>> {
    let mut keys: Vec<ApiKey> = Vec::new();
    for values in top.table_list("keys")? {
        values.reject_unknown_keys()?;
        let name = values.text("name")?.unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(values.error_at("name", "is missing; say who uses this key"));
        }
        let sha256 = read_key_digest(&values, environment)?;
        if keys.iter().any(|key| key.name == name || key.sha256 == sha256) {
            return Err(values.error_at(
                "name",
                "or its key is there twice; give each user a name and a key",
            ));
        }
        let scopes = read_scopes(&values)?;
        keys.push(ApiKey {
            name,
            sha256,
            scopes,
            user_per_hour: values.count("user_per_hour")?,
            events: events::read_api_key_events(&values, events, environment)?,
        });
    }
    Ok(keys)
}

fn read_scopes(values: &TableReader<'_>) -> Result<Vec<Scope>> {
    let wrong = "must list some of \"send\", \"read\", \"admin\"";
    let scope_of = |text: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    let scopes = values.list("scopes")?.into_iter().map(scope_of);
    match scopes.collect::<Option<Vec<_>>>() {
        Some(scopes) if !scopes.is_empty() => Ok(scopes),
        _ => Err(values.error_at("scopes", wrong)),
    }
}

/// Returns the digest of the key, from `key` or from `sha256`.
fn read_key_digest(values: &TableReader<'_>, environment: &Environment) -> Result<[u8; 32]> {
    match (values.text("sha256")?, values.text("key")?) {
        (Some(hex), None) => parse_hex_digest(hex).ok_or_else(|| {
            values.error_at(
                "sha256",
                "must be 64 hexadecimal digits; make them with: printf %s KEY | sha256sum",
            )
        }),
        (None, Some(text)) => {
            let key = resolve_text(text, "key", values, environment)?;
            if key.len() < 16 {
                return Err(values.error_at(
                    "key",
                    "is shorter than 16 characters; make one with: openssl rand -hex 32",
                ));
            }
            Ok(Sha256::digest(key.as_bytes()).into())
        }
        (Some(_), Some(_)) => Err(values.error_at("key", "stands beside sha256; keep one of them")),
        (None, None) => Err(values.error_at("sha256", "is missing; give sha256, or key = \"${env:NAME}\"")),
    }
}

fn parse_hex_digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}
