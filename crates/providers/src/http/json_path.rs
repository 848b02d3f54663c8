//! Dotted paths into JSON: `message_id`, `messages.0.status`, or nothing for the whole document.
//!
//! Takes what providers send as it comes: a value that is not there is simply not there.

use std::fmt;

use serde_json::Value;

/// A way from a document's root to one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<String>);

impl JsonPath {
    /// A path as it is configured; empty is the document itself.
    pub fn parse(text: &str) -> Self {
        Self(
            text.split('.')
                .filter(|step| !step.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// What stands there, if anything does.
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(values) => values.get(step.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    /// What stands there, as text; none for null, lists and objects.
    pub fn text(&self, document: &Value) -> Option<String> {
        match self.find(document)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let document = serde_json::json!({"messages": [{"id": 7, "ok": true, "none": null}], "a": "b"});
        for (path, text) in [
            ("a", Some("b")),
            ("messages.0.id", Some("7")),
            ("messages.0.ok", Some("true")),
            ("messages.0.none", None),
            ("messages.1.id", None),
            ("messages.x", None),
            ("messages", None),
            ("a.b", None),
            ("", None),
        ] {
            assert_eq!(JsonPath::parse(path).text(&document).as_deref(), text, "{path}");
        }
        assert_eq!(JsonPath::parse("").find(&document), Some(&document));
    }
}
