//! Lines of the configuration file with the settings of one provider, for errors that an adapter finds.

use std::collections::BTreeMap;

/// Origins of the settings of a provider, by path within its table. The empty path is the table itself.
///
/// All origins are equal: a provider is the same wherever its settings stand in the file.
#[derive(Clone, Default)]
pub struct SettingOrigins(BTreeMap<String, String>);

impl PartialEq for SettingOrigins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl SettingOrigins {
    /// Selects the origins at and below `table`, such as `providers.red`, from the origins of all values.
    pub(super) fn below(table: &str, origins: &BTreeMap<String, String>) -> Self {
        let relative = |(path, origin): (&String, &String)| {
            let rest = path.strip_prefix(table)?;
            let inner = if rest.is_empty() { rest } else { rest.strip_prefix('.')? };
            Some((inner.to_owned(), origin.clone()))
        };
        Self(origins.iter().filter_map(relative).collect())
    }

    /// Returns the origin of the value that an adapter's error is about, which begins with its path and a colon; otherwise
    /// the origin of the table. None for a provider that is not in the file.
    pub fn find(&self, error: &str) -> Option<&str> {
        let path = error.split_once(": ").map_or("", |(path, _)| path);
        self.0.get(path).or_else(|| self.0.get("")).map(String::as_str)
    }
}
