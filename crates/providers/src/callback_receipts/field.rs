//! The location of a value in a callback: in JSON, a form, the query or a header.
//!
//! A missing value is None; the caller decides whether that is an error.

use serde_json::Value;

use crate::callback::CallbackRequest;
use crate::json_path::JsonPath;

/// The location of a value.
pub(super) enum CallbackField {
    Json(JsonPath),
    Form(String),
    Query(String),
    Header(String),
    /// In the JSON body, else in the form, else in the query.
    Any(String, JsonPath),
}

/// A callback, or one of several receipts in it.
pub(super) struct ParsedCallback<'a> {
    pub request: &'a CallbackRequest,
    pub json: Option<&'a Value>,
}

impl CallbackField {
    /// Parses `json:PATH`, `form:NAME`, `query:NAME`, `header:NAME` or `any:NAME`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "json" => Ok(Self::Json(JsonPath::parse(name))),
            _ if name.is_empty() => Err(invalid_field_message()),
            "form" => Ok(Self::Form(name.to_owned())),
            "query" => Ok(Self::Query(name.to_owned())),
            "header" => Ok(Self::Header(name.to_ascii_lowercase())),
            "any" => Ok(Self::Any(name.to_owned(), JsonPath::parse(name))),
            _ => Err(invalid_field_message()),
        }
    }

    /// Returns the location as it is configured, for the provider's developer.
    pub fn config_text(&self) -> String {
        match self {
            Self::Json(path) => format!("json:{path}"),
            Self::Form(name) => format!("form:{name}"),
            Self::Query(name) => format!("query:{name}"),
            Self::Header(name) => format!("header:{name}"),
            Self::Any(name, _) => format!("any:{name}"),
        }
    }
}

fn invalid_field_message() -> String {
    "unknown location; write json:PATH, form:NAME, query:NAME, header:NAME or any:NAME".to_owned()
}

impl ParsedCallback<'_> {
    /// Returns the value at the location.
    pub fn find(&self, field: &CallbackField) -> Option<String> {
        let request = self.request;
        match field {
            CallbackField::Json(path) => path.text(self.json?),
            CallbackField::Form(name) => request.form_field(name),
            CallbackField::Query(name) => request.query_field(name),
            CallbackField::Header(name) => request.headers.get(name).cloned(),
            CallbackField::Any(name, path) => match self.json {
                Some(json) => path.text(json),
                None => request.form_field(name),
            }
            .or_else(|| request.query_field(name)),
        }
    }
}
