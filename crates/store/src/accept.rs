//! Accepting messages.

use async_trait::async_trait;

use crate::rows::limit_to_sql;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::DeliveryId;
use postrider_core::message::{Acceptance, NewDelivery, NewMessage};
use postrider_core::recipient::RecipientStatus;

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

/// Returns whether a delivery is not sent to a recipient with this status.
pub(crate) fn refuses(status: RecipientStatus, delivery: &NewDelivery) -> bool {
    !(delivery.ignores_opt_out && status == RecipientStatus::OptedOut)
}

/// Returns why no delivery of a message can be sent; none if one can.
pub(crate) fn status_of_all(refusing_statuses: &[Option<RecipientStatus>]) -> Option<RecipientStatus> {
    refusing_statuses.iter().copied().reduce(|all, status| Some(all?.or_opted_out(status?))).flatten()
}
