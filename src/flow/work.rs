//! The loop around delivering: takes as many deliveries as there are free places, until it is told to stop.
//!
//! A worker claims no more than it can call at once, so that a crash leaves few rounds in doubt.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::{deliver, settle};
use crate::domain::id::DeliveryId;
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
    let concurrency = gateway.config.work.workers_concurrency;
    let places = Arc::new(Semaphore::new(concurrency));
    while let Some(ids) = next(&gateway, &places, &mut stop).await {
        for one in deliver::claim(&gateway, ids).await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                break;
            };
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                deliver::round(&gateway, one).await;
                drop(place);
            });
        }
    }
    let all = u32::try_from(concurrency).unwrap_or(u32::MAX);
    match tokio::time::timeout(gateway.config.work.grace, places.acquire_many(all)).await {
        Ok(_) => 0,
        Err(_) => all.saturating_sub(u32::try_from(places.available_permits()).unwrap_or(0)),
    }
}

/// Waits for a free place and takes ids for as many places as there are; none when it is time to stop.
async fn next(gateway: &Gateway, places: &Semaphore, stop: &mut Stop) -> Option<Vec<DeliveryId>> {
    let some = async {
        let free = match places.acquire().await {
            Ok(_first) => places.available_permits() + 1,
            Err(_) => return Vec::new(),
        };
        deliver::next(gateway, free, SILENCE).await
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        ids = some => Some(ids),
    }
}

/// Takes in the receipts that providers bring over their own connections, until told to stop.
pub async fn listen(gateway: Arc<Gateway>, lane: Arc<Lane>, mut stop: Stop) {
    loop {
        let receipts = tokio::select! {
            receipts = lane.provider.incoming() => receipts,
            _ = stop.changed() => return,
        };
        while let Err(error) = settle::settle(&gateway, Some(&lane.name), receipts.clone()).await {
            gateway.metrics.store_errors.inc();
            log::error!("receipts of {} have to wait: {}", lane.name, error.chain());
            if *stop.borrow() {
                return;
            }
            gateway.clock.pause(STORE_PAUSE).await;
        }
    }
}
