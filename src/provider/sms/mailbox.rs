//! What an adapter learns in passing, while it sends, and has to tell: that a person has opted out at the provider.
//!
//! Bounded, and in memory only: what is lost is learnt again with the next message to that person.

use tokio::sync::{Mutex, mpsc};

use crate::domain::inbound::Incoming;

/// The most that wait to be fetched, and how many are fetched at once.
const WAITING_MAX: usize = 1_024;

/// Filled by sends, emptied by whoever listens.
pub(in crate::provider) struct Mailbox {
    coming: mpsc::Sender<Incoming>,
    arriving: Mutex<mpsc::Receiver<Incoming>>,
}

impl Default for Mailbox {
    fn default() -> Self {
        let (coming, arriving) = mpsc::channel(WAITING_MAX);
        Self {
            coming,
            arriving: Mutex::new(arriving),
        }
    }
}

impl Mailbox {
    /// Puts something down, unless there is too much already.
    pub fn put(&self, incoming: Incoming) {
        if self.coming.try_send(incoming).is_err() {
            log::debug!("what a provider said in passing is lost, too much waits");
        }
    }

    /// Waits until there is something and takes all of it.
    pub async fn fetch(&self) -> Vec<Incoming> {
        let mut all = Vec::new();
        self.arriving.lock().await.recv_many(&mut all, WAITING_MAX).await;
        all
    }
}
