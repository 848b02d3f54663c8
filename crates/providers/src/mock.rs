//! A mock provider. Its calls take time, fail and cause receipts as configured. It sends nothing.
//!
//! Used for tests, demonstrations and measurements. With a seed, every run has the same results.

mod settings;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, sleep};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::name::ConfigName;
use postrider_core::random::Random;
use postrider_core::receipt::{Receipt, ReceiptStatus};

use crate::adapter_context::AdapterContext;
use crate::outcome_kind::OutcomeKind;
use crate::provider::{OutboundMessage, Provider};
pub use settings::MockSettings;
use settings::{MOCK_REASON, ReceiptKind, ScriptedResult, SeedBy, draw_share};

/// Maximum number of pending receipts. Further receipts are dropped; real providers also lose receipts.
const PENDING_RECEIPTS_MAX: usize = 100_000;

/// Maximum number of receipts that [`Provider::receive`] returns at once.
const RECEIVE_BATCH_MAX: usize = 1_024;

/// A mock provider.
pub struct MockProvider {
    settings: MockSettings,
    name: ConfigName,
    call_timeout: Duration,
    random: Random,
    clock: Clock,
    sent_count: AtomicU64,
    expected_receipts: AtomicU64,
    receipt_sender: mpsc::Sender<PendingReceipt>,
    receipt_queue: Mutex<PendingReceipts>,
}

/// A receipt and the time from which it may be delivered.
struct PendingReceipt {
    due_at: Instant,
    reference: String,
    status: ReceiptStatus,
}

struct PendingReceipts {
    /// The receipt that was taken from the channel and is not due yet.
    next_receipt: Option<PendingReceipt>,
    receiver: mpsc::Receiver<PendingReceipt>,
}

impl MockProvider {
    /// Returns the mock that the settings describe.
    pub(super) fn new(context: &AdapterContext, settings: &MockSettings) -> Result<Self> {
        let (receipt_sender, receiver) = mpsc::channel(PENDING_RECEIPTS_MAX);
        Ok(Self {
            settings: settings.clone(),
            name: context.name.clone(),
            call_timeout: context.limits.call_timeout,
            random: settings.seed.map_or_else(Random::default, Random::seeded),
            clock: context.clock.clone(),
            sent_count: AtomicU64::new(0),
            expected_receipts: AtomicU64::new(0),
            receipt_sender,
            receipt_queue: Mutex::new(PendingReceipts { next_receipt: None, receiver }),
        })
    }

    /// Draws the duration of a call from an exponential distribution.
    fn draw_latency(&self, random: &Random) -> Duration {
        // The number is drawn even for a mean of zero, so that the result of a message does not depend on `mean_time`.
        let factor = -(1.0 - random.fraction()).ln();
        let seconds = self.settings.mean_time.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(self.call_timeout)
    }

    fn choose_result(&self, message: &OutboundMessage, random: &Random) -> ScriptedResult {
        let outcomes = &self.settings.outcomes;
        if let Some(scripted) = outcomes.get(&message.to).or_else(|| outcomes.get(&message.spelling)) {
            return *scripted;
        }
        let drawn_kind = draw_share(self.settings.outcome_shares(), random.fraction());
        ScriptedResult::Outcome(drawn_kind.unwrap_or(OutcomeKind::Accepted))
    }

    fn outcome(&self, result: ScriptedResult, message: &OutboundMessage, random: &Random) -> Outcome {
        let outcome_kind = result.outcome_kind();
        let reference = (outcome_kind == OutcomeKind::Accepted).then(|| self.new_reference(message));
        if let Some(reference) = &reference {
            self.schedule_receipts(result, reference, random);
        }
        outcome_kind.into_outcome(reference, MOCK_REASON.to_owned(), None)
    }

    /// Returns a reference that is unique in a store, even after a restart with the same seed.
    fn new_reference(&self, message: &OutboundMessage) -> String {
        let earlier_sends = self.sent_count.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{}-{earlier_sends}", self.name, message.delivery_id, message.round)
    }

