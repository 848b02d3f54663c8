//! Reads `[events]` and the event settings of `[[keys]]`: signing secrets, allowed endpoints, retries.
//!
//! Secrets and URLs are validated here, so that invalid ones are reported at the start and not at the first
//! call.

use super::environment::Environment;
use super::secret::resolve_text;
use super::table_reader::TableReader;
use super::types::{ApiKeyEvents, EventsConfig};
use postrider_core::duration::parse_duration;
use postrider_core::error::Result;
use postrider_providers::EgressPolicy;
use postrider_providers::webhook::{self, SigningSecrets};

/// Reads `[events]`.
pub(super) fn read_events(values: &TableReader<'_>, environment: &Environment) -> Result<EventsConfig> {
    values.reject_unknown_keys()?;
    let defaults = EventsConfig::default();
    let networks = values.list("networks")?;
    let ports =
        read_parsed_list("ports", values, |text| text.parse().ok(), "ports, such as [\"443\", \"8443\"]")?;
    let policy = EgressPolicy::parse(&networks, ports.as_deref().unwrap_or(&[443]));
    let schedule = read_parsed_list(
        "retry_schedule",
        values,
        |text| parse_duration(text).ok(),
        "durations, such as [\"5s\", \"5m\", \"2h\"]",
    )?;
    Ok(EventsConfig {
        secrets: read_secrets("secrets", values, environment)?,
        egress_policy: policy
            .map_err(|cause| values.error_at("networks", &format!("is invalid: {cause}")))?,
        concurrency: values.count("concurrency")?.unwrap_or(defaults.concurrency),
        concurrency_per_endpoint: values
            .count("concurrency_per_endpoint")?
            .unwrap_or(defaults.concurrency_per_endpoint),
        timeout: values.duration("timeout")?.unwrap_or(defaults.timeout),
        retry_schedule: schedule.unwrap_or(defaults.retry_schedule),
        age_max: values.duration("max_age")?.unwrap_or(defaults.age_max),
    })
}

/// Reads the event settings of an API key.
pub(super) fn read_api_key_events(
    values: &TableReader<'_>,
    events: &EventsConfig,
    environment: &Environment,
) -> Result<ApiKeyEvents> {
    let url = match values.text("events_url")? {
        None | Some("") => None,
        Some(text) => {
            let url = webhook::parse_url(&events.egress_policy, text);
            Some(url.map_err(|cause| values.error_at("events_url", &cause))?.to_string())
        }
    };
    let secrets = read_secrets("events_secrets", values, environment)?;
    if url.is_some() && secrets.is_empty() && events.secrets.is_empty() {
        let remedy = "needs a secret to sign with: add events_secrets here, or secrets to [events]; create one with: \
                      console events secret";
        return Err(values.error_at("events_url", remedy));
    }
    Ok(ApiKeyEvents { url, secrets })
}

fn read_secrets(key: &str, values: &TableReader<'_>, environment: &Environment) -> Result<SigningSecrets> {
    let texts = values.list(key)?;
    let resolved = texts.into_iter().map(|text| resolve_text(text, key, values, environment));
    let resolved = resolved.collect::<Result<Vec<_>>>()?;
    SigningSecrets::parse(&resolved).map_err(|cause| values.error_at(key, &cause))
}

/// Parses every text of a list; `None` if the list is missing or empty.
fn read_parsed_list<T>(
    key: &str,
    values: &TableReader<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Option<Vec<T>>> {
    let texts = values.list(key)?;
    if texts.is_empty() {
        return Ok(None);
    }
    let parsed = texts.into_iter().map(parse).collect::<Option<Vec<_>>>();
    let error = || values.error_at(key, &format!("must list {expected}"));
    parsed.map(Some).ok_or_else(error)
}
