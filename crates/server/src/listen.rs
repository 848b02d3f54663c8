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

use super::connection::{self, ConnectionContext};
use super::{monitoring_routes, problem, routes};
use postrider_core::clock;
use postrider_core::error::Result;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// How long accepting rests after a failure, so that a lack of file handles does not become a lack of CPU.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// How often a failure to accept is logged at most.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Answers requests until told to stop, then takes no new ones and waits for those in flight, at most the
/// configured grace.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, stop: StopSignal) -> Result<()> {
    let router = routes(&gateway, &stop);
    serve_router(gateway, router, listener, stop).await
}

/// The same for machines only: `/healthz`, `/readyz` and `/metrics`.
pub async fn serve_monitoring(gateway: Arc<Gateway>, listener: TcpListener, stop: StopSignal) -> Result<()> {
    let router = monitoring_routes(&gateway);
    serve_router(gateway, router, listener, stop).await
}

async fn serve_router(
    gateway: Arc<Gateway>,
    router: Router,
    listener: TcpListener,
    mut stop: StopSignal,
) -> Result<()> {
    let connections_max = gateway.config.limits.connections_max;
    raise_open_file_limit(connections_max);
    let door = Arc::new(ConnectionContext {
        router: catch_panics(router),
        limits: gateway.config.limits.clone(),
    });
    let told = stop.clone();
    let mut connections = JoinSet::new();
    let mut failures = AcceptFailures::default();
    loop {
        tokio::select! {
            biased;
            () = wait_for_stop(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < connections_max => match accepted {
                Ok((stream, _)) => spawn_connection(&mut connections, &door, stream, &told),
                Err(error) => {
                    failures.log(&error);
                    clock::sleep(ACCEPT_RETRY_DELAY).await;
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
pub(super) async fn wait_for_stop(stop: &mut StopSignal) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The faces behind the one layer they share: a panic costs its request only.
pub(super) type PanicCatchingRouter = CatchPanic<Router, fn(Box<dyn std::any::Any + Send>) -> Response<Body>>;

/// The body of an answer behind that layer.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// Puts the layer around the faces.
pub(super) fn catch_panics(router: Router) -> PanicCatchingRouter {
    CatchPanic::custom(router, problem::panic_response)
}

fn spawn_connection(
    connections: &mut JoinSet<()>,
    door: &Arc<ConnectionContext>,
    stream: TcpStream,
    stop: &StopSignal,
) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("a connection cannot be made prompt: {error}");
    }
    connections.spawn(connection::serve(Arc::clone(door), stream, stop.clone()));
}

/// Asks for as many file handles as connections may need; the usual limit of 1,024 is soft.
fn raise_open_file_limit(connections_max: usize) {
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
struct AcceptFailures {
    count: u64,
    logged_at: Option<Instant>,
}

impl AcceptFailures {
    fn log(&mut self, error: &std::io::Error) {
        self.count += 1;
        if self
            .logged_at
            .is_none_or(|at| at.elapsed() >= ACCEPT_LOG_INTERVAL)
        {
            log::warn!(
                "{} connections could not be accepted, lastly: {error}",
                self.count
            );
            self.count = 0;
            self.logged_at = Some(Instant::now());
        }
    }
}
