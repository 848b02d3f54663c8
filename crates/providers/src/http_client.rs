//! The HTTP client of all adapters: pooled connections, time limits, a limit on the response body.
//!
//! Makes every call once, and reports whether the request can have left. If an idle connection turns out to be closed
//! before any byte of the request was written, reqwest's pool uses another connection; it repeats nothing else.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, ClientBuilder, Method, Request, Response, Url};

use crate::http_response::{BodyEnd, HttpCallResult, HttpResponse};
use crate::http_transcript::{record_call_result, record_request};
use crate::provider::{AccountCheck, CallLimits};
use crate::transcript::Transcript;
use postrider_core::clock::{Clock, Stopwatch};
use postrider_core::error::{Error, ErrorKind, Result};

/// Maximum age of an idle connection: 4 s. Many servers close idle connections after 5 s, and a request on a connection
/// that is being closed has an unknown outcome, so the client closes first.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);

/// Maximum age of an idle HTTP/2 connection: 1 h. Both ends may close it without losing a request.
const HTTP2_IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60 * 60);

/// Interval of pings on an HTTP/2 connection.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum time to wait for a ping response on an HTTP/2 connection, which is closed afterwards.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of redirects that one request follows.
const REDIRECTS_MAX: usize = 3;

/// The HTTP clients of a process. Providers with equal requirements share a client and its connections; clones of the
/// pool share its clients.
#[derive(Clone, Default)]
pub struct HttpClientPool {
    clients: Arc<Mutex<Vec<(HttpClientKey, Client)>>>,
    transcript: Option<Transcript>,
}

/// The properties by which providers share a client.
#[derive(Clone, PartialEq, Eq)]
struct HttpClientKey {
    connect_timeout: Duration,
    requirements: ConnectionRequirements,
}

/// The requirements of a provider's connections.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ConnectionRequirements {
    /// Loads certificate authorities. False for connections without TLS, which must also work on a machine without
    /// authorities.
    pub is_tls: bool,
    /// Speaks HTTP/2 only, instead of the version that is negotiated with the server.
    pub is_http2_only: bool,
    /// The trusted certificate authorities, in PEM, instead of this machine's.
    pub ca: Option<String>,
}

impl HttpClientPool {
    /// Returns an empty pool; a client is built when the first provider needs it.
    pub fn new() -> Result<Self> {
        install_tls_provider();
        Ok(Self::default())
    }

    /// Records every call in the transcript.
    pub fn with_transcript(mut self, transcript: Transcript) -> Self {
        self.transcript = Some(transcript);
        self
    }

    /// Returns the transcript, for adapters that do not use the pool's clients.
    pub(crate) fn transcript(&self) -> Option<Transcript> {
        self.transcript.clone()
    }

    /// Returns a client with a provider's limits.
    pub(crate) fn client(&self, limits: &CallLimits, is_tls: bool) -> Result<HttpClient> {
        let requirements = ConnectionRequirements { is_tls, ..ConnectionRequirements::default() };
        self.client_with(limits, requirements)
    }

    /// Returns a client with a provider's limits and requirements.
    pub(crate) fn client_with(
        &self,
        limits: &CallLimits,
        requirements: ConnectionRequirements,
    ) -> Result<HttpClient> {
        let client_key = HttpClientKey { connect_timeout: limits.connect_timeout, requirements };
        let mut clients = self.clients.lock();
        let client = match clients.iter().find(|(known_key, _)| *known_key == client_key) {
            Some((_, client)) => client.clone(),
            None => {
                let client = build_provider_client(&client_key)?;
                clients.push((client_key, client.clone()));
                client
            }
        };
        Ok(HttpClient::new(client, limits, self.transcript.clone()))
    }
}

/// Makes `ring` the cryptography provider of TLS. A provider that the process has chosen earlier stays.
pub(crate) fn install_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns a builder with the settings that all clients share.
pub(crate) fn client_builder(connect_timeout: Duration) -> ClientBuilder {
    Client::builder()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .tcp_nodelay(true)
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(concat!("postrider/", env!("CARGO_PKG_VERSION")))
}

/// Builds a client. Loads the machine's CA certificates, unless the builder has its own.
pub(crate) fn prepare_client(builder: ClientBuilder) -> Result<Client> {
    builder.build().map_err(|cause| {
        Error::with_source(
            ErrorKind::Usage,
            "cannot prepare https; install this machine's CA certificates (package ca-certificates)",
            cause,
        )
    })
}

fn build_provider_client(client_key: &HttpClientKey) -> Result<Client> {
    let mut builder = client_builder(client_key.connect_timeout).redirect(Policy::custom(follow_same_origin));
    if !client_key.requirements.is_tls {
        builder = builder.tls_certs_only([]);
    } else if let Some(ca) = &client_key.requirements.ca {
        builder = builder.tls_certs_only(parse_ca_certificates(ca)?);
    }
    if client_key.requirements.is_http2_only {
        builder = builder
            .http2_prior_knowledge()
            .pool_idle_timeout(HTTP2_IDLE_CONNECTION_MAX)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_keep_alive_while_idle(true);
    }
    prepare_client(builder)
}

/// Parses PEM certificates, at least one.
fn parse_ca_certificates(pem: &str) -> Result<Vec<Certificate>> {
    let certificates = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
    if certificates.is_empty() {
        return Err(Error::usage(
            "ca: contains no certificate; write ca = \"${file:ca.pem}\", a file in PEM",
        ));
    }
    Ok(certificates)
}

