//! A stand-in for providers: a server of its own that speaks their wires, fails as often as it is told, sends receipts,
//! and suffers faults on demand.
//!
//! One file for each wire, one for numbers with fates, one for faults, one for receipts. Shares nothing with the gateway
//! but the wire, so that it can stand for a provider: it knows no store, no queue, no adapter.

mod api;
mod call_result;
mod config_toml;
mod control;
mod counters;
mod faults;
mod listen;
mod receipt_sender;
mod simple;
mod test_numbers;
mod texting;
mod twilio;

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

use api::{SandboxApi, SandboxReceipt, SandboxResponse, SubmittedMessage};
use call_result::{CallPlan, CallResult, SandboxReceiptStatus};
use counters::SandboxCounters;
use faults::{FaultInjector, FaultKind};
use listen::ResetConnection;
use postrider_core::clock::{self, Clock};
use postrider_core::error::Result;
use postrider_core::random::Random;
use postrider_core::request_origin::{self, OriginRefusal};
use postrider_engine::config::options::SandboxReceiptShares;
use receipt_sender::ReceiptSender;

pub use test_numbers::{TEST_NUMBERS, TestNumber};

/// How long a slow answer takes, all of its bytes together.
const SLOW_RESPONSE_DURATION: Duration = Duration::from_secs(1);

/// A call that hangs is let go after this, so that no connection stays for ever.
const HANG_DURATION_MAX: Duration = Duration::from_secs(600);

/// What an answer says that is in no wire's format.
const GARBAGE_BODY: &[u8] = b"<html>\x00\xff\xfe not what you asked for {\"\"\"";

/// What a sandbox is told.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The share of calls that fail.
    pub failure_rate: f64,
    /// How long an answer takes on average, exponentially spread.
    pub mean_time: Duration,
    /// How long after a message was taken its receipt comes, always the same.
    pub receipt_delay: Duration,
    /// What receipts say.
    pub shares: SandboxReceiptShares,
    /// Where the gateway is, for messages that name no callback and whose wire can do without.
    pub receipts_to: String,
    /// The same luck for the same calls in the same order.
    pub seed: Option<u32>,
}

/// A stand-in for providers.
pub struct SandboxServer {
    settings: SandboxOptions,
    dice: Random,
    faults: FaultInjector,
    counters: Arc<SandboxCounters>,
    receipt_sender: Arc<ReceiptSender>,
}

impl SandboxServer {
    /// One that plays as it is told.
    pub fn new(settings: SandboxOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            dice: settings
                .seed
                .map_or_else(Random::default, |seed| Random::seeded(seed.into())),
            faults: FaultInjector::new(Clock::System),
            counters: Arc::default(),
            receipt_sender: Arc::new(ReceiptSender::new(settings.receipt_delay)?),
            settings,
        }))
    }

    /// The configuration that makes Postrider use it, when it listens there.
    pub fn config_toml(&self, at: SocketAddr) -> String {
        let token = URL_SAFE_NO_PAD.encode(Random::Thread.bytes::<24>());
        config_toml::render(at, &self.settings.receipts_to, &token)
    }

    /// Answers until told to stop, and leaves nothing running.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: watch::Receiver<bool>) {
        listen::accept_connections(routes(&self), listener, stop).await;
        self.receipt_sender.close().await;
    }

    fn counters_json(&self) -> serde_json::Value {
        self.counters.to_json(self.receipt_sender.pending())
    }

    /// What becomes of a call: what a fault says, else its number's fate, else luck, which takes its time.
    async fn decide_call(&self, wire: SandboxApi, number: &str) -> CallPlan {
        let fault = self.faults.apply_next(wire);
        let turn = match fault.map(|fault| (fault.kind, fault.retry_after_seconds)) {
            Some((FaultKind::Hang, _)) => CallResult::NoResponse,
            Some((FaultKind::Garbage, _)) => CallResult::Garbage,
            Some((FaultKind::Reset, _)) => CallResult::Reset,
            Some((FaultKind::Throttle, retry_after_seconds)) => CallResult::Throttled { retry_after_seconds },
            Some((FaultKind::Slow, _)) => {
                let usual = self.decide_call_without_fault(number).await;
                return CallPlan {
                    is_slow: true,
                    ..usual
                };
            }
            None => return self.decide_call_without_fault(number).await,
        };
        CallPlan::immediate(turn)
    }

    async fn decide_call_without_fault(&self, number: &str) -> CallPlan {
        if let Some(course) = test_numbers::find_test_number(number) {
            return course;
        }
        // All are thrown in any case, so that a seed gives a call the same luck whatever came of the one before.
        let [time, failure, verdict] = [self.dice.fraction(), self.dice.fraction(), self.dice.fraction()];
        clock::sleep(exponential_delay(self.settings.mean_time, time)).await;
        CallPlan::immediate(if failure < self.settings.failure_rate {
            CallResult::ServerError
        } else {
            CallResult::Accepted(draw_receipt(&self.settings.shares, verdict))
        })
    }

    /// Plays a provider for one call.
    async fn process_message(
        &self,
        wire: SandboxApi,
        order: Result<SubmittedMessage, SandboxResponse>,
    ) -> Response<Body> {
        let order = match order.and_then(SubmittedMessage::validate_lengths) {
            Ok(order) => order,
            Err(wrong) => {
                self.counters.count_call(wire, CallResult::InvalidRequest);
                return response(wrong, false);
            }
        };
        let CallPlan {
            result: turn,
            is_slow: slow,
        } = self.decide_call(wire, &order.number).await;
        self.counters.count_call(wire, turn);
        // Never from a seed: a second run's ids must not be the first one's.
        let id = wire.message_id(Random::Thread.bytes());
        let reply = wire.response(turn, &id, &order);
        if let CallResult::Accepted(Some(verdict)) = turn {
            self.schedule_receipt(wire, id, verdict, order);
        }
        match reply {
            Some(reply) => response(reply, slow),
            None => faulty_response(turn).await,
        }
    }

    /// Puts a message's receipt down, where there is somebody to tell.
    fn schedule_receipt(
        &self,
        wire: SandboxApi,
        id: String,
        verdict: SandboxReceiptStatus,
        order: SubmittedMessage,
    ) {
        let url = match (&order.callback_url, wire) {
            (Some(url), _) => url.clone(),
            // As an account with a callback of its own does.
            (None, SandboxApi::Twilio) => {
                format!(
                    "{}/v1/receipts/{}",
                    self.settings.receipts_to,
                    wire.provider_name()
                )
            }
            (None, SandboxApi::Simple | SandboxApi::Texting) => return,
        };
        let letter = SandboxReceipt {
            api: wire,
            id,
            status: verdict,
            url,
            // Only the answer needs the text, and where to is said already.
            message: SubmittedMessage {
                body: String::new(),
                callback_url: None,
                ..order
            },
        };
        self.receipt_sender.schedule(&self.counters, letter);
    }
}

