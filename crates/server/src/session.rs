//! Sign-in sessions of browsers: a cookie that stands for an API key, and tokens that bind a form to the session.
//!
//! Cookie and tokens are signed with the store secret, so every process of the store can verify them, and removing a key from
//! the configuration ends its sessions. The store keeps one number per key: how often its sessions were ended by signing
//! out. The cookie alone only grants reading; a change also needs a form token, which only pages of this gateway contain.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use postrider_engine::config::ApiKey;
use postrider_engine::gateway::Gateway;

/// Lifetime of a session and of a form, in seconds.
const SESSION_SECONDS: i64 = 12 * 3_600;

/// Returns the `Set-Cookie` value that starts a session for this key. `generation` is the store's number of ended sessions
/// of the key.
pub(super) fn sign_in_cookie(gateway: &Gateway, key: &ApiKey, generation: i64) -> String {
    let expires_at = gateway.clock.now().timestamp() + SESSION_SECONDS;
    let signature = gateway.secret.sign("session", &session_payload(key, expires_at, generation));
    let cookie_value = format!("{expires_at}.{generation}.{}", URL_SAFE_NO_PAD.encode(signature));
    session_cookie(gateway, &cookie_value, SESSION_SECONDS)
}

/// Returns the `Set-Cookie` value that ends a session.
pub(super) fn sign_out_cookie(gateway: &Gateway) -> String {
    session_cookie(gateway, "", 0)
}

fn session_cookie(gateway: &Gateway, value: &str, seconds: i64) -> String {
    let name = cookie_name(gateway);
    let secure = if is_https(gateway) { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Returns the name of the cookie. Browsers accept the prefix `__Host-` only from this host itself over https, so that
/// another host of the same domain cannot set the cookie.
fn cookie_name(gateway: &Gateway) -> &'static str {
    if is_https(gateway) { "__Host-postrider_session" } else { "postrider_session" }
}

fn is_https(gateway: &Gateway) -> bool {
    gateway.config.public_url.starts_with("https:")
}

/// Returns the API key of the session; `None` without a valid, unexpired cookie. Cookies of ended sessions are removed
/// from requests before the routes see them.
pub(super) fn session_key(gateway: &Gateway, headers: &HeaderMap) -> Option<Arc<ApiKey>> {
    signed_in(gateway, headers).map(|(key, _)| key)
}

/// Returns the API key of the session and the generation in its cookie. The store may have ended that generation in the
/// meantime.
pub(super) fn signed_in(gateway: &Gateway, headers: &HeaderMap) -> Option<(Arc<ApiKey>, i64)> {
    let (expires_at, generation_and_signature) = session_cookie_value(gateway, headers)?.split_once('.')?;
    let (generation, signature) = generation_and_signature.split_once('.')?;
    let (expires_at, generation) = (expires_at.parse().ok()?, generation.parse().ok()?);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let now = gateway.clock.now().timestamp();
    // Twice the lifetime is allowed, because the clocks of hosts differ.
    if expires_at <= now || expires_at > now + 2 * SESSION_SECONDS {
        return None;
    }
    let keys = gateway.api_keys();
    let is_of_key = |key: &&Arc<ApiKey>| {
        gateway.secret.verify("session", &session_payload(key, expires_at, generation), &signature)
    };
    keys.iter().filter(is_of_key).last().map(|key| (Arc::clone(key), generation))
}

/// Returns the value of the session cookie.
fn session_cookie_value<'a>(gateway: &Gateway, headers: &'a HeaderMap) -> Option<&'a str> {
    let cookie_headers = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut cookies = cookie_headers.flat_map(|header| header.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(cookie_name(gateway))?.strip_prefix('='))
}

fn session_payload(key: &ApiKey, expires_at: i64, generation: i64) -> Vec<u8> {
    let mut payload = expires_at.to_be_bytes().to_vec();
    payload.extend_from_slice(&generation.to_be_bytes());
    payload.extend_from_slice(&key.sha256.unwrap_or_default());
    payload
}

/// Returns the token for a form of this gateway, so that a page of another site cannot submit the form through this
/// browser.
pub(super) fn form_token(gateway: &Gateway, operator: &str, headers: &HeaderMap) -> String {
    let expires_at = gateway.clock.now().timestamp() + SESSION_SECONDS;
    let signature = gateway.secret.sign("form", &form_token_payload(gateway, operator, headers, expires_at));
    format!("{expires_at}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Returns whether a form token was made by this gateway for this operator and session, and has not expired.
pub(super) fn is_valid_form_token(
    gateway: &Gateway,
    operator: &str,
    headers: &HeaderMap,
    token: &str,
) -> bool {
    parse_signed_expiry(token).is_some_and(|(expires_at, signature)| {
        expires_at > gateway.clock.now().timestamp()
            && gateway.secret.verify(
                "form",
                &form_token_payload(gateway, operator, headers, expires_at),
                &signature,
            )
    })
}

/// Parses `SECONDS.SIGNATURE`, the text of a form token.
fn parse_signed_expiry(text: &str) -> Option<(i64, Vec<u8>)> {
    let (expires_at, signature) = text.split_once('.')?;
    Some((expires_at.parse().ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?))
}

fn form_token_payload(gateway: &Gateway, operator: &str, headers: &HeaderMap, expires_at: i64) -> Vec<u8> {
    let session = session_cookie_value(gateway, headers).unwrap_or_default();
    format!("{expires_at}\n{operator}\n{session}").into_bytes()
}

/// Redirects a browser to the sign-in page, which returns it to `path`.
pub(super) fn redirect_to_sign_in(path: &str) -> Response<Body> {
    let back = utf8_percent_encode(path, NON_ALPHANUMERIC);
    see_other(&format!("/sign-in?next={back}"))
}

/// Redirects a browser to another page of this gateway with 303, so that it sends a GET.
pub(super) fn see_other(path: &str) -> Response<Body> {
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(LOCATION, path), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Like [`see_other`], and sets a cookie.
pub(super) fn see_other_with_cookie(path: &str, cookie: &str) -> Response<Body> {
    let mut response = see_other(path);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Returns the path if it is a path of this gateway, else `/`.
pub(super) fn local_path(return_path: &str) -> &str {
    let is_local = return_path.starts_with('/')
        && !return_path.starts_with("//")
        && !return_path.starts_with("/\\")
        && return_path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { return_path } else { "/" }
}
