//! What an adapter learns in passing, while it sends, and has to tell: that a person has opted out at the provider.
//!
//! Bounded, and in memory only: what is lost is learnt again with the next message to that person.

use tokio::sync::{Mutex, mpsc};

use postrider_core::inbound::CallbackItem;

/// The most that wait to be fetched, and how many are fetched at once.
const PENDING_NOTICES_MAX: usize = 1_024;

/// Filled by sends, emptied by whoever listens.
pub(crate) struct OptOutNotices {
    sender: mpsc::Sender<CallbackItem>,
    receiver: Mutex<mpsc::Receiver<CallbackItem>>,
}

impl Default for OptOutNotices {
    fn default() -> Self {
        let (coming, arriving) = mpsc::channel(PENDING_NOTICES_MAX);
        Self {
            sender: coming,
            receiver: Mutex::new(arriving),
        }
    }
}

impl OptOutNotices {
    /// Puts something down, unless there is too much already.
    pub fn push(&self, incoming: CallbackItem) {
        if self.sender.try_send(incoming).is_err() {
            log::debug!("what a provider said in passing is lost, too much waits");
        }
    }

    /// Waits until there is something and takes all of it.
    pub async fn receive(&self) -> Vec<CallbackItem> {
        let mut all = Vec::new();
        self.receiver
            .lock()
            .await
            .recv_many(&mut all, PENDING_NOTICES_MAX)
            .await;
        all
    }
}
