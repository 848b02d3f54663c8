//! The fields of a provider's call, however they came: in the query of a GET, as a form, or as a JSON object.
//!
//! A stranger's text: more fields than any provider sends, or what is neither form nor JSON, has none.

use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::{CallbackError, CallbackRequest};

/// More than any provider sends.
const FIELDS_MAX: usize = 200;

/// Names and values, decoded, in the order they came.
pub(crate) struct CallbackFields(Vec<(String, String)>);

impl CallbackFields {
    /// The fields of a call: those of the body, else those of the query.
    pub fn from_callback(call: &CallbackRequest) -> Result<Self, CallbackError> {
        if call.body.trim_ascii().is_empty() {
            return Self::from_form(call.query.as_bytes());
        }
        match call.body.trim_ascii_start().first() {
            Some(b'{') => Self::from_json(&call.body),
            _ => Self::from_form(&call.body),
        }
    }

    /// The fields of a form or a query.
    pub fn from_form(encoded: &[u8]) -> Result<Self, CallbackError> {
        let pairs = form_urlencoded::parse(encoded)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .take(FIELDS_MAX + 1);
        Self::check_count(pairs.collect())
    }

    fn from_json(body: &[u8]) -> Result<Self, CallbackError> {
        let unreadable = || CallbackError::Malformed("the body is not a JSON object".to_owned());
        let Value::Object(object) = serde_json::from_slice(body).map_err(|_| unreadable())? else {
            return Err(unreadable());
        };
        let text = |value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let pairs = object
            .into_iter()
            .filter_map(|(name, value)| Some((name, text(value)?)));
        Self::check_count(pairs.take(FIELDS_MAX + 1).collect())
    }

    fn check_count(pairs: Vec<(String, String)>) -> Result<Self, CallbackError> {
        if pairs.len() > FIELDS_MAX {
            return Err(CallbackError::Malformed(format!("more than {FIELDS_MAX} fields")));
        }
        Ok(Self(pairs))
    }

    /// The first field of that name that says something.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named
            .find(|(_, value)| !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The field, or which one is missing, for the provider's developer.
    pub fn require(&self, name: &str) -> Result<&str, CallbackError> {
        self.get(name)
            .ok_or_else(|| CallbackError::Malformed(format!("there is no {name}")))
    }

    /// Leaves out a field that is ours and not the provider's.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// All of them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Whether the URL of a call has the configured token in it, compared in constant time.
pub(crate) fn has_valid_token(call: &CallbackRequest, token: &str) -> bool {
    form_urlencoded::parse(call.query.as_bytes())
        .find(|(name, _)| name == "token")
        .is_some_and(|(_, shown)| bool::from(shown.as_bytes().ct_eq(token.as_bytes())))
}
