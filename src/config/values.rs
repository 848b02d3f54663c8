//! One table of the configuration, read key by key against the rows of `keys`.
//!
//! A value of the wrong kind and a key that no row knows are errors that name their place.

use std::path::Path;
use std::time::Duration;

use toml::Value;

use super::duration::read_duration;
use super::keys::{Kind, Row, names_below, row};
use super::source::{Source, did_you_mean, wanted};
use crate::error::{Error, Kind as ErrorKind, Result};

/// The longest duration that makes sense anywhere: ten years.
const DURATION_MAX: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// A table and where it stands.
pub(super) struct Values<'a> {
    source: &'a Source,
    table: Option<&'a toml::Table>,
    /// Its path with a dot at the end: `channels.sms.`.
    path: String,
    /// The same as the rows write it: `channels.NAME.`.
    pattern: String,
}

impl<'a> Values<'a> {
    /// The top level.
    pub fn top(source: &'a Source) -> Self {
        Self {
            source,
            table: Some(&source.table),
            path: String::new(),
            pattern: String::new(),
        }
    }

    /// The table under `name`; an empty one when it is not there.
    pub fn section(&self, name: &str) -> Result<Self> {
        let table = match self.raw(name) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                let path = format!("{}{name}", self.path);
                return Err(self
                    .source
                    .fault(&path, &format!("must be a table: write [{path}]")));
            }
        };
        Ok(Self {
            source: self.source,
            table,
            path: format!("{}{name}.", self.path),
            pattern: format!("{}{name}.", self.pattern),
        })
    }

    /// The tables under this one, each with its own name.
    pub fn named(&self) -> Result<Vec<(&'a str, Self)>> {
        let names = self.table.into_iter().flat_map(toml::Table::keys);
        names
            .map(|name| {
                let mut section = self.section(name)?;
                section.pattern = format!("{}NAME.", self.pattern);
                Ok((name.as_str(), section))
            })
            .collect()
    }

    /// The tables of the list under `name`, as in `[[keys]]`.
    pub fn listed(&self, name: &str) -> Result<Vec<Self>> {
        let wrong = |path: &str| {
            self.source
                .fault(path, &format!("must be tables: write [[{name}]]"))
        };
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
                    pattern: format!("{}{name}.", self.pattern),
                }),
                _ => Err(wrong(&path)),
            }
        };
        values.iter().enumerate().map(table_at).collect()
    }

    /// Refuses a key that no row knows.
    pub fn refuse_unknown(&self) -> Result<()> {
        for name in self.table.into_iter().flat_map(toml::Table::keys) {
            if !names_below(&self.pattern).any(|known| known == name) {
                let near = did_you_mean(name, names_below(&self.pattern));
                let remedy = "is not a key; correct or remove it, console.example.toml shows all keys";
                return Err(self.fault(name, &format!("{remedy}{near}")));
            }
        }
        Ok(())
    }

    /// The keys that no row knows, for a kind that has keys of its own.
    pub fn others(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let table = self.table.into_iter().flatten();
        table.filter(|(name, _)| !names_below(&self.pattern).any(|known| known == *name))
    }

    /// A wrong value under `name`.
    pub fn fault(&self, name: &str, problem: &str) -> Error {
        self.source.fault(&format!("{}{name}", self.path), problem)
    }

    /// A fault of this table as a whole.
    pub fn table_fault(&self, problem: &str) -> Error {
        self.source.fault(self.path.trim_end_matches('.'), problem)
    }

    /// The folder that relative files start from.
    pub fn folder(&self) -> &Path {
        self.source.folder()
    }

    /// A text, if given.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, |_, value| value.as_str())
    }

    /// One of the row's words, if given.
    pub fn choice(&self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, |kind, value| {
            let Kind::Choice(words) = kind else { return None };
            value.as_str().filter(|word| words.contains(word))
        })
    }

    /// A truth, if given.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, |_, value| value.as_bool())
    }

    /// A whole number within the row's bounds, if given.
    pub fn count<N: TryFrom<i64>>(&self, name: &str) -> Result<Option<N>> {
        self.read(name, |kind, value| {
            let (Kind::Count(least, most) | Kind::Bytes(least, most)) = kind else {
                return None;
            };
            let number = value
                .as_integer()
                .filter(|number| (least..=most).contains(number));
            number.and_then(|number| N::try_from(number).ok())
        })
    }

    /// A number, if given; a whole one is one too.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, |_, value| match value {
            Value::Float(number) if number.is_finite() => Some(*number),
            Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
            _ => None,
        })
    }

    /// A duration longer than nothing, if given.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        let read = |_, value: &Value| value.as_str().and_then(|text| read_duration(text).ok());
        match self.read(name, read)? {
            Some(Duration::ZERO) => Err(self.fault(name, "must be longer than nothing")),
            Some(duration) if duration > DURATION_MAX => Err(self.fault(name, "must be at most 3650d")),
            duration => Ok(duration),
        }
    }

    /// A duration or `never`, if given: some none is `never`.
    #[allow(clippy::option_option, reason = "not given and given as never are two things")]
    pub fn duration_or_never(&self, name: &str) -> Result<Option<Option<Duration>>> {
        match self.raw(name).and_then(Value::as_str) {
            Some("never") => Ok(Some(None)),
            _ => Ok(self.duration(name)?.map(Some)),
        }
    }

    /// A list of texts; empty when not given.
    pub fn list(&self, name: &str) -> Result<Vec<&'a str>> {
        let read = |_, value: &'a Value| {
            let values = value.as_array()?;
            values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
        };
        Ok(self.read(name, read)?.unwrap_or_default())
    }

    /// A table of whole numbers, if given.
    pub fn weights(&self, name: &str) -> Result<Option<Vec<(&'a str, u32)>>> {
        self.read(name, |_, value| {
            let weight = |(name, value): (&'a String, &'a Value)| {
                let number = value.as_integer().and_then(|number| u32::try_from(number).ok())?;
                (number <= 1_000_000).then_some((name.as_str(), number))
            };
            value.as_table()?.iter().map(weight).collect::<Option<Vec<_>>>()
        })
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(Kind, &'a Value) -> Option<T>) -> Result<Option<T>> {
        let row = self.row(name)?;
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        read(row.kind, value)
            .map(Some)
            .ok_or_else(|| self.fault(name, &format!("must be {}, but is {value}", wanted(row.kind))))
    }

    fn row(&self, name: &str) -> Result<&'static Row> {
        let path = format!("{}{name}", self.pattern);
        row(&path).ok_or_else(|| Error::new(ErrorKind::Internal, format!("no row for the key {path}")))
    }

    fn raw(&self, name: &str) -> Option<&'a Value> {
        self.table.and_then(|table| table.get(name))
    }
}
