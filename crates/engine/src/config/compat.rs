//! Reads `[compat.NAME]`: which APIs of other gateways are served.

use postrider_core::error::Result;

use super::table_reader::TableReader;

/// The APIs with the wire of other gateways. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompatConfig {
    /// True if the API of Kannel is served.
    pub kannel: bool,
    /// True if the APIs of Jasmin are served.
    pub jasmin: bool,
    /// True if the API of Twilio is served.
    pub twilio: bool,
    /// True if the API of Vonage is served.
    pub vonage: bool,
}

impl CompatConfig {
    /// Returns whether any of the APIs is served.
    pub fn is_enabled(&self) -> bool {
        self.kannel || self.jasmin || self.twilio || self.vonage
    }
}

/// Reads `[compat]`.
pub(super) fn read_compat(section: &TableReader<'_>) -> Result<CompatConfig> {
    section.reject_unknown_keys()?;
    let is_enabled = |name: &str| -> Result<bool> {
        let api = section.section(name)?;
        api.reject_unknown_keys()?;
        Ok(api.get("enabled")?.unwrap_or(false))
    };
    Ok(CompatConfig {
        kannel: is_enabled("kannel")?,
        jasmin: is_enabled("jasmin")?,
        twilio: is_enabled("twilio")?,
        vonage: is_enabled("vonage")?,
    })
}
