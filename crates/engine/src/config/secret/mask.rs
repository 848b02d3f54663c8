//! Masks secrets in settings and URLs.
//!
//! URLs are not parsed by the `url` crate, because the crate rejects a PostgreSQL URL with several hosts or with `/`, `?`
//! or `#` in the password, and because a URL with a placeholder must stay as written.

use std::collections::BTreeSet;

use toml::Value;

use super::placeholder::is_placeholder;

/// Replacement for a secret in output.
const SECRET_MASK: &str = "***";

/// Parts of the names of secret keys: the value of a key whose name contains one of these parts is masked.
const SECRET_NAME_PARTS: [&str; 9] =
    ["secret", "pass", "pwd", "token", "credential", "service_account", "auth", "signature", "key"];

/// Returns the table with secrets masked: values of keys with a secret name, and passwords in URLs. A
/// placeholder such as `${env:NAME}` is not masked.
pub fn mask_table(table: &toml::Table) -> toml::Table {
    table.iter().map(|(key, value)| (key.clone(), mask_value(is_secret_name(key), value))).collect()
}

fn mask_value(is_secret: bool, config_value: &Value) -> Value {
    match config_value {
        Value::Table(table) => {
            let inner = |(key, config_value): (&String, &Value)| {
                (key.clone(), mask_value(is_secret || is_secret_name(key), config_value))
            };
            Value::Table(table.iter().map(inner).collect())
        }
        Value::Array(values) => {
            Value::Array(values.iter().map(|config_value| mask_value(is_secret, config_value)).collect())
        }
        Value::String(text) if is_secret && !is_placeholder(text) => Value::from(SECRET_MASK),
        Value::Integer(_) | Value::Float(_) if is_secret => Value::from(SECRET_MASK),
        Value::String(text) => Value::String(mask_url(text)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => config_value.clone(),
    }
}

/// Returns whether the name of a key suggests a secret.
pub(super) fn is_secret_name(key: &str) -> bool {
    let lowercase_key = key.to_ascii_lowercase();
    SECRET_NAME_PARTS.iter().any(|name_part| lowercase_key.contains(name_part))
}

/// Returns the URL with the password and secret query values masked: `redis://:hunter2@host/0` becomes
/// `redis://:***@host/0`.
pub fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return mask_query(url);
    };
    // As PostgreSQL parses it: the credentials end at the first `@`, even if the password contains `/`, `?`
    // or `#`.
    let credentials_end = if scheme.starts_with("postgres") { rest.find('@').unwrap_or(0) } else { 0 };
    let authority_end =
        rest[credentials_end..].find(['/', '?', '#']).map_or(rest.len(), |length| credentials_end + length);
    let (authority, path) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or("", |(user, _)| user);
            format!("{user}:{SECRET_MASK}@{host}")
        }
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{}", mask_query(path))
}

/// Masks secret values in the query of a path.
fn mask_query(path_and_query: &str) -> String {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return path_and_query.to_owned();
    };
    let mask_parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if is_secret_name(name) && !is_placeholder(value) => {
            format!("{name}={SECRET_MASK}")
        }
        _ => parameter.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(mask_parameter).collect::<Vec<_>>().join("&"))
}

/// Headers whose values are never secret.
const PUBLIC_HEADERS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

/// Minimum length of a path segment that can be a token.
const PATH_TOKEN_CHARS_MIN: usize = 12;

/// Adds texts that may be secrets although the name of their key does not say so: literal header values, and long path
/// segments of a URL with letters and digits.
pub fn collect_literal_secrets(settings: &toml::Table, secrets: &mut BTreeSet<String>) {
    let headers = settings.get("headers").and_then(Value::as_table).into_iter().flatten();
    let secret_headers =
        headers.filter(|(name, _)| !PUBLIC_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
    let header_values = secret_headers.filter_map(|(_, value)| value.as_str());
    secrets.extend(header_values.filter(|text| !text.contains('{') && !text.is_empty()).map(str::to_owned));
    for url in ["url", "base_url"].iter().filter_map(|key| settings.get(*key)?.as_str()) {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest).split(['?', '#']).next();
        let segments = path.unwrap_or_default().split('/').skip(1);
        secrets.extend(segments.filter(|segment| is_path_token(segment)).map(str::to_owned));
    }
}

fn is_path_token(segment: &str) -> bool {
    segment.len() >= PATH_TOKEN_CHARS_MIN
        && !segment.contains('{')
        && segment.contains(|character: char| character.is_ascii_digit())
        && segment.contains(|character: char| character.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
