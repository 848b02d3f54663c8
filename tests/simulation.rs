//! Seeded storms over the real flow and the real store: providers that lie, workers that die, nudges that are lost,
//! receipts twice and out of order, a clock set by hand. What must hold, holds for every seed.
//!
//! `POSTRIDER_TEST_SEEDS` says how many seeds (default 20); a failing one is named and replays with
//! `POSTRIDER_TEST_SEED`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]
// A test may stop at the first surprise, and asks the environment how long it should be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postrider::cache::{self, Sealed};
use postrider::clock::{Clock, from_millis};
use postrider::config::Config;
use postrider::dice::Dice;
use postrider::domain::attempt::{Answer, Outcome};
use postrider::domain::id::MessageId;
use postrider::domain::message::{Message, Nudge};
use postrider::domain::receipt::{Receipt, Verdict};
use postrider::domain::wish::Appetite;
use postrider::flow::accept::{self, Request};
use postrider::flow::{deliver, settle, sync_report};
use postrider::gateway::{Edges, Gateway};
use postrider::provider::{Call, Parcel, Provider, Refusal};
use postrider::queue::{self, Queue};
use postrider::store;

/// Messages in one storm.
const MESSAGES: usize = 60;

/// A provider that says anything at all, and remembers to whom it really brought a message.
struct Liar {
    name: &'static str,
    dice: Arc<Dice>,
    carried: Arc<Mutex<HashMap<MessageId, u32>>>,
    references: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Provider for Liar {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let reason = "a storm".to_owned();
        let luck = self.dice.luck();
        if luck < 0.55 {
            *self.carried.lock().unwrap().entry(parcel.message).or_default() += 1;
        }
        let reference = format!("{}-{}-{}", self.name, parcel.delivery, parcel.round);
        Answer::from(match luck {
            luck if luck < 0.45 => {
                self.references.lock().unwrap().push(reference.clone());
                Outcome::Accepted {
                    reference: Some(reference),
                }
            }
            luck if luck < 0.60 => Outcome::Unknown { reason },
            luck if luck < 0.75 => Outcome::Unavailable { reason },
            luck if luck < 0.85 => Outcome::Deferred {
                reason,
                retry_after: None,
            },
            luck if luck < 0.97 => Outcome::Throttled {
                retry_after: Some(Duration::from_secs(2)),
            },
            _ => Outcome::Rejected { reason },
        })
    }

    fn receipts(&self, _call: &Call) -> Result<Vec<Receipt>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn place(&self) -> (String, u16) {
        ("liar".to_owned(), 0)
    }
}

/// A queue that loses one nudge in four.
struct Leaky {
    queue: Arc<dyn Queue>,
    dice: Arc<Dice>,
}

#[async_trait]
impl Queue for Leaky {
    fn push(&self, nudges: &[Nudge]) {
        let kept: Vec<Nudge> = nudges
            .iter()
            .filter(|_| self.dice.luck() > 0.25)
            .cloned()
            .collect();
        self.queue.push(&kept);
    }

    async fn flush(&self, wait: Duration) -> bool {
        self.queue.flush(wait).await
    }

    async fn pop(
        &self,
        appetite: &dyn Appetite,
        now: postrider::clock::Timestamp,
        _wait: Duration,
    ) -> Vec<postrider::domain::id::DeliveryId> {
        self.queue.pop(appetite, now, Duration::ZERO).await
    }

    fn ring(&self) {
        self.queue.ring();
    }

    async fn depth(&self) -> Option<u64> {
        self.queue.depth().await
    }
}

