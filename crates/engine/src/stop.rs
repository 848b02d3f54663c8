//! Stop signal of background loops.

use tokio::sync::watch;

/// Receiver of the stop signal: a loop ends when the value becomes true or the sender is dropped.
pub type StopSignal = watch::Receiver<bool>;
