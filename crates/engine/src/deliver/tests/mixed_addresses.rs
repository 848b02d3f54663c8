//! Tests of a round over a channel whose providers need different address kinds.

use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::accept::{AcceptError, MissingAddressPolicy};
use crate::config::ProviderConfig;
use crate::receipts;
use postrider_core::channel::{Addressing, ConfigName};
use postrider_core::clock::Timestamp;
use postrider_core::message::Delivery;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::{AddressKind, Recipient, RecipientStatus};
use postrider_core::routing::RoutingStrategy;

const PUSH: &str = "token-1";
const EMAIL: &str = "ada@example.org";
const PHONE: &str = "+989122222222";

/// Returns a fixed outcome and records what it was given.
struct RecordingProvider {
    address: AddressKind,
    outcome: Outcome,
    received: Mutex<Vec<OutboundMessage>>,
}

#[async_trait]
impl Provider for RecordingProvider {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        self.received.lock().unwrap().push(parcel.clone());
        self.outcome.clone().into()
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn address_kind(&self) -> AddressKind {
        self.address
    }

    fn endpoint(&self) -> (String, u16) {
        ("carrier".to_owned(), 0)
    }
}

struct MixedAddressHarness {
    gateway: Gateway,
    providers: Vec<Arc<RecordingProvider>>,
    _folder: TempDir,
}

fn name(text: &str) -> ConfigName {
    text.parse().unwrap()
}

fn accepted() -> Outcome {
    Outcome::Accepted { reference: None }
}

fn unavailable() -> Outcome {
    Outcome::Unavailable {
        reason: "down".to_owned(),
    }
}

fn invalid_recipient() -> Outcome {
    Outcome::InvalidRecipient {
        reason: "unknown".to_owned(),
    }
}

impl MixedAddressHarness {
    /// Creates a gateway with one channel, `mix`, over these providers in order, each named after its address
    /// kind.
    async fn new(outcomes: &[(AddressKind, Outcome)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = postrider_store::open(&url, Duration::from_secs(5)).unwrap();
        let edges = Backends {
            clock: Clock::System,
            random: Random::seeded(1),
            cache: SignedCache::new(
                postrider_cache::open("memory:").unwrap(),
                store.store_secret().await.unwrap(),
            ),
            queue: postrider_queue::open("memory:", 10).await.unwrap(),
            store,
        };
        let mut config = Config::test_mode();
        config.providers.clear();
        let mut carriers = Vec::new();
        for (address, outcome) in outcomes {
            let settings = toml::Table::new();
            config
                .providers
                .push(ProviderConfig::new(name(address.as_str()), "mock", settings));
            carriers.push(Arc::new(RecordingProvider {
                address: *address,
                outcome: outcome.clone(),
                received: Mutex::default(),
            }));
        }
        let channel = &mut config.channels[0];
        channel.name = name("mix");
        channel.strategy = RoutingStrategy::Failover;
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
            providers: carriers,
            _folder: folder,
        }
    }

    /// Sends one message to these contacts and returns its delivery.
    async fn send(&self, contacts: &[(AddressKind, &str)]) -> Delivery {
        let id = accept::accept(&self.gateway, request_to(contacts))
            .await
            .unwrap()
            .id;
        assert_eq!(
            step(&self.gateway, 1, Duration::ZERO).await,
            DeliverStep::Processed(1)
        );
        let message = self.gateway.store.find_message(id).await.unwrap().unwrap();
        message.deliveries.into_iter().next().unwrap()
    }

    fn addresses_received(&self, carrier: usize) -> Vec<String> {
        let given = self.providers[carrier].received.lock().unwrap();
        given.iter().map(|parcel| parcel.to.clone()).collect()
    }

    fn subjects_received(&self, carrier: usize) -> Vec<String> {
        let given = self.providers[carrier].received.lock().unwrap();
        given.iter().filter_map(|parcel| parcel.subject.clone()).collect()
    }

    async fn recipient_status(&self, address: &str) -> RecipientStatus {
        let said = self.gateway.store.recipient(&name("mix"), address).await.unwrap();
        said.map_or(RecipientStatus::Active, |said| said.status)
    }
}

fn request_to(contacts: &[(AddressKind, &str)]) -> AcceptRequest {
    let contacts = contacts.iter().map(|(kind, typed)| (*kind, (*typed).to_owned()));
    AcceptRequest {
        body: "hello".to_owned(),
        channels: vec!["mix".to_owned()],
        contacts: contacts.collect(),
        ..AcceptRequest::default()
    }
}

