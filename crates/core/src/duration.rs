//! Durations as people write them: `500ms`, `30s`, `20m`, `24h`, `90d`.
//!
//! A number without a unit is an error, because its unit would be unclear.

use std::time::Duration;

/// End of the error message for a text that is not a duration. The message never shows the text, which could be a
/// secret.
pub const NOT_A_DURATION: &str =
    "is not a duration; write a number and a unit, such as \"500ms\", \"30s\", \"20m\", \"24h\" or \"90d\"";

/// Parses `500ms`, `30s`, `20m`, `24h`, `90d` or a sum such as `1h 30m`.
///
/// # Errors
/// The text has no unit or is not a duration; the error says how to write one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|_| format!("\"{text}\" {NOT_A_DURATION}"))
}

/// Returns the duration as [`parse_duration`] reads it: `1m 30s`.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Rounds up to whole seconds, at least one, for the header `Retry-After`.
pub fn round_up_to_seconds(duration: Duration) -> Duration {
    let started_second = u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs((duration.as_secs() + started_second).max(1))
}

#[cfg(test)]
mod tests;
