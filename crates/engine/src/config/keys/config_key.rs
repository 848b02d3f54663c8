//! A configuration key and its environment variable.

use super::value_kind::ValueKind;

/// Path of the only key whose variable does not follow from the path: the replaced notification service named the
/// variable.
pub(super) const USED_CHANNELS: &str = "used_channels";

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Path in the file, such as `work.lease` or `channels.NAME.strategy`.
    pub path: &'static str,
    /// Kind of the value.
    pub kind: ValueKind,
    /// Default value; empty if the key has no default or a default that depends on other keys.
    pub default: &'static str,
    /// Description in one line.
    pub description: &'static str,
}

impl ConfigKey {
    /// Returns the environment variable that overrides the key; `None` for keys of named tables.
    pub fn environment_variable(&self) -> Option<String> {
        if self.path == USED_CHANNELS {
            return Some("USED_CHANNELS".to_owned());
        }
        let is_in_named_table = self.path.contains("NAME")
            || self.path.starts_with("keys.")
            || self.path.starts_with("keywords.")
            || self.path.starts_with("inbound.");
        (!is_in_named_table).then(|| format!("POSTRIDER_{}", self.path.to_uppercase().replace('.', "_")))
    }
}
