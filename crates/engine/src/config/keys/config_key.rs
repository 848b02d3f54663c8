//! A configuration key and its environment variable.

use super::value_kind::ValueKind;

/// The one key with a variable that is not derived from its path: the replaced notification service named it.
pub(super) const USED_CHANNELS: &str = "used_channels";

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Path in the file, such as `work.lease` or `channels.NAME.strategy`.
    pub path: &'static str,
    /// Kind of the value.
    pub kind: ValueKind,
    /// Default value; empty if there is none or if it depends on other keys.
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
        let named = self.path.contains("NAME") || self.path.starts_with("keys.");
        (!named).then(|| format!("POSTRIDER_{}", self.path.to_uppercase().replace('.', "_")))
    }
}
