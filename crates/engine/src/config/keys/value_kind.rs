//! Kinds of configuration values.

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
    /// Returns the unit or the choices, for the documentation.
    pub fn unit(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::Flag => "true, false".to_owned(),
            Self::Count(..) => "count".to_owned(),
            Self::Bytes(..) => "bytes".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::DurationOrNever => "duration, never".to_owned(),
            Self::List => "list".to_owned(),
            Self::Weights => "table".to_owned(),
        }
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
