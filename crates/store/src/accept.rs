//! Accepting messages.

use async_trait::async_trait;

use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};

/// Stores new messages.
#[async_trait]
pub trait AcceptStore: Send + Sync {
    /// Stores messages with their deliveries and idempotency keys in one transaction, and returns one result per
    /// message, in the same order.
    ///
    /// A delivery to an inactive recipient is stored as suppressed. A message without any other delivery is not stored,
    /// nor is one whose user throttles are used up, counted over all processes. Only a stored message counts against
    /// its throttles.
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>>;
}
