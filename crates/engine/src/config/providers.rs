//! Reads `[providers.NAME]`. The settings of an adapter are checked by the adapter.

use super::{
    environment::Environment, secret::SecretResolver, secret::mask::mask_table, table_reader::TableReader,
    types::ProviderConfig,
};
use postrider_core::{error::Result, name::ConfigName, shared_health::COOLDOWN_MAX};
use std::time::Duration;

/// Enabled providers, and the names of the disabled providers.
pub(super) struct ConfiguredProviders {
    pub enabled: Vec<ProviderConfig>,
    pub disabled: Vec<ConfigName>,
}

/// Reads `[providers.NAME]`.
pub(super) fn read_providers(
    top: &TableReader<'_>,
    environment: &Environment,
) -> Result<ConfiguredProviders> {
    let mut configured = ConfiguredProviders { enabled: Vec::new(), disabled: Vec::new() };
    for (provider_name, provider_table) in top.section("providers")?.named_tables()? {
        let provider_name = provider_table.parse_name(provider_name)?;
        if provider_table.get("enabled")?.unwrap_or(true) {
            configured.enabled.push(read_provider(provider_name, &provider_table, environment)?);
        } else {
            configured.disabled.push(provider_name);
        }
    }
    Ok(configured)
}

fn read_provider(
    name: ConfigName,
    provider_table: &TableReader<'_>,
    environment: &Environment,
) -> Result<ProviderConfig> {
    let Some(provider_kind) = provider_table.get::<String>("kind")? else {
        return Err(provider_table.error_at("kind", "is missing; set the adapter, such as \"http\""));
    };
    let written_settings = provider_table
        .other_entries()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect::<toml::Table>();
    let mut resolver = SecretResolver::new(provider_table, environment);
    let provider_settings = resolver.resolve_table(&written_settings, "")?;
    let rate = provider_table.get::<f64>("rate")?;
    if rate.is_some_and(|rate| rate <= 0.0) {
        let limit_problem =
            "must be greater than 0 parts per second; omit it for no limit, or set enabled = false";
        return Err(provider_table.error_at("rate", limit_problem));
    }
    let burst = provider_table.get::<f64>("burst")?;
    if burst.is_some_and(|burst| burst <= 0.0 || burst > 1.0) {
        let limit_problem = "must be greater than 0 and at most 1, a share of rate; 0.05 is 5 %";
        return Err(provider_table.error_at("burst", limit_problem));
    }
    let cooldown_max = provider_table.get::<Duration>("cooldown_max")?;
    if cooldown_max.is_some_and(|cooldown_max| cooldown_max > COOLDOWN_MAX) {
        return Err(provider_table.error_at("cooldown_max", "must be at most 24h"));
    }
    let defaults = ProviderConfig::new(name, &provider_kind, provider_settings);
    let failure_threshold = provider_table.get("breaker_failure_threshold")?;
    let open_duration = provider_table.get("breaker_open_duration")?;
    Ok(ProviderConfig {
        rate,
        burst: burst.unwrap_or(defaults.burst),
        cooldown_max: cooldown_max.unwrap_or(defaults.cooldown_max),
        concurrency: provider_table.get("concurrency")?.unwrap_or(defaults.concurrency),
        connect_timeout: provider_table.get("connect_timeout")?.unwrap_or(defaults.connect_timeout),
        timeout: provider_table.get("timeout")?.unwrap_or(defaults.timeout),
        breaker_failure_threshold: failure_threshold.unwrap_or(defaults.breaker_failure_threshold),
        breaker_open_duration: open_duration.unwrap_or(defaults.breaker_open_duration),
        unknown_retries: provider_table.get("unknown_retries")?,
        masked_settings: mask_table(&written_settings),
        placeholder_values: resolver.resolved_values,
        setting_origins: provider_table.setting_origins(),
        ..defaults
    })
}
