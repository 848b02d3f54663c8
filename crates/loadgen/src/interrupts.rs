//! Interrupt requests of an operator: the first request asks a run to finish early, the second aborts it.
//!
//! The program counts signals and passes the count to this module, which does not handle signals itself.

use tokio::sync::watch;

use postrider_core::error::{Error, ErrorKind, Result};

/// The number of interrupts that were requested since the start of the program.
#[derive(Clone, Debug)]
pub struct Interrupts(watch::Receiver<u32>);

impl Interrupts {
    /// Reads the count from `receiver`. After the sender was dropped, no further interrupt comes.
    pub fn new(receiver: watch::Receiver<u32>) -> Self {
        Self(receiver)
    }

    /// Returns whether an interrupt was requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits for the first interrupt.
    pub async fn wait_for_first(&self) {
        self.wait_for(1).await;
    }

    /// Runs `work` to its end, or drops it at the second interrupt.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`. If it was aborted, returns an error that begins with "aborted by the second signal"
    /// and ends with `advice`.
    pub async fn abort_at_second<T>(&self, work: impl Future<Output = Result<T>>, advice: &str) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.wait_for(2) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("aborted by the second signal; {advice}"),
            )),
        }
    }

    async fn wait_for(&self, count_min: u32) {
        let mut interrupt_count = self.0.clone();
        if interrupt_count.wait_for(|count| *count >= count_min).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
