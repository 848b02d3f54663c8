//! Reads the fields of a texting request from a JSON object, a form, or the query.
//!
//! Fields are strings; a phone number may also be a JSON number. Unknown fields are ignored.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::envelope::{TextingErrorResponse, capitalize, error_response, ok_status_error};
use crate::body::{self, BodyError};
use crate::form;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// A message, as the texting API accepts it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct TextingMessage {
    /// The phone number.
    #[schema(min_length = 1)]
    phone_number: String,
    /// The message text.
    #[schema(min_length = 1)]
    message_body: String,
}

/// The status of a message, as a provider of the texting API reports it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct TextingStatus {
    /// The provider's id of the message.
    #[schema(min_length = 1, max_length = 255)]
    message_id: String,
    /// `delivered`, `failed` or `invalid`.
    #[schema(pattern = "^(delivered|failed|invalid)$")]
    status: String,
}

/// The fields of a request.
pub(super) enum TextingFields {
    /// From a JSON object.
    Json(Map<String, Value>),
    /// From a form or the query, still encoded.
    Form(Vec<u8>),
}

impl TextingFields {
    /// Reads the body; an empty one stands for the query.
    pub(super) async fn read(
        gateway: &Gateway,
        head: &Parts,
        content: Body,
    ) -> Result<Self, TextingErrorResponse> {
        let media_type = body::content_type(&head.headers);
        // The handlers of both operations check the credentials before they call this function.
        let reading = body::read(gateway, &head.headers, content, BodySender::Authenticated);
        let content = reading.await.map_err(|error| {
            let status = match error {
                BodyError::Malformed => StatusCode::OK,
                BodyError::TooLarge(_) | BodyError::TimedOut(_) | BodyError::OverBudget => error.status(),
            };
            Box::new(error.with_retry_after(error_response(status, &capitalize(&error.message()))))
        })?;
        let looks_like_json = content.trim_ascii_start().starts_with(b"{");
        if content.is_empty() {
            Ok(Self::Form(head.uri.query().unwrap_or_default().as_bytes().to_vec()))
        } else if body::is_json(&media_type) || (media_type.is_empty() && looks_like_json) {
            serde_json::from_slice(&content)
                .map(Self::Json)
                .map_err(|_| ok_status_error("The body is not a JSON object in UTF-8"))
        } else if media_type.is_empty() || media_type == body::FORM_URLENCODED {
            Ok(Self::Form(content.to_vec()))
        } else {
            Err(ok_status_error(&format!(
                "This content type cannot be read; send application/json or {}",
                body::FORM_URLENCODED
            )))
        }
    }

    /// Returns the text of a field; empty if there is none.
    pub(super) fn text(&self, name: &str) -> Result<String, TextingErrorResponse> {
        match self {
            Self::Json(object) => match object.get(name) {
                None | Some(Value::Null) => Ok(String::new()),
                Some(Value::String(text)) => Ok(text.clone()),
                Some(_) => Err(ok_status_error(&format!("The field {name} must be a string"))),
            },
            Self::Form(encoded) => {
                form::field(encoded, name).map(Cow::into_owned).map_err(|error| malformed_field(name, error))
            }
        }
    }

    /// Returns a phone number, also from a JSON number.
    pub(super) fn phone_number(&self, name: &str) -> Result<String, TextingErrorResponse> {
        match self {
            Self::Json(object) => match object.get(name) {
                Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
                _ => self.text(name),
            },
            Self::Form(encoded) => form::phone_number(encoded, name)
                .map(Cow::into_owned)
                .map_err(|error| malformed_field(name, error)),
        }
    }
}

fn malformed_field(name: &str, error: form::FormDecodeError) -> TextingErrorResponse {
    ok_status_error(&format!("The field {name} cannot be read: {error}"))
}
