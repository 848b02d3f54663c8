//! Accepting messages.

use async_trait::async_trait;

use crate::rows::limit_to_sql;
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
    /// A delivery to an inactive recipient is stored as suppressed. A message is not stored if all its deliveries are
    /// suppressed, or if one of its user throttles is used up. Throttles count the stored messages of all processes
    /// together.
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>>;
}

/// Checks that no message has more deliveries than delivery ids.
pub(crate) fn check_delivery_counts(messages: &[NewMessage]) -> Result<()> {
    let has_too_many =
        |message: &NewMessage| limit_to_sql(message.deliveries.len()) > DeliveryId::PER_MESSAGE;
    if messages.iter().any(has_too_many) {
        return Err(Error::new(ErrorKind::Internal, "cannot store a message with more than 64 deliveries"));
    }
    Ok(())
}
