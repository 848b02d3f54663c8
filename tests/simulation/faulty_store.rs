//! The connection of one host to the shared store. A call may fail before it reaches the store, or after the store has
//! applied it, so that the host does not know the result.
//!
//! Compares the effect of each call with the reference model; forwards everything else unchanged.

mod broadcasts;
mod coordination;
mod events;
mod inbound;
mod read;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::capacity::Capacity;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::delivery::DeliveryState;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::LateAcceptance;
use postrider_core::message::{Acceptance, Delivery, Message, NewMessage};
use postrider_core::name::ConfigName;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_store::{
    AcceptStore, AdminStore, Cancelled, CommitStats, DeliverySelection, MaintenanceStore, Progress,
    ProviderEndpoint, ReceiptResult, ReceivedReceipt, Store, WorkStore,
};

use super::context::SimulationContext;
use super::reference_model::StoreOperation;

/// State of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StoreFaultMode {
    /// Few calls fail.
    Reliable = 0,
    /// Every call fails.
    Disconnected = 1,
    /// A third of the calls do not reach the store, and a third of the replies are lost.
    Lossy = 2,
}

/// The connection of one host.
pub struct FaultyStore {
    context: Arc<SimulationContext>,
    store: Arc<dyn Store>,
    fault_mode: AtomicU8,
}

impl FaultyStore {
    pub fn new(context: &Arc<SimulationContext>, store: &Arc<dyn Store>) -> Self {
        Self {
            context: Arc::clone(context),
            store: Arc::clone(store),
            fault_mode: AtomicU8::new(StoreFaultMode::Reliable as u8),
        }
    }

    pub fn set_fault_mode(&self, mode: StoreFaultMode) {
        self.fault_mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Runs a call unless the request is lost; returns its result unless the reply is lost.
    async fn call<T>(&self, operation: &str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.context.scheduler.yield_point().await;
        self.maybe_fail(operation, "request")?;
        let result = call.await;
        self.context.scheduler.yield_point().await;
        self.maybe_fail(operation, "reply")?;
        result
    }

    fn maybe_fail(&self, operation: &str, part: &str) -> Result<()> {
        let probability = match self.fault_mode.load(Ordering::SeqCst) {
            0 => 0.003,
            1 => 1.0,
            _ => 0.3,
        };
        if self.context.model().is_fault_free || !self.context.chance(probability) {
            return Ok(());
        }
        self.context.log_step(|| format!("{operation}: {part} lost"));
        Err(Error::new(ErrorKind::Unavailable, "connection to the store lost"))
    }

    async fn find_delivery(&self, id: DeliveryId) -> Option<Delivery> {
        let message = self.context.model().deliveries.get(&id)?.message;
        let message = self.store.find_message(message).await.unwrap()?;
        message.deliveries.into_iter().find(|delivery| delivery.id == id)
    }

    /// Compares a delivery that an operation may have changed with the model.
    async fn check_delivery(&self, operation: StoreOperation, id: DeliveryId) {
        if let Some(delivery) = self.find_delivery(id).await {
            self.context.model().check_state(operation, &delivery);
        }
    }

    async fn check_record(&self, round: &CompletedRound, recorded: RecordResult) {
        let id = round.id;
        let is_open = self.context.model().is_round_open(id, round.round);
        let Some(after) = self.find_delivery(id).await else {
            return;
        };
        self.context.log_step(|| format!("round {} of {id}: {recorded:?}", round.round));
        let mut model = self.context.model();
        let is_settled = model.is_round_settled(id, round.round);
        if !is_open {
            let is_written = model.delivery(id).recorded_round == round.round;
            let is_changed = after.state != model.delivery(id).state;
            assert!(!(is_written && is_changed), "{id} was changed by the repeated round {}", round.round);
            assert_eq!(recorded == RecordResult::Superseded, !is_written && !is_settled && !is_changed);
            if is_changed {
                let written = rounded_to_millis(&round.state);
                model.check_state(StoreOperation::Record, &Delivery { state: written, ..after.clone() });
                model.check_state(StoreOperation::ApplyReceipt, &after);
            }
        } else {
            assert_ne!(recorded, RecordResult::Superseded, "round {} of {id}", round.round);
            assert_eq!(after.tries, round.tries, "tries of {id}");
            let is_sent = matches!(round.state, DeliveryState::Sent { .. });
            let written = rounded_to_millis(&round.state);
            // An early receipt is applied by the record.
            assert!(after.state == written || is_sent, "{id} is {:?}", after.state);
            if is_sent {
                model.check_state(StoreOperation::Record, &Delivery { state: written, ..after.clone() });
                model.check_state(StoreOperation::ApplyReceipt, &after);
            }
            model.check_state(StoreOperation::Record, &after);
        }
        model.add_round(id, round.round, &round.attempts, is_open || is_settled);
    }

    async fn stored_messages(&self) -> Vec<Message> {
        let ids: Vec<MessageId> = self.context.model().stored.iter().copied().collect();
        let mut messages = Vec::new();
        for id in ids {
            messages.extend(self.store.find_message(id).await.unwrap());
        }
        messages
    }
}

/// Returns the state as a store keeps it: in whole milliseconds.
fn rounded_to_millis(state: &DeliveryState) -> DeliveryState {
    match state.clone() {
        DeliveryState::Waiting { due_at, reason } => {
            DeliveryState::Waiting { due_at: from_millis(due_at.timestamp_millis()), reason }
        }
        other => other,
    }
}

impl Store for FaultyStore {}

#[async_trait]
impl AcceptStore for FaultyStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let work = async {
            let accepted = self.store.accept(messages).await?;
            for (id, acceptance) in ids.iter().zip(&accepted) {
                if let Acceptance::Stored { .. } = acceptance {
                    let message = self.store.find_message(*id).await?.expect("accepted message is stored");
                    self.context.model().add_message(&message);
                }
            }
            Ok(accepted)
        };
        self.call("accept", work).await
    }
}

