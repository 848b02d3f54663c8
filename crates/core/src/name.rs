//! Names of channels and providers in the configuration.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a channel or a provider: 1 to 64 letters, digits, `-`, `_` or `.`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigName(Arc<str>);

impl ConfigName {
    /// Length of the longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConfigName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for ConfigName {
    type Err = InvalidConfigName;

    fn from_str(text: &str) -> Result<Self, InvalidConfigName> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_valid) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidConfigName)
        }
    }
}

/// The error for a name that is empty, too long, or has an invalid character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConfigName;
