//! The loop around delivering: takes as many deliveries as there are free places, until it is told to stop.
//!
//! A worker claims no more than it can call at once, so that a crash leaves few rounds in doubt, and no more of
//! a channel than its share, so that a slow one cannot block the rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::places::Places;
use super::{deliver, hear};
use crate::gateway::{Gateway, Lane};

/// How long a silent queue is waited for before the store is asked.
const SILENCE: Duration = Duration::from_millis(1_000);

/// How long a store is left alone that could not take receipts.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Tells every loop to stop when it turns true.
pub type Stop = watch::Receiver<bool>;

/// Delivers until told to stop, then waits for what is in flight, at most the configured grace.
/// Returns the number of calls it had to leave behind.
pub async fn run(gateway: Arc<Gateway>, mut stop: Stop) -> u32 {
    let places = Places::new(Arc::clone(&gateway));
    let mut more = deliver::More::No;
    while let Some(found) = next(&gateway, &places, more, &mut stop).await {
        let tried = found.ids.len();
        let watch = gateway.clock.stopwatch();
        let claimed = deliver::claim(&gateway, found.ids).await;
        places.claimed_in(watch.passed());
        more = found.more.after(claimed.len(), tried);
        for one in claimed {
            let place = places.take(&one.claimed.channel);
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                deliver::round(&gateway, one).await;
                drop(place);
            });
        }
    }
    match tokio::time::timeout(gateway.config.work.grace, places.all_free()).await {
        Ok(()) => 0,
        Err(_) => u32::try_from(places.taken()).unwrap_or(u32::MAX),
    }
}

/// Waits for a free place and takes ids for as many places as there are; none when it is time to stop. A queue is not
/// waited for while the store has `more`.
async fn next(
    gateway: &Gateway,
    places: &Places,
    more: deliver::More,
    stop: &mut Stop,
) -> Option<deliver::Found> {
    let some = async {
        places.some_free().await;
        match more {
            deliver::More::No => deliver::next(gateway, places, SILENCE).await,
            more => deliver::next_of_more(gateway, places, more).await,
        }
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        found = some => Some(found),
    }
}

/// Takes in the receipts and texts that providers bring over their own connections, until told to stop.
pub async fn listen(gateway: Arc<Gateway>, lane: Arc<Lane>, mut stop: Stop) {
    loop {
        let incoming = tokio::select! {
            incoming = lane.provider.incoming() => incoming,
            _ = stop.changed() => return,
        };
        while let Err(error) = hear::hear(&gateway, &lane, incoming.clone()).await {
            gateway.metrics.store_errors.inc();
            log::error!("receipts of {} have to wait: {}", lane.name, error.chain());
            if *stop.borrow() {
                return;
            }
            gateway.clock.pause(STORE_PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests;
