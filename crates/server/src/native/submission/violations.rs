//! Violations of `POST /v1/messages` that `postrider_engine::accept` finds, named as the client wrote the fields.

use serde_json::{Map, Value};

use crate::errors;
use crate::problem::Violation;
use postrider_engine::accept::{self, AcceptError, AcceptRequest};
use postrider_engine::gateway::Gateway;

/// Returns whether an error lies in `to`, or in the length of the text for one of its addresses.
pub(in crate::native) fn is_recipient_error(error: &AcceptError) -> bool {
    match error {
        AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. }
        | AcceptError::TooManyParts { .. }
        | AcceptError::PushTooLong { .. } => true,
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::NoRecipient
        | AcceptError::UnknownChannel(_)
        | AcceptError::InvalidSubject(_)
        | AcceptError::ExpiresTooEarly
        | AcceptError::InvalidSender
        | AcceptError::SenderNotAllowed
        | AcceptError::Suppressed(_)
        | AcceptError::Throttled { .. }
        | AcceptError::SpendingLimit { .. }
        | AcceptError::IdempotencyKeyReused
        | AcceptError::Store(_) => false,
    }
}

/// Adds every error of the recipients to the violations of other fields. A field that has one already gets no second, and
/// `to` gets none beside one of its members.
pub(in crate::native) fn add_recipient_violations(
    gateway: &Gateway,
    request: &AcceptRequest,
    object: &Map<String, Value>,
    violations: &mut Vec<Violation>,
) {
    let errors = accept::find_recipient_errors(gateway, request);
    let recipient_errors = errors.iter().filter(|error| is_recipient_error(error));
    for violation in recipient_errors.filter_map(|error| violation(error, object)) {
        let is_said = |earlier: &Violation| {
            earlier.field == violation.field || (violation.field == "to" && earlier.field.starts_with("to."))
        };
        if !violations.iter().any(is_said) {
            violations.push(violation);
        }
    }
}

/// Returns the violation of a field; none if the error lies outside the fields.
pub(in crate::native) fn violation(error: &AcceptError, object: &Map<String, Value>) -> Option<Violation> {
    let to_field = |key: &str| match object.get("to") {
        Some(Value::Object(to)) if to.contains_key(key) => format!("to.{key}"),
        _ => "to".to_owned(),
    };
    let field = match error {
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::TooManyParts { .. }
        | AcceptError::PushTooLong { .. } => "body".to_owned(),
        AcceptError::NoRecipient | AcceptError::NoUsableContact { .. } => "to".to_owned(),
        AcceptError::InvalidContact { kind, .. } => to_field(kind.as_str()),
        AcceptError::InvalidSubject(_) => "subject".to_owned(),
        AcceptError::UnknownChannel(_) => "channels".to_owned(),
        AcceptError::InvalidAddress { channel, .. } => to_field(channel.as_str()),
        AcceptError::ExpiresTooEarly => "expires_at".to_owned(),
        AcceptError::InvalidSender | AcceptError::SenderNotAllowed => "from".to_owned(),
        AcceptError::Suppressed(_)
        | AcceptError::Throttled { .. }
        | AcceptError::SpendingLimit { .. }
        | AcceptError::IdempotencyKeyReused
        | AcceptError::Store(_) => return None,
    };
    Some(Violation::new(field, errors::accept_error_message(error)))
}
