//! The one HTTP client: pooled connections, time limits, an answer limit, and an honest word about what happened.
//!
//! What matters is whether the request can have left: a provider that was never reached may be passed over at
//! once, one that went silent may have sent the message. So nothing is repeated here. (The pool itself takes
//! another connection only when a kept one turned out closed before a byte of the request was written.)

use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, Method, Request, Response, Url};

use super::{CallLimits, Checked, Tape};
use crate::clock::{Clock, Stopwatch};
use crate::error::{Error, Kind, Result};

/// How long an idle connection is kept. Many servers close theirs after 5 s; a request that meets the closing
/// half-way is an unknown outcome, so we close first.
pub(super) const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);

/// How long an idle connection of HTTP/2 is kept: many calls share it, and both ends may close it without harm.
const SHARED_IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60 * 60);

/// How often a connection of HTTP/2 is asked whether it is still alive, and how long that answer may take.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_LIMIT: Duration = Duration::from_secs(10);

/// The most redirects that are followed, all on the same host.
const REDIRECTS_MAX: usize = 3;

/// The way out. Providers with the same limits share a client, and so its connections.
#[derive(Default)]
pub struct Outbound {
    clients: Mutex<Vec<(Way, Client)>>,
    tape: Option<Tape>,
}

/// What a client is made for.
#[derive(Clone, PartialEq, Eq)]
struct Way {
    connect: Duration,
    demands: Demands,
}

/// What a provider's connections have to be.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Demands {
    /// Plain connections need no certificates, so a machine without any can still use them.
    pub secure: bool,
    /// HTTP/2 and nothing else; otherwise it is what the server would have.
    pub only_http2: bool,
    /// The only authorities that are believed, in PEM, instead of this machine's.
    pub authorities: Option<String>,
}

impl Outbound {
    /// A way out without any client yet: each is made when the first provider asks for it.
    pub fn new() -> Result<Self> {
        // It fails only when a provider of cryptography is installed already, which will then do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self::default())
    }

    /// Writes every conversation down from now on, for the one who asked to see it.
    pub fn taped(mut self, tape: Tape) -> Self {
        self.tape = Some(tape);
        self
    }

    /// Where conversations are written down, if anybody asked; for adapters that have a connection of their own.
    pub(super) fn tape(&self) -> Option<Tape> {
        self.tape.clone()
    }

    /// A client with a provider's limits.
    pub(super) fn line(&self, limits: &CallLimits, secure: bool) -> Result<Line> {
        let demands = Demands {
            secure,
            ..Demands::default()
        };
        self.line_that(limits, demands)
    }

    /// Like [`Outbound::line`], for a provider that demands more of its connections.
    pub(super) fn line_that(&self, limits: &CallLimits, demands: Demands) -> Result<Line> {
        let way = Way {
            connect: limits.connect,
            demands,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.iter().find(|(known, _)| *known == way);
        let client = match known {
            Some((_, client)) => client.clone(),
            None => {
                let client = client(&way)?;
                clients.push((way, client.clone()));
                client
            }
        };
        Ok(Line {
            client,
            limits: limits.clone(),
            tape: self.tape.clone(),
        })
    }
}

fn client(way: &Way) -> Result<Client> {
    let mut builder = Client::builder()
        .connect_timeout(way.connect)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .tcp_nodelay(true)
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .redirect(Policy::custom(redirect))
        .user_agent(concat!("postrider/", env!("CARGO_PKG_VERSION")));
    if !way.demands.secure {
        builder = builder.tls_certs_only([]);
    } else if let Some(authorities) = &way.demands.authorities {
        builder = builder.tls_certs_only(certificates(authorities)?);
    }
    if way.demands.only_http2 {
        builder = builder
            .http2_prior_knowledge()
            .pool_idle_timeout(SHARED_IDLE_CONNECTION_MAX)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_LIMIT)
            .http2_keep_alive_while_idle(true);
    }
    builder.build().map_err(|cause| {
        Error::because(
            Kind::Usage,
            "cannot prepare https; install this machine's CA certificates (package ca-certificates)",
            cause,
        )
    })
}

