//! Resolves secrets (`${env:NAME}`, `${file:PATH}`) and masks them in output.
//!
//! A placeholder may occur anywhere in a text, also several times. Relative files start from the folder of
//! the configuration file; one line end at the end of the file is removed.

use toml::Value;

mod collect;

pub(super) use collect::collect_secrets;

use super::environment::Environment;
use super::table_reader::TableReader;
use postrider_core::error::Result;

/// Replacement for a secret in output.
const MASK: &str = "***";

/// Parts of key names whose values are masked.
const SECRET_NAME_PARTS: [&str; 9] = [
    "secret",
    "pass",
    "pwd",
    "token",
    "credential",
    "service_account",
    "auth",
    "signature",
    "key",
];

/// Returns the table with all placeholders resolved.
pub(super) fn resolve_table(
    table: &toml::Table,
    reader: &TableReader<'_>,
    environment: &Environment,
) -> Result<toml::Table> {
    table
        .iter()
        .map(|(key, value)| Ok((key.clone(), resolve_value(key, value, reader, environment)?)))
        .collect()
}

fn resolve_value(key: &str, value: &Value, reader: &TableReader<'_>, environment: &Environment) -> Result<Value> {
    let inner = |(name, value): (&String, &Value)| {
        let value = resolve_value(&format!("{key}.{name}"), value, reader, environment)?;
        Ok((name.clone(), value))
    };
    Ok(match value {
        Value::Table(table) => Value::Table(table.iter().map(inner).collect::<Result<_>>()?),
        Value::Array(values) => {
            let values = values.iter().enumerate();
            let values = values
                .map(|(index, value)| resolve_value(&format!("{key}[{index}]"), value, reader, environment));
            Value::Array(values.collect::<Result<_>>()?)
        }
        Value::String(text) => Value::String(resolve_text(text, key, reader, environment)?),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => value.clone(),
    })
}