/// Follows redirects that repeat the request unchanged (307 and 308) and stay at the same scheme, host and port. A
/// redirect to another host is not followed, because that host must not receive the message. A redirect 301 to 303 is
/// not followed, because it may turn a POST into a GET.
fn follow_same_origin(attempt: Attempt) -> reqwest::redirect::Action {
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    let called_urls = attempt.previous();
    let is_same_origin = called_urls.first().is_some_and(|url| url.origin() == attempt.url().origin());
    if keeps_method && is_same_origin && called_urls.len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// A client with the limits of one provider.
pub(crate) struct HttpClient {
    client: Client,
    limits: CallLimits,
    transcript: Option<Transcript>,
}

impl HttpClient {
    /// Adds the limits of one provider, and a transcript in which calls are recorded, to a client.
    pub fn new(client: Client, limits: &CallLimits, transcript: Option<Transcript>) -> Self {
        Self { client, limits: limits.clone(), transcript }
    }

    /// Makes one call and never repeats it.
    pub async fn call(&self, request: Request) -> HttpCallResult {
        self.call_with_timeout(self.limits.call_timeout, request).await
    }

    /// Starts a deadline that several calls share. Together they may take as long as one call.
    pub fn start_deadline(&self) -> CallDeadline {
        CallDeadline { stopwatch: Clock::System.stopwatch(), limits: self.limits.clone() }
    }

    /// Makes one call and never repeats it. `timeout` must be longer than the connect timeout.
    pub async fn call_with_timeout(&self, timeout: Duration, request: Request) -> HttpCallResult {
        let Some(transcript) = &self.transcript else {
            return self.execute(timeout, request).await;
        };
        record_request(transcript, &request);
        let call_result = self.execute(timeout, request).await;
        record_call_result(transcript, &call_result);
        call_result
    }

    /// Tests the connection, and over TLS the certificate, by a HEAD request to the root of the host. Used for
    /// providers whose account can be tested only by sending.
    pub async fn check_reachable(&self, root: Url) -> AccountCheck {
        let (host, port) = host_and_port(&root);
        match self.call(Request::new(Method::HEAD, root)).await {
            HttpCallResult::Response(_) => AccountCheck::Passed(format!(
                "{host}:{port} can be reached; the account cannot be tested without sending"
            )),
            HttpCallResult::NotSent(cause) => AccountCheck::Failed(format!(
                "cannot connect to {host}:{port}: {cause}; check that it is running and that the address is right"
            )),
            HttpCallResult::NoResponse(cause) | HttpCallResult::InvalidRequest(cause) => {
                AccountCheck::Failed(format!(
                    "{host}:{port} can be reached, but does not respond as an HTTP server ({cause}); check the address"
                ))
            }
        }
    }

    async fn execute(&self, timeout: Duration, mut request: Request) -> HttpCallResult {
        *request.timeout_mut() = Some(timeout);
        match self.client.execute(request).await {
            Ok(response) => HttpCallResult::Response(self.read_response(response).await),
            Err(error) if is_refused_unprocessed(&error) => HttpCallResult::NotSent(root_cause(&error)),
            Err(error) if error.is_builder() => HttpCallResult::InvalidRequest(root_cause(&error)),
            Err(error) if error.is_connect() && error.is_timeout() => {
                HttpCallResult::NotSent(format!("no connection within {:?}", self.limits.connect_timeout))
            }
            Err(error) if error.is_connect() => HttpCallResult::NotSent(root_cause(&error)),
            Err(error) if error.is_timeout() => {
                HttpCallResult::NoResponse(format!("no response within {timeout:?}"))
            }
            Err(error) => HttpCallResult::NoResponse(format!("no response: {}", root_cause(&error))),
        }
    }

    async fn read_response(&self, mut response: Response) -> HttpResponse {
        let mut response_body = Vec::new();
        let body_end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let remaining_bytes = self.limits.response_bytes_max - response_body.len();
                    response_body.extend_from_slice(&chunk[..chunk.len().min(remaining_bytes)]);
                    if chunk.len() > remaining_bytes {
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
            body: response_body,
            body_end,
        }
    }
}

/// Returns whether an HTTP/2 server refused the request without reading it: it refused the stream of the request, or it
/// closed the connection after an earlier stream.
fn is_refused_unprocessed(error: &reqwest::Error) -> bool {
    causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>()).is_some_and(|error| {
        let is_refused_stream = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (is_refused_stream || error.is_go_away())
    })
}

/// A deadline that several calls share; together they may take as long as one call. Used for a message whose access
/// token is requested first.
pub(crate) struct CallDeadline {
    stopwatch: Stopwatch,
    limits: CallLimits,
}

impl CallDeadline {
    /// Returns the remaining time. Returns None if connecting for another call could take longer than that.
    pub fn remaining(&self) -> Option<Duration> {
        let remaining = self.limits.call_timeout.saturating_sub(self.stopwatch.elapsed());
        (remaining > self.limits.connect_timeout).then_some(remaining)
    }
}

/// Returns host and port of a URL.
pub(crate) fn host_and_port(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().to_owned();
    (host, url.port_or_known_default().unwrap_or_default())
}

/// Returns the innermost cause of an error. The outer causes repeat the URL, which may contain secrets.
fn root_cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "the request cannot be built".to_owned(), ToString::to_string)
}

/// Returns the causes of an error, the outermost first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
