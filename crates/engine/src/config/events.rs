//! Reads `[events]` and the event settings of `[[keys]]`: signing secrets, allowed endpoints, retries.
//!
//! Secrets and URLs are validated here, so that an invalid secret or URL is reported at the start and not at the first
//! call.

use super::types::{ApiKeyEvents, EventsConfig};
use super::{environment::Environment, secret::SecretResolver, table_reader::TableReader};
use postrider_core::{duration::parse_duration, error::Result};
use postrider_providers::EgressPolicy;
use postrider_providers::webhook::{self, SigningSecrets};

/// Reads `[events]`.
pub(super) fn read_events(section: &TableReader<'_>, environment: &Environment) -> Result<EventsConfig> {
    section.reject_unknown_keys()?;
    let defaults = EventsConfig::default();
    let networks = section.list("networks")?;
    let parse_port = |text: &str| text.parse().ok();
    let ports = read_parsed_list("ports", section, parse_port, "ports, such as [\"443\", \"8443\"]")?;
    let egress_policy = EgressPolicy::parse(&networks, ports.as_deref().unwrap_or(&[443]))
        .map_err(|cause| section.error_at("networks", &format!("is invalid: {cause}")))?;
    let parse_delay = |text: &str| parse_duration(text).ok();
    let expected_delays = "durations, such as [\"5s\", \"5m\", \"2h\"]";
    let retry_schedule = read_parsed_list("retry_schedule", section, parse_delay, expected_delays)?;
    let per_endpoint = section.get("concurrency_per_endpoint")?;
    Ok(EventsConfig {
        secrets: read_secrets("secrets", section, environment)?,
        egress_policy,
        concurrency: section.get("concurrency")?.unwrap_or(defaults.concurrency),
        concurrency_per_endpoint: per_endpoint.unwrap_or(defaults.concurrency_per_endpoint),
        timeout: section.get("timeout")?.unwrap_or(defaults.timeout),
        retry_schedule: retry_schedule.unwrap_or(defaults.retry_schedule),
        age_max: section.get("max_age")?.unwrap_or(defaults.age_max),
    })
}

/// Reads the event settings of an API key.
pub(super) fn read_api_key_events(
    key_table: &TableReader<'_>,
    events: &EventsConfig,
    environment: &Environment,
) -> Result<ApiKeyEvents> {
    let url = match key_table.get::<String>("events_url")?.filter(|url| !url.is_empty()) {
        None => None,
        Some(text) => {
            let url = webhook::parse_url(&events.egress_policy, &text);
            Some(url.map_err(|cause| key_table.error_at("events_url", &cause))?.to_string())
        }
    };
    let secrets = read_secrets("events_secrets", key_table, environment)?;
    if url.is_some() && secrets.is_empty() && events.secrets.is_empty() {
        let remedy = "needs a secret to sign with: add events_secrets here, or secrets to [events]; create one with: \
                      console events secret";
        return Err(key_table.error_at("events_url", remedy));
    }
    Ok(ApiKeyEvents { url, secrets })
}

fn read_secrets(
    config_key: &str,
    reader: &TableReader<'_>,
    environment: &Environment,
) -> Result<SigningSecrets> {
    let mut resolver = SecretResolver::new(reader, environment);
    let written_secrets = reader.list(config_key)?;
    let secrets = written_secrets.iter().map(|text| resolver.resolve_text(text, config_key));
    SigningSecrets::parse(&secrets.collect::<Result<Vec<_>>>()?)
        .map_err(|cause| reader.error_at(config_key, &cause))
}

/// Parses every text of a list; `None` if the list is missing or empty.
fn read_parsed_list<T>(
    config_key: &str,
    reader: &TableReader<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Option<Vec<T>>> {
    let texts = reader.list(config_key)?;
    if texts.is_empty() {
        return Ok(None);
    }
    let parsed = texts.iter().map(|text| parse(text)).collect::<Option<Vec<_>>>();
    parsed.map(Some).ok_or_else(|| reader.error_at(config_key, &format!("must list {expected}")))
}