/// One storm: the gateway under test and all that the liars know.
struct Storm {
    gateway: Gateway,
    dice: Arc<Dice>,
    carried: Arc<Mutex<HashMap<MessageId, u32>>>,
    references: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dice = Arc::new(Dice::seeded(seed));
        let store = store::open(
            &format!("sqlite:{}", folder.path().join("storm.db").display()),
            store::LOCK_WAIT,
        )
        .unwrap();
        let queue = queue::open("memory:", 1_000).await.unwrap();
        let cache = Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap());
        let (carried, references) = (Arc::default(), Arc::default());
        let config = Config::sandbox();
        let liar = |name| -> Arc<dyn Provider> {
            let (dice, carried, references) =
                (Arc::clone(&dice), Arc::clone(&carried), Arc::clone(&references));
            Arc::new(Liar {
                name,
                dice,
                carried,
                references,
            })
        };
        let adapters = vec![liar("red"), liar("blue")];
        let edges = Edges {
            clock: Clock::manual(from_millis(1_800_000_000_000)),
            dice: Dice::seeded(seed ^ 1),
            store,
            queue: Arc::new(Leaky {
                queue,
                dice: Arc::clone(&dice),
            }),
            cache,
        };
        Self {
            gateway: Gateway::wire(config, edges, adapters),
            dice,
            carried,
            references,
            _folder: folder,
        }
    }

    async fn accept(&self, number: usize) -> MessageId {
        let request = Request {
            body: format!("message {number}"),
            to: vec![("sms".to_owned(), format!("0912{:07}", number % 7))],
            ..Request::default()
        };
        accept::accept(&self.gateway, request).await.unwrap().id
    }

    /// A worker takes some deliveries; one in eight dies after the call, one in eight before it.
    async fn work(&self) {
        let ids = deliver::next(&self.gateway, &5, Duration::ZERO).await;
        for claimed in deliver::claim(&self.gateway, ids).await {
            match self.dice.luck() {
                luck if luck < 0.125 => {}
                luck if luck < 0.25 => {
                    *self.carried.lock().unwrap().entry(claimed.message).or_default() += 1;
                }
                _ => deliver::round(&self.gateway, claimed).await,
            }
        }
    }

    /// Some receipt comes in: for something sent, perhaps for the second time, or for nothing we know.
    async fn receipt(&self) {
        let known = self.references.lock().unwrap().clone();
        let luck = self.dice.luck();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let reference = known.get((luck * 1.1 * known.len() as f64) as usize).cloned();
        let reference = reference.unwrap_or_else(|| format!("stray-{luck}"));
        let reason = "a storm".to_owned();
        let verdict = match self.dice.luck() {
            luck if luck < 0.6 => Verdict::Delivered,
            luck if luck < 0.8 => Verdict::Bounced { reason },
            _ => Verdict::Opened,
        };
        let receipt = Receipt {
            reference,
            verdict,
            at: self.gateway.clock.now(),
        };
        settle::settle(&self.gateway, None, vec![receipt]).await.unwrap();
    }

    async fn message(&self, id: MessageId) -> Message {
        self.gateway
            .store
            .find(id)
            .await
            .unwrap()
            .expect("an accepted message is never lost")
    }
}

async fn storm(seed: u64) {
    let storm = Storm::new(seed).await;
    let mut ids = Vec::new();
    while ids.len() < MESSAGES {
        ids.push(storm.accept(ids.len()).await);
        storm.work().await;
        storm.receipt().await;
        storm.gateway.clock.advance(Duration::from_millis(700));
    }
    for _ in 0..4_000 {
        if storm
            .gateway
            .store
            .backlog(storm.gateway.clock.now())
            .await
            .unwrap()
            .waiting
            == 0
        {
            break;
        }
        storm.work().await;
        storm.receipt().await;
        storm.gateway.clock.advance(Duration::from_secs(61));
    }
    for id in &ids {
        check_message(&storm, *id, seed).await;
    }
    check_report(&storm, seed).await;
}

/// It has ended, and was carried at most once more than its unknown attempts say.
async fn check_message(storm: &Storm, id: MessageId, seed: u64) {
    let message = storm.message(id).await;
    let delivery = &message.deliveries[0];
    let standing = delivery.state.standing().word();
    assert_ne!(standing, "waiting", "seed {seed}: {id} never ended: {delivery:?}");
    let count = |word: &str| {
        delivery
            .attempts
            .iter()
            .filter(|attempt| attempt.outcome == word)
            .count()
    };
    let carried = usize::try_from(storm.carried.lock().unwrap().get(&id).cloned().unwrap_or(0)).unwrap();
    let (accepted, unknown) = (count("accepted"), count("unknown"));
    assert!(accepted <= 1, "seed {seed}: {id} was accepted {accepted} times");
    assert!(
        carried <= accepted + unknown,
        "seed {seed}: {id} was carried {carried} times, but only {accepted} + {unknown} are shown"
    );
}

/// The report agrees with the store, and building it from nothing comes to the same.
async fn check_report(storm: &Storm, seed: u64) {
    let changed = sync_report::sync(&storm.gateway, |_| {}).await.unwrap().report;
    let whole = sync_report::sync_from_nothing(&storm.gateway, |_| {})
        .await
        .unwrap()
        .report;
    assert_eq!(
        changed, whole,
        "seed {seed}: the report from changes and the one from nothing differ"
    );
    assert_eq!(
        whole.totals.sum(),
        MESSAGES as u64,
        "seed {seed}: {:?}",
        whole.totals
    );
    assert_eq!(whole.messages, MESSAGES as u64, "seed {seed}");
}

#[tokio::test]
async fn what_must_hold_holds_in_every_storm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("POSTRIDER_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POSTRIDER_TEST_SEEDS").unwrap_or(20),
    };
    for seed in seeds {
        println!("seed {seed}");
        storm(seed).await;
    }
}
