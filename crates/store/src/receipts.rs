//! Receipts as they enter the store, and the results of applying them.

use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::id::DeliveryId;
use postrider_core::message::Priority;
use postrider_core::receipt::Receipt;

/// Maximum number of receipts with an unknown reference that are kept, over all providers. A send is recorded within
/// seconds, so in normal operation a few hundred wait.
pub const UNMATCHED_RECEIPTS_MAX: usize = 10_000;

/// A receipt and how it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedReceipt {
    /// The provider that sent it; none when the endpoint that received it belongs to no single provider.
    pub provider: Option<ConfigName>,
    /// The receipt itself.
    pub receipt: Receipt,
    /// The delivery, where the receipt names it; otherwise the receipt's reference identifies the delivery.
    pub delivery: Option<DeliveryId>,
    /// Time at which this process received it.
    pub received_at: Timestamp,
    /// True if the receipt is kept while its reference is unknown. False for a receipt of an unauthenticated caller,
    /// which could otherwise fill the store with receipts for made-up references.
    pub can_wait: bool,
}

/// Result of applying a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptResult {
    /// It changed the delivery.
    Applied(MatchedDelivery),
    /// The delivery had ended already, or the receipt repeats an earlier one.
    Unchanged(MatchedDelivery),
    /// No delivery has this reference; the receipt is kept until a recorded round has it.
    Unmatched,
    /// No delivery has this reference and the receipt was not kept: it cannot wait, or too many wait already.
    Dropped,
}

/// The delivery that a receipt belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedDelivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// Channel of the delivery.
    pub channel: ConfigName,
    /// Provider that sent it.
    pub provider: ConfigName,
    /// The address as the client wrote it.
    pub spelling: String,
    /// Body of the message.
    pub body: String,
    /// Priority of the delivery.
    pub priority: Priority,
    /// State before the receipt.
    pub previous_kind: DeliveryStateKind,
    /// State after the receipt.
    pub state: DeliveryState,
}
