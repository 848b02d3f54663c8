//! Working on deliveries: finding what is due, claiming, recording, applying receipts.

use std::time::Duration;

use async_trait::async_trait;

use crate::receipts::{ReceiptResult, ReceivedReceipt};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::{
    capacity::Capacity, clock::Timestamp, error::Result, id::DeliveryId, inbound::LateAcceptance,
    name::ConfigName, queue_entry::QueueEntry,
};

/// Hands deliveries to workers and records their results.
#[async_trait]
pub trait WorkStore: Send + Sync {
    /// Returns deliveries that are due at `now`, as many as `capacity` has room for: highest priority first, the
    /// channels in turn, longest waiting first within a channel. Includes channels that are no longer configured. Does
    /// not read channels without capacity.
    async fn due(&self, now: Timestamp, capacity: &Capacity) -> Result<Vec<QueueEntry>>;

    /// Claims deliveries for one worker until `now + lease` and counts a round for each.
    ///
    /// After the lease the delivery is due again, so a worker that died needs no recovery job. The result leaves out
    /// deliveries that are not due, have ended, or are already claimed.
    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>>;

    /// Extends the lease of a claim until `lease_expires_at`, for a call with a longer limit. Returns false if another worker
    /// has claimed the delivery since.
    async fn extend_lease(&self, claimed: &ClaimedDelivery, lease_expires_at: Timestamp) -> Result<bool>;

    /// Stores attempts and new states, and applies receipts that arrived before the record.
    ///
    /// The attempts of a superseded round are stored. Its state is stored only if a provider accepted the message and
    /// the delivery is still waiting. A round that ends in `InvalidRecipient` makes the recipient inactive. Recording
    /// the same round again changes nothing.
    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>>;

    /// Applies receipts and returns one result per receipt, in the same order.
    ///
    /// A receipt with an unknown reference is kept for [`WorkStore::record`] if the receipt can wait and fewer than
    /// [`UNMATCHED_RECEIPTS_MAX`](crate::UNMATCHED_RECEIPTS_MAX) receipts wait; otherwise the receipt is dropped.
    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>>;

    /// Applies a late answer of `provider`: stores its reference with the attempt of that round, and settles the
    /// delivery if it is not settled yet. Also applies the receipts that arrived before this answer. Returns
    /// [`ReceiptResult::Unmatched`] if the round is not recorded yet, or has no attempt without an answer.
    async fn apply_late_acceptance(
        &self,
        provider: ConfigName,
        acceptance: LateAcceptance,
        received_at: Timestamp,
    ) -> Result<ReceiptResult>;

    /// Adds an attempt `unknown` for each round that was never recorded, of at most `limit` deliveries that a receipt or a
    /// late answer has settled and whose lease has expired at `now`; returns these deliveries.
    ///
    /// The next claim does this for a delivery that waits; a settled one is never claimed again, although the worker that
    /// stopped may have sent a copy.
    async fn close_lost_rounds(&self, now: Timestamp, limit: usize) -> Result<Vec<DeliveryId>>;
}
