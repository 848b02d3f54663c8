//! Sign-in sessions of browsers: a cookie that stands for an API key, and tokens that bind a form to the session.
//!
//! Nothing is stored: cookie and tokens are signed with the store secret, so every process of the store can verify them,
//! and removing a key from the configuration ends its sessions. The cookie alone only grants reading; a change also
//! needs a form token, which only pages of this gateway contain.

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

/// Name of the cookie.
const SESSION_COOKIE: &str = "postrider_session";

/// Lifetime of a session and of a form, in seconds.
const SESSION_SECONDS: i64 = 12 * 3_600;

/// Returns the `Set-Cookie` value that starts a session for this key.
pub(super) fn sign_in_cookie(gateway: &Gateway, key: &ApiKey) -> String {
    let expires_at = gateway.clock.now().timestamp() + SESSION_SECONDS;
    let signature = gateway.secret.sign("session", &session_payload(key, expires_at));
    let cookie_value = format!("{expires_at}.{}", URL_SAFE_NO_PAD.encode(signature));
    session_cookie(gateway, &cookie_value, SESSION_SECONDS)
}

/// Returns the `Set-Cookie` value that ends a session.
pub(super) fn sign_out_cookie(gateway: &Gateway) -> String {
    session_cookie(gateway, "", 0)
}

fn session_cookie(gateway: &Gateway, value: &str, seconds: i64) -> String {
    let secure = if gateway.config.public_url.starts_with("https:") { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Returns the API key of the session; `None` without a valid, unexpired cookie.
pub(super) fn session_key(gateway: &Gateway, headers: &HeaderMap) -> Option<Arc<ApiKey>> {
    let (expires_at, signature) = parse_signed_expiry(session_cookie_value(headers)?)?;
    let now = gateway.clock.now().timestamp();
    if expires_at <= now || expires_at > now + 2 * SESSION_SECONDS {
        return None;
    }
    let keys = gateway.api_keys();
    let keys = keys.iter();
    keys.filter(|key| gateway.secret.verify("session", &session_payload(key, expires_at), &signature))
        .last()
        .cloned()
}

/// Returns the value of the session cookie.
fn session_cookie_value(headers: &HeaderMap) -> Option<&str> {
    let cookie_headers = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut cookies = cookie_headers.flat_map(|header| header.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
}

fn session_payload(key: &ApiKey, expires_at: i64) -> Vec<u8> {
    let mut payload = expires_at.to_be_bytes().to_vec();
    payload.extend_from_slice(&key.sha256);
    payload
}

/// Returns the token that a form of this gateway contains, so that other sites cannot submit one for this browser.
pub(super) fn form_token(gateway: &Gateway, operator: &str, headers: &HeaderMap) -> String {
    let expires_at = gateway.clock.now().timestamp() + SESSION_SECONDS;
    let signature = gateway.secret.sign("form", &form_token_payload(operator, headers, expires_at));
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
            && gateway.secret.verify("form", &form_token_payload(operator, headers, expires_at), &signature)
    })
}

/// Parses `SECONDS.SIGNATURE`, the text of a session and of a form token.
fn parse_signed_expiry(text: &str) -> Option<(i64, Vec<u8>)> {
    let (expires_at, signature) = text.split_once('.')?;
    Some((expires_at.parse().ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?))
}

fn form_token_payload(operator: &str, headers: &HeaderMap, expires_at: i64) -> Vec<u8> {
    let session = session_cookie_value(headers).unwrap_or_default();
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
pub(super) fn local_path(path: &str) -> &str {
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && !path.starts_with("/\\")
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { path } else { "/" }
}
