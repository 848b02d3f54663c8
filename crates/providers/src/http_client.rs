//! The one HTTP client: pooled connections, time limits, an answer limit, and an honest word about what happened.
//!
//! What matters is whether the request can have left: a provider that was never reached may be passed over at
//! once, one that went silent may have sent the message. So nothing is repeated here. (The pool itself takes
//! another connection only when a kept one turned out closed before a byte of the request was written.)

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, Method, Request, Response, Url};

use super::{AccountCheck, CallLimits, Transcript};
use postrider_core::clock::{Clock, Stopwatch};
use postrider_core::error::{Error, ErrorKind, Result};

/// How long an idle connection is kept. Many servers close theirs after 5 s; a request that meets the closing
/// half-way is an unknown outcome, so we close first.
pub(super) const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);

/// How long an idle connection of HTTP/2 is kept: many calls share it, and both ends may close it without harm.
const HTTP2_IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60 * 60);

/// How often a connection of HTTP/2 is asked whether it is still alive, and how long that answer may take.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(60);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The most redirects that are followed, all on the same host.
const REDIRECTS_MAX: usize = 3;

/// The way out. Providers with the same limits share a client, and so its connections.
#[derive(Clone, Default)]
pub struct HttpClientPool {
    clients: Arc<Mutex<Vec<(HttpClientKey, Client)>>>,
    transcript: Option<Transcript>,
}

/// What a client is made for.
#[derive(Clone, PartialEq, Eq)]
struct HttpClientKey {
    connect_timeout: Duration,
    requirements: ConnectionRequirements,
}

/// What a provider's connections have to be.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ConnectionRequirements {
    /// Plain connections need no certificates, so a machine without any can still use them.
    pub is_tls: bool,
    /// HTTP/2 and nothing else; otherwise it is what the server would have.
    pub is_http2_only: bool,
    /// The only authorities that are believed, in PEM, instead of this machine's.
    pub ca: Option<String>,
}

impl HttpClientPool {
    /// A way out without any client yet: each is made when the first provider asks for it.
    pub fn new() -> Result<Self> {
        // It fails only when a provider of cryptography is installed already, which will then do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self::default())
    }

    /// Writes every conversation down from now on, for the one who asked to see it.
    pub fn with_transcript(mut self, tape: Transcript) -> Self {
        self.transcript = Some(tape);
        self
    }

    /// Where conversations are written down, if anybody asked; for adapters that have a connection of their own.
    pub(super) fn transcript(&self) -> Option<Transcript> {
        self.transcript.clone()
    }

    /// A client with a provider's limits.
    pub(super) fn client(&self, limits: &CallLimits, secure: bool) -> Result<HttpClient> {
        let demands = ConnectionRequirements {
            is_tls: secure,
            ..ConnectionRequirements::default()
        };
        self.client_with(limits, demands)
    }

    /// Like [`Outbound::line`], for a provider that demands more of its connections.
    pub(super) fn client_with(
        &self,
        limits: &CallLimits,
        demands: ConnectionRequirements,
    ) -> Result<HttpClient> {
        let way = HttpClientKey {
            connect_timeout: limits.connect_timeout,
            requirements: demands,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.iter().find(|(known, _)| *known == way);
        let client = match known {
            Some((_, client)) => client.clone(),
            None => {
                let client = build_client(&way)?;
                clients.push((way, client.clone()));
                client
            }
        };
        Ok(HttpClient {
            client,
            limits: limits.clone(),
            transcript: self.transcript.clone(),
        })
    }
}

fn build_client(way: &HttpClientKey) -> Result<Client> {
    let mut builder = Client::builder()
        .connect_timeout(way.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .tcp_nodelay(true)
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .redirect(Policy::custom(follow_same_origin))
        .user_agent(concat!("postrider/", env!("CARGO_PKG_VERSION")));
    if !way.requirements.is_tls {
        builder = builder.tls_certs_only([]);
    } else if let Some(authorities) = &way.requirements.ca {
        builder = builder.tls_certs_only(parse_ca_certificates(authorities)?);
    }
    if way.requirements.is_http2_only {
        builder = builder
            .http2_prior_knowledge()
            .pool_idle_timeout(HTTP2_IDLE_CONNECTION_MAX)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_keep_alive_while_idle(true);
    }
    builder.build().map_err(|cause| {
        Error::with_source(
            ErrorKind::Usage,
            "cannot prepare https; install this machine's CA certificates (package ca-certificates)",
            cause,
        )
    })
}

/// The certificates in a text of PEM; at least one.
fn parse_ca_certificates(text: &str) -> Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(text.as_bytes()).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::usage(
            "authorities: holds no certificate; write authorities = \"${file:ca.pem}\", a file in PEM",
        ));
    }
    Ok(found)
}

