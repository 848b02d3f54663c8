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

use super::fate::Fate;
use super::{Call, CallLimits, Parcel, Provider, Refusal};
use crate::clock::{Clock, pause};
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Name;
use crate::domain::inbound::Incoming;
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::recipient::AddressKind;

pub use settings::Settings;
use settings::{Aim, SeedBy, Verdicts};

/// The most receipts that wait to be fetched; more are lost, as happens with real providers.
const RECEIPTS_WAITING_MAX: usize = 100_000;

/// The most receipts handed out at once.
const RECEIPTS_BATCH_MAX: usize = 1_024;

/// The mock.
pub struct Mock {
    name: Name,
    mean_time: Duration,
    call_limit: Duration,
    shares: Vec<(f64, Fate)>,
    verdicts: Verdicts,
    receipt_delay: Duration,
    fates: BTreeMap<String, Aim>,
    address: AddressKind,
    dice: Dice,
    /// Where the luck goes by the message.
    seed: Option<u64>,
    sent: AtomicU64,
    promised: AtomicU64,
    coming: mpsc::Sender<Due>,
    arriving: Mutex<Arriving>,
}

/// A receipt and when it may be heard.
struct Due {
    at: Instant,
    reference: String,
    verdict: Verdict,
}

struct Arriving {
    /// Taken from the channel, but not due yet.
    next: Option<Due>,
    rest: mpsc::Receiver<Due>,
}

impl Mock {
    /// A mock that follows the settings.
    pub fn new(name: &Name, settings: &Settings, limits: &CallLimits) -> Self {
        let (coming, rest) = mpsc::channel(RECEIPTS_WAITING_MAX);
        Self {
            name: name.clone(),
            mean_time: settings.mean_time,
            call_limit: limits.call,
            shares: settings.shares().to_vec(),
            verdicts: settings.receipts.clone(),
            receipt_delay: settings.receipt_delay,
            fates: settings.fates.clone(),
            address: settings.address,
            dice: settings.seed.map_or_else(Dice::default, Dice::seeded),
            seed: settings.seed.filter(|_| settings.seed_by == SeedBy::Message),
            sent: AtomicU64::new(0),
            promised: AtomicU64::new(0),
            coming,
            arriving: Mutex::new(Arriving { next: None, rest }),
        }
    }

    /// How long this call takes: exponentially spread around the mean.
    fn time(&self, dice: &Dice) -> Duration {
        // Thrown in any case, so that a message meets the same fate whatever time it takes.
        let times = -(1.0 - dice.luck()).ln();
        Duration::try_from_secs_f64(self.mean_time.as_secs_f64() * times).unwrap_or(self.call_limit)
    }

    fn aim(&self, parcel: &Parcel, dice: &Dice) -> Aim {
        let wanted = self
            .fates
            .get(&parcel.to)
            .or_else(|| self.fates.get(&parcel.spelling));
        if let Some(aim) = wanted {
            return *aim;
        }
        let luck = dice.luck();
        let mut sum = 0.0;
        for (share, fate) in &self.shares {
            sum += share;
            if luck < sum {
                return Aim::Outcome(*fate);
            }
        }
        Aim::Outcome(Fate::Accepted)
    }

    fn outcome(&self, aim: Aim, parcel: &Parcel, dice: &Dice) -> Outcome {
        let fate = aim.fate();
        let reference = (fate == Fate::Accepted).then(|| self.reference(parcel));
        if let Some(reference) = &reference {
            self.promise(aim, reference, dice);
        }
        fate.outcome(reference, "the mock was told to".to_owned(), None)
    }

    /// Unlike any other of this store, also after a restart with the same seed.
    fn reference(&self, parcel: &Parcel) -> String {
        let count = self.sent.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{}-{count}", self.name, parcel.delivery, parcel.round)
    }

    /// Puts down the receipts of an accepted message.
    fn promise(&self, aim: Aim, reference: &str, dice: &Dice) {
        let verdict = match aim {
            Aim::Receipt(verdict) => Some(verdict),
            Aim::Outcome(_) if self.verdicts.is_silent() => return,
            Aim::Outcome(_) => self.verdicts.drawn(dice.luck()),
        };
        let Some(verdict) = verdict.map(|verdict| verdict.verdict()) else {
            return;
        };
        let opened =
            verdict == Verdict::Delivered && self.verdicts.opened > 0.0 && dice.luck() < self.verdicts.opened;
        let at = Instant::now() + self.receipt_delay;
        for verdict in [Some(verdict), opened.then_some(Verdict::Opened)]
            .into_iter()
            .flatten()
        {
            let due = Due {
                at,
                reference: reference.to_owned(),
                verdict,
            };
            if self.coming.try_send(due).is_err() {
                log::debug!("{}: a receipt is lost, too many wait", self.name);
                continue;
            }
            self.promised.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Provider for Mock {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let own = self.seed.map(|seed| luck_of(seed, parcel));
        let dice = own.as_ref().unwrap_or(&self.dice);
        let time = self.time(dice);
        if time > self.call_limit {
            pause(self.call_limit).await;
            let reason = format!("no answer within {:?}", self.call_limit);
            return Outcome::Unknown { reason }.into();
        }
        if !time.is_zero() {
            pause(time).await;
        }
        self.outcome(self.aim(parcel, dice), parcel, dice).into()
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    /// May be dropped at any await: what was taken but not handed out stays for the next call.
    async fn incoming(&self) -> Vec<Incoming> {
        let mut arriving = self.arriving.lock().await;
        if arriving.next.is_none() {
            arriving.next = arriving.rest.recv().await;
        }
        if let Some(due) = &arriving.next {
            pause_until(due.at).await;
        }
        let now = Instant::now();
        let mut receipts = Vec::new();
        while let Some(due) = arriving.next.take().or_else(|| arriving.rest.try_recv().ok()) {
            if due.at > now || receipts.len() == RECEIPTS_BATCH_MAX {
                arriving.next = Some(due);
                break;
            }
            receipts.push(Incoming::Receipt(Receipt {
                reference: due.reference,
                verdict: due.verdict,
                at: Clock::System.now(),
            }));
        }
        receipts
    }

    fn promised(&self) -> u64 {
        self.promised.load(Ordering::Relaxed)
    }

    fn address(&self) -> AddressKind {
        self.address
    }

    fn place(&self) -> (String, u16) {
        ("mock".to_owned(), 0)
    }

    fn is_sandbox(&self) -> bool {
        true
    }
}

/// The luck of one round of one delivery: the same on every run, and no other's.
fn luck_of(seed: u64, parcel: &Parcel) -> Dice {
    let delivery = u64::from_ne_bytes(parcel.delivery.0.to_ne_bytes());
    let round = u64::from(parcel.round).rotate_right(8);
    Dice::seeded(seed.rotate_right(24) ^ delivery ^ round)
}

async fn pause_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        pause(left).await;
    }
}
