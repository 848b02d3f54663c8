//! Secrets: where they come from (`${env:NAME}`, `${file:PATH}`) and how they stay out of what is printed.

/// What is printed in place of a secret.
const MASK: &str = "***";

/// Parts of key names whose values are never printed.
const SECRET_WORDS: [&str; 8] = [
    "secret",
    "password",
    "passwd",
    "token",
    "credential",
    "auth",
    "signature",
    "key",
];

/// The table as it may be shown: values under keys that sound like a secret are masked, and so are
/// passwords inside URLs. A place such as `${env:NAME}` is no secret and stays.
pub(super) fn masked(table: &toml::Table) -> toml::Table {
    table
        .iter()
        .map(|(key, value)| (key.clone(), masked_value(key, value)))
        .collect()
}

fn masked_value(key: &str, value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::Table(table) => toml::Value::Table(masked(table)),
        toml::Value::Array(values) => {
            toml::Value::Array(values.iter().map(|value| masked_value(key, value)).collect())
        }
        toml::Value::String(text) if sounds_secret(key) && !is_place(text) => toml::Value::from(MASK),
        toml::Value::String(text) => toml::Value::from(masked_url(text)),
        other => other.clone(),
    }
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

fn is_place(text: &str) -> bool {
    text.starts_with("${") && text.ends_with('}')
}

/// The URL without its password: `redis://:hunter2@host/0` becomes `redis://:***@host/0`.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let Some((user_and_password, host)) = authority.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = user_and_password.split_once(':').map_or("", |(user, _)| user);
    format!("{scheme}://{user}:{MASK}@{host}{path}")
}
