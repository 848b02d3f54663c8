//! The fields of a provider's call, however they came: in the query of a GET, as a form, or as a JSON object.
//!
//! A stranger's text: more fields than any provider sends, or what is neither form nor JSON, has none.

use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::provider::{Call, Refusal};

/// More than any provider sends.
const FIELDS_MAX: usize = 200;

/// Names and values, decoded, in the order they came.
pub(in crate::provider) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a call: those of the body, else those of the query.
    pub fn of(call: &Call) -> Result<Self, Refusal> {
        if call.body.trim_ascii().is_empty() {
            return Self::form(call.query.as_bytes());
        }
        match call.body.trim_ascii_start().first() {
            Some(b'{') => Self::json(&call.body),
            _ => Self::form(&call.body),
        }
    }

    /// The fields of a form or a query.
    pub fn form(encoded: &[u8]) -> Result<Self, Refusal> {
        let pairs = form_urlencoded::parse(encoded)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .take(FIELDS_MAX + 1);
        Self::few(pairs.collect())
    }

    fn json(body: &[u8]) -> Result<Self, Refusal> {
        let unreadable = || Refusal::Unreadable("the body is not a JSON object".to_owned());
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
        Self::few(pairs.take(FIELDS_MAX + 1).collect())
    }

    fn few(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        if pairs.len() > FIELDS_MAX {
            return Err(Refusal::Unreadable(format!("more than {FIELDS_MAX} fields")));
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
    pub fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::Unreadable(format!("there is no {name}")))
    }

    /// Leaves out a field that is ours and not the provider's.
    pub fn forget(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// All of them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Whether the URL of a call has the configured token in it, compared in constant time.
pub(in crate::provider) fn is_token(call: &Call, token: &str) -> bool {
    form_urlencoded::parse(call.query.as_bytes())
        .find(|(name, _)| name == "token")
        .is_some_and(|(_, shown)| bool::from(shown.as_bytes().ct_eq(token.as_bytes())))
}
