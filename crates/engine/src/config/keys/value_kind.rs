//! Kinds of configuration values: which values are valid, and how error messages describe them.

use postrider_core::duration::parse_duration;
use std::time::Duration;

use toml::Value;

/// Maximum of any duration: ten years.
const DURATION_MAX: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// Maximum weight of a provider.
const WEIGHT_MAX: i64 = 1_000_000;

/// Value of [`ValueKind::DurationOrNever`] that is no duration.
pub(in crate::config) const NEVER: &str = "never";

/// The kind of a configuration value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this inclusive range.
    Count(i64, i64),
    /// A number of bytes in this inclusive range.
    Bytes(i64, i64),
    /// A number, with or without a fraction.
    Number,
    /// `30s`, `20m`.
    Duration,
    /// `20m`, or `never`.
    DurationOrNever,
    /// A list of texts.
    List,
    /// A table of whole numbers by provider.
    Weights,
}

impl ValueKind {
    /// Returns the value in the form that serde reads. A duration becomes the table of [`std::time::Duration`].
    ///
    /// # Errors
    ///
    /// Returns the problem if the value is not of this kind.
    pub(in crate::config) fn read(self, toml_value: &Value) -> Result<Value, String> {
        let is_valid = match (self, toml_value) {
            (Self::DurationOrNever, Value::String(text)) if text == NEVER => true,
            (Self::Duration | Self::DurationOrNever, Value::String(text)) => {
                if let Ok(duration) = parse_duration(text) {
                    return duration_table(duration);
                }
                false
            }
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Boolean(_)) => true,
            (Self::Choice(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::Count(least, most) | Self::Bytes(least, most), Value::Integer(number)) => {
                (least..=most).contains(number)
            }
            (Self::Number, Value::Float(number)) => number.is_finite(),
            (Self::Number, Value::Integer(number)) => i32::try_from(*number).is_ok(),
            (Self::List, Value::Array(texts)) => texts.iter().all(Value::is_str),
            (Self::Weights, Value::Table(weights)) => weights.values().all(is_weight),
            _ => false,
        };
        if is_valid {
            return Ok(toml_value.clone());
        }
        Err(format!("must be {}, but is {toml_value}", self.expected()))
    }

    /// Returns the expected form of a value, for error messages.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Flag => "true or false".to_owned(),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Bytes(least, most) => format!("a number of bytes from {least} to {most}"),
            Self::Number => "a number such as 2 or 0.5".to_owned(),
            Self::Duration => "a duration such as \"500ms\", \"30s\", \"20m\" or \"24h\"".to_owned(),
            Self::DurationOrNever => "a duration such as \"20m\", or \"never\"".to_owned(),
            Self::List => "a list of texts such as [\"red\", \"blue\"]".to_owned(),
            Self::Weights => "a table of whole numbers such as { red = 30, blue = 70 }".to_owned(),
        }
    }
}

fn duration_table(duration: Duration) -> Result<Value, String> {
    if duration.is_zero() {
        return Err("must be greater than zero".to_owned());
    }
    if duration > DURATION_MAX {
        return Err("must be at most 3650d".to_owned());
    }
    Value::try_from(duration).map_err(|error| error.to_string())
}

fn is_weight(value: &Value) -> bool {
    value.as_integer().is_some_and(|weight| (0..=WEIGHT_MAX).contains(&weight))
}
