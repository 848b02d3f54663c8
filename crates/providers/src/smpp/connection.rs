//! One connection to a message centre that is made again whenever it is lost.
//!
//! Says how it stands, so that nobody waits for a link that is down. A refusal of our account is not repeated for a
//! while, because repeated failures get accounts locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::account::SmppAccount;
use super::bind;
use super::session::{self, SessionEnd, SmppStream};
use super::window::SubmitJob;
use crate::outcome_kind::OutcomeKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::sleep;
use postrider_core::random::Random;

/// A session that held so long was a good one.
const STABLE_SESSION_MIN: Duration = Duration::from_secs(60);

/// By how much longer than the first wait others are: the longest after a lost link, the first and the longest after a
/// refused bind, after an account that is in use, after one that is refused, and after the server said goodbye.
const LOST_FACTOR_MAX: u32 = 60;
const REFUSED_FACTOR_MIN: u32 = 5;
const REFUSED_FACTOR_MAX: u32 = 300;
const ALREADY_BOUND_FACTOR: u32 = 30;
const UNBIND_FACTOR: u32 = 5;

/// How a link stands.
#[derive(Clone, Debug)]
pub(super) enum ConnectionState {
    /// It is being made.
    Connecting,
    /// Messages can be sent.
    Bound,
    /// It will be made again; until then this is the answer.
    Down(SendResult),
}

/// A link from the outside.
pub(super) struct SmppConnection {
    pub jobs: UnboundedSender<SubmitJob>,
    pub state: watch::Receiver<ConnectionState>,
    in_flight: AtomicUsize,
}

/// A message of a link's load; taken off when dropped.
pub(super) struct InFlightGuard<'a>(&'a AtomicUsize);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why there is no session.
pub(super) enum BindError {
    /// Nobody is there, or nobody who speaks the protocol.
    Unreachable(String),
    /// The bind was answered with this number.
    Refused(u32),
}

impl SmppConnection {
    /// Makes the link and keeps it, until it is dropped.
    pub fn spawn(account: Arc<SmppAccount>) -> Self {
        let (jobs, waiting) = unbounded_channel();
        let (told, standing) = watch::channel(ConnectionState::Connecting);
        tokio::spawn(run_connection(account, waiting, told));
        Self {
            jobs,
            state: standing,
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Messages that have not been answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn track_message(&self) -> InFlightGuard<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(&self.in_flight)
    }
}

async fn run_connection(
    account: Arc<SmppAccount>,
    mut jobs: UnboundedReceiver<SubmitJob>,
    told: watch::Sender<ConnectionState>,
) {
    let mut waits = ReconnectBackoff::new(account.reconnect_delay);
    loop {
        told.send_replace(ConnectionState::Connecting);
        let opened = tokio::select! {
            opened = connect_and_bind(&account) => opened,
            () = reject_jobs(&mut jobs, "the link is being made") => return,
        };
        let (answer, wait) = match opened {
            Ok(stream) => {
                log::info!("{}: bound", account.name);
                told.send_replace(ConnectionState::Bound);
                let began = Instant::now();
                let ended = session::run_session(&account, stream, &mut jobs).await;
                let wait = waits.after_session(&ended, began.elapsed());
                let why = match ended {
                    SessionEnd::Dropped => return,
                    SessionEnd::Unbound => "the message centre ended the session".to_owned(),
                    SessionEnd::Lost(why) => why,
                };
                log::warn!("{}: {why}", account.name);
                (Outcome::Unavailable { reason: why }.into(), wait)
            }
            Err(BindError::Unreachable(reason)) => {
                log::warn!("{}: {reason}", account.name);
                (Outcome::Unavailable { reason }.into(), waits.after_loss())
            }
            Err(BindError::Refused(status)) => {
                let answer = account.statuses.send_result(status);
                let wait = waits.after_refusal(status, account.statuses.outcome_kind(status));
                (bind_refusal_result(answer), wait)
            }
        };
        let reason = answer
            .outcome
            .reason()
            .unwrap_or("the bind is refused")
            .to_owned();
        told.send_replace(ConnectionState::Down(answer));
        tokio::select! {
            () = sleep(wait) => {}
            () = reject_jobs(&mut jobs, &reason) => return,
        }
    }
}

/// A refused bind speaks of no message: it is our account, or the message centre is not ready.
fn bind_refusal_result(answer: SendResult) -> SendResult {
    let SendResult { outcome, code } = answer;
    let reason = format!(
        "the bind is refused: {}",
        outcome.reason().unwrap_or("no reason given")
    );
    let outcome = match outcome {
        Outcome::Misconfigured { .. } => Outcome::Misconfigured { reason },
        _ => Outcome::Unavailable { reason },
    };
    SendResult { outcome, code }
}

/// Answers what comes in while there is no session. Returns when nobody is left who could send.
async fn reject_jobs(jobs: &mut UnboundedReceiver<SubmitJob>, reason: &str) {
    while let Some(job) = jobs.recv().await {
        let reason = reason.to_owned();
        let _ = job.reply.send(Outcome::Unavailable { reason }.into());
    }
}

async fn connect_and_bind(account: &SmppAccount) -> Result<Box<dyn SmppStream>, BindError> {
    let connecting = tokio::time::timeout(account.limits.connect_timeout, connect(account)).await;
    let stream = connecting
        .unwrap_or_else(|_| Err("no connection within the time limit".to_owned()))
        .map_err(BindError::Unreachable)?;
    let binding = tokio::time::timeout(
        account.limits.call_timeout,
        bind::bind_transceiver(account, stream),
    )
    .await;
    binding.unwrap_or_else(|_| {
        Err(BindError::Unreachable(
            "no answer to the bind within the time limit".to_owned(),
        ))
    })
}

async fn connect(account: &SmppAccount) -> Result<Box<dyn SmppStream>, String> {
    let place = &account.endpoint;
    let stream = TcpStream::connect((place.host.as_str(), place.port)).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    // A small delay is all that is lost where the system does not know it.
    let _ = stream.set_nodelay(true);
    match &account.tls {
        None => Ok(Box::new(stream)),
        Some(tls) => Ok(Box::new(tls.connect(&place.host, stream).await?)),
    }
}

/// How long to wait before the next try.
struct ReconnectBackoff {
    base: Duration,
    lost_delay: Duration,
    refused_delay: Duration,
    random: Random,
}

impl ReconnectBackoff {
    fn new(first: Duration) -> Self {
        Self {
            base: first,
            lost_delay: Duration::ZERO,
            refused_delay: Duration::ZERO,
            random: Random::default(),
        }
    }

