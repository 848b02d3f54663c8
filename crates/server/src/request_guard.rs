//! Checks every request before the routes see it, and every response after them: the `Host` header, clients that guess API
//! keys, ended sessions, denied requests, and headers that keep private answers out of caches.
//!
//! The guard wraps the routes directly. A layer of axum would cost an allocation for each request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, COOKIE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tower::Service as _;

use super::compat::presented::{CredentialApi, PresentedCredential};
use super::denial::{Denial, DenialLog};
use super::peer::{ClientAddress, client_address};
use super::problem::{self, Problem};
use super::wrong_keys::WrongKeys;
use super::{auth, session};
use postrider_engine::gateway::Gateway;

/// Paths that are answered on a connection beyond the maximum.
const PROBE_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Path of the form that takes an API key.
const SIGN_IN_PATH: &str = "/sign-in";

/// `Retry-After` when all connections are busy.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Maximum time to read a session generation. If it takes longer, the last known generation is used.
const SESSION_READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection of a request.
#[derive(Clone, Copy)]
pub(super) struct RequestConnection {
    /// Address of the other side.
    pub(super) peer: IpAddr,
    /// True for a connection beyond the maximum. It gets one response, and only if its request is a probe.
    pub(super) is_probe_only: bool,
}

/// Checks of all requests to one listener, and what they remember.
pub(super) struct RequestGuard {
    gateway: Arc<Gateway>,
    wrong_keys: WrongKeys,
    denials: DenialLog,
    /// The last session generation that was read, by name of the API key.
    session_generations: Mutex<HashMap<String, i64>>,
}

