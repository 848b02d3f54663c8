//! Signs that a response with a success status does not mean acceptance: an HTML page, no body where JSON is expected,
//! or an error in the body.
//!
//! The message may still have been sent, so a doubtful response is `Unknown`.

use serde_json::Value;

use crate::http_response::HttpResponse;

/// Depth of objects and lists in which an error is searched.
const JSON_DEPTH_MAX: usize = 4;

/// Names of fields that state an error, in lower case without separators. Every name that begins with `error` counts, too.
const ERROR_FIELDS: [&str; 4] = ["err", "fault", "exception", "failure"];

/// Words of a status that state an error.
const FAILED_WORDS: [&str; 8] = ["error", "err", "fail", "failed", "failure", "rejected", "invalid", "nok"];

/// First words of a plain text that states an error.
const ERROR_WORDS: [&str; 9] =
    ["err", "error", "fail", "failed", "failure", "invalid", "unauthorized", "forbidden", "denied"];

/// Returns why the whole body of a success does not confirm the message; None when nothing contradicts it.
pub(super) fn doubt(response: &HttpResponse, expects_json: bool) -> Option<&'static str> {
    let response_text = String::from_utf8_lossy(&response.body);
    let response_text = response_text.trim_start_matches('\u{feff}').trim();
    if response_text.is_empty() {
        // 204 states that there is no body.
        return (expects_json && response.status != 204).then_some("the response is empty");
    }
    if is_html(response_text, response) {
        return Some("the response is an HTML page");
    }
    let is_error = match serde_json::from_str::<Value>(response_text) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => has_error(&json, JSON_DEPTH_MAX),
        Ok(_) | Err(_) => is_error_text(response_text),
    };
    is_error.then_some("the response states an error")
}

/// A text that only claims to be HTML by its content type is often the plain answer of an old API.
fn is_html(response_text: &str, response: &HttpResponse) -> bool {
    let text_start: String = response_text.chars().take(15).collect::<String>().to_ascii_lowercase();
    let content_type = response.headers.get("content-type").and_then(|header| header.to_str().ok());
    let claims_html = content_type.is_some_and(|header| header.to_ascii_lowercase().contains("html"));
    text_start.starts_with("<!doctype html")
        || text_start.starts_with("<html")
        || (claims_html && text_start.starts_with('<'))
}

fn has_error(json: &Value, depth: usize) -> bool {
    if depth == 0 {
        return false;
    }
    match json {
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| is_error_field(name, value) || has_error(value, depth - 1))
        }
        Value::Array(elements) => elements.iter().any(|element| has_error(element, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn is_error_field(field_name: &str, field_value: &Value) -> bool {
    let field_name = field_name.to_ascii_lowercase().replace(['_', '-'], "");
    match field_name.as_str() {
        "success" | "ok" | "accepted" => *field_value == false || *field_value == "false",
        "status" | "result" | "state" => field_value
            .as_str()
            .is_some_and(|word| FAILED_WORDS.contains(&word.to_ascii_lowercase().as_str())),
        field_name => {
            (field_name.starts_with("error") || ERROR_FIELDS.contains(&field_name))
                && states_something(field_value)
        }
    }
}

/// Returns whether the value of an error field states an error: not null, false, zero or empty.
fn states_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(stated_text) => {
            let stated_text = stated_text.trim().to_ascii_lowercase();
            let is_zero = stated_text.bytes().all(|byte| byte == b'0');
            !is_zero && !matches!(stated_text.as_str(), "false" | "none" | "null" | "no" | "ok" | "success")
        }
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Returns whether an XML document has an element for an error, or a text begins with a word for one.
fn is_error_text(response_text: &str) -> bool {
    let response_text = response_text.to_ascii_lowercase();
    if response_text.starts_with('<') {
        return ["<error", "<fault", ":fault"].iter().any(|element| response_text.contains(element));
    }
    let first_word = response_text.split(|character: char| !character.is_ascii_alphanumeric()).next();
    first_word.is_some_and(|word| ERROR_WORDS.contains(&word))
}

#[cfg(test)]
mod tests;
