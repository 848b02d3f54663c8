//! SIGTERM and SIGINT: the first signal asks a command to finish, the second signal to abort.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_loadgen::interrupts::Interrupts;

/// Receives the signals that end a process.
pub struct TerminationSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl TerminationSignals {
    /// Starts to receive signals, which no longer kill the process from then on.
    pub fn new() -> Result<Self> {
        let receive = |kind| {
            signal(kind).map_err(|cause| {
                Error::with_source(ErrorKind::Internal, "cannot install a signal handler", cause)
            })
        };
        Ok(Self {
            terminate: receive(SignalKind::terminate())?,
            interrupt: receive(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs `shutdown` to its end, or drops it at the next signal and returns an error.
    pub async fn abort_on_next(&mut self, shutdown: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::select! {
            result = shutdown => result,
            () = self.recv() => Err(Error::new(
                ErrorKind::Unavailable,
                "aborted by the second signal; calls that were in flight will show as unknown",
            )),
        }
    }

    /// Counts the signals in the background.
    pub fn into_interrupts(mut self) -> Interrupts {
        let (sender, receiver) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                self.recv().await;
                sender.send_modify(|interrupts| *interrupts += 1);
            }
        });
        Interrupts::new(receiver)
    }
}