/// Only redirects that repeat the request as it was (307 and 308), and only to the same scheme, host and port.
/// Another host must not get our message, and 301 to 303 may turn a POST into a GET that says nothing.
fn follow_same_origin(attempt: Attempt) -> reqwest::redirect::Action {
    let repeats = matches!(attempt.status().as_u16(), 307 | 308);
    let first = attempt.previous().first();
    let stays = first.is_some_and(|first| first.origin() == attempt.url().origin());
    if repeats && stays && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// One provider's use of the client.
pub(super) struct HttpClient {
    client: Client,
    limits: CallLimits,
    transcript: Option<Transcript>,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum HttpCallResult {
    /// There was a status line.
    Response(HttpResponse),
    /// Nobody was reached, so nothing was sent.
    NotSent(String),
    /// The request may have left, and no status line came back: a time-out, a closed connection, or something
    /// that is not HTTP.
    NoResponse(String),
    /// It cannot be put into a request, for example because a URL cannot be that long. Nothing was sent.
    InvalidRequest(String),
}

/// A status line and what followed it.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// As much as was read.
    pub body: Vec<u8>,
    pub body_end: BodyEnd,
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The body is whole.
    Complete,
    /// The body is longer than the limit; the rest was not read.
    Truncated,
    /// The connection broke or the time was up in mid-body.
    Interrupted,
}

impl HttpClient {
    /// One use of a client that was made elsewhere.
    pub fn from_client(client: Client, limits: &CallLimits) -> Self {
        Self {
            client,
            limits: limits.clone(),
            transcript: None,
        }
    }

    /// The same, writing its calls down where there is a tape.
    pub fn with_transcript(self, tape: Option<Transcript>) -> Self {
        Self {
            transcript: tape,
            ..self
        }
    }

    /// Makes one call. Never repeats it.
    pub async fn call(&self, request: Request) -> HttpCallResult {
        self.call_with_timeout(self.limits.call_timeout, request).await
    }

    /// Begins to count the time of several calls that together may take as long as one.
    pub fn start_deadline(&self) -> CallDeadline {
        CallDeadline {
            stopwatch: Clock::System.stopwatch(),
            limits: self.limits.clone(),
        }
    }

    /// Makes one call, never repeats it and gives up after `limit`, which has to leave more time than connecting takes
    /// at most.
    pub async fn call_with_timeout(&self, limit: Duration, request: Request) -> HttpCallResult {
        let Some(tape) = &self.transcript else {
            return self.execute(limit, request).await;
        };
        tape.record_request(&request);
        let reply = self.execute(limit, request).await;
        tape.record_response(&reply);
        reply
    }

    /// Asks the root of a host for nothing, which shows whether it is there and, over TLS, that it is the right one; for
    /// providers whose account shows only in a send.
    pub async fn check_reachable(&self, root: Url) -> AccountCheck {
        let (host, port) = host_and_port(&root);
        match self.call(Request::new(Method::HEAD, root)).await {
            HttpCallResult::Response(_) => AccountCheck::Passed(format!(
                "{host}:{port} can be reached; its account cannot be tested without sending"
            )),
            HttpCallResult::NotSent(cause) => AccountCheck::Failed(format!(
                "cannot connect to {host}:{port}: {cause}; is it running, and is the address right?"
            )),
            HttpCallResult::NoResponse(cause) | HttpCallResult::InvalidRequest(cause) => {
                AccountCheck::Failed(format!(
                    "{host}:{port} can be reached, but does not speak HTTP as expected ({cause}); is the address right?"
                ))
            }
        }
    }

    async fn execute(&self, limit: Duration, mut request: Request) -> HttpCallResult {
        *request.timeout_mut() = Some(limit);
        match self.client.execute(request).await {
            Err(fault) if is_refused_unprocessed(&fault) => HttpCallResult::NotSent(root_cause(&fault)),
            Ok(response) => HttpCallResult::Response(self.read_response(response).await),
            Err(fault) if fault.is_builder() => HttpCallResult::InvalidRequest(root_cause(&fault)),
            Err(fault) if fault.is_connect() && fault.is_timeout() => {
                HttpCallResult::NotSent(format!("no connection within {:?}", self.limits.connect_timeout))
            }
            Err(fault) if fault.is_connect() => HttpCallResult::NotSent(root_cause(&fault)),
            Err(fault) if fault.is_timeout() => {
                HttpCallResult::NoResponse(format!("no answer within {limit:?}"))
            }
            Err(fault) => HttpCallResult::NoResponse(format!("no answer: {}", root_cause(&fault))),
        }
    }

    async fn read_response(&self, mut response: Response) -> HttpResponse {
        let mut body = Vec::new();
        let end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = self.limits.response_bytes_max - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        break BodyEnd::Truncated;
                    }
                }
                Ok(None) => break BodyEnd::Complete,
                Err(_) => break BodyEnd::Interrupted,
            }
        };
        HttpResponse {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
            body_end: end,
        }
    }
}

/// Whether an HTTP/2 server said that it has not looked at this request: it refused the stream, or was going away and
/// named an earlier one as its last.
fn is_refused_unprocessed(fault: &reqwest::Error) -> bool {
    let mut cause = fault.source();
    while let Some(next) = cause {
        if let Some(fault) = next.downcast_ref::<h2::Error>() {
            let refused = fault.is_reset() && fault.reason() == Some(h2::Reason::REFUSED_STREAM);
            return fault.is_remote() && (refused || fault.is_go_away());
        }
        cause = next.source();
    }
    false
}

/// The time of several calls that together may take as long as one, so that a message whose token has to be fetched
/// first is not cut off in the middle of its own call.
pub(super) struct CallDeadline {
    stopwatch: Stopwatch,
    limits: CallLimits,
}

impl CallDeadline {
    /// What is left of it; none when a call that begins now could end before it is connected.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.limits.call_timeout.saturating_sub(self.stopwatch.elapsed());
        (left > self.limits.connect_timeout).then_some(left)
    }
}

/// A URL's host and port.
pub(super) fn host_and_port(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().to_owned();
    (host, url.port_or_known_default().unwrap_or_default())
}

/// The cause at the bottom, which speaks of the fault alone; those above it repeat the URL and its secrets.
fn root_cause(fault: &reqwest::Error) -> String {
    let mut cause = fault.source();
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "the request cannot be built".to_owned(), ToString::to_string)
}
