//! Dotted paths into a JSON document: `message_id`, `messages.0.status`, or an empty path for the whole document.
//!
//! A missing value, and a value of the wrong type, are None.

use serde_json::Value;

/// A path from the root of a document to one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<String>);

impl JsonPath {
    /// Parses a path.
    pub fn parse(path: &str) -> Self {
        let steps = path.split('.').filter(|step| !step.is_empty());
        Self(steps.map(str::to_owned).collect())
    }

    /// Returns the value at the path.
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |parent, step| match parent {
            Value::Object(fields) => fields.get(step),
            Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    /// Returns the JSON value at this path as text; None for null, arrays and objects.
    pub fn text(&self, document: &Value) -> Option<String> {
        match self.find(document)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
