//! Masks secrets in settings and URLs.
//!
//! URLs are not parsed by the `url` crate, because the crate rejects a PostgreSQL URL with several hosts or with `/`, `?`
//! or `#` in the password, and because a URL with a placeholder must stay as written.

use toml::Value;

use super::placeholder::is_placeholder;

/// Replacement for a secret in output.
const MASK: &str = "***";

/// Parts of the names of secret keys: the value of a key whose name contains one of these parts is masked.
const SECRET_NAME_PARTS: [&str; 9] =
    ["secret", "pass", "pwd", "token", "credential", "service_account", "auth", "signature", "key"];

/// Returns the table with secrets masked: values of keys with a secret name, and passwords in URLs. A
/// placeholder such as `${env:NAME}` is not masked.
pub fn mask_table(table: &toml::Table) -> toml::Table {
    table.iter().map(|(key, value)| (key.clone(), mask_value(is_secret_name(key), value))).collect()
}

fn mask_value(is_secret: bool, value: &Value) -> Value {
    match value {
        Value::Table(table) => {
            let inner = |(key, value): (&String, &Value)| {
                (key.clone(), mask_value(is_secret || is_secret_name(key), value))
            };
            Value::Table(table.iter().map(inner).collect())
        }
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| mask_value(is_secret, value)).collect())
        }
        Value::String(text) if is_secret && !is_placeholder(text) => Value::from(MASK),
        Value::Integer(_) | Value::Float(_) if is_secret => Value::from(MASK),
        Value::String(text) => Value::String(mask_url(text)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => value.clone(),
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
            format!("{user}:{MASK}@{host}")
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
        Some((name, value)) if is_secret_name(name) && !is_placeholder(value) => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(mask_parameter).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests;
