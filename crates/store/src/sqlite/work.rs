//! Work on deliveries in SQLite.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::store::SqliteStore;
use super::{claims, receipts};
use crate::receipts::{ReceiptResult, ReceivedReceipt};
use crate::work::WorkStore;
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};

#[async_trait]
impl WorkStore for SqliteStore {
    async fn due(&self, now: Timestamp, capacity: &Capacity) -> Result<Vec<QueueEntry>> {
        let capacity = capacity.clone();
        self.read("cannot read due deliveries", move |connection| claims::due(connection, now, &capacity))
            .await
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let requested_at = Instant::now();
        // A lease begins when the claim is written, which another process's lock can delay.
        self.write("cannot claim deliveries", move |transaction| {
            let waited = Duration::from_secs(requested_at.elapsed().as_secs());
            claims::claim(transaction, &ids, now, lease + waited)
        })
        .await
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        self.write("cannot record rounds", move |transaction| claims::record(transaction, &rounds)).await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        self.write("cannot apply receipts", move |transaction| {
            receipts::apply_receipts(transaction, &receipts)
        })
        .await
    }
}