/// The certificates in a text of PEM; at least one.
fn certificates(text: &str) -> Result<Vec<Certificate>> {
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
fn redirect(attempt: Attempt) -> reqwest::redirect::Action {
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
pub(super) struct Line {
    client: Client,
    limits: CallLimits,
    tape: Option<Tape>,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Reply {
    /// There was a status line.
    Answered(Answered),
    /// Nobody was reached, so nothing was sent.
    NeverLeft(String),
    /// The request may have left, and no status line came back: a time-out, a closed connection, or something
    /// that is not HTTP.
    Silence(String),
    /// It cannot be put into a request, for example because a URL cannot be that long. Nothing was sent.
    Unsendable(String),
}

/// A status line and what followed it.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    /// As much as was read.
    pub body: Vec<u8>,
    pub end: End,
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The body is whole.
    Whole,
    /// The body is longer than the limit; the rest was not read.
    TooLong,
    /// The connection broke or the time was up in mid-body.
    Lost,
}

impl Line {
    /// One use of a client that was made elsewhere.
    pub fn over(client: Client, limits: &CallLimits) -> Self {
        Self {
            client,
            limits: limits.clone(),
            tape: None,
        }
    }

    /// The same, writing its calls down where there is a tape.
    pub fn taped(self, tape: Option<Tape>) -> Self {
        Self { tape, ..self }
    }

    /// Makes one call. Never repeats it.
    pub async fn call(&self, request: Request) -> Reply {
        self.call_within(self.limits.call, request).await
    }

    /// Begins to count the time of several calls that together may take as long as one.
    pub fn stint(&self) -> Stint {
        Stint {
            watch: Clock::System.stopwatch(),
            limits: self.limits.clone(),
        }
    }

    /// Makes one call, never repeats it and gives up after `limit`, which has to leave more time than connecting takes
    /// at most.
    pub async fn call_within(&self, limit: Duration, request: Request) -> Reply {
        let Some(tape) = &self.tape else {
            return self.execute(limit, request).await;
        };
        tape.request(&request);
        let reply = self.execute(limit, request).await;
        tape.reply(&reply);
        reply
    }

    /// Asks the root of a host for nothing, which shows whether it is there and, over TLS, that it is the right one; for
    /// providers whose account shows only in a send.
    pub async fn reach(&self, root: Url) -> Checked {
        let (host, port) = place_of(&root);
        match self.call(Request::new(Method::HEAD, root)).await {
            Reply::Answered(_) => Checked::Well(format!(
                "{host}:{port} can be reached; its account cannot be tested without sending"
            )),
            Reply::NeverLeft(cause) => Checked::Wrong(format!(
                "cannot connect to {host}:{port}: {cause}; is it running, and is the address right?"
            )),
            Reply::Silence(cause) | Reply::Unsendable(cause) => Checked::Wrong(format!(
                "{host}:{port} can be reached, but does not speak HTTP as expected ({cause}); is the address right?"
            )),
        }
    }

    async fn execute(&self, limit: Duration, mut request: Request) -> Reply {
        *request.timeout_mut() = Some(limit);
        match self.client.execute(request).await {
            Err(fault) if was_turned_back(&fault) => Reply::NeverLeft(deepest(&fault)),
            Ok(response) => Reply::Answered(self.read(response).await),
            Err(fault) if fault.is_builder() => Reply::Unsendable(deepest(&fault)),
            Err(fault) if fault.is_connect() && fault.is_timeout() => {
                Reply::NeverLeft(format!("no connection within {:?}", self.limits.connect))
            }
            Err(fault) if fault.is_connect() => Reply::NeverLeft(deepest(&fault)),
            Err(fault) if fault.is_timeout() => Reply::Silence(format!("no answer within {limit:?}")),
            Err(fault) => Reply::Silence(format!("no answer: {}", deepest(&fault))),
        }
    }

    async fn read(&self, mut response: Response) -> Answered {
        let mut body = Vec::new();
        let end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = self.limits.answer_bytes_max - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        break End::TooLong;
                    }
                }
                Ok(None) => break End::Whole,
                Err(_) => break End::Lost,
            }
        };
        Answered {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
            end,
        }
    }
}

/// Whether an HTTP/2 server said that it has not looked at this request: it refused the stream, or was going away and
/// named an earlier one as its last.
fn was_turned_back(fault: &reqwest::Error) -> bool {
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
pub(super) struct Stint {
    watch: Stopwatch,
    limits: CallLimits,
}

impl Stint {
    /// What is left of it; none when a call that begins now could end before it is connected.
    pub fn left(&self) -> Option<Duration> {
        let left = self.limits.call.saturating_sub(self.watch.passed());
        (left > self.limits.connect).then_some(left)
    }
}

/// A URL's host and port.
pub(super) fn place_of(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().to_owned();
    (host, url.port_or_known_default().unwrap_or_default())
}

/// The cause at the bottom, which speaks of the fault alone; those above it repeat the URL and its secrets.
fn deepest(fault: &reqwest::Error) -> String {
    let mut cause = fault.source();
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "the request cannot be built".to_owned(), ToString::to_string)
}