fn all_contacts() -> [(AddressKind, &'static str); 3] {
    [
        (AddressKind::Phone, "0912 222 2222"),
        (AddressKind::Email, EMAIL),
        (AddressKind::Push, PUSH),
    ]
}

/// Returns provider, outcome and address of each attempt.
fn attempts(delivery: &Delivery) -> Vec<String> {
    let line = |attempt: &postrider_core::message::RecordedAttempt| {
        let provider = attempt.provider.as_ref().map_or("-", ConfigName::as_str);
        let address = attempt.address.as_deref().unwrap_or("-");
        format!("{provider}: {} {address}", attempt.outcome)
    };
    delivery.attempts.iter().map(line).collect()
}

#[tokio::test]
async fn each_provider_is_given_the_address_it_wants() {
    let world = MixedAddressHarness::new(&[
        (AddressKind::Push, unavailable()),
        (AddressKind::Email, unavailable()),
        (AddressKind::Phone, accepted()),
    ])
    .await;
    let delivery = world.send(&all_contacts()).await;
    assert_eq!(
        attempts(&delivery),
        [
            "push: unavailable token-1",
            "email: unavailable ada@example.org",
            "phone: accepted +989122222222"
        ]
    );
    assert_eq!(delivery.state.kind().as_str(), "sent");
    assert_eq!(
        (delivery.address.as_str(), delivery.spelling.as_str()),
        (PUSH, PUSH)
    );
    let last = world.providers[2].received.lock().unwrap()[0].clone();
    assert_eq!(
        (last.to.as_str(), last.spelling.as_str()),
        (PHONE, "0912 222 2222")
    );
}

#[tokio::test]
async fn who_finds_no_address_is_skipped_and_the_reason_says_so() {
    let world = MixedAddressHarness::new(&[
        (AddressKind::Push, accepted()),
        (AddressKind::Email, unavailable()),
    ])
    .await;
    let delivery = world.send(&all_contacts()[..2]).await;
    assert_eq!(attempts(&delivery), ["email: unavailable ada@example.org"]);
    let postrider_core::delivery::DeliveryState::Waiting { reason, .. } = delivery.state else {
        panic!("{delivery:?}");
    };
    let words = "email: down; push: skipped, there is no push token it can use";
    assert_eq!(reason.as_deref(), Some(words));
    assert_eq!(world.addresses_received(0), Vec::<String>::new());
}

#[tokio::test]
async fn a_dead_address_becomes_inactive_and_the_next_one_is_used() {
    let world = MixedAddressHarness::new(&[
        (AddressKind::Push, invalid_recipient()),
        (AddressKind::Email, accepted()),
    ])
    .await;
    let delivery = world.send(&all_contacts()).await;
    assert_eq!(
        attempts(&delivery),
        [
            "push: invalid_recipient token-1",
            "email: accepted ada@example.org"
        ]
    );
    assert_eq!(delivery.state.kind().as_str(), "sent");
    assert_eq!(world.recipient_status(PUSH).await, RecipientStatus::Inactive);
    assert_eq!(world.recipient_status(EMAIL).await, RecipientStatus::Active);
    let again = world.send(&all_contacts()).await;
    assert_eq!(attempts(&again), ["email: accepted ada@example.org"]);
}

#[tokio::test]
async fn a_receipt_that_calls_an_address_dead_sends_to_the_next_one_at_once() {
    let reference = Some("p-1".to_owned());
    let world = MixedAddressHarness::new(&[
        (AddressKind::Push, Outcome::Accepted { reference }),
        (AddressKind::Email, accepted()),
    ])
    .await;
    let delivery = world.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery), ["push: accepted token-1"]);
    for _ in 0..5 {
        let receipt = Receipt {
            reference: "p-1".to_owned(),
            status: ReceiptStatus::Invalid {
                reason: "gone".to_owned(),
            },
            at: world.gateway.clock.now(),
        };
        receipts::apply_receipts(&world.gateway, &name("push"), vec![receipt])
            .await
            .unwrap();
    }
    assert_eq!(
        step(&world.gateway, 1, Duration::ZERO).await,
        DeliverStep::Processed(1)
    );
    assert_eq!(world.addresses_received(1), [EMAIL]);
    assert_eq!(world.recipient_status(PUSH).await, RecipientStatus::Inactive);
}

