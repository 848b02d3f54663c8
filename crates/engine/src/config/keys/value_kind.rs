//! How keys are told to people: what a value looks like, and the table of the README.
//!
//! Says what `keys.rs` holds; reads no configuration.

use super::CONFIG_KEYS;

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number between these two, both included.
    Count(i64, i64),
    /// A number of bytes between these two, both included.
    Bytes(i64, i64),
    /// A number, perhaps with a fraction.
    Number,
    /// `30s`, `20m`.
    Duration,
    /// `20m`, or `never`.
    DurationOrNever,
    /// A list of words.
    List,
    /// A table of numbers by provider.
    Weights,
}

impl ValueKind {
    /// The unit or the choices, in words.
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

/// The table for the README.
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