    /// Schedules the receipts of an accepted message.
    fn schedule_receipts(&self, result: ScriptedResult, reference: &str, random: &Random) {
        let shares = &self.settings.receipts;
        let receipt_kind = match result {
            ScriptedResult::Receipt(kind) => Some(kind),
            ScriptedResult::Outcome(_) if shares.is_empty() => return,
            ScriptedResult::Outcome(_) => draw_share(shares.shares(), random.fraction()),
        };
        let Some(receipt_status) = receipt_kind.map(ReceiptKind::receipt_status) else {
            return;
        };
        let is_opened = receipt_status == ReceiptStatus::Delivered
            && shares.opened > 0.0
            && random.fraction() < shares.opened;
        let due_at = Instant::now() + self.settings.receipt_delay;
        let opened = is_opened.then_some(ReceiptStatus::Opened);
        for receipt_status in [Some(receipt_status), opened].into_iter().flatten() {
            let pending = PendingReceipt { due_at, reference: reference.to_owned(), status: receipt_status };
            if self.receipt_sender.try_send(pending).is_err() {
                log::debug!("mock: receipt dropped: queue full provider={}", self.name);
                continue;
            }
            self.expected_receipts.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Provider for MockProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let message_seed = self.settings.seed.filter(|_| self.settings.seed_by == SeedBy::Message);
        let message_random = message_seed.map(|seed| seeded_random(seed, message));
        let random = message_random.as_ref().unwrap_or(&self.random);
        let latency = self.draw_latency(random);
        if latency > self.call_timeout {
            sleep(self.call_timeout).await;
            let reason = format!("no response within {:?}", self.call_timeout);
            return Outcome::Unknown { reason }.into();
        }
        if !latency.is_zero() {
            sleep(latency).await;
        }
        self.outcome(self.choose_result(message, random), message, random).into()
    }

    /// Returns the receipts that are due. Cancel-safe: a receipt that was taken and not returned is kept for the next
    /// call.
    async fn receive(&self) -> Vec<CallbackItem> {
        let mut queue = self.receipt_queue.lock().await;
        if queue.next_receipt.is_none() {
            queue.next_receipt = queue.receiver.recv().await;
        }
        if let Some(pending) = &queue.next_receipt {
            sleep_until(pending.due_at).await;
        }
        let now = Instant::now();
        let mut receipts = Vec::new();
        while let Some(pending) = queue.next_receipt.take().or_else(|| queue.receiver.try_recv().ok()) {
            if pending.due_at > now || receipts.len() == RECEIVE_BATCH_MAX {
                queue.next_receipt = Some(pending);
                break;
            }
            receipts.push(CallbackItem::Receipt(Receipt {
                reference: pending.reference,
                status: pending.status,
                at: self.clock.now(),
            }));
        }
        receipts
    }

    fn expected_receipt_count(&self) -> u64 {
        self.expected_receipts.load(Ordering::Relaxed)
    }

    fn address_kind(&self) -> AddressKind {
        self.settings.address
    }

    fn is_replaceable(&self) -> bool {
        false
    }

    fn endpoint(&self) -> (String, u16) {
        ("mock".to_owned(), 0)
    }

    fn is_mock(&self) -> bool {
        true
    }
}

/// Returns the random source of one round of one delivery, which is the same in every run.
fn seeded_random(seed: u64, message: &OutboundMessage) -> Random {
    let delivery = u64::from_ne_bytes(message.delivery_id.0.to_ne_bytes());
    let round = u64::from(message.round).rotate_right(8);
    Random::seeded(seed.rotate_right(24) ^ delivery ^ round)
}

async fn sleep_until(time: Instant) {
    let remaining = time.saturating_duration_since(Instant::now());
    if !remaining.is_zero() {
        sleep(remaining).await;
    }
}