fn routes(sandbox: &Arc<SandboxServer>) -> Router {
    Router::new()
        .route("/sms/send", get(simple_call))
        .route("/sms/send/", get(simple_call))
        .route("/messages", post(texting_call))
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(twilio_call))
        .merge(control::routes())
        .with_state(Arc::clone(sandbox))
        .layer(from_fn(reject_cross_site_requests))
}

/// Refuses what another site may have made a browser send: the sandbox has no keys, and calls any URL it is given.
async fn reject_cross_site_requests(request: Request<Body>, next: Next) -> Response<Body> {
    let (status, why) = match request_origin::refusal(request.uri(), request.headers(), None) {
        None => return next.run(request).await,
        Some(OriginRefusal::ForeignHost) => (
            StatusCode::MISDIRECTED_REQUEST,
            "the sandbox answers to localhost and IP addresses only",
        ),
        Some(OriginRefusal::CrossSite) => (StatusCode::FORBIDDEN, "requests from other sites are refused"),
    };
    response(
        SandboxResponse::new(status.as_u16(), &json!({"error": why})),
        false,
    )
}

async fn simple_call(State(sandbox): State<Arc<SandboxServer>>, RawQuery(query): RawQuery) -> Response<Body> {
    let order = simple::parse_message(query.unwrap_or_default().as_bytes());
    sandbox.process_message(SandboxApi::Simple, order).await
}

async fn texting_call(State(sandbox): State<Arc<SandboxServer>>, body: Bytes) -> Response<Body> {
    sandbox
        .process_message(SandboxApi::Texting, texting::parse_message(&body))
        .await
}

async fn twilio_call(
    State(sandbox): State<Arc<SandboxServer>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    sandbox
        .process_message(
            SandboxApi::Twilio,
            twilio::parse_message(&account, &headers, &body),
        )
        .await
}

/// Exponentially spread around the mean, by a luck from 0 to 1.
fn exponential_delay(mean: Duration, luck: f64) -> Duration {
    let times = -(1.0 - luck).ln();
    Duration::try_from_secs_f64(mean.as_secs_f64() * times).unwrap_or(HANG_DURATION_MAX)
}

/// What a receipt says, by a luck from 0 to 1.
fn draw_receipt(shares: &SandboxReceiptShares, luck: f64) -> Option<SandboxReceiptStatus> {
    let mut sum = 0.0;
    let shares = [shares.delivered, shares.failed, shares.invalid];
    shares
        .into_iter()
        .zip(SandboxReceiptStatus::ALL)
        .find_map(|(share, verdict)| {
            sum += share;
            (luck < sum).then_some(verdict)
        })
}

/// What is on no wire: silence, garbage, a reset.
async fn faulty_response(turn: CallResult) -> Response<Body> {
    if turn == CallResult::Garbage {
        let mut response = Response::new(Body::from(GARBAGE_BODY));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        return response;
    }
    if turn == CallResult::NoResponse {
        clock::sleep(HANG_DURATION_MAX).await;
    }
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(ResetConnection);
    response
}

fn response(reply: SandboxResponse, slow: bool) -> Response<Body> {
    let body = if slow {
        byte_by_byte_body(reply.body.into())
    } else {
        Body::from(reply.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(api::JSON_CONTENT_TYPE));
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A body that goes out byte by byte.
fn byte_by_byte_body(bytes: Bytes) -> Body {
    let (mut out, body) = Channel::<Bytes>::new(1);
    let pause = SLOW_RESPONSE_DURATION / u32::try_from(bytes.len().max(1)).unwrap_or(u32::MAX);
    tokio::spawn(async move {
        for at in 0..bytes.len() {
            clock::sleep(pause).await;
            if out.send_data(bytes.slice(at..=at)).await.is_err() {
                return;
            }
        }
    });
    Body::new(body)
}
