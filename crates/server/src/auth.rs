//! Who may come in: API keys with scopes, presented as a bearer, in `X-Api-Key`, or as a password; a browser that has
//! signed in may read with its session.
//!
//! Keys are known by their digest only and compared in constant time against every key. Without configured keys
//! every door is open; the configuration sees to it that only this machine can reach such doors.

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

use super::problem::Problem;
use super::session;
use postrider_core::request_origin;
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::gateway::Gateway;

/// What a program is asked for.
const BEARER_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"postrider\"");

/// What a browser is asked for: it then shows its own dialogue. Any user name will do.
const BASIC_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"postrider\", charset=\"UTF-8\"");

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// No key came with the request.
    MissingKey,
    /// There is no such key.
    UnknownKey,
    /// The key does not open this door.
    InsufficientScope(Scope),
    /// A browser sent the key by itself, for a page of another site that wants to change something.
    CrossSite,
}

impl AuthError {
    /// 401 when another key may help, 403 when this one will not.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::MissingKey | Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope(_) | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }

    /// What is wrong and what to do, for a person.
    pub(super) fn message(self) -> String {
        match self {
            Self::MissingKey => {
                "an API key is needed: send it as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\""
                    .to_owned()
            }
            Self::UnknownKey => "this API key is not known".to_owned(),
            Self::InsufficientScope(scope) => {
                format!("this API key has not the scope \"{}\"", scope.as_str())
            }
            Self::CrossSite => {
                "Basic credentials do not authorise changes that a page of another site asks for: \
                                send the API key as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\""
                    .to_owned()
            }
        }
    }

    /// Adds what a program is asked for to a face's own answer.
    pub(super) fn challenge(self, mut response: Response<Body>) -> Response<Body> {
        if self.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, BEARER_CHALLENGE);
        }
        response
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response<Body> {
        let (slug, title) = match self {
            Self::MissingKey | Self::UnknownKey => ("no-key", "An API key is needed"),
            Self::InsufficientScope(_) => ("wrong-scope", "This API key does not open this door"),
            Self::CrossSite => ("cross-site", "Requests from other sites are refused"),
        };
        self.challenge(Problem::new(self.status(), slug, title, self.message()).into_response())
    }
}

/// Returns the name of the key a request came with; empty when no keys are configured.
///
/// Browsers send Basic credentials by themselves, also for a form or an image of another site. So a key that came as
/// Basic authorises no change (every scope but `read`) that another site asks for.
pub(super) fn authorize<'a>(
    gateway: &'a Gateway,
    headers: &HeaderMap,
    scope: Scope,
) -> Result<&'a str, AuthError> {
    let is_basic = presented_key(headers).is_some_and(|presented| presented.is_basic);
    let keyless = gateway.config.keys.is_empty();
    if !keyless && is_basic && scope != Scope::Read && request_origin::is_cross_site(headers) {
        return Err(AuthError::CrossSite);
    }
    authorize_any_origin(gateway, headers, scope)
}

/// Like [`caller`], for requests that change nothing or prove by a form token which page sent them.
fn authorize_any_origin<'a>(
    gateway: &'a Gateway,
    headers: &HeaderMap,
    scope: Scope,
) -> Result<&'a str, AuthError> {
    let keys = &gateway.config.keys;
    if keys.is_empty() {
        return Ok("");
    }
    let key = match presented_key(headers) {
        Some(presented) => find_matching_key(keys, &presented.secret).ok_or(AuthError::UnknownKey)?,
        None if scope == Scope::Read => {
            session::session_key(gateway, headers).ok_or(AuthError::MissingKey)?
        }
        None => return Err(AuthError::MissingKey),
    };
    if key.allows(scope) {
        Ok(&key.name)
    } else {
        Err(AuthError::InsufficientScope(scope))
    }
}

/// The key behind those words; none when there is no such key.
pub(super) fn find_key<'a>(gateway: &'a Gateway, secret: &str) -> Option<&'a ApiKey> {
    find_matching_key(&gateway.config.keys, secret.as_bytes())
}

