//! The gate before a provider with a rate: who comes asks the store, together with all who come meanwhile.
//!
//! The store counts for all processes, so that together they never exceed the rate. There is no supply of permits
//! here that could be hoarded or outlive a failure: while the store is away, nobody passes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::throttle::Wish;
use crate::store::{Passage, Store};

/// How soon to look again when the store could not be asked.
const AWAY_RETRY: Duration = Duration::from_secs(1);

/// Who waits: the parts of the message, and where the answer goes.
type Waiting = (u32, oneshot::Sender<Passage>);

/// The gate of one provider.
pub struct Gate {
    provider: Name,
    rate: f64,
    store: Arc<dyn Store>,
    held_back: Counter,
    waiting: Mutex<Vec<Waiting>>,
    /// Held by the one who asks for all.
    asking: tokio::sync::Mutex<()>,
}

impl Gate {
    /// A gate for so many parts a second, of all processes on this store together.
    pub fn new(provider: Name, rate: f64, store: Arc<dyn Store>, held_back: Counter) -> Self {
        Self {
            provider,
            rate,
            store,
            held_back,
            waiting: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Lets a message go, or says how long it has to wait. One of those who wait asks for all of them.
    pub async fn pass(&self, parts: u32, paused_until: Option<Timestamp>, now: Timestamp) -> Passage {
        let (answer, mut answered) = oneshot::channel();
        self.queue().push((parts, answer));
        let _asking = self.asking.lock().await;
        let passage = match answered.try_recv() {
            Err(TryRecvError::Empty) => {
                self.ask(paused_until, now).await;
                answered.try_recv().ok()
            }
            answered => answered.ok(),
        };
        let passage = passage.unwrap_or(Err(AWAY_RETRY));
        if passage.is_err() {
            self.held_back.inc();
        }
        passage
    }

    /// Asks for all who wait now. Whoever gets no answer is refused.
    async fn ask(&self, paused_until: Option<Timestamp>, now: Timestamp) {
        let waiting = std::mem::take(&mut *self.queue());
        let (parts, askers) = waiting.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let wish = Wish {
            provider: self.provider.clone(),
            rate: self.rate,
            parts,
            paused_until,
        };
        match self.store.pass(wish, now).await {
            Ok(passages) => {
                for (asker, passage) in askers.into_iter().zip(passages) {
                    // Whoever waited may have gone; that is their business.
                    let _ = asker.send(passage);
                }
            }
            Err(error) => log::error!("nothing goes to {}: {}", self.provider, error.chain()),
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
