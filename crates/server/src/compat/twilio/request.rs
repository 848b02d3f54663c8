//! A request to the Twilio API.

use axum::http::{HeaderMap, Method};

use crate::compat::account::CompatCaller;
use crate::compat::query::LenientFields;

/// The version in every path and in every resource.
pub(super) const API_VERSION: &str = "2010-04-01";

/// A request with its credentials checked.
pub(super) struct TwilioRequest {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// Path and query as the client sent them, for errors and for the URIs of pages.
    pub(super) path: String,
    pub(super) fields: LenientFields,
    pub(super) caller: CompatCaller,
    pub(super) account_sid: String,
}
