//! A browser that has signed in: a cookie that stands for an API key, and tokens that tie a form to it.
//!
//! Nothing is kept: cookie and tokens carry a proof made with the store's secret, so that every process on the store
//! knows them, and a key that is taken out of the configuration ends its sessions. A cookie alone never changes
//! anything: it reads, and what changes something needs a token that only our own pages hold.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use postrider_engine::config::ApiKey;
use postrider_engine::gateway::Gateway;

/// The cookie's name.
const SESSION_COOKIE: &str = "postrider_session";

/// How long a session and a form last, in seconds.
const SESSION_SECONDS: i64 = 12 * 3_600;

/// The cookie that signs that key in from now on.
pub(super) fn sign_in_cookie(gateway: &Gateway, key: &ApiKey) -> String {
    let ends = gateway.clock.now().timestamp() + SESSION_SECONDS;
    let proof = gateway.secret.sign("session", &session_payload(key, ends));
    let value = format!("{ends}.{}", URL_SAFE_NO_PAD.encode(proof));
    session_cookie(gateway, &value, SESSION_SECONDS)
}

/// The cookie that ends a session.
pub(super) fn sign_out_cookie(gateway: &Gateway) -> String {
    session_cookie(gateway, "", 0)
}

fn session_cookie(gateway: &Gateway, value: &str, seconds: i64) -> String {
    let secure = if gateway.config.public_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The key that whoever shows this cookie has signed in with.
pub(super) fn session_key<'a>(gateway: &'a Gateway, headers: &HeaderMap) -> Option<&'a ApiKey> {
    let (ends, proof) = session_cookie_value(headers)?.split_once('.')?;
    let ends = ends.parse::<i64>().ok()?;
    let proof = URL_SAFE_NO_PAD.decode(proof).ok()?;
    let now = gateway.clock.now().timestamp();
    if ends <= now || ends > now + 2 * SESSION_SECONDS {
        return None;
    }
    let keys = gateway.config.keys.iter();
    keys.filter(|key| {
        gateway
            .secret
            .verify("session", &session_payload(key, ends), &proof)
    })
    .last()
}

/// The cookie's value; empty when there is none.
fn session_cookie_value(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter();
    let mut cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
}

fn session_payload(key: &ApiKey, ends: i64) -> Vec<u8> {
    let mut content = ends.to_be_bytes().to_vec();
    content.extend_from_slice(&key.sha256);
    content
}

/// What a form of ours carries, so that no other site can send one in this browser's name.
pub(super) fn form_token(gateway: &Gateway, operator: &str, headers: &HeaderMap) -> String {
    let ends = gateway.clock.now().timestamp() + SESSION_SECONDS;
    let proof = gateway
        .secret
        .sign("form", &form_token_payload(operator, headers, ends));
    format!("{ends}.{}", URL_SAFE_NO_PAD.encode(proof))
}

/// Whether a form that came in is one of ours, for this operator and this session.
pub(super) fn is_valid_form_token(
    gateway: &Gateway,
    operator: &str,
    headers: &HeaderMap,
    token: &str,
) -> bool {
    let Some((ends, proof)) = token.split_once('.') else {
        return false;
    };
    let (Ok(ends), Ok(proof)) = (ends.parse::<i64>(), URL_SAFE_NO_PAD.decode(proof)) else {
        return false;
    };
    ends > gateway.clock.now().timestamp()
        && gateway
            .secret
            .verify("form", &form_token_payload(operator, headers, ends), &proof)
}

fn form_token_payload(operator: &str, headers: &HeaderMap, ends: i64) -> Vec<u8> {
    let session = session_cookie_value(headers).unwrap_or_default();
    format!("{ends}\n{operator}\n{session}").into_bytes()
}

/// Sends a browser to the page where it signs in; from there it comes back to `path`.
pub(super) fn redirect_to_sign_in(path: &str) -> Response<Body> {
    let back = utf8_percent_encode(path, NON_ALPHANUMERIC);
    see_other(&format!("/sign-in?next={back}"))
}

/// Sends a browser to another page of ours, which it asks for anew.
pub(super) fn see_other(path: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, path);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same with a cookie.
pub(super) fn see_other_with_cookie(path: &str, cookie: &str) -> Response<Body> {
    let mut response = see_other(path);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// The path a browser is to come back to, when it is one of ours.
pub(super) fn local_path(path: &str) -> &str {
    let is_own = path.starts_with('/')
        && !path.starts_with("//")
        && !path.starts_with("/\\")
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_own { path } else { "/" }
}
