//! Inbound messages through the faulty connection.

use async_trait::async_trait;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::id::MessageId;
use postrider_core::inbound_record::{InboundRecord, InboundTarget, NewInbound, StoredInbound};
use postrider_store::{InboundQuery, InboundStore};

use super::FaultyStore;

#[async_trait]
impl InboundStore for FaultyStore {
    async fn store_inbound(&self, messages: Vec<NewInbound>) -> Result<Vec<StoredInbound>> {
        self.call("store_inbound", self.store.store_inbound(messages)).await
    }

    async fn find_inbound(&self, id: MessageId) -> Result<Option<InboundRecord>> {
        self.call("find_inbound", self.store.find_inbound(id)).await
    }

    async fn inbound_messages(&self, query: InboundQuery) -> Result<Vec<InboundRecord>> {
        self.call("inbound_messages", self.store.inbound_messages(query)).await
    }

    async fn waiting_inbound(
        &self,
        target: InboundTarget,
        account: &str,
        limit: usize,
    ) -> Result<Vec<InboundRecord>> {
        self.call("waiting_inbound", self.store.waiting_inbound(target, account, limit)).await
    }

    async fn mark_forwarded(&self, ids: Vec<MessageId>, at: Timestamp) -> Result<()> {
        self.call("mark_forwarded", self.store.mark_forwarded(ids, at)).await
    }
}