/// The name of the key of whoever uses the operator's pages, with a key or a session; empty when no keys are
/// configured. Forms have to carry a token of their own beside this.
pub(super) fn authorize_operator<'a>(
    gateway: &'a Gateway,
    headers: &HeaderMap,
) -> Result<&'a str, AuthError> {
    match authorize_any_origin(gateway, headers, Scope::Admin) {
        Err(AuthError::MissingKey) => {
            let key = session::session_key(gateway, headers).ok_or(AuthError::MissingKey)?;
            if key.allows(Scope::Admin) {
                Ok(&key.name)
            } else {
                Err(AuthError::InsufficientScope(Scope::Admin))
            }
        }
        answer => answer,
    }
}

/// Where a browser that shows a page is sent to when it has no key yet; none for programs, and for who has one.
pub(super) fn sign_in_redirect(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let is_keyless = presented_key(headers).is_none();
    (is_browser && is_keyless && method == Method::GET).then(|| {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        session::redirect_to_sign_in(path)
    })
}

/// Middleware for pages and machine endpoints: lets a request through that has the scope. Browsers are sent to the
/// page where they sign in; whoever else shows no key is asked for a password, which browsers understand as well.
pub async fn require_scope(
    State((gateway, scope)): State<(Arc<Gateway>, Scope)>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match authorize(&gateway, request.headers(), scope) {
        Ok(_) => next.run(request).await,
        Err(denied) => {
            if denied == AuthError::MissingKey
                && let Some(way_in) = sign_in_redirect(request.method(), request.uri(), request.headers())
            {
                return way_in;
            }
            basic_challenge(denied)
        }
    }
}

/// A refusal that asks for a password, in the way browsers understand.
pub(super) fn basic_challenge(denied: AuthError) -> Response<Body> {
    let mut response = denied.into_response();
    if response.headers().contains_key(WWW_AUTHENTICATE) {
        response.headers_mut().insert(WWW_AUTHENTICATE, BASIC_CHALLENGE);
    }
    response
}

/// A key as it stands in a request's headers.
struct PresentedKey {
    secret: Vec<u8>,
    /// Whether a browser may have sent it by itself.
    is_basic: bool,
}

fn presented_key(headers: &HeaderMap) -> Option<PresentedKey> {
    let explicit = |secret: &[u8]| PresentedKey {
        secret: secret.to_vec(),
        is_basic: false,
    };
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let from_authorization = authorization.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(explicit(rest.trim().as_bytes())),
            "basic" => basic_password(rest.trim()).map(|secret| PresentedKey {
                secret,
                is_basic: true,
            }),
            _ => None,
        }
    });
    from_authorization.or_else(|| headers.get("x-api-key").map(|key| explicit(key.as_bytes())))
}

fn basic_password(encoded: &str) -> Option<Vec<u8>> {
    let decoded = STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Looks at every key, so that the time taken does not tell which one was close.
fn find_matching_key<'a>(keys: &'a [ApiKey], presented: &[u8]) -> Option<&'a ApiKey> {
    let digest: [u8; 32] = Sha256::digest(presented).into();
    let mut found = None;
    for key in keys {
        let same: Choice = key.sha256.ct_eq(&digest);
        if bool::from(same) {
            found = Some(key);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<ApiKey> {
        let key = |name: &str, secret: &str, scopes: &[Scope]| ApiKey {
            name: name.to_owned(),
            sha256: Sha256::digest(secret).into(),
            scopes: scopes.to_vec(),
            user_per_hour: None,
            events: Default::default(),
        };
        vec![
            key("shop", "sesame", &[Scope::Send]),
            key("boss", "open:all", &[Scope::Admin]),
        ]
    }

    fn name_behind(header: &'static str, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header, value.parse().unwrap());
        let presented = presented_key(&headers)?;
        find_matching_key(&keys(), &presented.secret).map(|key| key.name.clone())
    }

    #[test]
    fn a_key_is_read_from_every_place_it_may_stand_in() {
        for (header, value, name) in [
            ("authorization", "Bearer sesame", Some("shop")),
            ("authorization", "bearer  sesame", Some("shop")),
            ("x-api-key", "sesame", Some("shop")),
            ("authorization", "Basic YW55Ym9keTpzZXNhbWU=", Some("shop")),
            ("authorization", "Basic Om9wZW46YWxs", Some("boss")),
            ("authorization", "Basic !!!", None),
            ("authorization", "Digest sesame", None),
            ("authorization", "Bearer sesame2", None),
            ("x-api-key", "", None),
        ] {
            assert_eq!(name_behind(header, value).as_deref(), name, "{header}: {value}");
        }
    }
}
