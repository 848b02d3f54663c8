//! Signals. The first SIGTERM, SIGINT or SIGHUP asks a command to finish; the second one aborts it. In `serve`, SIGHUP
//! requests a reload of the configuration.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_loadgen::interrupts::Interrupts;

/// Receives the signals that end a process.
pub struct TerminationSignals {
    terminate: Signal,
    interrupt: Signal,
    /// SIGHUP, which the kernel sends when a terminal closes; `None` for a command that SIGHUP does not end.
    hangup: Option<Signal>,
}

/// Receives SIGHUP, which requests a reload of the configuration.
pub struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Waits for the next reload request.
    pub async fn recv(&mut self) {
        self.0.recv().await;
    }
}

impl TerminationSignals {
    /// Starts to receive the signals. From then on they no longer kill the process.
    pub fn new() -> Result<Self> {
        let hangup = Some(receive(SignalKind::hangup())?);
        Ok(Self { hangup, ..Self::without_hangup()? })
    }

    /// Starts to receive the signals, with SIGHUP as a separate reload request.
    pub fn with_reload() -> Result<(Self, ReloadSignal)> {
        Ok((Self::without_hangup()?, ReloadSignal(receive(SignalKind::hangup())?)))
    }

    fn without_hangup() -> Result<Self> {
        let terminate = receive(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: receive(SignalKind::interrupt())?, hangup: None })
    }

    /// Waits for the next signal.
    pub async fn recv(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
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

fn receive(kind: SignalKind) -> Result<Signal> {
    signal(kind)
        .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot install a signal handler", cause))
}