#[async_trait]
impl WorkStore for FaultyStore {
    async fn due(&self, now: Timestamp, capacity: &Capacity) -> Result<Vec<QueueEntry>> {
        self.call("due", self.store.due(now, capacity)).await
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let work = async {
            let claimed = self.store.claim(ids, now, lease).await?;
            for delivery in &claimed {
                self.context.log_step(|| format!("round {} of {}: claimed", delivery.round, delivery.id));
                self.context.model().add_claim(delivery, now);
                self.check_delivery(StoreOperation::Claim, delivery.id).await;
            }
            Ok(claimed)
        };
        self.call("claim", work).await
    }

    async fn extend_lease(&self, claimed: &ClaimedDelivery, lease_expires_at: Timestamp) -> Result<bool> {
        self.call("extend_lease", self.store.extend_lease(claimed, lease_expires_at)).await
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        let work = async {
            let recorded = self.store.record(rounds.clone()).await?;
            for (round, recorded) in rounds.iter().zip(&recorded) {
                self.check_record(round, *recorded).await;
            }
            Ok(recorded)
        };
        self.call("record", work).await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        let work = async {
            let results = self.store.apply_receipts(receipts.clone()).await?;
            for (received, result) in receipts.iter().zip(&results) {
                if let ReceiptResult::Applied(delivery) | ReceiptResult::Unchanged(delivery) = result {
                    let provider = received.provider.as_ref();
                    assert!(provider.is_none_or(|name| *name == delivery.provider), "{received:?}");
                    self.check_delivery(StoreOperation::ApplyReceipt, delivery.id).await;
                }
            }
            Ok(results)
        };
        self.call("apply_receipts", work).await
    }

    async fn apply_late_acceptance(
        &self,
        provider: ConfigName,
        acceptance: LateAcceptance,
        received_at: Timestamp,
    ) -> Result<ReceiptResult> {
        let work = self.store.apply_late_acceptance(provider, acceptance, received_at);
        self.call("apply_late_acceptance", work).await
    }

    async fn close_lost_rounds(&self, now: Timestamp, limit: usize) -> Result<Vec<DeliveryId>> {
        let work = async {
            let closed = self.store.close_lost_rounds(now, limit).await?;
            for id in &closed {
                self.context.model().close_lost_rounds(*id);
            }
            Ok(closed)
        };
        self.call("close_lost_rounds", work).await
    }
}

#[async_trait]
impl AdminStore for FaultyStore {
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let work = async {
            let cancelled = self.store.cancel_message(id, now).await?;
            if let Some(message) = self.store.find_message(id).await? {
                for delivery in &message.deliveries {
                    self.context.model().check_state(StoreOperation::Cancel, delivery);
                }
            }
            Ok(cancelled)
        };
        self.call("cancel_message", work).await
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        self.call("select_deliveries", self.store.select_deliveries(selection)).await
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        let work = async {
            let requeued = self.store.requeue(ids, now, expires_at).await?;
            for entry in &requeued {
                self.check_delivery(StoreOperation::Requeue, entry.id).await;
            }
            Ok(requeued)
        };
        self.call("requeue", work).await
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        self.call("cancel_deliveries", self.store.cancel_deliveries(ids, now)).await
    }
}

#[async_trait]
impl MaintenanceStore for FaultyStore {
    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let work = async {
            let messages = self.stored_messages().await;
            let pruned = self.store.prune(before, now, limit).await?;
            let mut deleted = 0;
            for message in messages {
                if self.store.find_message(message.id).await?.is_none() {
                    deleted += 1;
                    self.context.model().prune(message, before);
                }
            }
            assert_eq!(pruned, deleted, "number of deleted messages");
            Ok(pruned)
        };
        self.call("prune", work).await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.call("delete_expired", self.store.delete_expired(before, now, limit)).await
    }

    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()> {
        self.call("save_provider_endpoints", self.store.save_provider_endpoints(providers)).await
    }

    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()> {
        self.store.backup(file, progress).await
    }

    async fn ping(&self) -> Result<()> {
        self.call("ping", self.store.ping()).await
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune(before, now, limit).await
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        self.store.commit_stats()
    }
}
