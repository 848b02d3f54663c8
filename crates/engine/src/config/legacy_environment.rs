//! Reads the environment variables of the replaced notification service: `USED_CHANNELS` and `CHANNEL_…`.
//!
//! The variables are converted to channels and providers as in the file, so that later code treats both alike. A
//! variable names a provider by its table in the file or by a class name of that service. A class name stands for an
//! account if the credentials of the account are set ([`super::provider_aliases`]). Otherwise it stands for a mock
//! provider, and a warning is logged.

use postrider_core::error::{Error, Result};
use toml::Value;

use super::provider_aliases::{PROVIDER_ALIASES, ProviderAlias};
use super::text::{did_you_mean, split_list};
use super::{environment::Environment, source::ConfigSource};

/// Prefix of a channel variable, before the name of the channel.
const CHANNEL_VARIABLE_PREFIX: &str = "CHANNEL_";

/// Returns the channel name for a variable or a name: `CHANNEL_SMS` and `sms` both give `sms`.
pub(super) fn channel_name(name: &str) -> String {
    match name.strip_prefix(CHANNEL_VARIABLE_PREFIX) {
        Some(rest) => rest.to_ascii_lowercase(),
        None => name.to_owned(),
    }
}

/// Creates channels from the variables that `used_channels` lists. Returns a warning for each mock provider
/// that was created.
pub(super) fn apply_channel_variables(
    source: &mut ConfigSource,
    environment: &Environment,
) -> Result<Vec<String>> {
    let used_channels = source.table.get("used_channels").and_then(Value::as_array);
    let listed = used_channels.into_iter().flatten().filter_map(Value::as_str);
    let variables = listed.filter(|name| name.starts_with(CHANNEL_VARIABLE_PREFIX)).map(str::to_owned);
    let variables = variables.collect::<Vec<_>>();
    for alias in &PROVIDER_ALIASES {
        set_default_kind(source, alias);
    }
    let mut warnings = Vec::new();
    for variable in &variables {
        match environment.get(variable) {
            Some(text) => apply_channel_variable(source, environment, (variable, text), &mut warnings)?,
            None if has_table(source, "channels", &channel_name(variable)) => {}
            None => {
                let set_variables = environment.names_with_prefix(CHANNEL_VARIABLE_PREFIX);
                let suggestion = did_you_mean(variable, set_variables.filter(|other| other != variable));
                let problem = format!(
                    "lists {variable}, but no such environment variable is set: set it to its providers, or correct the name{suggestion}"
                );
                return Err(source.error_at("used_channels", &problem));
            }
        }
    }
    Ok(warnings)
}

fn apply_channel_variable(
    source: &mut ConfigSource,
    environment: &Environment,
    (variable, text): (&str, &str),
    warnings: &mut Vec<String>,
) -> Result<()> {
    for provider in split_list(text) {
        let alias = PROVIDER_ALIASES.iter().find(|alias| alias.name == provider);
        if has_table(source, "providers", provider) {
            if let Some(address) = alias.and_then(|alias| alias.address) {
                set_default_address(table_entry(source, "providers", provider)?, address);
            }
            continue;
        }
        let alias = alias.ok_or_else(|| unknown_provider(source, variable, provider))?;
        warnings.extend(add_alias_provider(source, environment, alias)?);
    }
    let channel_name = channel_name(variable);
    let channel = table_entry(source, "channels", &channel_name)?;
    channel.insert("providers".to_owned(), split_list(text).collect::<Vec<_>>().into());
    channel.entry("strategy").or_insert_with(|| Value::from("failover"));
    source.set_origin(format!("channels.{channel_name}.providers"), variable);
    Ok(())
}

/// Creates the provider of a class name: the account if its credentials are set, otherwise a mock provider
/// with a warning.
fn add_alias_provider(
    source: &mut ConfigSource,
    environment: &Environment,
    alias: &ProviderAlias,
) -> Result<Option<String>> {
    let provider = alias.name;
    let account = match &alias.account {
        Some(variables) => variables.read_account(provider, environment)?,
        None => None,
    };
    let warning = account.is_none().then(|| {
        let remedy = alias.account.as_ref().map_or_else(String::new, |variables| {
            format!(" (set {} in the environment, or add that table)", variables.required_variables())
        });
        format!(
            "{provider} has no [providers.{provider}] and no credentials: using a mock, nothing is sent{remedy}"
        )
    });
    let provider_table = table_entry(source, "providers", provider)?;
    match account {
        Some(account) => provider_table.extend(account),
        None => provider_table.extend([
            ("kind".to_owned(), Value::from("mock")),
            ("failure_rate".to_owned(), Value::from(alias.failure_rate)),
        ]),
    }
    if let Some(address) = alias.address {
        set_default_address(provider_table, address);
    }
    Ok(warning)
}

/// Sets the `kind` of a provider table that is named after a class name and has no `kind`.
fn set_default_kind(source: &mut ConfigSource, alias: &ProviderAlias) {
    let providers = source.table.get_mut("providers").and_then(Value::as_table_mut);
    let provider = providers.and_then(|providers| providers.get_mut(alias.name)?.as_table_mut());
    if let (Some(provider), Some(variables)) = (provider, &alias.account) {
        provider.entry("kind").or_insert_with(|| Value::from(variables.kind));
    }
}

/// Sets the address kind of the class, if the adapter would take any address.
fn set_default_address(provider: &mut toml::Table, address: &str) {
    let adapter = provider.get("kind").and_then(Value::as_str);
    if matches!(adapter, Some("mock" | "http")) {
        provider.entry("address").or_insert_with(|| Value::from(address));
    }
}

fn unknown_provider(source: &ConfigSource, variable: &str, provider: &str) -> Error {
    let aliases = PROVIDER_ALIASES.iter().map(|alias| alias.name);
    let configured = source.table.get("providers").and_then(Value::as_table);
    let configured = configured.into_iter().flat_map(toml::Table::keys).map(String::as_str);
    let suggestion = did_you_mean(provider, aliases.clone().chain(configured));
    let alias_list = aliases.collect::<Vec<_>>().join(", ");
    Error::usage(format!(
        "{variable}: unknown provider {provider}: add [providers.{provider}], or use one of {alias_list}{suggestion}"
    ))
}

fn has_table(source: &ConfigSource, section: &str, name: &str) -> bool {
    let tables = source.table.get(section).and_then(Value::as_table);
    tables.is_some_and(|tables| tables.contains_key(name))
}

/// Returns the table `[section.name]`; creates it if it is missing.
fn table_entry<'s>(source: &'s mut ConfigSource, section: &str, name: &str) -> Result<&'s mut toml::Table> {
    let error = source.error_at(section, &format!("must be a table: write [{section}.{name}]"));
    let empty_table = || Value::Table(toml::Table::new());
    let tables = source.table.entry(section).or_insert_with(empty_table).as_table_mut();
    let named_table = tables.and_then(|tables| tables.entry(name).or_insert_with(empty_table).as_table_mut());
    named_table.ok_or(error)
}
