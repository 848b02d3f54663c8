//! Reads JSON objects field by field and collects everything that is not valid, so that a client sees all errors of a
//! request at once. A null field counts as missing.
//!
//! `deserr`, a library for the same purpose, was considered for 0.6: its readers get no context, so that channels, text
//! limits and callback URLs of the configuration cannot be checked together with the other fields; after an error it
//! returns no fields; and it reports violations in the order of the keys in the request.

use serde_json::{Map, Value};

use crate::problem::Violation;

/// Declares a JSON body once: its OpenAPI schema, and the names of its fields as `FIELDS`.
macro_rules! json_body {
    ($(#[$about:meta])* $visibility:vis struct $Body:ident { $($(#[$schema:meta])* $field:ident: $Type:ty,)+ }) => {
        #[derive(serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$about])*
        #[expect(dead_code, reason = "its fields are read one by one, in order to report all errors at once")]
        $visibility struct $Body { $($(#[$schema])* $field: $Type,)+ }

        impl $Body {
            pub(crate) const FIELDS: &[&str] = &[$(stringify!($field)),+];
        }
    };
}
pub(crate) use json_body;

/// A JSON object and the violations in it so far.
pub(crate) struct ObjectReader<'a> {
    object: &'a Map<String, Value>,
    prefix: &'a str,
    violations: Vec<Violation>,
}

impl<'a> ObjectReader<'a> {
    /// Starts reading an object. `prefix` is put before the field names in violations.
    pub(crate) fn new(object: &'a Map<String, Value>, prefix: &'a str) -> Self {
        Self { object, prefix, violations: Vec::new() }
    }

    /// Reports each field that is not in `known_fields`.
    pub(crate) fn refuse_unknown(mut self, known_fields: &[&str]) -> Self {
        for name in self.object.keys().filter(|name| !known_fields.contains(&name.as_str())) {
            self.add_violation(name, format!("unknown field; known are {}", known_fields.join(", ")));
        }
        self
    }

    /// Returns a field that is present and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Reports what is not valid in a field.
    pub(crate) fn add_violation(&mut self, field_name: &str, detail: impl Into<String>) {
        let field_path = format!("{}{field_name}", self.prefix);
        self.violations.push(Violation::new(field_path, detail));
    }

    /// Parses a field that may be missing; `violation_detail` is the violation if `parse` returns `None`.
    pub(crate) fn read<T>(
        &mut self,
        field_name: &str,
        violation_detail: &str,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let parsed_field = parse(self.get(field_name)?);
        if parsed_field.is_none() {
            self.add_violation(field_name, violation_detail);
        }
        parsed_field
    }

    /// Reads a string, which may be missing.
    pub(crate) fn string(&mut self, name: &str) -> Option<String> {
        self.read(name, "must be a string", Value::as_str).map(str::to_owned)
    }

    /// Reads a string, which must be present.
    pub(crate) fn required_string(&mut self, field_name: &str) -> Option<String> {
        if self.get(field_name).is_none() {
            self.add_violation(field_name, "is missing");
        }
        self.string(field_name)
    }

    /// Reads a boolean, which may be missing.
    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.read(name, "must be true or false", Value::as_bool)
    }

    /// Returns all violations.
    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Returns the value that was read, unless there is a violation.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.violations.is_empty() { Ok(value) } else { Err(self.violations) }
    }
}
