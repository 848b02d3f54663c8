//! `/rate` and `/balance`. The gateway keeps no prices and no balances: a message costs nothing, and a balance is `ND`,
//! which means without a limit.

use axum::http::Extensions;

use super::answers::JasminError;
use super::arguments;
use super::send::{self, CANNOT_SEND};
use crate::auth::AuthError;
use crate::compat::account;
use crate::compat::query::LenientFields;
use postrider_core::text_parts;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;

/// Returns the price of a message, which is 0, and its number of parts.
pub(super) fn rate(
    gateway: &Gateway,
    extensions: &Extensions,
    fields: &LenientFields,
) -> Result<String, JasminError> {
    arguments::check_rate(fields)?;
    let content = send::decode_content(fields)?;
    let caller = send::authorize(gateway, extensions, fields, Scope::Send, CANNOT_SEND)?;
    if gateway.route(&caller.channel(gateway, None)).is_none() {
        return Err(JasminError::new(axum::http::StatusCode::PRECONDITION_FAILED, "No route found"));
    }
    let part_count = text_parts::count_parts(&content).count;
    Ok(format!("{{\"unit_rate\": 0.0, \"submit_sm_count\": {part_count}}}"))
}

/// Returns the balance of an account that may send or read.
pub(super) fn balance(
    gateway: &Gateway,
    extensions: &Extensions,
    fields: &LenientFields,
) -> Result<String, JasminError> {
    arguments::check_balance(fields)?;
    let [user, password] = ["username", "password"].map(|name| fields.text(&[name]).unwrap_or_default());
    let authorize = |scope| account::authorize(gateway, extensions, &user, &password, scope);
    let authorized = match authorize(Scope::Send) {
        Err(AuthError::InsufficientScope(_)) => authorize(Scope::Read),
        authorized => authorized,
    };
    authorized.map_err(|error| JasminError::from_auth_error(error, &user, "Cannot check balance"))?;
    Ok("{\"balance\": \"ND\", \"sms_count\": \"ND\"}".to_owned())
}
