//! SIGTERM and SIGINT: the first asks to finish, the second to end at once.
//!
//! Says that they came, and never what is to be done about it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use postrider_core::error::{Error, ErrorKind, Result};

/// The signals that end a process, taken from the moment it is made.
pub struct TerminationSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl TerminationSignals {
    /// From here on the signals do not kill the process any more; somebody has to wait for them.
    pub fn new() -> Result<Self> {
        let take = |kind| {
            signal(kind)
                .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot listen for signals", cause))
        };
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Lets `ending` finish unless another signal says that nobody wants to wait for it.
    pub async fn abort_on_next(&mut self, ending: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::select! {
            ended = ending => ended,
            () = self.recv() => Err(Error::new(
                ErrorKind::Unavailable,
                "ended at once at the second signal; calls that were in flight will show as unknown",
            )),
        }
    }
}
