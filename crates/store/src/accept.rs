//! Accepting messages.

use async_trait::async_trait;

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::DeliveryId;
use postrider_core::message::{Acceptance, NewMessage};

/// Failure reason of a delivery to a recipient that was not active when the message was accepted.
pub(crate) const SUPPRESSED_REASON: &str = "the recipient is inactive or has opted out";

/// Stores new messages.
#[async_trait]
pub trait AcceptStore: Send + Sync {
    /// Stores messages with their deliveries and idempotency keys in one transaction, and returns one result per
    /// message, in the same order.
    ///
    /// A delivery to an inactive recipient is stored as suppressed. A message without any other delivery is not stored,
    /// nor is one with used-up user throttles, counted over all processes. Only a stored message counts against
    /// its throttles.
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>>;
}

/// Checks that every delivery of a message can have an id.
pub(crate) fn check_delivery_counts(messages: &[NewMessage]) -> Result<()> {
    let fits = |message: &NewMessage| {
        i64::try_from(message.deliveries.len()).is_ok_and(|count| count <= DeliveryId::PER_MESSAGE)
    };
    if messages.iter().all(fits) {
        return Ok(());
    }
    let context = "cannot store a message with more than 64 deliveries";
    Err(Error::new(ErrorKind::Internal, context))
}
