//! A provider that only plays one: it takes its time, fails as often as it is told, and may send receipts.
//!
//! For a first look, for tests and for measuring. Nothing ever leaves. With a seed it replays the same luck.

mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::outcome_kind::OutcomeKind;
use super::{AdapterContext, CallbackError, CallbackRequest, OutboundMessage, Provider};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::channel::ConfigName;
use postrider_core::clock::{Clock, sleep};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::random::Random;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::AddressKind;

pub use settings::MockSettings;
use settings::{ReceiptShares, ScriptedResult, SeedBy};

/// The most receipts that wait to be fetched; more are lost, as happens with real providers.
const PENDING_RECEIPTS_MAX: usize = 100_000;

/// The most receipts handed out at once.
const RECEIPTS_BATCH_MAX: usize = 1_024;

/// The mock.
pub struct MockProvider {
    name: ConfigName,
    mean_time: Duration,
    call_timeout: Duration,
    outcome_shares: Vec<(f64, OutcomeKind)>,
    receipt_shares: ReceiptShares,
    receipt_delay: Duration,
    outcomes_by_address: BTreeMap<String, ScriptedResult>,
    address_kind: AddressKind,
    random: Random,
    /// Where the luck goes by the message.
    seed: Option<u64>,
    sent_count: AtomicU64,
    expected_receipts: AtomicU64,
    receipt_sender: mpsc::Sender<PendingReceipt>,
    receipt_queue: Mutex<PendingReceipts>,
}

/// A receipt and when it may be heard.
struct PendingReceipt {
    due_at: Instant,
    reference: String,
    status: ReceiptStatus,
}

struct PendingReceipts {
    /// Taken from the channel, but not due yet.
    peeked: Option<PendingReceipt>,
    receiver: mpsc::Receiver<PendingReceipt>,
}

impl MockProvider {
    /// A mock that follows the settings.
    pub(super) fn new(context: &AdapterContext, settings: &MockSettings) -> Result<Self> {
        let (coming, rest) = mpsc::channel(PENDING_RECEIPTS_MAX);
        Ok(Self {
            name: context.name.clone(),
            mean_time: settings.mean_time,
            call_timeout: context.limits.call_timeout,
            outcome_shares: settings.outcome_shares().to_vec(),
            receipt_shares: settings.receipts.clone(),
            receipt_delay: settings.receipt_delay,
            outcomes_by_address: settings.outcomes.clone(),
            address_kind: settings.address,
            random: settings.seed.map_or_else(Random::default, Random::seeded),
            seed: settings.seed.filter(|_| settings.seed_by == SeedBy::Message),
            sent_count: AtomicU64::new(0),
            expected_receipts: AtomicU64::new(0),
            receipt_sender: coming,
            receipt_queue: Mutex::new(PendingReceipts {
                peeked: None,
                receiver: rest,
            }),
        })
    }

    /// How long this call takes: exponentially spread around the mean.
    fn draw_latency(&self, dice: &Random) -> Duration {
        // Thrown in any case, so that a message meets the same fate whatever time it takes.
        let times = -(1.0 - dice.fraction()).ln();
        Duration::try_from_secs_f64(self.mean_time.as_secs_f64() * times).unwrap_or(self.call_timeout)
    }

    fn choose_result(&self, parcel: &OutboundMessage, dice: &Random) -> ScriptedResult {
        let wanted = self
            .outcomes_by_address
            .get(&parcel.to)
            .or_else(|| self.outcomes_by_address.get(&parcel.spelling));
        if let Some(aim) = wanted {
            return *aim;
        }
        let luck = dice.fraction();
        let mut sum = 0.0;
        for (share, fate) in &self.outcome_shares {
            sum += share;
            if luck < sum {
                return ScriptedResult::Outcome(*fate);
            }
        }
        ScriptedResult::Outcome(OutcomeKind::Accepted)
    }

