//! Authenticates requests: API keys with scopes, sent as a bearer token, in `X-Api-Key`, or as a Basic password; the
//! session cookie of a signed-in browser grants reading.
//!
//! Only the digests of the keys are stored; a presented key is compared with every one of them in constant time. Without
//! configured keys every request is authorized; the configuration then restricts the listener to this machine.

pub(crate) mod account;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::denial::Denial;
use super::problem::{BEARER_CHALLENGE, Problem};
use super::session;
use postrider_core::request_origin;
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::gateway::Gateway;

/// Challenge for browsers, which makes them show their password dialogue. Any user name is valid.
const BASIC_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"postrider\", charset=\"UTF-8\"");

/// Reason why a request is not authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// The request carries no key.
    MissingKey,
    /// No configured key equals the presented key.
    UnknownKey,
    /// The key lacks the scope that the request needs.
    InsufficientScope(Scope),
    /// A page of another site requests a change with Basic credentials.
    CrossSite,
    /// The key must not be used from this address.
    NetworkNotAllowed,
}

impl AuthError {
    /// Returns 401 if another key could help, else 403.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::MissingKey | Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope(_) | Self::CrossSite | Self::NetworkNotAllowed => StatusCode::FORBIDDEN,
        }
    }

    /// Returns the error message: the problem and the remedy.
    pub(super) fn message(self) -> String {
        match self {
            Self::MissingKey => {
                "missing API key: send it as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\"".to_owned()
            }
            Self::UnknownKey => "unknown API key".to_owned(),
            Self::InsufficientScope(scope) => {
                format!("this API key lacks the scope \"{}\"", scope.as_str())
            }
            Self::NetworkNotAllowed => "this account must not be used from this network".to_owned(),
            Self::CrossSite => {
                "Basic credentials do not authorize changes that a page of another site requests: \
                 send the API key as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\""
                    .to_owned()
            }
        }
    }

    /// Returns the mark of the response.
    pub(super) fn denial(self) -> Denial {
        match self {
            Self::MissingKey => Denial::MissingKey,
            Self::UnknownKey => Denial::UnknownKey,
            Self::InsufficientScope(_) => Denial::InsufficientScope,
            Self::CrossSite => Denial::CrossSite,
            Self::NetworkNotAllowed => Denial::NetworkNotAllowed,
        }
    }

    /// Marks the response, and adds the challenge for programs if its status is 401, for APIs with their own envelope.
    pub(super) fn challenge(self, mut response: Response<Body>) -> Response<Body> {
        response.extensions_mut().insert(self.denial());
        if self.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, BEARER_CHALLENGE);
        }
        response
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let (slug, title) = match error {
            AuthError::MissingKey | AuthError::UnknownKey => ("unauthorized", "A valid API key is required"),
            AuthError::InsufficientScope(_) => ("insufficient-scope", "The API key lacks the required scope"),
            AuthError::CrossSite => ("cross-site", "Requests from other sites are refused"),
            AuthError::NetworkNotAllowed => {
                ("network-not-allowed", "The account may not be used from this network")
            }
        };
        Self::new(error.status(), slug, title, error.message()).denied(error.denial())
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response<Body> {
        Problem::from(self).into_response()
    }
}

/// The authorized sender of a request, and what it may read and change.
///
/// Everything that a key accepts has an owner: the key itself, or all keys with `shared = true` together. A key with
/// the scope `admin` may read and change everything. The same is true of every request if no keys are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Name of the API key; empty when no keys are configured.
    pub(super) api_key_name: String,
    /// Owner of what the caller sends; empty when no keys are configured and for shared keys.
    pub(super) owner: String,
    /// True if the caller may read and change what any owner has.
    pub(super) can_access_all: bool,
}

impl Caller {
    /// Returns the sender of a request when no keys are configured.
    pub(super) fn without_keys() -> Self {
        Self { api_key_name: String::new(), owner: String::new(), can_access_all: true }
    }

    /// Returns whether the caller may read and change what this owner has.
    pub(super) fn can_access(&self, owner: &str) -> bool {
        self.can_access_all || self.owner == owner
    }

    /// Returns the owner to which reads are restricted; `None` for a caller that may read everything.
    pub(super) fn owner_filter(&self) -> Option<&str> {
        (!self.can_access_all).then_some(self.owner.as_str())
    }

    /// Returns the account to which reads of inbound messages are restricted, also for keys that share; `None` for a caller
    /// that may read everything.
    pub(super) fn account_filter(&self) -> Option<&str> {
        (!self.can_access_all).then_some(self.api_key_name.as_str())
    }
}

impl From<&ApiKey> for Caller {
    fn from(key: &ApiKey) -> Self {
        Self {
            api_key_name: key.name.clone(),
            owner: key.owner().to_owned(),
            can_access_all: key.allows(Scope::Admin),
        }
    }
}

