//! A round over a channel whose providers want different kinds of addresses.

use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::clock::Timestamp;
use crate::config::ProviderConfig;
use crate::domain::channel::{Addressing, Name};
use crate::domain::message::Delivery;
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::recipient::{AddressKind, Recipient, Standing};
use crate::domain::route::Strategy;
use crate::flow::accept::{Missing, Refused};
use crate::flow::settle;

const PUSH: &str = "token-1";
const EMAIL: &str = "ada@example.org";
const PHONE: &str = "+989122222222";

/// Answers always the same, and keeps what it was given.
struct Carrier {
    address: AddressKind,
    outcome: Outcome,
    given: Mutex<Vec<Parcel>>,
}

#[async_trait]
impl Provider for Carrier {
    async fn send(&self, parcel: &Parcel) -> Answer {
        self.given.lock().unwrap().push(parcel.clone());
        self.outcome.clone().into()
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn address(&self) -> AddressKind {
        self.address
    }

    fn place(&self) -> (String, u16) {
        ("carrier".to_owned(), 0)
    }
}

struct World {
    gateway: Gateway,
    carriers: Vec<Arc<Carrier>>,
    _folder: TempDir,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn takes() -> Outcome {
    Outcome::Accepted { reference: None }
}

fn is_down() -> Outcome {
    Outcome::Unavailable {
        reason: "down".to_owned(),
    }
}

fn knows_nobody() -> Outcome {
    Outcome::InvalidRecipient {
        reason: "unknown".to_owned(),
    }
}

impl World {
    /// One channel, `mix`, over these providers in order, each named after the address it wants.
    async fn new(outcomes: &[(AddressKind, Outcome)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = store::open(&url, Duration::from_secs(5)).unwrap();
        let edges = Edges {
            clock: Clock::System,
            dice: Dice::seeded(1),
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
            queue: queue::open("memory:", 10).await.unwrap(),
            store,
        };
        let mut config = Config::sandbox();
        config.providers.clear();
        let mut carriers = Vec::new();
        for (address, outcome) in outcomes {
            let settings = toml::Table::new();
            config
                .providers
                .push(ProviderConfig::new(name(address.word()), "mock", settings));
            carriers.push(Arc::new(Carrier {
                address: *address,
                outcome: outcome.clone(),
                given: Mutex::default(),
            }));
        }
        let channel = &mut config.channels[0];
        channel.name = name("mix");
        channel.strategy = Strategy::Failover;
        channel.providers = config
            .providers
            .iter()
            .map(|provider| provider.name.clone())
            .collect();
        channel.subject = Some("News".to_owned());
        config.used_channels = vec![name("mix")];
        let adapters = carriers
            .iter()
            .map(|carrier| Arc::clone(carrier) as Arc<dyn Provider>);
        Self {
            gateway: Gateway::wire(config, edges, adapters.collect()),
            carriers,
            _folder: folder,
        }
    }

    /// Sends one message to these contacts and says what became of it.
    async fn send(&self, contacts: &[(AddressKind, &str)]) -> Delivery {
        let id = accept::accept(&self.gateway, to(contacts)).await.unwrap().id;
        assert_eq!(step(&self.gateway, 1, Duration::ZERO).await, Step::Delivered(1));
        let message = self.gateway.store.find(id).await.unwrap().unwrap();
        message.deliveries.into_iter().next().unwrap()
    }

    fn given(&self, carrier: usize) -> Vec<String> {
        let given = self.carriers[carrier].given.lock().unwrap();
        given.iter().map(|parcel| parcel.to.clone()).collect()
    }

    fn subjects(&self, carrier: usize) -> Vec<String> {
        let given = self.carriers[carrier].given.lock().unwrap();
        given.iter().filter_map(|parcel| parcel.subject.clone()).collect()
    }

    async fn standing(&self, address: &str) -> Standing {
        let said = self.gateway.store.recipient(&name("mix"), address).await.unwrap();
        said.map_or(Standing::Active, |said| said.standing)
    }
}

fn to(contacts: &[(AddressKind, &str)]) -> Request {
    let contacts = contacts.iter().map(|(kind, typed)| (*kind, (*typed).to_owned()));
    Request {
        body: "hello".to_owned(),
        over: vec!["mix".to_owned()],
        contacts: contacts.collect(),
        ..Request::default()
    }
}

fn all() -> [(AddressKind, &'static str); 3] {
    [
        (AddressKind::Phone, "0912 222 2222"),
        (AddressKind::Email, EMAIL),
        (AddressKind::Push, PUSH),
    ]
}

/// Provider, outcome and address of each attempt.
fn attempts(delivery: &Delivery) -> Vec<String> {
    let line = |attempt: &crate::domain::message::RecordedAttempt| {
        let provider = attempt.provider.as_ref().map_or("-", Name::as_str);
        let address = attempt.address.as_deref().unwrap_or("-");
        format!("{provider}: {} {address}", attempt.outcome)
    };
    delivery.attempts.iter().map(line).collect()
}

#[tokio::test]
async fn each_provider_is_given_the_address_it_wants() {
    let world = World::new(&[
        (AddressKind::Push, is_down()),
        (AddressKind::Email, is_down()),
        (AddressKind::Phone, takes()),
    ])
    .await;
    let delivery = world.send(&all()).await;
    assert_eq!(
        attempts(&delivery),
        [
            "push: unavailable token-1",
            "email: unavailable ada@example.org",
            "phone: accepted +989122222222"
        ]
    );
    assert_eq!(delivery.state.standing().word(), "sent");
    assert_eq!(
        (delivery.address.as_str(), delivery.spelling.as_str()),
        (PUSH, PUSH)
    );
    let last = world.carriers[2].given.lock().unwrap()[0].clone();
    assert_eq!(
        (last.to.as_str(), last.spelling.as_str()),
        (PHONE, "0912 222 2222")
    );
}

#[tokio::test]
async fn who_finds_no_address_is_skipped_and_the_reason_says_so() {
    let world = World::new(&[(AddressKind::Push, takes()), (AddressKind::Email, is_down())]).await;
    let delivery = world.send(&all()[..2]).await;
    assert_eq!(attempts(&delivery), ["email: unavailable ada@example.org"]);
    let crate::domain::delivery::State::Waiting { reason, .. } = delivery.state else {
        panic!("{delivery:?}");
    };
    let words = "email: down; push: skipped, there is no push token it can use";
    assert_eq!(reason.as_deref(), Some(words));
    assert_eq!(world.given(0), Vec::<String>::new());
}

#[tokio::test]
async fn a_dead_address_becomes_inactive_and_the_next_one_is_used() {
    let world = World::new(&[(AddressKind::Push, knows_nobody()), (AddressKind::Email, takes())]).await;
    let delivery = world.send(&all()).await;
    assert_eq!(
        attempts(&delivery),
        [
            "push: invalid_recipient token-1",
            "email: accepted ada@example.org"
        ]
    );
    assert_eq!(delivery.state.standing().word(), "sent");
    assert_eq!(world.standing(PUSH).await, Standing::Inactive);
    assert_eq!(world.standing(EMAIL).await, Standing::Active);
    let again = world.send(&all()).await;
    assert_eq!(attempts(&again), ["email: accepted ada@example.org"]);
}

#[tokio::test]
async fn a_receipt_that_calls_an_address_dead_sends_to_the_next_one_at_once() {
    let reference = Some("p-1".to_owned());
    let world = World::new(&[
        (AddressKind::Push, Outcome::Accepted { reference }),
        (AddressKind::Email, takes()),
    ])
    .await;
    let delivery = world.send(&all()).await;
    assert_eq!(attempts(&delivery), ["push: accepted token-1"]);
    for _ in 0..5 {
        let receipt = Receipt {
            reference: "p-1".to_owned(),
            verdict: Verdict::Invalid {
                reason: "gone".to_owned(),
            },
            at: world.gateway.clock.now(),
        };
        settle::settle(&world.gateway, &name("push"), vec![receipt])
            .await
            .unwrap();
    }
    assert_eq!(step(&world.gateway, 1, Duration::ZERO).await, Step::Delivered(1));
    assert_eq!(world.given(1), [EMAIL]);
    assert_eq!(world.standing(PUSH).await, Standing::Inactive);
}

#[tokio::test]
async fn when_every_address_is_dead_the_delivery_has_failed() {
    let world = World::new(&[
        (AddressKind::Push, knows_nobody()),
        (AddressKind::Email, knows_nobody()),
    ])
    .await;
    let delivery = world.send(&all()).await;
    assert_eq!(attempts(&delivery).len(), 2);
    assert_eq!(delivery.state.standing().word(), "failed");
    for address in [PUSH, EMAIL] {
        assert_eq!(world.standing(address).await, Standing::Inactive);
    }
    let refused = accept::accept(&world.gateway, to(&all())).await.unwrap_err();
    assert!(matches!(refused, Refused::Suppressed), "{refused:?}");
}

#[tokio::test]
async fn when_no_address_is_left_nobody_is_asked() {
    let world = World::new(&[(AddressKind::Push, takes()), (AddressKind::Email, takes())]).await;
    let id = accept::accept(&world.gateway, to(&all()[2..])).await.unwrap().id;
    let recipient = Recipient {
        channel: name("mix"),
        address: PUSH.to_owned(),
        standing: Standing::OptedOut,
        reason: "STOP".to_owned(),
        changed_by: "ada".to_owned(),
        changed_at: Timestamp::default(),
    };
    world.gateway.store.set_recipient(recipient).await.unwrap();
    assert_eq!(step(&world.gateway, 1, Duration::ZERO).await, Step::Delivered(1));
    let message = world.gateway.store.find(id).await.unwrap().unwrap();
    let words =
        "no address that this channel's providers can use (push token, e-mail address) may be written to";
    let crate::domain::delivery::State::Failed { reason, .. } = &message.deliveries[0].state else {
        panic!("{message:?}");
    };
    assert_eq!(reason, words);
    assert_eq!(message.deliveries[0].attempts, []);
    assert_eq!(world.standing(PUSH).await, Standing::OptedOut);
}

#[tokio::test]
async fn on_a_channel_of_one_kind_a_dead_address_is_the_end() {
    let world = World::new(&[(AddressKind::Any, knows_nobody()), (AddressKind::Phone, takes())]).await;
    let delivery = world.send(&all()).await;
    assert_eq!(attempts(&delivery), ["any: invalid_recipient -"]);
    assert_eq!(delivery.state.standing().word(), "failed");
    assert_eq!(world.standing(PHONE).await, Standing::Inactive);
}

#[tokio::test]
async fn what_a_client_writes_as_one_address_goes_where_it_fits() {
    let world = World::new(&[(AddressKind::Push, takes()), (AddressKind::Email, takes())]).await;
    let request = Request {
        to: vec![("mix".to_owned(), "ada@EXAMPLE.org".to_owned())],
        body: "hello".to_owned(),
        ..Request::default()
    };
    accept::accept(&world.gateway, request).await.unwrap();
    step(&world.gateway, 1, Duration::ZERO).await;
    assert_eq!(world.given(1), [EMAIL]);
}

#[tokio::test]
async fn contacts_that_are_wrong_or_missing_are_refused_unless_they_may_fail_alone() {
    let world = World::new(&[(AddressKind::Push, takes()), (AddressKind::Email, takes())]).await;
    let bad = [(AddressKind::Email, "ada"), (AddressKind::Push, PUSH)];
    let refused = accept::accept(&world.gateway, to(&bad)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            Refused::BadContact {
                kind: AddressKind::Email,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = accept::accept(&world.gateway, to(&all()[..1])).await.unwrap_err();
    assert!(matches!(refused, Refused::NoAddress { .. }), "{refused:?}");
    let alone = Request {
        missing: Missing::FailAlone,
        ..to(&bad)
    };
    accept::accept(&world.gateway, alone).await.unwrap();
    step(&world.gateway, 1, Duration::ZERO).await;
    assert_eq!(world.given(0), [PUSH]);
}

#[tokio::test]
async fn the_subject_is_the_messages_own_else_the_channels() {
    let world = World::new(&[(AddressKind::Email, takes())]).await;
    world.send(&all()).await;
    let own = Request {
        subject: Some("Your code".to_owned()),
        ..to(&all())
    };
    accept::accept(&world.gateway, own).await.unwrap();
    step(&world.gateway, 1, Duration::ZERO).await;
    assert_eq!(world.subjects(0), ["News", "Your code"]);
    let bad = Request {
        subject: Some("a\r\nBcc: b".to_owned()),
        ..to(&all())
    };
    let refused = accept::accept(&world.gateway, bad).await.unwrap_err();
    assert!(matches!(refused, Refused::BadSubject(255)), "{refused:?}");
}

#[test]
fn a_channel_takes_what_its_providers_want_unless_it_says_otherwise() {
    use AddressKind::{Any, Email, Phone, Push, Url};
    let kinds = |address: Addressing, wanted: &[AddressKind]| address.kinds(wanted.iter().copied());
    assert_eq!(kinds(Addressing::ByProviders(Phone), &[Any, Any]), [Phone]);
    assert_eq!(kinds(Addressing::ByProviders(Phone), &[Any, Url]), [Url]);
    assert_eq!(
        kinds(Addressing::ByProviders(Phone), &[Push, Email, Push]),
        [Push, Email]
    );
    assert_eq!(kinds(Addressing::Only(Phone), &[Push, Email]), [Phone]);
    assert_eq!(kinds(Addressing::Mixed, &[Any]).len(), 5);
}
