//! Resolves placeholders for secrets: `${env:NAME}` and `${file:PATH}`.
//!
//! A placeholder may occur anywhere in a text, also several times. Relative files start from the folder of
//! the configuration file; one line end at the end of the file is removed.

use postrider_core::error::Result;
use toml::Value;

pub(super) mod collect;
pub(super) mod mask;
mod placeholder;

use super::{environment::Environment, table_reader::TableReader};
use placeholder::next_placeholder;

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

fn resolve_value(
    key: &str,
    value: &Value,
    reader: &TableReader<'_>,
    environment: &Environment,
) -> Result<Value> {
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
            return Err(reader.error_at(key, "has a ${ without a }; write ${env:NAME} or ${file:PATH}"));
        };
        let placeholder = &rest[start + 2..start + length];
        resolved.push_str(&read_placeholder(placeholder, key, reader, environment)?);
        rest = &rest[start + length + 1..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn read_placeholder(
    placeholder: &str,
    key: &str,
    reader: &TableReader<'_>,
    environment: &Environment,
) -> Result<String> {
    if let Some(name) = placeholder.strip_prefix("env:") {
        let problem = || format!("needs environment variable {name}, which is not set");
        return environment.get(name).map(str::to_owned).ok_or_else(|| reader.error_at(key, &problem()));
    }
    let name = placeholder.strip_prefix("file:").unwrap_or(placeholder);
    let content = std::fs::read_to_string(reader.folder().join(name)).map_err(|cause| {
        reader.error_at(key, &format!("needs file {name}, which cannot be read: {cause}"))
    })?;
    let content = content.strip_suffix('\n').unwrap_or(&content);
    Ok(content.strip_suffix('\r').unwrap_or(content).to_owned())
}
