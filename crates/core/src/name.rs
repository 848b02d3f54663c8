//! Names of channels and providers as the configuration writes them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A short name for a channel or a provider: 1 to 64 letters, digits, `-`, `_` or `.`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigName(Arc<str>);

impl ConfigName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The name as text.
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
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        let clean = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if fits && clean {
            Ok(Self(text.into()))
        } else {
            Err(InvalidConfigName)
        }
    }
}

/// The text is empty, too long, or has a character a name cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConfigName;
