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
use crate::config::{Key, Scope};
use crate::gateway::Gateway;
use crate::request_origin;

/// What a program is asked for.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"postrider\"");

/// What a browser is asked for: it then shows its own dialogue. Any user name will do.
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"postrider\", charset=\"UTF-8\"");

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No key came with the request.
    Missing,
    /// There is no such key.
    Unknown,
    /// The key does not open this door.
    Scope(Scope),
    /// A browser sent the key by itself, for a page of another site that wants to change something.
    CrossSite,
}

impl Denied {
    /// 401 when another key may help, 403 when this one will not.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Scope(_) | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }

    /// What is wrong and what to do, for a person.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Missing => {
                "an API key is needed: send it as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\""
                    .to_owned()
            }
            Self::Unknown => "this API key is not known".to_owned(),
            Self::Scope(scope) => format!("this API key has not the scope \"{}\"", scope.word()),
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
            response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response<Body> {
        let (slug, title) = match self {
            Self::Missing | Self::Unknown => ("no-key", "An API key is needed"),
            Self::Scope(_) => ("wrong-scope", "This API key does not open this door"),
            Self::CrossSite => ("cross-site", "Requests from other sites are refused"),
        };
        self.challenge(Problem::new(self.status(), slug, title, self.sentence()).into_response())
    }
}

/// Returns the name of the key a request came with; empty when no keys are configured.
///
/// Browsers send Basic credentials by themselves, also for a form or an image of another site. So a key that came as
/// Basic authorises no change (every scope but `read`) that another site asks for.
pub(super) fn caller<'a>(gateway: &'a Gateway, headers: &HeaderMap, scope: Scope) -> Result<&'a str, Denied> {
    let is_basic = presented(headers).is_some_and(|presented| presented.is_basic);
    let keyless = gateway.config.keys.is_empty();
    if !keyless && is_basic && scope != Scope::Read && request_origin::is_cross_site(headers) {
        return Err(Denied::CrossSite);
    }
    key_name(gateway, headers, scope)
}

/// Like [`caller`], for requests that change nothing or prove by a form token which page sent them.
fn key_name<'a>(gateway: &'a Gateway, headers: &HeaderMap, scope: Scope) -> Result<&'a str, Denied> {
    let keys = &gateway.config.keys;
    if keys.is_empty() {
        return Ok("");
    }
    let key = match presented(headers) {
        Some(presented) => known(keys, &presented.secret).ok_or(Denied::Unknown)?,
        None if scope == Scope::Read => session::holder(gateway, headers).ok_or(Denied::Missing)?,
        None => return Err(Denied::Missing),
    };
    if key.may(scope) {
        Ok(&key.name)
    } else {
        Err(Denied::Scope(scope))
    }
}

/// The key behind those words; none when there is no such key.
pub(super) fn key_of<'a>(gateway: &'a Gateway, secret: &str) -> Option<&'a Key> {
    known(&gateway.config.keys, secret.as_bytes())
}

/// The name of the key of whoever uses the operator's pages, with a key or a session; empty when no keys are
/// configured. Forms have to carry a token of their own beside this.
pub(super) fn operator<'a>(gateway: &'a Gateway, headers: &HeaderMap) -> Result<&'a str, Denied> {
    match key_name(gateway, headers, Scope::Admin) {
        Err(Denied::Missing) => {
            let key = session::holder(gateway, headers).ok_or(Denied::Missing)?;
            if key.may(Scope::Admin) {
                Ok(&key.name)
            } else {
                Err(Denied::Scope(Scope::Admin))
            }
        }
        answer => answer,
    }
}

/// Where a browser that shows a page is sent to when it has no key yet; none for programs, and for who has one.
pub(super) fn way_in(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let is_keyless = presented(headers).is_none();
    (is_browser && is_keyless && method == Method::GET).then(|| {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        session::to_sign_in(path)
    })
}

/// Middleware for pages and machine endpoints: lets a request through that has the scope. Browsers are sent to the
/// page where they sign in; whoever else shows no key is asked for a password, which browsers understand as well.
pub async fn require(
    State((gateway, scope)): State<(Arc<Gateway>, Scope)>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match caller(&gateway, request.headers(), scope) {
        Ok(_) => next.run(request).await,
        Err(denied) => {
            if denied == Denied::Missing
                && let Some(way_in) = way_in(request.method(), request.uri(), request.headers())
            {
                return way_in;
            }
            ask_browser(denied)
        }
    }
}

/// A refusal that asks for a password, in the way browsers understand.
pub(super) fn ask_browser(denied: Denied) -> Response<Body> {
    let mut response = denied.into_response();
    if response.headers().contains_key(WWW_AUTHENTICATE) {
        response.headers_mut().insert(WWW_AUTHENTICATE, BASIC);
    }
    response
}

/// A key as it stands in a request's headers.
struct Presented {
    secret: Vec<u8>,
    /// Whether a browser may have sent it by itself.
    is_basic: bool,
}

fn presented(headers: &HeaderMap) -> Option<Presented> {
    let explicit = |secret: &[u8]| Presented {
        secret: secret.to_vec(),
        is_basic: false,
    };
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let from_authorization = authorization.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(explicit(rest.trim().as_bytes())),
            "basic" => password(rest.trim()).map(|secret| Presented {
                secret,
                is_basic: true,
            }),
            _ => None,
        }
    });
    from_authorization.or_else(|| headers.get("x-api-key").map(|key| explicit(key.as_bytes())))
}

fn password(encoded: &str) -> Option<Vec<u8>> {
    let decoded = STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Looks at every key, so that the time taken does not tell which one was close.
fn known<'a>(keys: &'a [Key], presented: &[u8]) -> Option<&'a Key> {
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

    fn keys() -> Vec<Key> {
        let key = |name: &str, secret: &str, scopes: &[Scope]| Key {
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
        let presented = presented(&headers)?;
        known(&keys(), &presented.secret).map(|key| key.name.clone())
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
