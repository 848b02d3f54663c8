//! Kinds of configuration values.

use super::CONFIG_KEYS;

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
}

/// Returns the configuration table of the README, in Markdown.
pub fn markdown_table() -> String {
    let mut text = String::from("| key | environment | default | unit | meaning |\n|---|---|---|---|---|\n");
    for row in CONFIG_KEYS {
        let code = |word: &str| {
            if word.is_empty() {
                String::new()
            } else {
                format!("`{word}`")
            }
        };
        let environment = row.environment_variable().unwrap_or_default();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            code(row.path),
            code(&environment),
            code(row.default),
            row.kind.unit(),
            row.description
        ));
    }
    text
}
