//! The account of a request with user and password, and the channel of its messages.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::account::authorize_account;
use crate::auth::{AuthError, Caller};
use crate::errors;
use crate::peer::ClientAddress;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::request_origin;
use postrider_engine::accounts::Credential;
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::gateway::Gateway;

/// The sender of a request.
pub(super) struct CompatCaller {
    /// The account; none when no keys are configured.
    key: Option<Arc<ApiKey>>,
    /// The rights of the account.
    caller: Caller,
    /// Name of the API key; empty when no keys are configured.
    pub(super) api_key_name: String,
}

/// Authorizes a request with this user and password. Without configured keys every request is authorized, like those of the
/// other APIs.
pub(super) fn authorize(
    gateway: &Gateway,
    extensions: &Extensions,
    user: &str,
    password: &str,
    scope: Scope,
) -> Result<CompatCaller, AuthError> {
    authorize_credential(gateway, extensions, Credential::Password { user, password }, scope)
}

/// Authorizes a request with this credential, like [`authorize`].
pub(super) fn authorize_credential(
    gateway: &Gateway,
    extensions: &Extensions,
    credential: Credential<'_>,
    scope: Scope,
) -> Result<CompatCaller, AuthError> {
    if gateway.api_keys().is_empty() {
        return Ok(CompatCaller { key: None, caller: Caller::without_keys(), api_key_name: String::new() });
    }
    // Every request of a listener has an address; one without is refused.
    let ClientAddress(client) = extensions.get().copied().ok_or(AuthError::NetworkNotAllowed)?;
    let (key, caller) = authorize_account(gateway, credential, client, scope)?;
    Ok(CompatCaller { key: Some(key), api_key_name: caller.api_key_name.clone(), caller })
}

/// Authorizes Basic credentials. Browsers add them by themselves, so they authorize no change (any scope but `read`) that a
/// page of another site requests.
pub(super) fn authorize_basic(
    gateway: &Gateway,
    head: &Parts,
    credential: Credential<'_>,
    scope: Scope,
) -> Result<CompatCaller, AuthError> {
    if scope != Scope::Read && request_origin::is_cross_site(&head.headers) {
        return Err(AuthError::CrossSite);
    }
    authorize_credential(gateway, &head.extensions, credential, scope)
}

/// Returns user and password of Basic credentials.
pub(super) fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

impl CompatCaller {
    /// Returns whether the account may read and change what this owner has.
    pub(super) fn can_access(&self, owner: &str) -> bool {
        self.caller.can_access(owner)
    }

    /// Returns the owner to which reads are restricted; none for an account that may read everything.
    pub(super) fn owner_filter(&self) -> Option<String> {
        self.caller.owner_filter().map(str::to_owned)
    }

    /// Returns the channel of a message: that of the account, else the channel that the client names if it exists, else the
    /// default channel.
    pub(super) fn channel(&self, gateway: &Gateway, wanted: Option<&str>) -> String {
        let of_account = self.key.as_ref().and_then(|key| key.account.channel.clone());
        let existing = || wanted.filter(|name| gateway.route(name).is_some()).map(str::to_owned);
        of_account.or_else(existing).unwrap_or_else(|| errors::default_channel(gateway).to_owned())
    }
}

/// Returns a number in international form: the clients of these APIs leave out the plus. Digits that are no number of the
/// configured region are read with a plus in front.
pub(super) fn international_number<'a>(gateway: &Gateway, number: &'a str) -> Cow<'a, str> {
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = |text: &str| parse_address(AddressKind::Phone, text, &gateway.config.phone).is_ok();
    if is_plain && !number.starts_with('0') && !is_number(number) {
        let with_plus = format!("+{number}");
        if is_number(&with_plus) {
            return Cow::Owned(with_plus);
        }
    }
    Cow::Borrowed(number)
}
