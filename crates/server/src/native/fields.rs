//! Reads the fields of JSON objects one by one and collects everything that is not valid.
//!
//! So a client sees all errors of a request at once. A null field counts as missing.

use serde_json::{Map, Value};

use crate::problem::Violation;

/// A JSON object and the violations found so far.
pub(super) struct ObjectReader<'a> {
    object: &'a Map<String, Value>,
    prefix: &'a str,
    violations: Vec<Violation>,
}

impl<'a> ObjectReader<'a> {
    /// Starts reading an object and reports fields that are not in `known_fields`. `prefix` is put before field names.
    pub(super) fn new(object: &'a Map<String, Value>, known_fields: &[&str], prefix: &'a str) -> Self {
        let mut reader = Self { object, prefix, violations: Vec::new() };
        for name in object.keys().filter(|name| !known_fields.contains(&name.as_str())) {
            reader.add_violation(name, format!("unknown field; known are {}", known_fields.join(", ")));
        }
        reader
    }

    /// Returns a field that is present and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Reports what is not valid in a field.
    pub(super) fn add_violation(&mut self, field: &str, detail: impl Into<String>) {
        let field = format!("{}{field}", self.prefix);
        self.violations.push(Violation::new(field, detail));
    }

    /// Reads a string, which may be missing.
    pub(super) fn string(&mut self, name: &str) -> Option<String> {
        let text = self.get(name)?.as_str();
        if text.is_none() {
            self.add_violation(name, "must be a string");
        }
        text.map(str::to_owned)
    }

    /// Reads a string, which must be present.
    pub(super) fn required_string(&mut self, name: &str) -> Option<String> {
        if self.get(name).is_none() {
            self.add_violation(name, "is missing");
        }
        self.string(name)
    }

    /// Returns the value that was read, unless there is a violation.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.violations.is_empty() { Ok(value) } else { Err(self.violations) }
    }
}
