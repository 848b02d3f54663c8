//! Takes connections in, never more than the limit, until it is told to stop; then waits for requests in flight.
//!
//! What goes wrong with accepting (no file handles left, a client gone already) is logged once a second at most
//! and survived. Connections beyond the limit wait in the kernel's queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Response;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_http::BoxError;
use tower_http::body::UnsyncBoxBody;
use tower_http::catch_panic::CatchPanic;

use super::connection::{self, Door};
use super::{machine_routes, problem, routes};
use crate::clock;
use crate::error::Result;
use crate::flow::work::Stop;
use crate::gateway::Gateway;

/// How long accepting rests after a failure, so that a lack of file handles does not become a lack of CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How often a failure to accept is logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Answers requests until told to stop, then takes no new ones and waits for those in flight, at most the
/// configured grace.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, stop: Stop) -> Result<()> {
    let router = routes(&gateway);
    answer(gateway, router, listener, stop).await
}

/// The same for machines only: `/healthz`, `/readyz` and `/metrics`.
pub async fn serve_machines(gateway: Arc<Gateway>, listener: TcpListener, stop: Stop) -> Result<()> {
    let router = machine_routes(&gateway);
    answer(gateway, router, listener, stop).await
}

async fn answer(gateway: Arc<Gateway>, router: Router, listener: TcpListener, mut stop: Stop) -> Result<()> {
    let connections_max = gateway.config.limits.connections_max;
    allow_open_files(connections_max);
    let door = Arc::new(Door {
        router: guarded(router),
        limits: gateway.config.limits.clone(),
    });
    let told = stop.clone();
    let mut connections = JoinSet::new();
    let mut failures = Failures::default();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < connections_max => match accepted {
                Ok((stream, _)) => open(&mut connections, &door, stream, &told),
                Err(error) => {
                    failures.log(&error);
                    clock::pause(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(gateway.config.work.grace, ended)
        .await
        .is_err()
    {
        log::warn!("{} connections had to be cut off", connections.len());
    }
    Ok(())
}

/// Waits until it is time to stop, which it also is when nobody is left to say so.
pub(super) async fn stopped(stop: &mut Stop) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The faces behind the one layer they share: a panic costs its request only.
pub(super) type Guarded = CatchPanic<Router, fn(Box<dyn std::any::Any + Send>) -> Response<Body>>;

/// The body of an answer behind that layer.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// Puts the layer around the faces.
pub(super) fn guarded(router: Router) -> Guarded {
    CatchPanic::custom(router, problem::panicked)
}

fn open(connections: &mut JoinSet<()>, door: &Arc<Door>, stream: TcpStream, stop: &Stop) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("a connection cannot be made prompt: {error}");
    }
    connections.spawn(connection::serve(Arc::clone(door), stream, stop.clone()));
}

/// Asks for as many file handles as connections may need; the usual limit of 1,024 is soft.
fn allow_open_files(connections_max: usize) {
    let wanted = u64::try_from(connections_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1_024);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => log::warn!(
            "only {allowed} files may be open, too few for {connections_max} connections; raise \"ulimit -n\""
        ),
        Ok(_) => {}
        Err(error) => log::warn!("cannot ask how many files may be open: {error}"),
    }
}

/// Failures to accept since the last line in the log.
#[derive(Default)]
struct Failures {
    count: u64,
    logged_at: Option<Instant>,
}

impl Failures {
    fn log(&mut self, error: &std::io::Error) {
        self.count += 1;
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            log::warn!(
                "{} connections could not be accepted, lastly: {error}",
                self.count
            );
            self.count = 0;
            self.logged_at = Some(Instant::now());
        }
    }
}
