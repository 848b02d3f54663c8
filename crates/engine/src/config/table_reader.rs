//! Reads one table of the configuration: the table of keys decides what is valid, and serde reads the valid values.
//!
//! A value of the wrong kind and an unknown key are errors that name their origin. serde's own errors are not shown: they
//! name neither the line, nor the variable that overrides it, nor the remedy.

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::{address::PhoneRegion, name::ConfigName};
use std::{path::Path, time::Duration};

use serde::de::DeserializeOwned;
use toml::Value;

use super::keys::{ConfigKey, NEVER, find_config_key, key_names_under};
use super::{setting_origins::SettingOrigins, source::ConfigSource, text::did_you_mean};

/// Reader of one table, with the path of the table.
pub(super) struct TableReader<'a> {
    source: &'a ConfigSource,
    table: Option<&'a toml::Table>,
    /// Path with a dot at the end: `channels.sms.`.
    path: String,
    /// Path as in the table of keys: `channels.NAME.`.
    key_pattern: String,
}

impl<'a> TableReader<'a> {
    /// Returns a reader of the top level.
    pub fn root(source: &'a ConfigSource) -> Self {
        Self { source, table: Some(&source.table), path: String::new(), key_pattern: String::new() }
    }

    /// Returns a reader of the table `section_name`; a missing table is empty.
    pub fn section(&self, section_name: &str) -> Result<Self> {
        let section_table = match self.raw(section_name) {
            None => None,
            Some(Value::Table(section_table)) => Some(section_table),
            Some(_) => {
                let section_path = format!("{}{section_name}", self.path);
                return Err(self
                    .source
                    .error_at(&section_path, &format!("must be a table: write [{section_path}]")));
            }
        };
        Ok(Self {
            source: self.source,
            table: section_table,
            path: format!("{}{section_name}.", self.path),
            key_pattern: format!("{}{section_name}.", self.key_pattern),
        })
    }

