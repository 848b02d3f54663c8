//! The arguments of Jasmin's APIs: which are known, and which values they take.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::answers::JasminError;
use crate::compat::query::{LenientFields, restore_plus};

/// An argument: its name, whether it must be given, and the check of its value.
struct Argument {
    name: &'static str,
    is_mandatory: bool,
    is_valid: fn(&str) -> bool,
}

const fn mandatory(name: &'static str, is_valid: fn(&str) -> bool) -> Argument {
    Argument { name, is_mandatory: true, is_valid }
}

const fn optional(name: &'static str, is_valid: fn(&str) -> bool) -> Argument {
    Argument { name, is_mandatory: false, is_valid }
}

/// The arguments of `/send`, in the order in which Jasmin checks them.
const SEND_ARGUMENTS: [Argument; 16] = [
    mandatory("to", is_number),
    optional("from", is_any),
    optional("coding", is_coding),
    mandatory("username", is_credential),
    mandatory("password", is_credential),
    optional("priority", is_priority),
    optional("sdt", is_smpp_time),
    optional("validity-period", is_digits),
    optional("dlr", |value| ["yes", "no"].contains(&value)),
    optional("dlr-url", |value| value.starts_with("http://") || value.starts_with("https://")),
    optional("dlr-level", |value| ["1", "2", "3"].contains(&value)),
    optional("dlr-method", |value| ["get", "post"].contains(&value.to_ascii_lowercase().as_str())),
    optional("tags", is_tags),
    optional("content", is_any),
    optional("hex-content", is_any),
    optional("custom_tlvs", is_any),
];

/// The arguments of `/rate`.
const RATE_ARGUMENTS: [Argument; 10] = [
    mandatory("to", is_number),
    optional("from", is_any),
    optional("coding", is_coding),
    mandatory("username", is_credential),
    mandatory("password", is_credential),
    optional("priority", is_priority),
    optional("validity-period", is_digits),
    optional("tags", is_tags),
    optional("content", is_any),
    optional("hex-content", is_any),
];

/// The arguments of `/balance`.
const BALANCE_ARGUMENTS: [Argument; 2] =
    [mandatory("username", is_credential), mandatory("password", is_credential)];

/// Longest user and password, in characters. Jasmin's own have at most 16; longer ones are safer.
const CREDENTIAL_CHARS_MAX: usize = 255;

/// Checks the arguments of `/send` and that there is one content.
pub(super) fn check_send(fields: &LenientFields) -> Result<(), JasminError> {
    check(fields, &SEND_ARGUMENTS)?;
    match (fields.bytes(&["content"]).is_some(), fields.bytes(&["hex-content"]).is_some()) {
        (false, false) => Err(JasminError::bad_request("content or hex-content not present.")),
        (true, true) => Err(JasminError::bad_request(BOTH_CONTENTS)),
        (true, false) | (false, true) => Ok(()),
    }
}

const BOTH_CONTENTS: &str = "content and hex-content cannot be used both in same request.";

/// Checks the arguments of `/rate`.
pub(super) fn check_rate(fields: &LenientFields) -> Result<(), JasminError> {
    check(fields, &RATE_ARGUMENTS)?;
    if fields.bytes(&["content"]).is_some() && fields.bytes(&["hex-content"]).is_some() {
        return Err(JasminError::bad_request(BOTH_CONTENTS));
    }
    Ok(())
}

/// Checks the arguments of `/balance`.
pub(super) fn check_balance(fields: &LenientFields) -> Result<(), JasminError> {
    check(fields, &BALANCE_ARGUMENTS)
}

fn check(fields: &LenientFields, arguments: &[Argument]) -> Result<(), JasminError> {
    if fields.is_empty() {
        let text = "Mandatory arguments not found, please refer to the HTTPAPI specifications.";
        return Err(JasminError::bad_request(text));
    }
    for name in fields.names() {
        if !arguments.iter().any(|argument| argument.name.as_bytes() == name) {
            let name = String::from_utf8_lossy(name);
            return Err(JasminError::bad_request(format!("Argument [{name}] is unknown.")));
        }
    }
    for Argument { name, is_mandatory, is_valid } in arguments {
        match value(fields, name) {
            Some(value) if !is_valid(&value) => return Err(JasminError::invalid_value(name, &value)),
            None if *is_mandatory => {
                return Err(JasminError::bad_request(format!("Mandatory argument [{name}] is not found.")));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Returns the value of an argument. A blank before the number is a lost plus.
pub(super) fn value(fields: &LenientFields, name: &str) -> Option<String> {
    let value = fields.text(&[name])?;
    Some(if name == "to" { restore_plus(&value) } else { value })
}

/// Returns the members of a JSON object as arguments; numbers become texts, other values their JSON.
pub(super) fn from_json(object: &Map<String, Value>) -> LenientFields {
    let mut fields = LenientFields::default();
    for (name, value) in object {
        match value {
            Value::Null => {}
            Value::String(text) => fields.push(name, text.as_bytes()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                fields.push(name, value.to_string());
            }
        }
    }
    fields
}

fn is_any(_: &str) -> bool {
    true
}

fn is_digits(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(value: &str) -> bool {
    is_digits(value.strip_prefix('+').unwrap_or(value))
}

fn is_coding(value: &str) -> bool {
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "13", "14"].contains(&value)
}

fn is_credential(value: &str) -> bool {
    (1..=CREDENTIAL_CHARS_MAX).contains(&value.chars().count())
}

fn is_priority(value: &str) -> bool {
    ["0", "1", "2", "3"].contains(&value)
}

/// Returns whether the value has the form of a time of SMPP: 15 digits, and `+`, `-` or `R`.
fn is_smpp_time(value: &str) -> bool {
    value.len() == 16 && value.strip_suffix(['+', '-', 'R']).is_some_and(is_digits)
}

fn is_tags(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-,".contains(&byte))
}