    fn after_session(&mut self, ended: &SessionEnd, lasted: Duration) -> Duration {
        self.refused_delay = Duration::ZERO;
        if lasted >= STABLE_SESSION_MIN {
            self.lost_delay = Duration::ZERO;
        }
        match ended {
            SessionEnd::Unbound => self.with_jitter((self.base * UNBIND_FACTOR).max(self.lost_delay)),
            SessionEnd::Lost(_) | SessionEnd::Dropped => self.after_loss(),
        }
    }

    fn after_loss(&mut self) -> Duration {
        self.lost_delay = (self.lost_delay * 2).clamp(self.base, self.base * LOST_FACTOR_MAX);
        self.with_jitter(self.lost_delay)
    }

    fn after_refusal(&mut self, status: u32, fate: OutcomeKind) -> Duration {
        if fate == OutcomeKind::Misconfigured {
            return self.with_jitter(self.base * REFUSED_FACTOR_MAX);
        }
        if status == super::codes::ESME_RALYBND {
            return self.with_jitter(self.base * ALREADY_BOUND_FACTOR);
        }
        let (least, most) = (self.base * REFUSED_FACTOR_MIN, self.base * REFUSED_FACTOR_MAX);
        self.refused_delay = (self.refused_delay * 2).clamp(least, most);
        self.with_jitter(self.refused_delay)
    }

    /// A fifth more or less, so that many do not come back at once.
    fn with_jitter(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.8 + 0.4 * self.random.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limits_and_a_good_session_ends_them() {
        let first = Duration::from_secs(1);
        let mut waits = ReconnectBackoff::new(first);
        let near = |wait: Duration, seconds: f64| {
            let off = wait.as_secs_f64() / seconds;
            assert!((0.79..1.21).contains(&off), "{wait:?} is not about {seconds} s");
        };
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            near(waits.after_loss(), seconds);
        }
        let lost = SessionEnd::Lost("cut".to_owned());
        near(waits.after_session(&lost, Duration::from_secs(2)), 60.0);
        near(waits.after_session(&SessionEnd::Unbound, STABLE_SESSION_MIN), 5.0);
        near(waits.after_loss(), 1.0);
        near(waits.after_refusal(0x08, OutcomeKind::Unavailable), 5.0);
        near(waits.after_refusal(0x08, OutcomeKind::Unavailable), 10.0);
        near(waits.after_refusal(0x05, OutcomeKind::Unavailable), 30.0);
        near(waits.after_refusal(0x0E, OutcomeKind::Misconfigured), 300.0);
    }
}
