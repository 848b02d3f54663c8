//! One connection to an SMSC, opened again whenever it is lost.
//!
//! A task owns the connection and runs its sessions one after the other. While there is no session, messages fail at once
//! with the reason; the pool decides whether they wait for the next session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::backoff::ReconnectBackoff;
use super::bind;
use super::config::ClientConfig;
use super::handler::{BindFailure, ClientHandler, SubmitOutcome};
use super::session::{self, SessionEnd};
use super::stream::{self, SmppStream};
use super::window::SubmitJob;
use crate::command_status::format_status;
use postrider_core::clock::sleep;

/// Maximum delay before a reconnect during which messages wait for the new session. With a longer delay, messages fail
/// at once, so that other providers are tried.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// State of a connection.
#[derive(Clone, Debug)]
pub enum ConnectionState {
    /// The bind is under way.
    Connecting,
    /// The session ended a moment ago, and the next bind follows within seconds.
    Reconnecting,
    /// Messages can be submitted.
    Bound,
    /// There is no session for this reason; a reconnect follows.
    Down(BindFailure),
}

/// Handle of a connection task, which ends when the handle is dropped.
pub struct SmppConnection {
    jobs: UnboundedSender<SubmitJob>,
    /// Current state.
    pub state: watch::Receiver<ConnectionState>,
    in_flight: AtomicUsize,
}

/// Counts a message as in flight until it is dropped.
struct InFlightGuard<'a>(&'a AtomicUsize);

impl<'a> InFlightGuard<'a> {
    fn new(in_flight: &'a AtomicUsize) -> Self {
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(in_flight)
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SmppConnection {
    /// Starts the connection task.
    pub fn spawn(config: Arc<ClientConfig>, handler: Arc<dyn ClientHandler>) -> Self {
        let (jobs, job_receiver) = unbounded_channel();
        let (state_sender, state) = watch::channel(ConnectionState::Connecting);
        tokio::spawn(run_connection(config, handler, job_receiver, state_sender));
        Self { jobs, state, in_flight: AtomicUsize::new(0) }
    }

    /// Returns whether messages can be submitted now.
    pub fn is_bound(&self) -> bool {
        matches!(*self.state.borrow(), ConnectionState::Bound)
    }

    /// Returns the number of messages without an outcome.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Submits the parts of one message and returns its outcome, at the latest shortly after `deadline`.
    pub async fn submit(&self, bodies: Arc<[Vec<u8>]>, tag: u64, deadline: Instant) -> SubmitOutcome {
        let _in_flight = InFlightGuard::new(&self.in_flight);
        let (reply, outcome) = oneshot::channel();
        if self.jobs.send(SubmitJob { bodies, tag, deadline, reply }).is_err() {
            return SubmitOutcome::NotBound(BindFailure::SessionEnded("connection task ended".to_owned()));
        }
        outcome.await.unwrap_or_else(|_| SubmitOutcome::SessionLost {
            reason: "session ended".to_owned(),
            may_have_been_sent: true,
        })
    }
}

async fn run_connection(
    config: Arc<ClientConfig>,
    handler: Arc<dyn ClientHandler>,
    mut jobs: UnboundedReceiver<SubmitJob>,
    connection_state: watch::Sender<ConnectionState>,
) {
    let mut backoff = ReconnectBackoff::new(config.reconnect_delay);
    let mut is_refused_before = false;
    loop {
        connection_state.send_replace(ConnectionState::Connecting);
        let opened = tokio::select! {
            opened = open_session(&config, &*handler) => opened,
            () = reject_jobs(&mut jobs, &BindFailure::Connecting) => return,
        };
        let (bind_failure, reconnect_delay, is_session_end) = match opened {
            Ok((stream, early_pdus)) => {
                log::info!("smpp: bound provider={}", config.name);
                is_refused_before = false;
                handler.bound();
                connection_state.send_replace(ConnectionState::Bound);
                let started = Instant::now();
                let session_end =
                    session::run_session(&config, &*handler, stream, early_pdus, &mut jobs).await;
                let delay = backoff.after_session(&session_end, started.elapsed());
                let reason = match session_end {
                    SessionEnd::Dropped => return,
                    SessionEnd::Unbound => "unbound by the SMSC".to_owned(),
                    SessionEnd::Lost(reason) => reason,
                };
                log::warn!("smpp: session ended provider={} reason={reason}", config.name);
                (BindFailure::SessionEnded(reason), delay, true)
            }
            Err(BindFailure::Refused { status, .. }) => {
                let is_repeated = std::mem::replace(&mut is_refused_before, true);
                let status_text = format_status(status);
                log::warn!("smpp: bind refused provider={} status={status_text}", config.name);
                let delay = backoff.after_refusal(status, is_repeated && handler.is_account_error(status));
                (BindFailure::Refused { status, is_repeated }, delay, false)
            }
            Err(bind_failure) => {
                if let BindFailure::Unreachable(reason) = &bind_failure {
                    log::warn!("smpp: connection failed provider={} reason={reason}", config.name);
                }
                (bind_failure, backoff.after_loss(), false)
            }
        };
        connection_state.send_replace(if is_session_end && reconnect_delay <= RECONNECT_WAIT_MAX {
            ConnectionState::Reconnecting
        } else {
            ConnectionState::Down(bind_failure.clone())
        });
        tokio::select! {
            () = sleep(reconnect_delay) => {}
            () = reject_jobs(&mut jobs, &bind_failure) => return,
        }
    }
}

/// Fails every job that arrives. Returns when the connection handle was dropped.
async fn reject_jobs(jobs: &mut UnboundedReceiver<SubmitJob>, failure: &BindFailure) {
    while let Some(job) = jobs.recv().await {
        let _ = job.reply.send(SubmitOutcome::NotBound(failure.clone()));
    }
}

/// Opens a connection and binds. Returns the connection and the messages that arrived before the bind response.
async fn open_session(
    config: &ClientConfig,
    handler: &dyn ClientHandler,
) -> Result<(Box<dyn SmppStream>, Vec<u8>), BindFailure> {
    let unreachable = |reason: &str| BindFailure::Unreachable(reason.to_owned());
    let mut stream = timeout(config.connect_timeout, stream::connect(config))
        .await
        .map_err(|_| unreachable("no connection within the time limit"))?
        .map_err(BindFailure::Unreachable)?;
    let bind = bind::bind_transceiver(&config.bind_body, handler.trace(), &mut *stream);
    let early_pdus = timeout(config.response_timeout, bind)
        .await
        .map_err(|_| unreachable("no bind response within the time limit"))??;
    Ok((stream, early_pdus))
}