    /// Returns the tables in this table with their names.
    pub fn named_tables(&self) -> Result<Vec<(&'a str, Self)>> {
        let key_pattern = format!("{}NAME.", self.key_pattern);
        let read_section = |name: &'a String| {
            Ok((name.as_str(), Self { key_pattern: key_pattern.clone(), ..self.section(name)? }))
        };
        self.table.into_iter().flat_map(toml::Table::keys).map(read_section).collect()
    }

    /// Returns the tables of the list `list_name`, as in `[[keys]]`.
    pub fn table_list(&self, list_name: &str) -> Result<Vec<Self>> {
        let not_tables = |table_path: &str| {
            self.source.error_at(table_path, &format!("must be tables: write [[{list_name}]]"))
        };
        let elements = match self.raw(list_name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(elements)) => elements,
            Some(_) => return Err(not_tables(list_name)),
        };
        let read_element = |(index, element): (usize, &'a Value)| {
            let table_path = format!("{}{list_name}[{index}]", self.path);
            match element {
                Value::Table(table) => Ok(Self {
                    source: self.source,
                    table: Some(table),
                    path: format!("{table_path}."),
                    key_pattern: format!("{}{list_name}.", self.key_pattern),
                }),
                _ => Err(not_tables(&table_path)),
            }
        };
        elements.iter().enumerate().map(read_element).collect()
    }

    /// Returns an error for an unknown key.
    pub fn reject_unknown_keys(&self) -> Result<()> {
        for key_name in self.table.into_iter().flat_map(toml::Table::keys) {
            if !key_names_under(&self.key_pattern).any(|known_name| known_name == key_name) {
                let suggestion = did_you_mean(key_name, key_names_under(&self.key_pattern));
                let remedy = "is not a known key; correct or remove it (console.example.toml lists all keys)";
                return Err(self.error_at(key_name, &format!("{remedy}{suggestion}")));
            }
        }
        Ok(())
    }

    /// Returns the entries that are not in the table of keys: the settings of an adapter.
    pub fn other_entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let entries = self.table.into_iter().flatten();
        entries.filter(|(name, _)| !key_names_under(&self.key_pattern).any(|known_name| known_name == *name))
    }

    /// Returns an error about the value `name`.
    pub fn error_at(&self, name: &str, problem: &str) -> Error {
        self.source.error_at(&format!("{}{name}", self.path), problem)
    }

    /// Returns the origins of this table and of its values.
    pub fn setting_origins(&self) -> SettingOrigins {
        SettingOrigins::below(self.path.trim_end_matches('.'), self.source.origins())
    }

    /// Returns an error about this table as a whole.
    fn table_error(&self, problem: &str) -> Error {
        self.source.error_at(self.path.trim_end_matches('.'), problem)
    }

    /// Parses the name of this table.
    pub fn parse_name(&self, name: &str) -> Result<ConfigName> {
        name.parse().map_err(|_| {
            let bytes_max = ConfigName::BYTES_MAX;
            self.table_error(&format!("is not a valid name; use 1 to {bytes_max} letters, digits, -, _ or ."))
        })
    }

    /// Returns the folder from which relative files start.
    pub fn folder(&self) -> &Path {
        self.source.folder()
    }

    /// Reads the value of a key; `None` if the value is missing.
    pub fn get<T: DeserializeOwned>(&self, key_name: &str) -> Result<Option<T>> {
        let config_key = self.config_key(key_name)?;
        let Some(raw_value) = self.raw(key_name) else {
            return Ok(None);
        };
        let config_value = self.read_value(config_key, key_name, raw_value)?;
        config_value.try_into().map(Some).map_err(|error| self.type_error(key_name, error))
    }

    /// Reads all values of this table into a struct whose fields are named like the keys.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.reject_unknown_keys()?;
        let mut values = toml::Table::new();
        for (name, raw_value) in self.table.into_iter().flatten() {
            values.insert(name.clone(), self.read_value(self.config_key(name)?, name, raw_value)?);
        }
        values.try_into().map_err(|error| self.type_error("", error))
    }

    /// Reads a duration or `never`; `Some(None)` is `never`.
    #[allow(clippy::option_option, reason = "a missing value and `never` are two things")]
    pub fn duration_or_never(&self, name: &str) -> Result<Option<Option<Duration>>> {
        match self.raw(name).and_then(Value::as_str) {
            Some(NEVER) => Ok(Some(None)),
            _ => Ok(self.get(name)?.map(Some)),
        }
    }

    /// Returns the regions of a list of country codes; an empty list if it is not set.
    pub fn countries(&self, name: &str) -> Result<Vec<PhoneRegion>> {
        let parse = |code: &String| {
            PhoneRegion::parse(code).ok_or_else(|| {
                let problem = format!(
                    "lists unknown country {code}: use two capital letters, such as \"IR\" or \"DE\""
                );
                self.error_at(name, &problem)
            })
        };
        self.list(name)?.iter().map(parse).collect()
    }

    /// Reads a list of texts; a missing list is empty.
    pub fn list(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.get(name)?.unwrap_or_default())
    }

    /// Checks the value of a key and returns the value in the form that serde reads.
    fn read_value(&self, config_key: &ConfigKey, name: &str, raw_value: &Value) -> Result<Value> {
        config_key.kind.read(raw_value).map_err(|problem| self.error_at(name, &problem))
    }

    /// Returns the error for a value that the table of keys allows but the type of the field does not: a defect of the
    /// program.
    fn type_error(&self, name: &str, cause: toml::de::Error) -> Error {
        Error::with_source(ErrorKind::Internal, format!("{}{name} has the wrong type", self.path), cause)
    }

    fn config_key(&self, name: &str) -> Result<&'static ConfigKey> {
        let key_path = format!("{}{name}", self.key_pattern);
        find_config_key(&key_path).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("key {key_path} is missing in the table of keys"))
        })
    }

    fn raw(&self, name: &str) -> Option<&'a Value> {
        self.table.and_then(|table| table.get(name))
    }
}
