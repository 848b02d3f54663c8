//! A host's way to the one store: sometimes cut, sometimes cut just after the store has done what it was asked, so
//! that the host cannot know. Watches every verb and compares what it did with the ledger.
//!
//! Passes everything else through unchanged.

mod broadcasts;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::capacity::Capacity;
use postrider_core::channel::ConfigName;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::delivery::DeliveryState;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::event::{ClaimedEvent, Event, EventAttemptResult, EventKey};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::OptChange;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::message::{
    Acceptance, ClaimedDelivery, CompletedRound, Delivery, Message, NewMessage, QueueEntry, RecordResult,
};
use postrider_core::provider_control::ProviderControl;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::recipient::Recipient;
use postrider_core::report::Report;
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};
use postrider_store::{
    AcceptStore, AdminStore, Backlog, Cancelled, CommitStats, CoordinationStore, DeadLetterRequest, DeliverySelection,
    EventQuery, EventStore, LastAttempt, MaintenanceStore, MessageList, MessageQuery, ProbeDecision, Progress,
    ProviderEndpoint, RatePermit, ReadStore, ReceiptResult, ReceivedReceipt, RecipientStore, ReportSnapshot, ReportStore,
    Store, UsageQuery, UsageTotals, WaitingEndpoint, WorkStore,
};

use super::context::SimulationContext;
use super::reference_model::StoreOperation;

/// How a link is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StoreFaultMode {
    /// Hardly anything goes wrong.
    Reliable = 0,
    /// Nothing comes through.
    Disconnected = 1,
    /// A third does not come through, and of a third the answer does not come back.
    Lossy = 2,
}

/// One host's way to the store.
pub struct FaultyStore {
    context: Arc<SimulationContext>,
    store: Arc<dyn Store>,
    fault_mode: AtomicU8,
}

impl FaultyStore {
    pub fn new(world: &Arc<SimulationContext>, store: &Arc<dyn Store>) -> Self {
        Self {
            context: Arc::clone(world),
            store: Arc::clone(store),
            fault_mode: AtomicU8::new(StoreFaultMode::Reliable as u8),
        }
    }

    pub fn set_fault_mode(&self, weather: StoreFaultMode) {
        self.fault_mode.store(weather as u8, Ordering::SeqCst);
    }

    /// Does what was asked, unless the way there is cut; tells of it, unless the way back is.
    async fn call<T>(&self, verb: &str, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.context.scheduler.yield_point().await;
        self.maybe_fail(verb, "there")?;
        let answer = work.await;
        self.context.scheduler.yield_point().await;
        self.maybe_fail(verb, "back")?;
        answer
    }

    fn maybe_fail(&self, verb: &str, way: &str) -> Result<()> {
        let lost = match self.fault_mode.load(Ordering::SeqCst) {
            0 => 0.003,
            1 => 1.0,
            _ => 0.3,
        };
        if self.context.model().is_fault_free || !self.context.chance(lost) {
            return Ok(());
        }
        self.context
            .log_step(|| format!("{verb} is lost on the way {way}"));
        Err(Error::new(ErrorKind::Unavailable, "the way to the store is cut"))
    }

    async fn find_delivery(&self, id: DeliveryId) -> Option<Delivery> {
        let message = self.context.model().deliveries.get(&id)?.message;
        let message = self.store.find_message(message).await.unwrap()?;
        message.deliveries.into_iter().find(|delivery| delivery.id == id)
    }

    /// Compares a delivery that a verb may have changed with the ledger.
    async fn check_delivery(&self, verb: StoreOperation, id: DeliveryId) {
        if let Some(delivery) = self.find_delivery(id).await {
            self.context.model().check_state(verb, &delivery);
        }
    }

