//! Durations as people write them: `500ms`, `30s`, `20m`, `24h`, `90d`.
//!
//! A number without a unit is refused: nobody should have to guess whether it means seconds.

use std::time::Duration;

/// Reads `500ms`, `30s`, `20m`, `24h`, `90d` or a sum such as `1h 30m`. The error says how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|_| {
        format!("\"{text}\" is not a duration; write a number and a unit, such as \"500ms\", \"30s\", \"20m\", \"24h\" or \"90d\"")
    })
}

/// The duration as [`read_duration`] takes it: `1m 30s`.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// In whole seconds, never too short and at least one: for telling when to come back.
pub fn round_up_to_seconds(duration: Duration) -> Duration {
    let over = u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs((duration.as_secs() + over).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_a_person_would_use_is_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("20m", 1_200_000),
            ("24h", 86_400_000),
            ("90d", 7_776_000_000),
            ("1h 30m", 5_400_000),
            (" 5s ", 5_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_is_refused_with_an_example() {
        for text in ["", "20", "m", "-5s", "five minutes", "1.5.5s"] {
            assert!(parse_duration(text).unwrap_err().contains("\"20m\""), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for seconds in [1, 59, 60, 61, 3_600, 86_400, 90 * 86_400] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
