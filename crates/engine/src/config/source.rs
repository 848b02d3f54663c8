//! Merged configuration values with their origin: a line of the file, a variable, or the command line.
//!
//! The environment overrides the file and the command line overrides both. The origin of each value is kept for error
//! messages; the crates `figment` and `config` merge such sources too, but do not know the line of a value.

use postrider_core::error::{Error, ErrorKind, Result};
use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use toml::Value;
use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::keys::{CONFIG_KEYS, ConfigKey, OTHER_VARIABLES, ValueKind, find_config_key};
use super::text::{split_list, suggest_typo};

/// Merged values and their origins.
#[derive(Default)]
pub(super) struct ConfigSource {
    /// File, environment and command line merged.
    pub table: toml::Table,
    /// Name of the file, for errors.
    file: Option<String>,
    /// Text of the file.
    text: String,
    /// Origin of each value, by path.
    origins: BTreeMap<String, String>,
}

impl ConfigSource {
    /// Reads the file and applies environment and command line.
    pub fn read(
        file: Option<&Path>,
        environment: &Environment,
        overrides: &[(&str, String)],
    ) -> Result<Self> {
        let mut config_source = file.map(Self::from_file).transpose()?.unwrap_or_default();
        for config_key in CONFIG_KEYS {
            if let Some(variable) = config_key.environment_variable()
                && let Some(override_text) = environment.get(&variable)
            {
                config_source.set_override(config_key, override_text, variable)?;
            }
        }
        for (key_path, override_text) in overrides {
            let config_key = find_config_key(key_path)
                .filter(|config_key| config_key.environment_variable().is_some())
                .ok_or_else(|| Error::usage(format!("command line: unknown key {key_path}")))?;
            config_source.set_override(config_key, override_text, format!("command line, {key_path}"))?;
        }
        Ok(config_source)
    }

    fn from_file(config_path: &Path) -> Result<Self> {
        let file_name = config_path.display().to_string();
        let file_text = std::fs::read_to_string(config_path).map_err(|cause| {
            let message = format!(
                "cannot read the configuration file {file_name}: {cause}; check --config and the file permissions"
            );
            Error::with_source(ErrorKind::Usage, message, cause)
        })?;
        let tree = DeTable::parse(&file_text).map_err(|cause| {
            let line_in_file = line_number(&file_text, cause.span().map_or(0, |span| span.start));
            let problem = cause.message();
            Error::usage(format!("{file_name} line {line_in_file}: not valid TOML: {problem}"))
        })?;
        let mut origins = BTreeMap::new();
        let line_at = |byte| format!("{file_name} line {}", line_number(&file_text, byte));
        collect_origins(tree.get_ref(), "", &line_at, &mut origins);
        let table = toml::Table::deserialize(toml::Deserializer::from(tree))
            .map_err(|cause| Error::usage(format!("{file_name}: not valid TOML: {}", cause.message())))?;
        Ok(Self { table, file: Some(file_name), text: file_text, origins })
    }

    fn set_override(&mut self, config_key: &ConfigKey, override_text: &str, origin: String) -> Result<()> {
        let override_value = parse_value(config_key.kind, override_text).ok_or_else(|| {
            Error::usage(format!(
                "{origin}: must be {}, but is \"{override_text}\"",
                config_key.kind.expected()
            ))
        })?;
        let (sections, key_name) = config_key.path.rsplit_once('.').unwrap_or(("", config_key.path));
        let mut section_table = &mut self.table;
        for section in sections.split('.').filter(|section| !section.is_empty()) {
            let entry = section_table.entry(section).or_insert_with(|| Value::Table(toml::Table::new()));
            section_table = match entry {
                Value::Table(table) => table,
                _ => return Err(self.error_at(sections, "must be a table, such as [work]")),
            };
        }
        section_table.insert(key_name.to_owned(), override_value);
        self.origins.insert(config_key.path.to_owned(), origin);
        Ok(())
    }

    /// Returns the origin of each value, by path.
    pub fn origins(&self) -> &BTreeMap<String, String> {
        &self.origins
    }

    /// Records the origin of the value at that path.
    pub fn set_origin(&mut self, path: String, origin: &str) {
        self.origins.insert(path, origin.to_owned());
    }