    async fn check_record(&self, round: &CompletedRound, recorded: RecordResult) {
        let id = round.id;
        let open = self.context.model().is_round_open(id, round.round);
        let Some(after) = self.find_delivery(id).await else {
            return;
        };
        self.context
            .log_step(|| format!("round {} of {id} is {recorded:?}", round.round));
        let mut ledger = self.context.model();
        if !open {
            let is_written = ledger.delivery(id).recorded_round == round.round;
            assert_eq!(
                recorded != RecordResult::Superseded,
                is_written,
                "round {} of {id}",
                round.round
            );
            assert_eq!(
                after.state,
                ledger.delivery(id).state,
                "{id} was changed by round {}",
                round.round
            );
        } else {
            assert_ne!(
                recorded,
                RecordResult::Superseded,
                "round {} of {id}",
                round.round
            );
            assert_eq!(after.tries, round.tries, "the tries of {id}");
            let is_sent = matches!(round.state, DeliveryState::Sent { .. });
            let written = rounded_to_millis(&round.state);
            // A receipt that came early is applied at once.
            assert!(after.state == written || is_sent, "{id} is {:?}", after.state);
            if is_sent {
                ledger.check_state(
                    StoreOperation::Record,
                    &Delivery {
                        state: written,
                        ..after.clone()
                    },
                );
                ledger.check_state(StoreOperation::ApplyReceipt, &after);
            }
            ledger.check_state(StoreOperation::Record, &after);
        }
        ledger.add_round(id, round.round, &round.attempts, open);
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

/// The state as a store keeps it: in whole milliseconds.
fn rounded_to_millis(state: &DeliveryState) -> DeliveryState {
    match state.clone() {
        DeliveryState::Waiting { due_at, reason } => DeliveryState::Waiting {
            due_at: from_millis(due_at.timestamp_millis()),
            reason,
        },
        other => other,
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        self.call("event_lanes", self.store.waiting_endpoints(after, limit))
            .await
    }

    async fn claim_events(
        &self,
        lanes: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        self.call("claim_events", self.store.claim_events(lanes, now, lease))
            .await
    }

    async fn record_events(&self, ends: Vec<EventAttemptResult>) -> Result<()> {
        self.call("record_events", self.store.record_events(ends)).await
    }

    async fn dead_letter_events(&self, burial: DeadLetterRequest) -> Result<usize> {
        self.call("bury_events", self.store.dead_letter_events(burial))
            .await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        self.call("events", self.store.events(query)).await
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        self.call("replay_events", self.store.replay_events(keys, now))
            .await
    }
}

#[async_trait]
impl AcceptStore for FaultyStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let work = async {
            let accepted = self.store.accept(messages).await?;
            for (id, acceptance) in ids.iter().zip(&accepted) {
                if let Acceptance::Stored { .. } = acceptance {
                    let message = self.store.find_message(*id).await?.expect("it was stored");
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
    async fn due(&self, now: Timestamp, wish: &Capacity) -> Result<Vec<QueueEntry>> {
        self.call("due", self.store.due(now, wish)).await
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let work = async {
            let claimed = self.store.claim(ids, now, lease).await?;
            for one in &claimed {
                self.context
                    .log_step(|| format!("round {} of {} is claimed", one.round, one.id));
                self.context.model().add_claim(one, now);
                self.check_delivery(StoreOperation::Claim, one.id).await;
            }
            Ok(claimed)
        };
        self.call("claim", work).await
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
            let settled = self.store.apply_receipts(receipts.clone()).await?;
            for (heard, settled) in receipts.iter().zip(&settled) {
                if let ReceiptResult::Applied(settlement) | ReceiptResult::Unchanged(settlement) = settled {
                    let speaker = heard.provider.as_ref();
                    assert!(
                        speaker.is_none_or(|name| *name == settlement.provider),
                        "{heard:?}"
                    );
                    self.check_delivery(StoreOperation::ApplyReceipt, settlement.id)
                        .await;
                }
            }
            Ok(settled)
        };
        self.call("settle", work).await
    }
}

#[async_trait]
impl ReadStore for FaultyStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        self.call("find", self.store.find_message(id)).await
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
        self.call("last_calls", self.store.last_attempts(ids)).await
    }
}

#[async_trait]
impl RecipientStore for FaultyStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        self.call("recipient", self.store.recipient(channel, address))
            .await
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        self.call("set_recipient", self.store.set_recipient(recipient))
            .await
    }

    async fn apply_opt_changes(&self, wishes: Vec<OptChange>) -> Result<Vec<bool>> {
        self.call("opt", self.store.apply_opt_changes(wishes)).await
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
        self.call("cancel", work).await
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        self.call("select", self.store.select_deliveries(selection)).await
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        let work = async {
            let revived = self.store.requeue(ids, now, expires_at).await?;
            for nudge in &revived {
                self.check_delivery(StoreOperation::Requeue, nudge.id).await;
            }
            Ok(revived)
        };
        self.call("revive", work).await
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        self.call("call_off", self.store.cancel_deliveries(ids, now))
            .await
    }
}

