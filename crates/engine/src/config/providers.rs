//! Reads `[providers.NAME]`. The settings of an adapter are checked by the adapter.

use super::environment::Environment;
use super::secret::mask::mask_table;
use super::secret::resolve_table;
use super::table_reader::TableReader;
use super::types::ProviderConfig;
use postrider_core::error::Result;
use postrider_core::name::ConfigName;

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
    let mut configured = ConfiguredProviders { enabled: Vec::new(), disabled: Vec::new() };
    for (name, values) in top.section("providers")?.named_tables()? {
        let name = values.parse_name(name)?;
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
        return Err(values.error_at("kind", "is missing; set the adapter, such as \"http\""));
    };
    let entries =
        values.other_entries().map(|(key, value)| (key.clone(), value.clone())).collect::<toml::Table>();
    let settings = resolve_table(&entries, values, environment)?;
    let rate = values.number("rate")?;
    if rate.is_some_and(|rate| rate <= 0.0) {
        return Err(values.error_at(
            "rate",
            "must be greater than 0 parts per second; omit it for no limit, or set enabled = false",
        ));
    }
    let defaults = ProviderConfig::new(name, kind, settings);
    Ok(ProviderConfig {
        rate,
        concurrency: values.count("concurrency")?.unwrap_or(defaults.concurrency),
        connect_timeout: values.duration("connect_timeout")?.unwrap_or(defaults.connect_timeout),
        timeout: values.duration("timeout")?.unwrap_or(defaults.timeout),
        breaker_failure_threshold: values
            .count("breaker_failure_threshold")?
            .unwrap_or(defaults.breaker_failure_threshold),
        breaker_open_duration: values
            .duration("breaker_open_duration")?
            .unwrap_or(defaults.breaker_open_duration),
        masked_settings: mask_table(&entries),
        ..defaults
    })
}
