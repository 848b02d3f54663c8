//! The service manager (systemd): a listener that it passes to the process, and notifications about the process state.
//!
//! Without a service manager there is no passed listener, and the notifications have no effect.

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;

use postrider_core::error::{Error, ErrorKind, Result};

/// Returns the first socket of `LISTEN_FDS` (socket activation), if the service manager passed one.
///
/// # Errors
///
/// Returns an error if the socket is not a TCP listener.
pub(super) fn passed_listener() -> Result<Option<TcpListener>> {
    let take_listener = || {
        let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else { return Ok(None) };
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    };
    take_listener().map_err(|cause| {
        let message = "cannot use the socket of LISTEN_FDS: it must be a TCP listener";
        Error::with_source(ErrorKind::Usage, message, cause)
    })
}

/// Notifies that the process is ready, after a start or a reload.
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Notifies that the process stops.
pub(super) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies that the process reloads its configuration; [`notify_ready`] follows.
pub(super) fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(cause) => log::warn!("cannot read the monotonic clock: error={cause}"),
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(cause) = sd_notify::notify(state) {
        log::warn!("cannot notify the service manager: error={cause}");
    }
}
