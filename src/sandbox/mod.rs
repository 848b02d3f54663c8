//! A stand-in for providers: a server of its own that speaks their wires, fails as often as it is told, sends receipts,
//! and suffers faults on demand.
//!
//! One file for each wire, one for numbers with fates, one for faults, one for receipts. Shares nothing with the gateway
//! but the wire, so that it can stand for a provider: it knows no store, no queue, no adapter.

mod control;
mod fates;
mod faults;
mod listen;
mod receipts;
mod recipe;
mod simple;
mod tally;
mod texting;
mod turn;
mod twilio;
mod wire;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::channel::Channel;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::{self, Clock};
use crate::config::sandbox::Shares;
use crate::dice::Dice;
use crate::error::Result;
use crate::request_origin::{self, OriginRefusal};
use faults::{Faults, Kind};
use listen::Cut;
use receipts::Post;
use tally::Tally;
use turn::{Course, Turn, Verdict};
use wire::{Letter, Order, Reply, Wire};

pub use fates::{FATES, Fate};

/// How long a slow answer takes, all of its bytes together.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// A call that hangs is let go after this, so that no connection stays for ever.
const HANG_MAX: Duration = Duration::from_secs(600);

/// What an answer says that is in no wire's format.
const GARBAGE: &[u8] = b"<html>\x00\xff\xfe not what you asked for {\"\"\"";

/// What a sandbox is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The share of calls that fail.
    pub failure_rate: f64,
    /// How long an answer takes on average, exponentially spread.
    pub mean_time: Duration,
    /// How long after a message was taken its receipt comes, always the same.
    pub receipt_delay: Duration,
    /// What receipts say.
    pub shares: Shares,
    /// Where the gateway is, for messages that name no callback and whose wire can do without.
    pub receipts_to: String,
    /// The same luck for the same calls in the same order.
    pub seed: Option<u32>,
}

/// A stand-in for providers.
pub struct Sandbox {
    settings: Settings,
    dice: Dice,
    faults: Faults,
    tally: Arc<Tally>,
    post: Arc<Post>,
}

impl Sandbox {
    /// One that plays as it is told.
    pub fn new(settings: Settings) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            dice: settings
                .seed
                .map_or_else(Dice::default, |seed| Dice::seeded(seed.into())),
            faults: Faults::new(Clock::System),
            tally: Arc::default(),
            post: Arc::new(Post::new(settings.receipt_delay)?),
            settings,
        }))
    }

    /// The configuration that makes Postrider use it, when it listens there.
    pub fn recipe(&self, at: SocketAddr) -> String {
        let token = URL_SAFE_NO_PAD.encode(Dice::Thread.bytes::<24>());
        recipe::toml(at, &self.settings.receipts_to, &token)
    }

    /// Answers until told to stop, and leaves nothing running.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: watch::Receiver<bool>) {
        listen::listen(routes(&self), listener, stop).await;
        self.post.close().await;
    }

    fn counters(&self) -> serde_json::Value {
        self.tally.view(self.post.waiting())
    }

    /// What becomes of a call: what a fault says, else its number's fate, else luck, which takes its time.
    async fn course(&self, wire: Wire, number: &str) -> Course {
        let fault = self.faults.next(wire);
        let turn = match fault.map(|fault| (fault.kind, fault.retry_after_seconds)) {
            Some((Kind::Hang, _)) => Turn::Hung,
            Some((Kind::Garbage, _)) => Turn::Garbled,
            Some((Kind::Refuse, _)) => Turn::Reset,
            Some((Kind::Throttle, retry_after_seconds)) => Turn::Throttled { retry_after_seconds },
            Some((Kind::Slow, _)) => {
                let usual = self.usual_course(number).await;
                return Course { slow: true, ..usual };
            }
            None => return self.usual_course(number).await,
        };
        Course::plain(turn)
    }

    async fn usual_course(&self, number: &str) -> Course {
        if let Some(course) = fates::of(number) {
            return course;
        }
        // All are thrown in any case, so that a seed gives a call the same luck whatever came of the one before.
        let [time, failure, verdict] = [self.dice.luck(), self.dice.luck(), self.dice.luck()];
        clock::pause(spread(self.settings.mean_time, time)).await;
        Course::plain(if failure < self.settings.failure_rate {
            Turn::Failed
        } else {
            Turn::Taken(drawn(&self.settings.shares, verdict))
        })
    }

    /// Plays a provider for one call.
    async fn carry(&self, wire: Wire, order: Result<Order, Reply>) -> Response<Body> {
        let order = match order.and_then(Order::bounded) {
            Ok(order) => order,
            Err(wrong) => {
                self.tally.call(wire, Turn::Unreadable);
                return response(wrong, false);
            }
        };
        let Course { turn, slow } = self.course(wire, &order.number).await;
        self.tally.call(wire, turn);
        // Never from a seed: a second run's ids must not be the first one's.
        let id = wire.id(Dice::Thread.bytes());
        let reply = wire.reply(turn, &id, &order);
        if let Turn::Taken(Some(verdict)) = turn {
            self.promise(wire, id, verdict, order);
        }
        match reply {
            Some(reply) => response(reply, slow),
            None => badly(turn).await,
        }
    }

    /// Puts a message's receipt down, where there is somebody to tell.
    fn promise(&self, wire: Wire, id: String, verdict: Verdict, order: Order) {
        let url = match (&order.callback, wire) {
            (Some(url), _) => url.clone(),
            // As an account with a callback of its own does.
            (None, Wire::Twilio) => {
                format!("{}/v1/receipts/{}", self.settings.receipts_to, wire.provider())
            }
            (None, Wire::Simple | Wire::Texting) => return,
        };
        let letter = Letter {
            wire,
            id,
            verdict,
            url,
            // Only the answer needs the text, and where to is said already.
            order: Order {
                body: String::new(),
                callback: None,
                ..order
            },
        };
        self.post.take(&self.tally, letter);
    }
}