#[tokio::test]
async fn when_every_address_is_dead_the_delivery_has_failed() {
    let world = MixedAddressHarness::new(&[
        (AddressKind::Push, invalid_recipient()),
        (AddressKind::Email, invalid_recipient()),
    ])
    .await;
    let delivery = world.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery).len(), 2);
    assert_eq!(delivery.state.kind().as_str(), "failed");
    for address in [PUSH, EMAIL] {
        assert_eq!(world.recipient_status(address).await, RecipientStatus::Inactive);
    }
    let refused = accept::accept(&world.gateway, request_to(&all_contacts()))
        .await
        .unwrap_err();
    assert!(matches!(refused, AcceptError::Suppressed), "{refused:?}");
}

#[tokio::test]
async fn when_no_address_is_left_nobody_is_asked() {
    let world =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, accepted())]).await;
    let id = accept::accept(&world.gateway, request_to(&all_contacts()[2..]))
        .await
        .unwrap()
        .id;
    let recipient = Recipient {
        channel: name("mix"),
        address: PUSH.to_owned(),
        status: RecipientStatus::OptedOut,
        reason: "STOP".to_owned(),
        changed_by: "ada".to_owned(),
        changed_at: Timestamp::default(),
    };
    world.gateway.store.set_recipient(recipient).await.unwrap();
    assert_eq!(
        step(&world.gateway, 1, Duration::ZERO).await,
        DeliverStep::Processed(1)
    );
    let message = world.gateway.store.find_message(id).await.unwrap().unwrap();
    let words =
        "no address that this channel's providers can use (push token, e-mail address) may be written to";
    let postrider_core::delivery::DeliveryState::Failed { reason, .. } = &message.deliveries[0].state else {
        panic!("{message:?}");
    };
    assert_eq!(reason, words);
    assert_eq!(message.deliveries[0].attempts, []);
    assert_eq!(world.recipient_status(PUSH).await, RecipientStatus::OptedOut);
}

#[tokio::test]
async fn on_a_channel_of_one_kind_a_dead_address_is_the_end() {
    let world = MixedAddressHarness::new(&[
        (AddressKind::Any, invalid_recipient()),
        (AddressKind::Phone, accepted()),
    ])
    .await;
    let delivery = world.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery), ["any: invalid_recipient -"]);
    assert_eq!(delivery.state.kind().as_str(), "failed");
    assert_eq!(world.recipient_status(PHONE).await, RecipientStatus::Inactive);
}

#[tokio::test]
async fn what_a_client_writes_as_one_address_goes_where_it_fits() {
    let world =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, accepted())]).await;
    let request = AcceptRequest {
        addresses: vec![("mix".to_owned(), "ada@EXAMPLE.org".to_owned())],
        body: "hello".to_owned(),
        ..AcceptRequest::default()
    };
    accept::accept(&world.gateway, request).await.unwrap();
    step(&world.gateway, 1, Duration::ZERO).await;
    assert_eq!(world.addresses_received(1), [EMAIL]);
}

#[tokio::test]
async fn contacts_that_are_wrong_or_missing_are_refused_unless_they_may_fail_alone() {
    let world =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, accepted())]).await;
    let bad = [(AddressKind::Email, "ada"), (AddressKind::Push, PUSH)];
    let refused = accept::accept(&world.gateway, request_to(&bad))
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            AcceptError::InvalidContact {
                kind: AddressKind::Email,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = accept::accept(&world.gateway, request_to(&all_contacts()[..1]))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, AcceptError::NoUsableContact { .. }),
        "{refused:?}"
    );
    let alone = AcceptRequest {
        on_missing_address: MissingAddressPolicy::FailDelivery,
        ..request_to(&bad)
    };
    accept::accept(&world.gateway, alone).await.unwrap();
    step(&world.gateway, 1, Duration::ZERO).await;
    assert_eq!(world.addresses_received(0), [PUSH]);
}

#[tokio::test]
async fn the_subject_is_the_messages_own_else_the_channels() {
    let world = MixedAddressHarness::new(&[(AddressKind::Email, accepted())]).await;
    world.send(&all_contacts()).await;
    let own = AcceptRequest {
        subject: Some("Your code".to_owned()),
        ..request_to(&all_contacts())
    };
    accept::accept(&world.gateway, own).await.unwrap();
    step(&world.gateway, 1, Duration::ZERO).await;
    assert_eq!(world.subjects_received(0), ["News", "Your code"]);
    let bad = AcceptRequest {
        subject: Some("a\r\nBcc: b".to_owned()),
        ..request_to(&all_contacts())
    };
    let refused = accept::accept(&world.gateway, bad).await.unwrap_err();
    assert!(matches!(refused, AcceptError::InvalidSubject(255)), "{refused:?}");
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