impl RequestGuard {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self {
            wrong_keys: WrongKeys::new(gateway.config.limits.wrong_keys_per_minute),
            gateway,
            denials: DenialLog::default(),
            session_generations: Mutex::default(),
        }
    }

    /// Returns the response of the routes, or of a failed check.
    pub(super) async fn respond(
        &self,
        router: Router,
        connection: RequestConnection,
        mut request: Request<Body>,
    ) -> Response<Body> {
        let client = client_address(&self.gateway.config, connection.peer, request.headers());
        let credential_api = CredentialApi::of_path(self.gateway.config.compat, request.uri().path());
        let credential = credential_api
            .filter(|_| self.wrong_keys.is_counting())
            .and_then(|credential_api| credential_api.presented(&request));
        let key_digest = match credential_api {
            Some(_) => credential.as_ref().map(PresentedCredential::digest),
            None => self.needs_digest().then(|| auth::presented_digest(request.headers())).flatten(),
        };
        let refusal = refuse_host(&request)
            .or_else(|| self.refuse_network(client, key_digest, &request))
            .or_else(|| connection.is_probe_only.then(|| refuse_other_than_probe(&request)).flatten())
            .or_else(|| self.refuse_guess(client, key_digest, credential_api.is_some(), &request));
        let mut response = match refusal {
            Some(problem) => problem.into_response(),
            None => {
                if self.gateway.config.compat.is_enabled() || request.uri().path() == SIGN_IN_PATH {
                    request.extensions_mut().insert(ClientAddress(client));
                }
                self.drop_ended_session(&mut request).await;
                call_router(router, request).await
            }
        };
        self.record(client, key_digest, credential.as_ref(), &mut response);
        add_private_headers(&mut response);
        if connection.is_probe_only {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Returns whether checks need the digest of the presented key, which costs a hash.
    fn needs_digest(&self) -> bool {
        self.wrong_keys.is_counting()
            || self.gateway.api_keys().iter().any(|key| !key.account.networks.is_empty())
    }

    /// Returns the refusal of a client that sent too many wrong keys and now sends a key. The key is not compared, so that
    /// the answer does not tell whether it is right.
    fn refuse_guess(
        &self,
        client: IpAddr,
        key_digest: Option<[u8; 32]>,
        is_compat: bool,
        request: &Request<Body>,
    ) -> Option<Problem> {
        // The bodies of these requests contain the key or the password.
        let has_secret_in_body =
            || request.method() == Method::POST && (is_compat || request.uri().path() == SIGN_IN_PATH);
        if !self.wrong_keys.is_counting() || (key_digest.is_none() && !has_secret_in_body()) {
            return None;
        }
        let wait = self.wrong_keys.wait(client, key_digest, Instant::now())?;
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-wrong-keys",
            "Too many wrong API keys",
            "this address sent too many wrong API keys; try again later with the right one",
        );
        Some(problem.retry_after(wait).denied(Denial::TooManyWrongKeys))
    }

    /// Returns the refusal of an API key, or of a session's key, that must not be used from the client's network.
    fn refuse_network(
        &self,
        client: IpAddr,
        key_digest: Option<[u8; 32]>,
        request: &Request<Body>,
    ) -> Option<Problem> {
        let keys = self.gateway.api_keys();
        if keys.iter().all(|key| key.account.networks.is_empty()) {
            return None;
        }
        let key = match key_digest {
            Some(digest) => keys.iter().find(|key| key.sha256 == Some(digest)).cloned(),
            None => session::session_key(&self.gateway, request.headers()),
        }?;
        (!key.account.allows_network(client)).then(|| auth::AuthError::NetworkNotAllowed.into())
    }

    /// Removes the cookies of a request whose session was ended, so that it counts as not signed in. If the store cannot be
    /// read, the last known generation counts; without one the session does not.
    async fn drop_ended_session(&self, request: &mut Request<Body>) {
        let Some((key, cookie_generation)) = session::signed_in(&self.gateway, request.headers()) else {
            return;
        };
        let reading = self.gateway.store.session_generation(&key.name);
        let generation = match tokio::time::timeout(SESSION_READ_TIMEOUT, reading).await {
            Ok(Ok(generation)) => {
                self.session_generations.lock().insert(key.name.clone(), generation);
                Some(generation)
            }
            Ok(Err(_)) | Err(_) => self.session_generations.lock().get(&key.name).copied(),
        };
        if generation != Some(cookie_generation) {
            request.headers_mut().remove(COOKIE);
        }
    }

    /// Counts and logs a denied request, and whether its key was right.
    fn record(
        &self,
        client: IpAddr,
        key_digest: Option<[u8; 32]>,
        credential: Option<&PresentedCredential>,
        response: &mut Response<Body>,
    ) {
        let is_right = |digest| match credential {
            Some(credential) => credential.is_right(&self.gateway),
            None => self.gateway.api_keys().iter().any(|key| key.sha256 == Some(digest)),
        };
        if let Some(denial) = response.extensions_mut().remove::<Denial>() {
            self.denials.record(&self.gateway.metrics, &denial, client);
            if denial == Denial::UnknownKey {
                self.wrong_keys.record_wrong(client, Instant::now());
            }
        } else if let Some(digest) = key_digest
            && is_right(digest)
        {
            self.wrong_keys.record_right(client, digest);
        }
    }
}

/// Returns the response of the routes. A panic ends only its own request: the connection stays usable.
pub(super) async fn call_router(mut router: Router, request: Request<Body>) -> Response<Body> {
    let responding = AssertUnwindSafe(async { router.call(request).await });
    match responding.catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(panic) => problem::panic_response(panic),
    }
}

/// Returns the refusal of a request that does not say exactly once for which host it is: proxies and this gateway could
/// take different ones for true (RFC 9112, section 3.2).
fn refuse_host(request: &Request<Body>) -> Option<Problem> {
    let host_count = request.headers().get_all(HOST).iter().count();
    let is_valid = host_count == 1 || (host_count == 0 && request.version() < Version::HTTP_11);
    (!is_valid).then(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-host",
            "The Host header is invalid",
            format!("expected one Host header, found {host_count}"),
        )
    })
}

fn refuse_other_than_probe(request: &Request<Body>) -> Option<Problem> {
    (!PROBE_PATHS.contains(&request.uri().path())).then(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "All connections are busy",
            "the maximum number of connections is in use; try again in a moment",
        )
        .retry_after(BUSY_RETRY_AFTER)
    })
}

/// Forbids caches to keep a response and browsers to guess its type, unless a handler says otherwise.
fn add_private_headers<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
}
