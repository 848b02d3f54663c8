//! The location of a value in a callback: in JSON, a form, the query or a header.
//!
//! A missing value is None; the caller decides whether that is an error.

use serde_json::Value;

use crate::callback::CallbackRequest;
use crate::json_path::JsonPath;

/// The location of a value.
pub(super) struct CallbackField {
    /// The location as it is configured, for the provider's developer.
    pub location: String,
    source: FieldSource,
}

enum FieldSource {
    Json(JsonPath),
    Form(String),
    Query(String),
    Header(String),
    /// In the JSON body; if it is not there, in the form; otherwise in the query.
    Any(String, JsonPath),
}

/// A callback, or one of several receipts in it.
pub(super) struct ParsedCallback<'a> {
    pub request: &'a CallbackRequest,
    pub json: Option<&'a Value>,
}

impl CallbackField {
    /// Parses `json:PATH`, `form:NAME`, `query:NAME`, `header:NAME` or `any:NAME`.
    pub fn parse(location: &str) -> Result<Self, String> {
        let (field_source, name) = location.split_once(':').unwrap_or((location, ""));
        let field_source = match field_source {
            "json" => FieldSource::Json(JsonPath::parse(name)),
            "form" if !name.is_empty() => FieldSource::Form(name.to_owned()),
            "query" if !name.is_empty() => FieldSource::Query(name.to_owned()),
            "header" if !name.is_empty() => FieldSource::Header(name.to_ascii_lowercase()),
            "any" if !name.is_empty() => FieldSource::Any(name.to_owned(), JsonPath::parse(name)),
            _ => {
                return Err(
                    "unknown location; write json:PATH, form:NAME, query:NAME, header:NAME or any:NAME"
                        .to_owned(),
                );
            }
        };
        Ok(Self { location: location.to_owned(), source: field_source })
    }
}

impl ParsedCallback<'_> {
    /// Returns the value at the location.
    pub fn find(&self, field: &CallbackField) -> Option<String> {
        let request = self.request;
        match &field.source {
            FieldSource::Json(path) => path.text(self.json?),
            FieldSource::Form(name) => request.form_field(name),
            FieldSource::Query(name) => request.query_field(name),
            FieldSource::Header(name) => request.headers.get(name).cloned(),
            FieldSource::Any(name, path) => match self.json {
                Some(json) => path.text(json),
                None => request.form_field(name),
            }
            .or_else(|| request.query_field(name)),
        }
    }
}