    fn outcome(&self, aim: ScriptedResult, parcel: &OutboundMessage, dice: &Random) -> Outcome {
        let fate = aim.outcome_kind();
        let reference = (fate == OutcomeKind::Accepted).then(|| self.new_reference(parcel));
        if let Some(reference) = &reference {
            self.schedule_receipts(aim, reference, dice);
        }
        fate.into_outcome(reference, "the mock was told to".to_owned(), None)
    }

    /// Unlike any other of this store, also after a restart with the same seed.
    fn new_reference(&self, parcel: &OutboundMessage) -> String {
        let count = self.sent_count.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{}-{count}", self.name, parcel.delivery_id, parcel.round)
    }

    /// Puts down the receipts of an accepted message.
    fn schedule_receipts(&self, aim: ScriptedResult, reference: &str, dice: &Random) {
        let verdict = match aim {
            ScriptedResult::Receipt(verdict) => Some(verdict),
            ScriptedResult::Outcome(_) if self.receipt_shares.is_empty() => return,
            ScriptedResult::Outcome(_) => self.receipt_shares.draw(dice.fraction()),
        };
        let Some(verdict) = verdict.map(|verdict| verdict.receipt_status()) else {
            return;
        };
        let opened = verdict == ReceiptStatus::Delivered
            && self.receipt_shares.opened > 0.0
            && dice.fraction() < self.receipt_shares.opened;
        let at = Instant::now() + self.receipt_delay;
        for verdict in [Some(verdict), opened.then_some(ReceiptStatus::Opened)]
            .into_iter()
            .flatten()
        {
            let due = PendingReceipt {
                due_at: at,
                reference: reference.to_owned(),
                status: verdict,
            };
            if self.receipt_sender.try_send(due).is_err() {
                log::debug!("{}: a receipt is lost, too many wait", self.name);
                continue;
            }
            self.expected_receipts.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Provider for MockProvider {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let own = self.seed.map(|seed| seeded_random(seed, parcel));
        let dice = own.as_ref().unwrap_or(&self.random);
        let time = self.draw_latency(dice);
        if time > self.call_timeout {
            sleep(self.call_timeout).await;
            let reason = format!("no answer within {:?}", self.call_timeout);
            return Outcome::Unknown { reason }.into();
        }
        if !time.is_zero() {
            sleep(time).await;
        }
        self.outcome(self.choose_result(parcel, dice), parcel, dice)
            .into()
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    /// May be dropped at any await: what was taken but not handed out stays for the next call.
    async fn receive(&self) -> Vec<CallbackItem> {
        let mut arriving = self.receipt_queue.lock().await;
        if arriving.peeked.is_none() {
            arriving.peeked = arriving.receiver.recv().await;
        }
        if let Some(due) = &arriving.peeked {
            sleep_until(due.due_at).await;
        }
        let now = Instant::now();
        let mut receipts = Vec::new();
        while let Some(due) = arriving
            .peeked
            .take()
            .or_else(|| arriving.receiver.try_recv().ok())
        {
            if due.due_at > now || receipts.len() == RECEIPTS_BATCH_MAX {
                arriving.peeked = Some(due);
                break;
            }
            receipts.push(CallbackItem::Receipt(Receipt {
                reference: due.reference,
                status: due.status,
                at: Clock::System.now(),
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

    fn endpoint(&self) -> (String, u16) {
        ("mock".to_owned(), 0)
    }

    fn is_mock(&self) -> bool {
        true
    }
}

/// The luck of one round of one delivery: the same on every run, and no other's.
fn seeded_random(seed: u64, parcel: &OutboundMessage) -> Random {
    let delivery = u64::from_ne_bytes(parcel.delivery_id.0.to_ne_bytes());
    let round = u64::from(parcel.round).rotate_right(8);
    Random::seeded(seed.rotate_right(24) ^ delivery ^ round)
}

async fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        sleep(left).await;
    }
}