    /// Returns an error about a value: origin, path, problem and remedy.
    pub fn error_at(&self, path: &str, problem: &str) -> Error {
        let origin = match (self.origins.get(path), &self.file) {
            (Some(origin), _) => format!("{origin}: "),
            (None, Some(file)) => format!("{file}: "),
            (None, None) => String::new(),
        };
        Error::usage(format!("{origin}{path} {problem}"))
    }

    /// Returns the folder of the configuration file, from which `${file:PATH}` starts.
    pub fn folder(&self) -> &Path {
        self.file.as_deref().and_then(|file| Path::new(file).parent()).unwrap_or_else(|| Path::new(""))
    }

    /// Returns a warning for a configuration file without any key. Another program may be writing the file at this
    /// moment.
    pub fn empty_file_warning(&self) -> Option<String> {
        let file = self.file.as_ref().filter(|_| self.text.trim().is_empty())?;
        Some(format!("the configuration file {file} is empty; all defaults apply"))
    }

    /// Returns a warning for each variable with the prefix `POSTRIDER_` that the program does not know.
    pub fn unknown_variables(&self, environment: &Environment) -> Vec<String> {
        let key_variables =
            CONFIG_KEYS.iter().filter_map(ConfigKey::environment_variable).collect::<Vec<_>>();
        let is_known = |variable: &str| {
            OTHER_VARIABLES.contains(&variable)
                || is_service_link(variable)
                || key_variables.iter().any(|known_variable| known_variable == variable)
                || self.text.contains(&format!("${{env:{variable}}}"))
        };
        let warn = |variable: &str| {
            let suggestion = suggest_typo(variable, key_variables.iter().map(String::as_str));
            format!("unknown environment variable {variable}{suggestion}")
        };
        environment.names_with_prefix("POSTRIDER_").filter(|variable| !is_known(variable)).map(warn).collect()
    }
}

/// Returns whether Kubernetes or Docker sets a variable of this name for a service whose name begins with `postrider`
/// ("service links"): `POSTRIDER_SERVICE_HOST`, `POSTRIDER_SERVICE_PORT_HTTP`, `POSTRIDER_PORT`, `POSTRIDER_PORT_80_TCP_ADDR`.
fn is_service_link(variable: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_port_link = |tail: &str| {
        let mut words = tail.split('_');
        words.next().is_some_and(is_number)
            && words.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
            && words.next().is_none_or(|field| ["PROTO", "PORT", "ADDR"].contains(&field))
    };
    variable.ends_with("_SERVICE_HOST")
        || variable.ends_with("_PORT")
        || variable.contains("_SERVICE_PORT_")
        || variable
            .match_indices("_PORT_")
            .any(|(at, separator)| is_port_link(&variable[at + separator.len()..]))
}

/// Parses the text of a variable or an argument into the value that the file would contain.
fn parse_value(kind: ValueKind, override_text: &str) -> Option<Value> {
    match kind {
        ValueKind::Text | ValueKind::Choice(_) | ValueKind::Duration | ValueKind::DurationOrNever => {
            Some(Value::from(override_text))
        }
        ValueKind::Flag => match override_text {
            "true" | "1" | "yes" | "on" => Some(Value::from(true)),
            "false" | "0" | "no" | "off" => Some(Value::from(false)),
            _ => None,
        },
        ValueKind::Count(..) | ValueKind::Bytes(..) => {
            override_text.replace('_', "").parse::<i64>().ok().map(Value::from)
        }
        ValueKind::Number => override_text.parse::<f64>().ok().map(Value::from),
        ValueKind::List => Some(Value::from(split_list(override_text).collect::<Vec<_>>())),
        ValueKind::Weights => None,
    }
}

fn collect_origins(
    table: &DeTable<'_>,
    prefix: &str,
    origin: &dyn Fn(usize) -> String,
    origins: &mut BTreeMap<String, String>,
) {
    for (key, value) in table {
        let key_path = format!("{prefix}{}", key.get_ref());
        origins.insert(key_path.clone(), origin(key.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => collect_origins(inner, &format!("{key_path}."), origin, origins),
            DeValue::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let key_path = format!("{key_path}[{index}]");
                    origins.insert(key_path.clone(), origin(element.span().start));
                    if let DeValue::Table(inner) = element.get_ref() {
                        collect_origins(inner, &format!("{key_path}."), origin, origins);
                    }
                }
            }
            _ => {}
        }
    }
}

fn line_number(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}
