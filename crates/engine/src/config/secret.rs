//! Resolves placeholders for secrets: `${env:NAME}` and `${file:PATH}`.
//!
//! A text may contain several placeholders at any position. A relative path starts from the folder of the configuration
//! file; one line end at the end of the file is removed. The crate `shellexpand` is not used: it knows no files, and it
//! would expand a `$` in a password.

use postrider_core::error::Result;
use toml::Value;

pub(super) mod collect;
pub(super) mod mask;
mod placeholder;

use super::{environment::Environment, table_reader::TableReader};
use placeholder::next_placeholder;

/// Resolves the placeholders of one table and keeps the values that replaced them.
pub(super) struct SecretResolver<'a> {
    reader: &'a TableReader<'a>,
    environment: &'a Environment,
    /// Value of each resolved placeholder.
    pub resolved_values: Vec<String>,
}

impl<'a> SecretResolver<'a> {
    /// Creates a resolver for the table of `reader`.
    pub fn new(reader: &'a TableReader<'a>, environment: &'a Environment) -> Self {
        Self { reader, environment, resolved_values: Vec::new() }
    }

    /// Returns the table with all placeholders resolved. `prefix` is the path of the table with a dot at the end, for
    /// errors.
    pub fn resolve_table(&mut self, table: &toml::Table, prefix: &str) -> Result<toml::Table> {
        let resolve_entry = |(name, value): (&String, &Value)| {
            Ok((name.clone(), self.resolve_value(value, &format!("{prefix}{name}"))?))
        };
        table.iter().map(resolve_entry).collect()
    }

    fn resolve_value(&mut self, config_value: &Value, config_key: &str) -> Result<Value> {
        Ok(match config_value {
            Value::Table(table) => self.resolve_table(table, &format!("{config_key}."))?.into(),
            Value::Array(elements) => {
                let elements = elements.iter().enumerate();
                let resolved = elements
                    .map(|(index, element)| self.resolve_value(element, &format!("{config_key}[{index}]")));
                Value::Array(resolved.collect::<Result<_>>()?)
            }
            Value::String(text) => self.resolve_text(text, config_key)?.into(),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                config_value.clone()
            }
        })
    }

    /// Returns the text of a key with all placeholders resolved.
    pub fn resolve_text(&mut self, text: &str, config_key: &str) -> Result<String> {
        let mut resolved = String::new();
        let mut unresolved = text;
        while let Some(placeholder_start) = next_placeholder(unresolved) {
            let (literal, placeholder) = unresolved.split_at(placeholder_start);
            let Some((placeholder, after)) = placeholder.split_once('}') else {
                let problem = "has a ${ without a }; write ${env:NAME} or ${file:PATH}";
                return Err(self.reader.error_at(config_key, problem));
            };
            let secret = self.read_placeholder(placeholder, config_key)?;
            resolved.extend([literal, &secret]);
            self.resolved_values.push(secret);
            unresolved = after;
        }
        Ok(resolved + unresolved)
    }

    /// Reads the secret of a placeholder without its closing brace.
    fn read_placeholder(&self, placeholder: &str, key: &str) -> Result<String> {
        let error = |problem: String| self.reader.error_at(key, &problem);
        if let Some(variable) = placeholder.strip_prefix("${env:") {
            let not_set = || error(format!("needs environment variable {variable}, which is not set"));
            return self.environment.get(variable).map(str::to_owned).ok_or_else(not_set);
        }
        let secret_path = placeholder.strip_prefix("${file:").unwrap_or(placeholder);
        let secret_file = std::fs::read_to_string(self.reader.folder().join(secret_path))
            .map_err(|cause| error(format!("needs file {secret_path}, which cannot be read: {cause}")))?;
        let secret = secret_file.strip_suffix('\n').unwrap_or(&secret_file);
        Ok(secret.strip_suffix('\r').unwrap_or(secret).to_owned())
    }
}
