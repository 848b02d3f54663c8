//! `console sandbox`: a stand-in for providers in a process of its own, which says how to be used.
//!
//! Needs no configuration and no store. What it prints on stdout is a configuration as it stands; all else is logged.

use tokio::sync::watch;

use super::print;
use super::serve::bind;
use super::signals::Signals;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::sandbox::{Sandbox, Settings};

/// Plays until a signal.
pub async fn run(arguments: &cli::Sandbox) -> Result<()> {
    let mut signals = Signals::new()?;
    let sandbox = Sandbox::new(Settings {
        failure_rate: arguments.failure_rate,
        mean_time: arguments.mean_time,
        receipt_delay: arguments.receipt_delay,
        shares: arguments.receipts,
        receipts_to: arguments.receipts_to.clone(),
        seed: arguments.seed,
    })?;
    let listener = bind(arguments.listen)?;
    let at = listener
        .local_addr()
        .map_err(|cause| Error::because(Kind::Internal, "cannot tell where we listen", cause))?;
    if !at.ip().is_loopback() {
        log::warn!(
            "whoever can reach {at} can make the sandbox call any URL as a callback; keep it among friends"
        );
    }
    let (stop, told) = watch::channel(false);
    print(sandbox.recipe(at))?;
    log::info!("playing providers at http://{at}; nothing really leaves");
    let playing = sandbox.serve(listener, told);
    tokio::pin!(playing);
    tokio::select! {
        () = &mut playing => return Err(Error::new(Kind::Internal, "the sandbox ended by itself")),
        () = signals.next() => {}
    }
    log::info!("stopping");
    stop.send_replace(true);
    signals
        .unless_again(async {
            playing.await;
            Ok(())
        })
        .await
}
