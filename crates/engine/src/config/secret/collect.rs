//! Collects the secrets among resolved settings: values under secret names, and passwords in URLs.
//!
//! Collects too many texts rather than too few, because the result masks transcripts that operators share.

use std::collections::BTreeSet;
use toml::{Table, Value};

use super::mask::is_secret_name;

/// Minimum length of a word of a secret text that is masked separately, in bytes.
const WORD_BYTES_MIN: usize = 8;

/// Adds the secrets in `settings` to `secrets`.
pub fn collect_secrets(settings: &Table, secrets: &mut BTreeSet<String>) {
    for (name, value) in settings {
        collect_value(value, is_secret_name(name), secrets);
    }
    secrets.retain(|secret| !secret.trim().is_empty());
}

fn collect_value(config_value: &Value, is_secret: bool, secrets: &mut BTreeSet<String>) {
    match config_value {
        Value::Table(table) => {
            for (name, config_value) in table {
                collect_value(config_value, is_secret || is_secret_name(name), secrets);
            }
        }
        Value::Array(elements) => {
            elements.iter().for_each(|element| collect_value(element, is_secret, secrets));
        }
        Value::String(text) if is_secret && !text.contains("://") => {
            // `Bearer abc` is a secret, and so is `abc` alone.
            let words = text.split_whitespace().filter(|word| word.len() >= WORD_BYTES_MIN);
            secrets.extend(words.chain([text.as_str()]).map(str::to_owned));
        }
        Value::String(text) => secrets.extend(url_secrets(text)),
        Value::Integer(_) | Value::Float(_) if is_secret => drop(secrets.insert(config_value.to_string())),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// Returns the password of a URL and the secret values in the query of the URL.
fn url_secrets(url: &str) -> Vec<String> {
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let password = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let secret_parameters = parameters.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value);
    password.into_iter().chain(secret_parameters).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
