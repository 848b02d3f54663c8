//! User and password of the REST API, which become arguments like those of the HTTP API.

use serde_json::{Map, Value};

use super::arguments;
use crate::compat::query::LenientFields;

/// User and password of a request.
pub(super) struct Credentials {
    /// The user.
    pub(super) user: String,
    /// The password.
    pub(super) password: String,
}

/// Returns the arguments of an object with the credentials of the header.
pub(super) fn fields_of(credentials: &Credentials, object: &Map<String, Value>) -> LenientFields {
    let renamed = object.iter().map(|(name, value)| (argument_name(name), value.clone()));
    let mut fields = arguments::from_json(&renamed.collect());
    push_credentials(&mut fields, credentials);
    fields
}

/// Adds user and password as arguments.
pub(super) fn push_credentials(fields: &mut LenientFields, credentials: &Credentials) {
    fields.push("username", credentials.user.as_bytes());
    fields.push("password", credentials.password.as_bytes());
}

/// Returns the name of an argument that may be written with `_`.
pub(super) fn argument_name(name: &str) -> String {
    if name == "custom_tlvs" { name.to_owned() } else { name.replace('_', "-") }
}
