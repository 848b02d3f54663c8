//! Reads, recipients and the report through the faulty connection.

use async_trait::async_trait;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::OptChange;
use postrider_core::message::Message;
use postrider_core::name::ConfigName;
use postrider_core::recipient::Recipient;
use postrider_core::report::Report;
use postrider_store::{
    Backlog, LastAttempt, MessageList, MessageQuery, ReadStore, RecipientStore, ReportSnapshot, ReportStore,
    UsageQuery, UsageTotals,
};

use super::FaultyStore;

#[async_trait]
impl ReadStore for FaultyStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        self.call("find_message", self.store.find_message(id)).await
    }

    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        self.call("search", self.store.search(query)).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<MessageList> {
        self.call("usage", self.store.usage(query)).await
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        self.call("usage_totals", self.store.usage_totals(query)).await
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        self.call("backlogs", self.store.backlogs(now)).await
    }

    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        self.call("last_attempts", self.store.last_attempts(ids)).await
    }
}

#[async_trait]
impl RecipientStore for FaultyStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        self.call("recipient", self.store.recipient(channel, address)).await
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        self.call("set_recipient", self.store.set_recipient(recipient)).await
    }

    async fn apply_opt_changes(&self, changes: Vec<OptChange>) -> Result<Vec<bool>> {
        self.call("apply_opt_changes", self.store.apply_opt_changes(changes)).await
    }
}

#[async_trait]
impl ReportStore for FaultyStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        self.call("apply_changes", self.store.apply_changes(limit)).await
    }

    async fn begin_rebuild(&self) -> Result<()> {
        self.call("begin_rebuild", self.store.begin_rebuild()).await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        self.call("report", self.store.report(as_of)).await
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        self.call("save_snapshot", self.store.save_snapshot(snapshot)).await
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        self.call("snapshot", self.store.snapshot()).await
    }
}
