//! Reads one table of the configuration, checked against the table of keys.
//!
//! A value of the wrong kind and an unknown key are errors that name their origin.

use postrider_core::duration::parse_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::name::ConfigName;
use std::path::Path;
use std::time::Duration;

use toml::Value;

use super::keys::{ConfigKey, ValueKind, find_config_key, key_names_under};
use super::source::ConfigSource;
use super::text::did_you_mean;

/// Maximum of any duration: ten years.
const DURATION_MAX: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// A table and its path.
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

    /// Returns a reader of the table `name`; a missing table is empty.
    pub fn section(&self, name: &str) -> Result<Self> {
        let table = match self.raw(name) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                let path = format!("{}{name}", self.path);
                return Err(self.source.error_at(&path, &format!("must be a table: write [{path}]")));
            }
        };
        Ok(Self {
            source: self.source,
            table,
            path: format!("{}{name}.", self.path),
            key_pattern: format!("{}{name}.", self.key_pattern),
        })
    }

    /// Returns the tables below this one with their names.
    pub fn named_tables(&self) -> Result<Vec<(&'a str, Self)>> {
        let names = self.table.into_iter().flat_map(toml::Table::keys);
        names
            .map(|name| {
                let mut section = self.section(name)?;
                section.key_pattern = format!("{}NAME.", self.key_pattern);
                Ok((name.as_str(), section))
            })
            .collect()
    }

    /// Returns the tables of the list `name`, as in `[[keys]]`.
    pub fn table_list(&self, name: &str) -> Result<Vec<Self>> {
        let wrong = |path: &str| self.source.error_at(path, &format!("must be tables: write [[{name}]]"));
        let values = match self.raw(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(wrong(name)),
        };
        let table_at = |(index, value): (usize, &'a Value)| {
            let path = format!("{}{name}[{index}]", self.path);
            match value {
                Value::Table(table) => Ok(Self {
                    source: self.source,
                    table: Some(table),
                    path: format!("{path}."),
                    key_pattern: format!("{}{name}.", self.key_pattern),
                }),
                _ => Err(wrong(&path)),
            }
        };
        values.iter().enumerate().map(table_at).collect()
    }

    /// Returns an error for an unknown key.
    pub fn reject_unknown_keys(&self) -> Result<()> {
        for name in self.table.into_iter().flat_map(toml::Table::keys) {
            if !key_names_under(&self.key_pattern).any(|known_name| known_name == name) {
                let suggestion = did_you_mean(name, key_names_under(&self.key_pattern));
                let remedy = "is not a known key; correct or remove it (console.example.toml lists all keys)";
                return Err(self.error_at(name, &format!("{remedy}{suggestion}")));
            }
        }
        Ok(())
    }

    /// Returns the entries that are not in the table of keys: the settings of an adapter.
    pub fn other_entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let table = self.table.into_iter().flatten();
        table.filter(|(name, _)| !key_names_under(&self.key_pattern).any(|known_name| known_name == *name))
    }

    /// Returns an error about the value `name`.
    pub fn error_at(&self, name: &str, problem: &str) -> Error {
        self.source.error_at(&format!("{}{name}", self.path), problem)
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

    /// Reads a text.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, |_, value| value.as_str())
    }

    /// Reads one of the words of the key.
    pub fn choice(&self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, |kind, value| {
            let ValueKind::Choice(words) = kind else {
                return None;
            };
            value.as_str().filter(|text| words.contains(text))
        })
    }

    /// Reads `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, |_, value| value.as_bool())
    }

    /// Reads a whole number in the range of the key.
    pub fn count<N: TryFrom<i64>>(&self, name: &str) -> Result<Option<N>> {
        self.read(name, |kind, value| {
            let (ValueKind::Count(min, max) | ValueKind::Bytes(min, max)) = kind else {
                return None;
            };
            let number = value.as_integer().filter(|number| (min..=max).contains(number));
            number.and_then(|number| N::try_from(number).ok())
        })
    }

    /// Reads a number; whole numbers are numbers too.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, |_, value| match value {
            Value::Float(number) if number.is_finite() => Some(*number),
            Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
            _ => None,
        })
    }

    /// Reads a duration greater than zero.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        let read = |_, value: &Value| value.as_str().and_then(|text| parse_duration(text).ok());
        match self.read(name, read)? {
            Some(Duration::ZERO) => Err(self.error_at(name, "must be greater than zero")),
            Some(duration) if duration > DURATION_MAX => Err(self.error_at(name, "must be at most 3650d")),
            duration => Ok(duration),
        }
    }

    /// Reads a duration or `never`; `Some(None)` is `never`.
    #[allow(clippy::option_option, reason = "not given and given as never are two things")]
    pub fn duration_or_never(&self, name: &str) -> Result<Option<Option<Duration>>> {
        match self.raw(name).and_then(Value::as_str) {
            Some("never") => Ok(Some(None)),
            _ => Ok(self.duration(name)?.map(Some)),
        }
    }

    /// Reads a list of texts; a missing list is empty.
    pub fn list(&self, name: &str) -> Result<Vec<&'a str>> {
        let read = |_, value: &'a Value| {
            let values = value.as_array()?;
            values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
        };
        Ok(self.read(name, read)?.unwrap_or_default())
    }

    /// Reads a table of whole numbers.
    pub fn weights(&self, name: &str) -> Result<Option<Vec<(&'a str, u32)>>> {
        self.read(name, |_, value| {
            let weight = |(name, value): (&'a String, &'a Value)| {
                let number = value.as_integer().and_then(|number| u32::try_from(number).ok())?;
                (number <= 1_000_000).then_some((name.as_str(), number))
            };
            value.as_table()?.iter().map(weight).collect::<Option<Vec<_>>>()
        })
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(ValueKind, &'a Value) -> Option<T>) -> Result<Option<T>> {
        let key = self.config_key(name)?;
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        read(key.kind, value)
            .map(Some)
            .ok_or_else(|| self.error_at(name, &format!("must be {}, but is {value}", key.kind.expected())))
    }

    fn config_key(&self, name: &str) -> Result<&'static ConfigKey> {
        let path = format!("{}{name}", self.key_pattern);
        find_config_key(&path).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("key {path} is missing in the table of keys"))
        })
    }

    fn raw(&self, name: &str) -> Option<&'a Value> {
        self.table.and_then(|table| table.get(name))
    }
}