fn routes(sandbox: &Arc<Sandbox>) -> Router {
    Router::new()
        .route("/sms/send", get(simple_call))
        .route("/sms/send/", get(simple_call))
        .route("/messages", post(texting_call))
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(twilio_call))
        .merge(control::routes())
        .with_state(Arc::clone(sandbox))
        .layer(from_fn(refuse_other_sites))
}

/// Refuses what another site may have made a browser send: the sandbox has no keys, and calls any URL it is given.
async fn refuse_other_sites(request: Request<Body>, next: Next) -> Response<Body> {
    let (status, why) = match request_origin::refusal(request.uri(), request.headers(), None) {
        None => return next.run(request).await,
        Some(OriginRefusal::ForeignHost) => (
            StatusCode::MISDIRECTED_REQUEST,
            "the sandbox answers to localhost and IP addresses only",
        ),
        Some(OriginRefusal::CrossSite) => (StatusCode::FORBIDDEN, "requests from other sites are refused"),
    };
    response(Reply::of(status.as_u16(), &json!({"error": why})), false)
}

async fn simple_call(State(sandbox): State<Arc<Sandbox>>, RawQuery(query): RawQuery) -> Response<Body> {
    let order = simple::order(query.unwrap_or_default().as_bytes());
    sandbox.carry(Wire::Simple, order).await
}

async fn texting_call(State(sandbox): State<Arc<Sandbox>>, body: Bytes) -> Response<Body> {
    sandbox.carry(Wire::Texting, texting::order(&body)).await
}

async fn twilio_call(
    State(sandbox): State<Arc<Sandbox>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    sandbox
        .carry(Wire::Twilio, twilio::order(&account, &headers, &body))
        .await
}

/// Exponentially spread around the mean, by a luck from 0 to 1.
fn spread(mean: Duration, luck: f64) -> Duration {
    let times = -(1.0 - luck).ln();
    Duration::try_from_secs_f64(mean.as_secs_f64() * times).unwrap_or(HANG_MAX)
}

/// What a receipt says, by a luck from 0 to 1.
fn drawn(shares: &Shares, luck: f64) -> Option<Verdict> {
    let mut sum = 0.0;
    let shares = [shares.delivered, shares.failed, shares.invalid];
    shares.into_iter().zip(Verdict::ALL).find_map(|(share, verdict)| {
        sum += share;
        (luck < sum).then_some(verdict)
    })
}

/// What is on no wire: silence, garbage, a reset.
async fn badly(turn: Turn) -> Response<Body> {
    if turn == Turn::Garbled {
        let mut response = Response::new(Body::from(GARBAGE));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        return response;
    }
    if turn == Turn::Hung {
        clock::pause(HANG_MAX).await;
    }
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

fn response(reply: Reply, slow: bool) -> Response<Body> {
    let body = if slow {
        trickle(reply.body.into())
    } else {
        Body::from(reply.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(wire::JSON));
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A body that goes out byte by byte.
fn trickle(bytes: Bytes) -> Body {
    let (mut out, body) = Channel::<Bytes>::new(1);
    let pause = SLOW_ANSWER / u32::try_from(bytes.len().max(1)).unwrap_or(u32::MAX);
    tokio::spawn(async move {
        for at in 0..bytes.len() {
            clock::pause(pause).await;
            if out.send_data(bytes.slice(at..=at)).await.is_err() {
                return;
            }
        }
    });
    Body::new(body)
}
