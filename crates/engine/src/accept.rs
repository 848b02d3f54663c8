//! Accepts messages: validates a request, stores the message, and pushes its deliveries to the queue.
//!
//! When [`accept`] returns `Ok`, the message is on disk. The push to the queue happens afterwards and may be
//! lost.

mod addressing;
mod batch;
mod limits;
mod request;
mod sender;
mod throttles;
mod validate;

pub use batch::AcceptBatch;
pub use request::{AcceptError, AcceptRequest, Accepted, MissingAddressPolicy, RequestIdempotencyKey};
pub(crate) use throttles::spending_limits;
pub(crate) use validate::{hash_idempotency_key, validate_body};

use crate::gateway::Gateway;
use postrider_core::text_parts;
use validate::validate;

/// Accepts a message. Repeating a request with an idempotency key is safe; without a key a repetition is
/// another message.
///
/// # Errors
///
/// Returns [`AcceptError`] if the request is invalid, refused by a limit, or could not be stored.
pub async fn accept(gateway: &Gateway, request: AcceptRequest) -> Result<Accepted, AcceptError> {
    let stopwatch = gateway.clock.stopwatch();
    let accepted = validate_and_store(gateway, request).await;
    gateway.metrics.accept_duration.observe(stopwatch.elapsed().as_secs_f64());
    match &accepted {
        Ok(accepted) if accepted.is_replay => {}
        Ok(_) => {
            gateway.metrics.accepted.inc();
        }
        Err(error) => {
            if let AcceptError::Store(error) = error {
                gateway.record_store_error("accept: store error", error);
            }
            gateway.metrics.count_refused(error.metric_label());
        }
    }
    accepted
}

/// Returns every error in the recipients of a request; the length of the text is checked for each kind of address.
pub fn find_recipient_errors(gateway: &Gateway, request: &AcceptRequest) -> Vec<AcceptError> {
    let parts = text_parts::count_parts(&request.body).count;
    addressing::find_recipient_errors(gateway, request, parts, gateway.clock.now())
}

async fn validate_and_store(gateway: &Gateway, request: AcceptRequest) -> Result<Accepted, AcceptError> {
    let (message, pending) = validate(gateway, request)?;
    let acceptances = gateway.store.accept(vec![message]).await.map_err(AcceptError::Store)?;
    let (accepted, queue_entries) = pending.complete(acceptances.first())?;
    gateway.queue.push(&queue_entries);
    Ok(accepted)
}
