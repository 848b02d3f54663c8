//! Resources that all requests use together: bytes of request bodies in memory, and the single seat for expensive store
//! queries.
//!
//! Both are limited for the process as a whole, because limits of one request or one connection multiply with the number
//! of connections.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Maximum time that an expensive query waits for the seat.
const SEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// Tells whether the sender of a request body was authenticated before the body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySender {
    /// The caller sent a valid API key or session, or none is needed.
    Authenticated,
    /// Nothing is known about the caller. All these bodies together may use half of the budget.
    Unauthenticated,
}

/// Budget of request bodies, and the seat for expensive queries.
pub struct RequestLoad {
    body_bytes: Arc<AtomicUsize>,
    body_bytes_max: usize,
    expensive_query: Semaphore,
}

impl RequestLoad {
    /// Returns an unused budget of `body_bytes_max` bytes and a free seat.
    pub fn new(body_bytes_max: usize) -> Self {
        Self { body_bytes: Arc::default(), body_bytes_max, expensive_query: Semaphore::new(1) }
    }

    /// Returns an empty reservation for the body of one request.
    pub fn body(&self, sender: BodySender) -> BodyReservation {
        let total_bytes_max = match sender {
            BodySender::Authenticated => self.body_bytes_max,
            BodySender::Unauthenticated => self.body_bytes_max / 2,
        };
        BodyReservation { in_flight: Arc::clone(&self.body_bytes), total_bytes_max, bytes: 0 }
    }

    /// Waits for the seat of expensive queries, which the caller holds during its query; `None` when it is not free
    /// within 3 s. Only one such query runs at a time, so that other requests find free read connections.
    pub async fn expensive_query(&self) -> Option<SemaphorePermit<'_>> {
        self.expensive_query_within(SEAT_TIMEOUT).await
    }

    async fn expensive_query_within(&self, seat_timeout: Duration) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(seat_timeout, self.expensive_query.acquire()).await.ok()?.ok()
    }
}

/// The part of the budget that one request body uses, until it is dropped.
#[derive(Debug)]
pub struct BodyReservation {
    in_flight: Arc<AtomicUsize>,
    total_bytes_max: usize,
    bytes: usize,
}

impl BodyReservation {
    /// Adds received bytes; returns whether the budget has room for them.
    pub fn add(&mut self, body_bytes: usize) -> bool {
        self.bytes += body_bytes;
        let in_flight_before = self.in_flight.fetch_add(body_bytes, Ordering::Relaxed);
        in_flight_before.saturating_add(body_bytes) <= self.total_bytes_max
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
