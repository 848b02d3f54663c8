//! Status of recipients.

use async_trait::async_trait;

use postrider_core::{error::Result, inbound::OptChange, name::ConfigName, recipient::Recipient};

/// Keeps the status of recipients.
#[async_trait]
pub trait RecipientStore: Send + Sync {
    /// Returns a recipient. None means that the recipient's status was never set, so the recipient is active.
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>>;

    /// Sets the status of a recipient. Every status except `active` cancels the recipient's waiting deliveries that no
    /// worker has claimed.
    async fn set_recipient(&self, recipient: Recipient) -> Result<()>;

    /// Applies opt-outs and opt-ins. Returns for each whether the recipient's status changed, in the same order.
    ///
    /// An opt-out sets the status `opted_out` and cancels waiting deliveries like
    /// [`set_recipient`](RecipientStore::set_recipient); an opt-in sets `active`, but only after an opt-out. An inbound
    /// message that was applied before changes nothing.
    async fn apply_opt_changes(&self, changes: Vec<OptChange>) -> Result<Vec<bool>>;
}
