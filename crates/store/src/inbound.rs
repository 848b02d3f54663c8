//! Inbound messages: stored once, listed, and marked when their target has confirmed them.

use async_trait::async_trait;

use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::error::Result;
use postrider_core::id::MessageId;
use postrider_core::inbound_record::{InboundRecord, InboundTarget, NewInbound, StoredInbound};
use postrider_core::name::ConfigName;

/// Stores and reads inbound messages.
#[async_trait]
pub trait InboundStore: Send + Sync {
    /// Stores inbound messages, the opt-outs and opt-ins that they ask for, and their events in one transaction, and
    /// returns one result per message, in the same order.
    ///
    /// A message whose provider and reference are stored already changes nothing.
    async fn store_inbound(&self, messages: Vec<NewInbound>) -> Result<Vec<StoredInbound>>;

    /// Returns one inbound message.
    async fn find_inbound(&self, id: MessageId) -> Result<Option<InboundRecord>>;

    /// Returns inbound messages, newest first.
    async fn inbound_messages(&self, query: InboundQuery) -> Result<Vec<InboundRecord>>;

    /// Returns at most `limit` messages of an account that a target of this kind has not confirmed, oldest first.
    async fn waiting_inbound(
        &self,
        target: InboundTarget,
        account: &str,
        limit: usize,
    ) -> Result<Vec<InboundRecord>>;

    /// Records that the targets of these messages have confirmed them. The first time is kept.
    async fn mark_forwarded(&self, ids: Vec<MessageId>, at: Timestamp) -> Result<()>;
}

/// A query for inbound messages; every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundQuery {
    /// Messages from this address.
    pub from: Option<String>,
    /// Messages to this number of ours, as the provider writes it.
    pub to: Option<String>,
    /// Messages of this provider.
    pub provider: Option<ConfigName>,
    /// Messages of this account.
    pub account: Option<String>,
    /// Messages received at or after this time.
    pub since: Option<Timestamp>,
    /// Messages received before this time.
    pub until: Option<Timestamp>,
    /// Messages older than the message with this id.
    pub before: Option<MessageId>,
    /// Maximum number of messages.
    pub limit: usize,
}

impl InboundQuery {
    /// Returns the first id, and the id behind the last one, that the times and the page allow.
    pub(crate) fn id_range(&self) -> (Vec<u8>, Vec<u8>) {
        let first = self.since.map_or_else(|| vec![0; 16], first_id_at);
        let until = self.until.map_or_else(|| vec![0xFF; 16], first_id_at);
        let end = self.before.map_or_else(|| until.clone(), |id| until.clone().min(id.bytes().to_vec()));
        (first, end)
    }
}

/// Returns the lowest id of a message that is received at this time.
pub(crate) fn first_id_at(time: Timestamp) -> Vec<u8> {
    // Version and variant bits are lower than those of any id of the same millisecond.
    let [a, b, c, d, e, f, ..] = MessageId::new(from_millis(time.timestamp_millis()), [0; 10]).bytes();
    [a, b, c, d, e, f].into_iter().chain([0; 10]).collect()
}