/// Returns the text with all placeholders resolved.
pub(super) fn resolve_text(
    text: &str,
    key: &str,
    reader: &TableReader<'_>,
    environment: &Environment,
) -> Result<String> {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = next_placeholder(rest) {
        resolved.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            return Err(reader.error_at(key, "has a ${ without its }; write ${env:NAME} or ${file:PATH}"));
        };
        let placeholder = &rest[start + 2..start + length];
        resolved.push_str(&read_placeholder(placeholder, key, reader, environment)?);
        rest = &rest[start + length + 1..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn next_placeholder(text: &str) -> Option<usize> {
    let starts = ["${env:", "${file:"].map(|start| text.find(start));
    starts.into_iter().flatten().min()
}

fn read_placeholder(
    placeholder: &str,
    key: &str,
    reader: &TableReader<'_>,
    environment: &Environment,
) -> Result<String> {
    if let Some(name) = placeholder.strip_prefix("env:") {
        let problem = || format!("needs the variable {name}, which is not set; set it before the start");
        return environment
            .get(name)
            .map(str::to_owned)
            .ok_or_else(|| reader.error_at(key, &problem()));
    }
    let name = placeholder.strip_prefix("file:").unwrap_or(placeholder);
    let content = std::fs::read_to_string(reader.folder().join(name)).map_err(|cause| {
        reader.error_at(
            key,
            &format!("needs the file {name}, which cannot be read: {cause}"),
        )
    })?;
    let content = content.strip_suffix('\n').unwrap_or(&content);
    Ok(content.strip_suffix('\r').unwrap_or(content).to_owned())
}

/// Returns the table with secrets masked: values whose key name suggests a secret, and passwords in URLs. A
/// placeholder such as `${env:NAME}` is not masked.
pub(super) fn mask_table(table: &toml::Table) -> toml::Table {
    table
        .iter()
        .map(|(key, value)| (key.clone(), mask_value(is_secret_name(key), value)))
        .collect()
}

fn mask_value(secret: bool, value: &Value) -> Value {
    match value {
        Value::Table(table) => {
            let inner = |(key, value): (&String, &Value)| {
                (key.clone(), mask_value(secret || is_secret_name(key), value))
            };
            Value::Table(table.iter().map(inner).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| mask_value(secret, value)).collect()),
        Value::String(text) if secret && !is_placeholder(text) => Value::from(MASK),
        Value::Integer(_) | Value::Float(_) if secret => Value::from(MASK),
        Value::String(text) => Value::String(mask_url(text)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => value.clone(),
    }
}

fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_NAME_PARTS.iter().any(|word| key.contains(word))
}

fn is_placeholder(text: &str) -> bool {
    next_placeholder(text) == Some(0) && text.find('}') == Some(text.len() - 1)
}

/// Returns the URL with the password and secret query values masked: `redis://:hunter2@host/0` becomes
/// `redis://:***@host/0`.
pub fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return match url.split_once('?') {
            Some((path, query)) => format!("{path}?{}", mask_query(query)),
            None => url.to_owned(),
        };
    };
    // As PostgreSQL parses it: the credentials end at the first `@`, even if the password contains `/`, `?`
    // or `#`.
    let credentials = if scheme.starts_with("postgres") {
        rest.find('@').unwrap_or(0)
    } else {
        0
    };
    let (_, after) = rest.split_at(credentials);
    let authority_end = after
        .find(['/', '?', '#'])
        .map_or(rest.len(), |end| credentials + end);
    let (authority, path) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or("", |(user, _)| user);
            format!("{user}:{MASK}@{host}")
        }
        None => authority.to_owned(),
    };
    let path = match path.split_once('?') {
        Some((path, query)) => format!("{path}?{}", mask_query(query)),
        None => path.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

fn mask_query(query: &str) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if is_secret_name(name) && !is_placeholder(value) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    };
    query.split('&').map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_inside_urls_are_masked() {
        for (url, masked) in [
            ("memory:", "memory:"),
            ("sqlite:/var/lib/a@b.db", "sqlite:/var/lib/a@b.db"),
            ("redis://localhost:6379/0", "redis://localhost:6379/0"),
            ("redis://:hunter2@localhost/0", "redis://:***@localhost/0"),
            ("redis://anna:hunter2@localhost/0", "redis://anna:***@localhost/0"),
            ("https://hunter2@host/x", "https://:***@host/x"),
            ("postgres://anna:hun/t?e#r2@host/x", "postgres://anna:***@host/x"),
            ("postgres://host/x?user=a%40b", "postgres://host/x?user=a%40b"),
            ("https://a:hun@ter2@host/x?a=b", "https://a:***@host/x?a=b"),
            (
                "http://host/send?api_key=hunter2&to={to}",
                "http://host/send?api_key=***&to={to}",
            ),
            (
                "http://host/send?api_key=${env:RED}",
                "http://host/send?api_key=${env:RED}",
            ),
            (
                "redis+unix:///r.sock?pass=hunter2",
                "redis+unix:///r.sock?pass=***",
            ),
            ("unix:/r.sock?db=1&pass=hunter2", "unix:/r.sock?db=1&pass=***"),
        ] {
            assert_eq!(mask_url(url), masked);
        }
    }

    #[test]
    fn values_under_secret_names_are_masked_however_deep() {
        let table = "token = \"hunter2\"\npassword = 1234\nurl = \"http://host\"\n\
                     [headers]\nAuthorization = \"Bearer hunter2\"\nAccept = \"*/*\"\n[auth]\nuser = \"hunter2\"\n\
                     [place]\ntoken = \"${env:T}\"\nmixed_token = \"hunter2${env:T}\"";
        let masked = mask_table(&table.parse().unwrap()).to_string();
        assert!(!masked.contains("hunter2") && !masked.contains("1234"), "{masked}");
        assert!(masked.contains("http://host") && masked.contains("*/*") && masked.contains("\"${env:T}\""));
    }
}
