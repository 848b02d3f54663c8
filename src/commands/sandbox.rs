//! `console sandbox`: runs the sandbox server and prints the configuration that uses it.
//!
//! The sandbox server needs no configuration and no store. Only the printed configuration goes to stdout, messages to the log.

use std::sync::Arc;

use tokio::sync::watch;

use super::http_server::{bind_listener, local_address};
use super::print_text;
use super::signals::TerminationSignals;
use crate::cli;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_loadgen::sandbox_server::{self, SandboxOptions, SandboxServer};

/// Serves until a signal.
pub async fn run(arguments: &cli::SandboxArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let sandbox = SandboxServer::new(SandboxOptions {
        failure_rate: arguments.failure_rate,
        mean_time: arguments.mean_time,
        receipt_delay: arguments.receipt_delay,
        receipt_shares: arguments.receipts,
        gateway_url: arguments.gateway_url.clone(),
        seed: arguments.seed,
    })?;
    let listener = bind_listener(arguments.listen)?;
    let address = local_address(&listener)?;
    if !address.ip().is_loopback() {
        log::warn!(
            "sandbox server is reachable from other hosts and calls any callback URL address={address}"
        );
    }
    let (stop, receiver) = watch::channel(false);
    print_text(sandbox.config_toml(address))?;
    log::info!("sandbox server started address=http://{address}");
    let serving = sandbox_server::serve(Arc::clone(&sandbox), listener, receiver);
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {
            return Err(Error::new(ErrorKind::Internal, "sandbox server stopped unexpectedly"));
        }
        () = signals.recv() => {}
    }
    log::info!("stopping");
    stop.send_replace(true);
    signals
        .abort_on_next(async {
            serving.await;
            Ok(())
        })
        .await
}
