//! A mock provider: takes time, fails and sends receipts as configured. Nothing is sent.
//!
//! For tests, demonstrations and measurements. With a seed, every run has the same results.

mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::outcome_kind::OutcomeKind;
use super::{AdapterContext, OutboundMessage, Provider};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, sleep};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::name::ConfigName;
use postrider_core::random::Random;
use postrider_core::receipt::{Receipt, ReceiptStatus};

pub use settings::MockSettings;
use settings::{ReceiptKind, ReceiptShares, ScriptedResult, SeedBy};

/// Maximum number of pending receipts; further ones are dropped, as real providers do.
const PENDING_RECEIPTS_MAX: usize = 100_000;

/// Maximum number of receipts that [`Provider::receive`] returns at once.
const RECEIVE_BATCH_MAX: usize = 1_024;

/// A mock provider.
pub struct MockProvider {
    name: ConfigName,
    mean_call_time: Duration,
    call_timeout: Duration,
    outcome_shares: Vec<(f64, OutcomeKind)>,
    receipt_shares: ReceiptShares,
    receipt_delay: Duration,
    outcomes_by_address: BTreeMap<String, ScriptedResult>,
    address_kind: AddressKind,
    random: Random,
    clock: Clock,
    /// Seed for the random numbers of each message; none if the order of the calls decides (`seed_by = "call"`).
    seed: Option<u64>,
    sent_count: AtomicU64,
    expected_receipts: AtomicU64,
    receipt_sender: mpsc::Sender<PendingReceipt>,
    receipt_queue: Mutex<PendingReceipts>,
}

/// A receipt that is due at a time.
struct PendingReceipt {
    due_at: Instant,
    reference: String,
    status: ReceiptStatus,
}

struct PendingReceipts {
    /// Taken from the channel, but not due yet.
    next_receipt: Option<PendingReceipt>,
    receiver: mpsc::Receiver<PendingReceipt>,
}

impl MockProvider {
    /// Creates the mock.
    pub(super) fn new(context: &AdapterContext, settings: &MockSettings) -> Result<Self> {
        let (receipt_sender, receiver) = mpsc::channel(PENDING_RECEIPTS_MAX);
        Ok(Self {
            name: context.name.clone(),
            mean_call_time: settings.mean_time,
            call_timeout: context.limits.call_timeout,
            outcome_shares: settings.outcome_shares().to_vec(),
            receipt_shares: settings.receipts.clone(),
            receipt_delay: settings.receipt_delay,
            outcomes_by_address: settings.outcomes.clone(),
            address_kind: settings.address,
            random: settings.seed.map_or_else(Random::default, Random::seeded),
            clock: context.clock.clone(),
            seed: settings.seed.filter(|_| settings.seed_by == SeedBy::Message),
            sent_count: AtomicU64::new(0),
            expected_receipts: AtomicU64::new(0),
            receipt_sender,
            receipt_queue: Mutex::new(PendingReceipts { next_receipt: None, receiver }),
        })
    }

    /// Draws the duration of a call from an exponential distribution.
    fn draw_latency(&self, random: &Random) -> Duration {
        // Drawn even for a mean of zero, so that the result of a message does not depend on `mean_time`.
        let factor = -(1.0 - random.fraction()).ln();
        Duration::try_from_secs_f64(self.mean_call_time.as_secs_f64() * factor).unwrap_or(self.call_timeout)
    }

    fn choose_result(&self, message: &OutboundMessage, random: &Random) -> ScriptedResult {
        let scripted = self
            .outcomes_by_address
            .get(&message.to)
            .or_else(|| self.outcomes_by_address.get(&message.spelling));
        if let Some(scripted) = scripted {
            return *scripted;
        }
        let draw = random.fraction();
        let mut sum = 0.0;
        for (share, kind) in &self.outcome_shares {
            sum += share;
            if draw < sum {
                return ScriptedResult::Outcome(*kind);
            }
        }
        ScriptedResult::Outcome(OutcomeKind::Accepted)
    }

    fn outcome(&self, result: ScriptedResult, message: &OutboundMessage, random: &Random) -> Outcome {
        let kind = result.outcome_kind();
        let reference = (kind == OutcomeKind::Accepted).then(|| self.new_reference(message));
        if let Some(reference) = &reference {
            self.schedule_receipts(result, reference, random);
        }
        kind.into_outcome(reference, "configured in the mock".to_owned(), None)
    }

    /// Returns a reference that is unique in a store, even after a restart with the same seed.
    fn new_reference(&self, message: &OutboundMessage) -> String {
        let count = self.sent_count.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{}-{count}", self.name, message.delivery_id, message.round)
    }

    /// Schedules the receipts of an accepted message.
    fn schedule_receipts(&self, result: ScriptedResult, reference: &str, random: &Random) {
        let kind = match result {
            ScriptedResult::Receipt(kind) => Some(kind),
            ScriptedResult::Outcome(_) if self.receipt_shares.is_empty() => return,
            ScriptedResult::Outcome(_) => self.receipt_shares.draw(random.fraction()),
        };
        let Some(status) = kind.map(ReceiptKind::receipt_status) else {
            return;
        };
        let is_opened = status == ReceiptStatus::Delivered
            && self.receipt_shares.opened > 0.0
            && random.fraction() < self.receipt_shares.opened;
        let due_at = Instant::now() + self.receipt_delay;
        let opened = is_opened.then_some(ReceiptStatus::Opened);
        for status in [Some(status), opened].into_iter().flatten() {
            let pending = PendingReceipt { due_at, reference: reference.to_owned(), status };
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
        let seeded = self.seed.map(|seed| seeded_random(seed, message));
        let random = seeded.as_ref().unwrap_or(&self.random);
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

    /// Cancel-safe: a receipt that was taken and not returned is kept for the next call.
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
        self.address_kind
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
