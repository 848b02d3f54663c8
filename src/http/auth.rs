//! Who may come in: API keys with scopes, presented as a bearer, in `X-Api-Key`, or as a password.
//!
//! Keys are known by their digest only and compared in constant time against every key. Without configured keys
//! every door is open; the configuration sees to it that only this machine can reach such doors.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::problem::Problem;
use crate::config::{Key, Scope};
use crate::gateway::Gateway;

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
}

impl Denied {
    /// 401 when another key may help, 403 when this one will not.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Scope(_) => StatusCode::FORBIDDEN,
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
        };
        self.challenge(Problem::new(self.status(), slug, title, self.sentence()).into_response())
    }
}

/// The name of the key a request came with; empty when no keys are configured.
pub(super) fn caller<'a>(gateway: &'a Gateway, headers: &HeaderMap, scope: Scope) -> Result<&'a str, Denied> {
    let keys = &gateway.config.keys;
    if keys.is_empty() {
        return Ok("");
    }
    let presented = presented(headers).ok_or(Denied::Missing)?;
    let key = known(keys, &presented).ok_or(Denied::Unknown)?;
    if key.may(scope) {
        Ok(&key.name)
    } else {
        Err(Denied::Scope(scope))
    }
}

/// Middleware for pages and machine endpoints: lets a request through that has the scope. Browsers are asked
/// with their own dialogue.
pub async fn require(
    State((gateway, scope)): State<(Arc<Gateway>, Scope)>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match caller(&gateway, request.headers(), scope) {
        Ok(_) => next.run(request).await,
        Err(denied) => {
            let mut response = denied.into_response();
            if response.headers().contains_key(WWW_AUTHENTICATE) {
                response.headers_mut().insert(WWW_AUTHENTICATE, BASIC);
            }
            response
        }
    }
}

fn presented(headers: &HeaderMap) -> Option<Vec<u8>> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let from_authorization = authorization.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(rest.trim().as_bytes().to_vec()),
            "basic" => password(rest.trim()),
            _ => None,
        }
    });
    from_authorization.or_else(|| headers.get("x-api-key").map(|key| key.as_bytes().to_vec()))
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
        known(&keys(), &presented).map(|key| key.name.clone())
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
