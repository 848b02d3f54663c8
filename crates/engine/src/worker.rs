//! The loop around delivering: takes as many deliveries as there are free places, until it is told to stop.
//!
//! A worker claims no more than it can call at once, so that a crash leaves few rounds in doubt, and no more of
//! a channel than its share, so that a slow one cannot block the rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::slots::WorkerSlots;
use super::{callbacks, deliver};
use crate::gateway::{Gateway, ProviderRuntime};

/// How long a silent queue is waited for before the store is asked.
const QUEUE_POLL_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long a store is left alone that could not take receipts.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Tells every loop to stop when it turns true.
pub type StopSignal = watch::Receiver<bool>;

/// Delivers until told to stop, then waits for what is in flight, at most the configured grace.
/// Returns the number of calls it had to leave behind.
pub async fn run(gateway: Arc<Gateway>, mut stop: StopSignal) -> u32 {
    let places = WorkerSlots::new(Arc::clone(&gateway));
    let mut more = deliver::MoreDue::NoneKnown;
    while let Some(found) = wait_for_due(&gateway, &places, more, &mut stop).await {
        let tried = found.ids.len();
        let watch = gateway.clock.stopwatch();
        let claimed = deliver::claim(&gateway, found.ids).await;
        places.record_claim_duration(watch.elapsed());
        more = found.more.after_claim(claimed.len(), tried);
        for one in claimed {
            let place = places.acquire(&one.claimed.channel);
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                deliver::run_round(&gateway, one).await;
                drop(place);
            });
        }
    }
    match tokio::time::timeout(gateway.config.work.grace, places.wait_until_all_free()).await {
        Ok(()) => 0,
        Err(_) => u32::try_from(places.in_use()).unwrap_or(u32::MAX),
    }
}

/// Waits for a free place and takes ids for as many places as there are; none when it is time to stop. A queue is not
/// waited for while the store has `more`.
async fn wait_for_due(
    gateway: &Gateway,
    places: &WorkerSlots,
    more: deliver::MoreDue,
    stop: &mut StopSignal,
) -> Option<deliver::DueDeliveries> {
    let some = async {
        places.wait_for_free_slots().await;
        match more {
            deliver::MoreDue::NoneKnown => deliver::find_due(gateway, places, QUEUE_POLL_TIMEOUT).await,
            more => deliver::find_more_due(gateway, places, more).await,
        }
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        found = some => Some(found),
    }
}

/// Takes in the receipts and texts that providers bring over their own connections, until told to stop.
pub async fn receive_incoming(gateway: Arc<Gateway>, lane: Arc<ProviderRuntime>, mut stop: StopSignal) {
    loop {
        let incoming = tokio::select! {
            incoming = lane.provider.receive() => incoming,
            _ = stop.changed() => return,
        };
        while let Err(error) = callbacks::ingest(&gateway, &lane, incoming.clone()).await {
            gateway.metrics.store_errors.inc();
            log::error!("receipts of {} have to wait: {}", lane.name, error.chain());
            if *stop.borrow() {
                return;
            }
            gateway.clock.sleep(STORE_RETRY_DELAY).await;
        }
    }
}

#[cfg(test)]
mod tests;
