//! Opt-outs that an adapter learns from send responses. They are kept until the gateway receives them.
//!
//! The queue is limited and in memory. A lost notice arrives again with the next message to that recipient.

use tokio::sync::{Mutex, mpsc};

use postrider_core::inbound::CallbackItem;

/// Maximum number of pending notices, and of notices returned at once.
const PENDING_NOTICES_MAX: usize = 1_024;

/// A bounded queue of notices.
pub(crate) struct OptOutNotices {
    sender: mpsc::Sender<CallbackItem>,
    receiver: Mutex<mpsc::Receiver<CallbackItem>>,
}

impl Default for OptOutNotices {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(PENDING_NOTICES_MAX);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl OptOutNotices {
    /// Adds a notice, or drops it when the queue is full.
    pub fn push(&self, notice: CallbackItem) {
        if self.sender.try_send(notice).is_err() {
            log::debug!("opt-out notice dropped: too many are pending");
        }
    }

    /// Waits for notices and returns all pending ones.
    pub async fn receive(&self) -> Vec<CallbackItem> {
        let mut notices = Vec::new();
        self.receiver.lock().await.recv_many(&mut notices, PENDING_NOTICES_MAX).await;
        notices
    }
}
