//! `console sandbox`: a stand-in for providers in a process of its own, which says how to be used.
//!
//! Needs no configuration and no store. What it prints on stdout is a configuration as it stands; all else is logged.

use tokio::sync::watch;

use super::print_text;
use super::serve::bind_listener;
use super::signals::TerminationSignals;
use crate::cli;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_loadgen::sandbox_server::{SandboxOptions, SandboxServer};

/// Plays until a signal.
pub async fn run(arguments: &cli::SandboxArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let sandbox = SandboxServer::new(SandboxOptions {
        failure_rate: arguments.failure_rate,
        mean_time: arguments.mean_time,
        receipt_delay: arguments.receipt_delay,
        shares: arguments.receipts,
        receipts_to: arguments.receipts_to.clone(),
        seed: arguments.seed,
    })?;
    let listener = bind_listener(arguments.listen)?;
    let at = listener
        .local_addr()
        .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot tell where we listen", cause))?;
    if !at.ip().is_loopback() {
        log::warn!(
            "whoever can reach {at} can make the sandbox call any URL as a callback; keep it among friends"
        );
    }
    let (stop, told) = watch::channel(false);
    print_text(sandbox.config_toml(at))?;
    log::info!("playing providers at http://{at}; nothing really leaves");
    let playing = sandbox.serve(listener, told);
    tokio::pin!(playing);
    tokio::select! {
        () = &mut playing => return Err(Error::new(ErrorKind::Internal, "the sandbox ended by itself")),
        () = signals.recv() => {}
    }
    log::info!("stopping");
    stop.send_replace(true);
    signals
        .abort_on_next(async {
            playing.await;
            Ok(())
        })
        .await
}