/// Authorizes a request that needs a scope.
///
/// Browsers add Basic credentials to requests automatically, even if a form or an image of another site causes the
/// request. In a cross-site request, a Basic key therefore authorizes only reading (the scope `read`).
pub(super) fn authorize(gateway: &Gateway, headers: &HeaderMap, scope: Scope) -> Result<Caller, AuthError> {
    if gateway.api_keys().is_empty() {
        return Ok(Caller::without_keys());
    }
    let key = match presented_key(headers) {
        Some(presented)
            if presented.is_basic && scope != Scope::Read && request_origin::is_cross_site(headers) =>
        {
            return Err(AuthError::CrossSite);
        }
        Some(presented) => configured_key(gateway, &presented)?,
        None if scope == Scope::Read => signed_in_key(gateway, headers)?,
        None => return Err(AuthError::MissingKey),
    };
    caller_with_scope(&key, scope)
}

/// Returns the name of an operator's key, from the request or from its session; empty if no keys are configured. A form
/// also needs a form token, which proves that a page of this gateway sent it.
pub(super) fn authorize_operator(gateway: &Gateway, headers: &HeaderMap) -> Result<String, AuthError> {
    if gateway.api_keys().is_empty() {
        return Ok(String::new());
    }
    let key = match presented_key(headers) {
        Some(presented) => configured_key(gateway, &presented)?,
        None => signed_in_key(gateway, headers)?,
    };
    caller_with_scope(&key, Scope::Admin).map(|caller| caller.api_key_name)
}

fn configured_key(gateway: &Gateway, presented: &PresentedKey) -> Result<Arc<ApiKey>, AuthError> {
    find_key(gateway, &presented.secret).ok_or(AuthError::UnknownKey)
}

fn signed_in_key(gateway: &Gateway, headers: &HeaderMap) -> Result<Arc<ApiKey>, AuthError> {
    session::session_key(gateway, headers).ok_or(AuthError::MissingKey)
}

fn caller_with_scope(key: &ApiKey, scope: Scope) -> Result<Caller, AuthError> {
    if key.allows(scope) { Ok(Caller::from(key)) } else { Err(AuthError::InsufficientScope(scope)) }
}

/// Returns the redirect to the sign-in page if a browser requests a page without a key; `None` for programs and for
/// requests with a key.
pub(super) fn sign_in_redirect(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let is_keyless = presented_key(headers).is_none();
    (is_browser && is_keyless && method == Method::GET).then(|| {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        session::redirect_to_sign_in(path)
    })
}

/// Middleware for pages and metrics: passes requests that have the scope, with the [`Caller`] as an extension. A browser without a key is redirected to the
/// sign-in page; every other refused request gets the Basic challenge.
pub async fn require_scope(
    State((gateway, scope)): State<(Arc<Gateway>, Scope)>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match authorize(&gateway, request.headers(), scope) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            if error == AuthError::MissingKey
                && let Some(redirect) = sign_in_redirect(request.method(), request.uri(), request.headers())
            {
                return redirect;
            }
            basic_challenge(error)
        }
    }
}

/// Returns the problem document of an authorization error, with the challenge for browsers.
pub(super) fn basic_challenge(error: AuthError) -> Response<Body> {
    let mut response = error.into_response();
    if response.headers().contains_key(WWW_AUTHENTICATE) {
        response.headers_mut().insert(WWW_AUTHENTICATE, BASIC_CHALLENGE);
    }
    response
}

/// The key that a request carries.
struct PresentedKey {
    secret: Vec<u8>,
    /// True for Basic credentials, which browsers add automatically.
    is_basic: bool,
}

fn presented_key(headers: &HeaderMap) -> Option<PresentedKey> {
    let explicit = |secret: &[u8]| PresentedKey { secret: secret.to_vec(), is_basic: false };
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let from_authorization = authorization.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(explicit(rest.trim().as_bytes())),
            "basic" => basic_password(rest.trim()).map(|secret| PresentedKey { secret, is_basic: true }),
            _ => None,
        }
    });
    from_authorization.or_else(|| headers.get("x-api-key").map(|key| explicit(key.as_bytes())))
}

/// Returns the SHA-256 of the key in the headers of a request.
pub(super) fn presented_digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    presented_key(headers).map(|presented| Sha256::digest(&presented.secret).into())
}

fn basic_password(encoded: &str) -> Option<Vec<u8>> {
    let decoded = STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Returns the key of the gateway with this secret.
pub(super) fn find_key(gateway: &Gateway, secret: &[u8]) -> Option<Arc<ApiKey>> {
    find_matching_key(&gateway.api_keys(), secret)
}

/// Compares the digest with every key, so that the duration does not show which key is equal.
fn find_matching_key(keys: &[Arc<ApiKey>], secret: &[u8]) -> Option<Arc<ApiKey>> {
    let digest: [u8; 32] = Sha256::digest(secret).into();
    let mut matching_key = None;
    for key in keys {
        let is_match: Choice = key.sha256.unwrap_or_default().ct_eq(&digest);
        if bool::from(is_match) && key.sha256.is_some() {
            matching_key = Some(Arc::clone(key));
        }
    }
    matching_key
}
