//! The fields of a callback, from the query of a GET request, a form, or a JSON object.
//!
//! Callbacks are untrusted: the number of fields is limited, and values that are not text are left out.

use serde_json::Value;

use crate::callback::{CallbackError, CallbackRequest};

/// Maximum number of fields; providers send about 30.
const FIELDS_MAX: usize = 200;

/// Decoded names and values, in the order of the request.
pub(crate) struct CallbackFields(Vec<(String, String)>);

impl CallbackFields {
    /// Parses the fields of the body, or of the query when the body is empty.
    pub fn from_callback(request: &CallbackRequest) -> Result<Self, CallbackError> {
        match request.body.trim_ascii_start().first() {
            None => Self::from_form(request.query.as_bytes()),
            Some(b'{') => Self::from_json(&request.body),
            Some(_) => Self::from_form(&request.body),
        }
    }

    /// Parses the fields of a form or a query.
    pub fn from_form(encoded: &[u8]) -> Result<Self, CallbackError> {
        Self::collect(form_urlencoded::parse(encoded).into_owned())
    }

    fn from_json(body: &[u8]) -> Result<Self, CallbackError> {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return Err(CallbackError::Malformed("the body is not a JSON object".to_owned()));
        };
        let field_text = |json_value| match json_value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        Self::collect(object.into_iter().filter_map(|(name, value)| Some((name, field_text(value)?))))
    }

    fn collect(callback_fields: impl Iterator<Item = (String, String)>) -> Result<Self, CallbackError> {
        let callback_fields: Vec<_> = callback_fields.take(FIELDS_MAX + 1).collect();
        if callback_fields.len() > FIELDS_MAX {
            return Err(CallbackError::Malformed(format!("more than {FIELDS_MAX} fields")));
        }
        Ok(Self(callback_fields))
    }

    /// Returns the first field of that name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let field = fields.find(|(field_name, value)| field_name == name && !value.is_empty());
        field.map(|(_, value)| value.as_str())
    }

    /// Returns the field, or an error that names it.
    pub fn require(&self, name: &str) -> Result<&str, CallbackError> {
        self.get(name).ok_or_else(|| CallbackError::Malformed(format!("{name} is missing")))
    }

    /// Removes a field that the gateway added to the callback URL itself.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(field_name, _)| field_name != name);
    }

    /// Returns all fields.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}
