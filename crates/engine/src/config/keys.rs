//! Table of all configuration keys: kind, default and description of each.
//!
//! The reader, the environment overrides, the table in docs/src/configuration.md and `console.example.toml` are all checked
//! against this table. `NAME` in a path stands for the name of a channel or provider; such keys have no environment
//! variable.

mod config_key;
mod table;
mod value_kind;

pub use config_key::ConfigKey;
pub use table::CONFIG_KEYS;
pub(super) use value_kind::NEVER;
pub use value_kind::ValueKind;

/// Variables of the program that are not configuration keys: path of the file, log filter, and the options of `move`.
pub const OTHER_VARIABLES: [&str; 4] =
    ["POSTRIDER_CONFIG", "POSTRIDER_LOG", "POSTRIDER_MOVE_FROM", "POSTRIDER_MOVE_TO"];

/// Variables that may contain the log filter (`warn`, `info,postrider=debug`), in the order of lookup: the first one
/// that is set is used.
pub const LOG_VARIABLES: [&str; 2] = ["POSTRIDER_LOG", "RUST_LOG"];

/// Returns the key at that path.
pub fn find_config_key(path: &str) -> Option<&'static ConfigKey> {
    CONFIG_KEYS.iter().find(|key| key.path == path)
}

/// Returns the next path segment of all keys that begin with `prefix` (`work.`, or empty for the top level).
pub fn key_names_under(prefix: &str) -> impl Iterator<Item = &'static str> {
    let mut previous_name = "";
    CONFIG_KEYS
        .iter()
        .filter_map(move |key| key.path.strip_prefix(prefix))
        .map(|tail| tail.split('.').next().unwrap_or(tail))
        .filter(move |name| std::mem::replace(&mut previous_name, name) != *name)
}

#[cfg(test)]
mod tests;
