//! The HTTP server task of `serve` and `work`, and the TCP listeners of all server commands.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::stop::StopSignal;

/// Maximum number of connections that the kernel holds until they are accepted.
const LISTEN_BACKLOG: u32 = 4_096;

/// Binds a listener.
///
/// # Errors
///
/// Returns an error that names the address and the remedy.
pub(super) fn bind_listener(address: SocketAddr) -> Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    listen().map_err(|cause| {
        let remedy = match cause.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program uses this port; stop it, or choose another address with --listen"
            }
            std::io::ErrorKind::AddrNotAvailable => "this host has no such address; see --listen",
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege; choose another with --listen"
            }
            _ => "choose another address with --listen",
        };
        Error::with_source(ErrorKind::Unavailable, format!("cannot listen on {address}: {remedy}"), cause)
    })
}

/// Returns the address of a listener, with the port that the kernel chose for port 0.
pub(super) fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener
        .local_addr()
        .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot read the listen address", cause))
}

/// A running HTTP server.
pub(super) struct HttpServer {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<Result<()>>>,
}

impl HttpServer {
    /// Starts a server, which ends after its stop signal.
    pub(super) fn spawn<F>(serve: impl FnOnce(StopSignal) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (stop, stop_signal) = watch::channel(false);
        Self { stop, task: Some(tokio::spawn(serve(stop_signal))) }
    }

    /// Waits until the server ends without a shutdown, and returns the error with which the process exits.
    pub(super) async fn wait_for_failure(&mut self) -> Error {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let task_result = task.await;
        self.task = None;
        let message = "HTTP server stopped unexpectedly";
        match task_result {
            Ok(Ok(())) => Error::new(ErrorKind::Internal, message),
            Ok(Err(error)) => error,
            Err(panic) => Error::with_source(ErrorKind::Internal, message, panic),
        }
    }

    /// Accepts no more requests and waits for those in flight, at most `work.grace`.
    pub(super) async fn shut_down(mut self) {
        self.stop.send_replace(true);
        let Some(task) = self.task.take() else {
            return;
        };
        let cause = match task.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.chain(),
            Err(panic) => panic.to_string(),
        };
        log::error!("HTTP server did not shut down cleanly: error={cause}");
    }
}

#[cfg(test)]
mod tests;