#[async_trait]
impl CoordinationStore for FaultyStore {
    async fn current_time(&self) -> Result<Timestamp> {
        self.store.current_time().await
    }

    async fn acquire_rate_permits(&self, wish: RateLimitRequest, now: Timestamp) -> Result<Vec<RatePermit>> {
        let work = async {
            let passages = self.store.acquire_rate_permits(wish.clone(), now).await?;
            self.context
                .model()
                .coordination
                .check_rate_grants(&wish, &passages, now);
            Ok(passages)
        };
        self.call("pass", work).await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        self.call("standings", self.store.load_health()).await
    }

    async fn save_provider_control(&self, order: ProviderControl) -> Result<()> {
        self.call("order", self.store.save_provider_control(order)).await
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        self.call("orders", self.store.provider_controls()).await
    }

    async fn report_health(&self, news: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        let work = async {
            let learned = self.store.report_health(news, now).await?;
            let known = learned.iter().map(|learned| learned.shared.clone());
            self.context
                .model()
                .coordination
                .end_probes(&known.collect::<Vec<_>>());
            Ok(learned)
        };
        self.call("tell", work).await
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        patience: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        let work = async {
            let probe = self.store.acquire_probe(provider, patience, now).await?;
            let name = provider.as_str();
            self.context
                .model()
                .coordination
                .check_probe(name, &probe, patience, now);
            Ok(probe)
        };
        self.call("probe", work).await
    }

    async fn acquire_job_lock(
        &self,
        task: ScheduledJob,
        holder: &str,
        now: Timestamp,
        hold: Duration,
    ) -> Result<JobLockResult> {
        let work = async {
            let turn = self.store.acquire_job_lock(task, holder, now, hold).await?;
            let mut ledger = self.context.model();
            ledger
                .coordination
                .check_lock_acquired(task.as_str(), holder, &turn, now, hold);
            Ok(turn)
        };
        self.call("take_turn", work).await
    }

    async fn renew_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<bool> {
        let work = async {
            let renewed = self.store.renew_job_lock(task, holder, ends_at).await?;
            self.context
                .model()
                .coordination
                .check_lock_renewed(task.as_str(), holder, ends_at, renewed);
            Ok(renewed)
        };
        self.call("renew_turn", work).await
    }

    async fn release_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<()> {
        let work = async {
            self.store.release_job_lock(task, holder, ends_at).await?;
            self.context
                .model()
                .coordination
                .check_lock_released(task.as_str(), holder, ends_at);
            Ok(())
        };
        self.call("end_turn", work).await
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        self.store.store_secret().await
    }

    fn has_own_clock(&self) -> bool {
        self.store.has_own_clock()
    }
}

#[async_trait]
impl ReportStore for FaultyStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        self.call("fold", self.store.apply_changes(limit)).await
    }

    async fn begin_rebuild(&self) -> Result<()> {
        self.call("unfold", self.store.begin_rebuild()).await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        self.call("report", self.store.report(as_of)).await
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        self.call("keep_snapshot", self.store.save_snapshot(snapshot))
            .await
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        self.call("snapshot", self.store.snapshot()).await
    }
}

#[async_trait]
impl MaintenanceStore for FaultyStore {
    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let work = async {
            let all = self.stored_messages().await;
            let pruned = self.store.prune(before, now, limit).await?;
            let mut gone = 0;
            for message in all {
                if self.store.find_message(message.id).await?.is_none() {
                    gone += 1;
                    self.context.model().prune(message, before);
                }
            }
            assert_eq!(pruned, gone, "the number of messages that were deleted");
            Ok(pruned)
        };
        self.call("prune", work).await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.call("forget", self.store.delete_expired(before, now, limit))
            .await
    }

    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()> {
        self.call("name_providers", self.store.save_provider_endpoints(providers))
            .await
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
