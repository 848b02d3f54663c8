//! Accepts connections until the stop signal, then waits for requests in flight.
//!
//! Accept errors (no file descriptors left, client already gone) are logged at most once a second and do not end the
//! listener. [`ConnectionSlots`] decides which connections stay open beyond the configured maximum.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::connection::{self, ConnectionContext, wait_for_stop};
use super::connection_slots::{Admission, ConnectionSlots};
use super::request_guard::{RequestConnection, RequestGuard};
use super::routes::{monitoring_routes, routes};
use postrider_core::clock;
use postrider_core::error::Result;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// Delay after an accept error, so that a lack of file descriptors does not use all CPU time.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Minimum interval between log lines about accept errors.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Response to a connection without a place.
const BUSY_RESPONSE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// Serves all APIs and pages until `stop`, then waits for requests in flight, at most the configured grace period.
///
/// # Errors
///
/// Never returns an error at present: accept errors are logged.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, stop: StopSignal) -> Result<()> {
    let router = routes(&gateway, &stop);
    serve_router(gateway, router, listener, stop).await
}

/// Serves only `/healthz`, `/readyz` and `/metrics`, otherwise like [`serve`].
///
/// # Errors
///
/// Never returns an error at present: accept errors are logged.
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
    let acceptor = Acceptor::new(&gateway, router);
    let connection_stop = stop.clone();
    let mut connections = JoinSet::new();
    let mut accept_failures = AcceptFailures::default();
    loop {
        tokio::select! {
            biased;
            () = wait_for_stop(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    acceptor.accept(&mut connections, stream, peer.ip(), &connection_stop);
                }
                Err(error) => {
                    accept_failures.log(&error);
                    clock::sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
    drop(listener);
    let all_connections_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(gateway.config.work.grace, all_connections_ended).await.is_err() {
        log::warn!("connections closed after grace period: count={}", connections.len());
    }
    Ok(())
}

/// Gives each new connection a place.
struct Acceptor {
    gateway: Arc<Gateway>,
    slots: Arc<ConnectionSlots>,
    context: Arc<ConnectionContext>,
}

impl Acceptor {
    fn new(gateway: &Arc<Gateway>, router: Router) -> Self {
        let limits = gateway.config.limits.clone();
        Self {
            slots: Arc::new(ConnectionSlots::new(limits.connections_max, limits.connections_per_peer_max)),
            context: Arc::new(ConnectionContext {
                router,
                guard: RequestGuard::new(Arc::clone(gateway)),
                limits,
            }),
            gateway: Arc::clone(gateway),
        }
    }

    /// Serves a connection if it gets a place, else closes it.
    fn accept(&self, connections: &mut JoinSet<()>, stream: TcpStream, peer: IpAddr, stop: &StopSignal) {
        let (slot, is_probe_only) = match self.slots.admit(peer, self.gateway.config.is_trusted_proxy(peer)) {
            Admission::Full(slot) => (slot, false),
            Admission::ProbeOnly(slot) => (slot, true),
            Admission::Refused => {
                self.gateway.metrics.count_closed_connection("refused");
                // The result is ignored: if the connection cannot take even a short response, the client gets none.
                let _ = stream.try_write(BUSY_RESPONSE);
                return;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("cannot set TCP_NODELAY: error={error}");
        }
        let connection = RequestConnection { peer, is_probe_only };
        let serving = connection::serve(Arc::clone(&self.context), stream, slot, connection, stop.clone());
        let gateway = Arc::clone(&self.gateway);
        connections.spawn(async move {
            if serving.await {
                gateway.metrics.count_closed_connection("idle");
            }
        });
    }
}

/// Raises the soft limit of open files, usually 1,024, to the number that the connections may need.
fn raise_open_file_limit(connections_max: usize) {
    let descriptors_wanted = u64::try_from(connections_max).unwrap_or(u64::MAX).saturating_add(1_024);
    match rlimit::increase_nofile_limit(descriptors_wanted) {
        Ok(open_files_max) if open_files_max < descriptors_wanted => log::warn!(
            "open file limit too low: allowed={open_files_max} connections_max={connections_max}; raise \"ulimit -n\""
        ),
        Ok(_) => {}
        Err(error) => log::warn!("cannot raise open file limit: error={error}"),
    }
}

/// Accept errors since the last log line about them.
#[derive(Default)]
struct AcceptFailures {
    unlogged_count: u64,
    logged_at: Option<Instant>,
}

impl AcceptFailures {
    fn log(&mut self, error: &std::io::Error) {
        self.unlogged_count += 1;
        if self.logged_at.is_none_or(|logged_at| logged_at.elapsed() >= ACCEPT_LOG_INTERVAL) {
            log::warn!("cannot accept connections: count={} last_error={error}", self.unlogged_count);
            self.unlogged_count = 0;
            self.logged_at = Some(Instant::now());
        }
    }
}
