//! Tests of a round over a channel with providers that need different address kinds.

use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{
    address::AddressKind, channel::Addressing, clock::Timestamp, message::Delivery, name::ConfigName,
    routing::RoutingStrategy,
};
use tempfile::TempDir;

use super::*;
use crate::accept::{AcceptError, MissingAddressPolicy};
use crate::{config::ProviderConfig, receipts};

const PUSH: &str = "token-1";
const EMAIL: &str = "ada@example.org";
const PHONE: &str = "+989122222222";

struct MixedAddressHarness {
    gateway: Gateway,
    providers: Vec<Arc<FixedOutcomeProvider>>,
    _folder: TempDir,
}

fn name(text: &str) -> ConfigName {
    text.parse().unwrap()
}

fn accepted() -> Outcome {
    Outcome::Accepted { reference: None }
}

fn unavailable() -> Outcome {
    Outcome::Unavailable { reason: "down".to_owned() }
}

fn invalid_recipient() -> Outcome {
    Outcome::InvalidRecipient { reason: "unknown".to_owned() }
}

impl MixedAddressHarness {
    /// Creates a gateway with one channel, `mix`, over these providers in order, each named after its address
    /// kind.
    async fn new(outcomes: &[(AddressKind, Outcome)]) -> Self {
        let mut config = Config::test_mode();
        config.providers.clear();
        let mut providers = Vec::new();
        for (kind, outcome) in outcomes {
            let settings = toml::Table::new();
            config.providers.push(ProviderConfig::new(name(kind.as_str()), "mock", settings));
            let provider = FixedOutcomeProvider::new(outcome.clone()).with_address_kind(*kind);
            providers.push(Arc::new(provider));
        }
        let channel = &mut config.channels[0];
        channel.name = name("mix");
        channel.strategy = RoutingStrategy::Failover;
        channel.providers = config.providers.iter().map(|provider| provider.name.clone()).collect();
        channel.subject = Some("News".to_owned());
        config.used_channels = vec![name("mix")];
        let adapters = providers.iter().map(|provider| Arc::clone(provider) as Arc<dyn Provider>);
        let folder = tempfile::tempdir().unwrap();
        let gateway = GatewayBuilder::new(config)
            .clock(&Clock::System)
            .providers(adapters.collect())
            .wire(&open_store(folder.path()))
            .await;
        Self { gateway, providers, _folder: folder }
    }

    /// Sends one message to these contacts and returns its delivery.
    async fn send(&self, contacts: &[(AddressKind, &str)]) -> Delivery {
        let id = accept::accept(&self.gateway, request_to(contacts)).await.unwrap().id;
        assert_eq!(step(&self.gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
        let message = self.gateway.store.find_message(id).await.unwrap().unwrap();
        message.deliveries.into_iter().next().unwrap()
    }

    fn addresses_received(&self, provider: usize) -> Vec<String> {
        let received = self.providers[provider].received();
        received.into_iter().map(|message| message.to).collect()
    }

    fn subjects_received(&self, provider: usize) -> Vec<String> {
        let received = self.providers[provider].received();
        received.into_iter().filter_map(|message| message.subject).collect()
    }

    async fn recipient_status(&self, address: &str) -> RecipientStatus {
        let recipient = self.gateway.store.recipient(&name("mix"), address).await.unwrap();
        recipient.map_or(RecipientStatus::Active, |recipient| recipient.status)
    }
}

fn request_to(contacts: &[(AddressKind, &str)]) -> AcceptRequest {
    let contacts = contacts.iter().map(|(kind, text)| (*kind, (*text).to_owned()));
    AcceptRequest {
        body: "hello".to_owned(),
        channels: vec!["mix".to_owned()],
        contacts: contacts.collect(),
        ..AcceptRequest::default()
    }
}

fn all_contacts() -> [(AddressKind, &'static str); 3] {
    [(AddressKind::Phone, "0912 222 2222"), (AddressKind::Email, EMAIL), (AddressKind::Push, PUSH)]
}

/// Returns provider, outcome and address of each attempt.
fn attempts(delivery: &Delivery) -> Vec<String> {
    let attempt_line = |attempt: &postrider_core::message::RecordedAttempt| {
        let provider = attempt.provider.as_ref().map_or("-", ConfigName::as_str);
        let address = attempt.address.as_deref().unwrap_or("-");
        format!("{provider}: {} {address}", attempt.outcome)
    };
    delivery.attempts.iter().map(attempt_line).collect()
}

#[tokio::test]
async fn each_provider_gets_the_address_of_its_kind() {
    let harness = MixedAddressHarness::new(&[
        (AddressKind::Push, unavailable()),
        (AddressKind::Email, unavailable()),
        (AddressKind::Phone, accepted()),
    ])
    .await;
    let delivery = harness.send(&all_contacts()).await;
    assert_eq!(
        attempts(&delivery),
        ["push: unavailable token-1", "email: unavailable ada@example.org", "phone: accepted +989122222222"]
    );
    assert_eq!(delivery.state.kind().as_str(), "sent");
    assert_eq!((delivery.address.as_str(), delivery.spelling.as_str()), (PUSH, PUSH));
    let last = harness.providers[2].received()[0].clone();
    assert_eq!((last.to.as_str(), last.spelling.as_str()), (PHONE, "0912 222 2222"));
}

#[tokio::test]
async fn a_provider_without_a_usable_address_is_skipped_with_a_reason() {
    let harness =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, unavailable())])
            .await;
    let delivery = harness.send(&all_contacts()[..2]).await;
    assert_eq!(attempts(&delivery), ["email: unavailable ada@example.org"]);
    let postrider_core::delivery::DeliveryState::Waiting { reason, .. } = delivery.state else {
        panic!("{delivery:?}");
    };
    let expected = "email: down; push: skipped, the recipient has no push token";
    assert_eq!(reason.as_deref(), Some(expected));
    assert_eq!(harness.addresses_received(0), Vec::<String>::new());
}

#[tokio::test]
async fn an_invalid_address_becomes_inactive_and_the_next_one_is_used() {
    let harness = MixedAddressHarness::new(&[
        (AddressKind::Push, invalid_recipient()),
        (AddressKind::Email, accepted()),
    ])
    .await;
    let delivery = harness.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery), ["push: invalid_recipient token-1", "email: accepted ada@example.org"]);
    assert_eq!(delivery.state.kind().as_str(), "sent");
    assert_eq!(harness.recipient_status(PUSH).await, RecipientStatus::Inactive);
    assert_eq!(harness.recipient_status(EMAIL).await, RecipientStatus::Active);
    let second_delivery = harness.send(&all_contacts()).await;
    assert_eq!(attempts(&second_delivery), ["email: accepted ada@example.org"]);
}

#[tokio::test]
async fn a_receipt_about_an_invalid_address_sends_to_the_next_one_at_once() {
    let reference = Some("p-1".to_owned());
    let harness = MixedAddressHarness::new(&[
        (AddressKind::Push, Outcome::Accepted { reference }),
        (AddressKind::Email, accepted()),
    ])
    .await;
    let delivery = harness.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery), ["push: accepted token-1"]);
    for _ in 0..5 {
        let receipt = Receipt {
            reference: "p-1".to_owned(),
            status: ReceiptStatus::Invalid { reason: "gone".to_owned() },
            at: harness.gateway.clock.now(),
        };
        receipts::apply_receipts(&harness.gateway, &name("push"), vec![receipt]).await.unwrap();
    }
    assert_eq!(step(&harness.gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    assert_eq!(harness.addresses_received(1), [EMAIL]);
    assert_eq!(harness.recipient_status(PUSH).await, RecipientStatus::Inactive);
}

#[tokio::test]
async fn a_delivery_fails_when_all_addresses_are_invalid() {
    let harness = MixedAddressHarness::new(&[
        (AddressKind::Push, invalid_recipient()),
        (AddressKind::Email, invalid_recipient()),
    ])
    .await;
    let delivery = harness.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery).len(), 2);
    assert_eq!(delivery.state.kind().as_str(), "failed");
    for address in [PUSH, EMAIL] {
        assert_eq!(harness.recipient_status(address).await, RecipientStatus::Inactive);
    }
    let error = accept::accept(&harness.gateway, request_to(&all_contacts())).await.unwrap_err();
    assert!(matches!(error, AcceptError::Suppressed(_)), "{error:?}");
}

#[tokio::test]
async fn no_provider_is_called_when_no_active_address_is_left() {
    let harness =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, accepted())]).await;
    let id = accept::accept(&harness.gateway, request_to(&all_contacts()[2..])).await.unwrap().id;
    let recipient = Recipient {
        channel: name("mix"),
        address: PUSH.to_owned(),
        status: RecipientStatus::OptedOut,
        reason: "STOP".to_owned(),
        changed_by: "ada".to_owned(),
        changed_at: Timestamp::default(),
    };
    harness.gateway.store.set_recipient(recipient).await.unwrap();
    assert_eq!(step(&harness.gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    let message = harness.gateway.store.find_message(id).await.unwrap().unwrap();
    let expected = "no active address for the providers of this channel (push token, e-mail address)";
    let postrider_core::delivery::DeliveryState::Failed { reason, .. } = &message.deliveries[0].state else {
        panic!("{message:?}");
    };
    assert_eq!(reason, expected);
    assert_eq!(message.deliveries[0].attempts, []);
    assert_eq!(harness.recipient_status(PUSH).await, RecipientStatus::OptedOut);
}

#[tokio::test]
async fn on_a_channel_of_one_kind_an_invalid_address_ends_the_delivery() {
    let harness = MixedAddressHarness::new(&[
        (AddressKind::Any, invalid_recipient()),
        (AddressKind::Phone, accepted()),
    ])
    .await;
    let delivery = harness.send(&all_contacts()).await;
    assert_eq!(attempts(&delivery), ["any: invalid_recipient -"]);
    assert_eq!(delivery.state.kind().as_str(), "failed");
    assert_eq!(harness.recipient_status(PHONE).await, RecipientStatus::Inactive);
}

#[tokio::test]
async fn a_single_address_goes_to_the_provider_of_its_kind() {
    let harness =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, accepted())]).await;
    let request = AcceptRequest {
        addresses: vec![("mix".to_owned(), "ada@EXAMPLE.org".to_owned())],
        body: "hello".to_owned(),
        ..AcceptRequest::default()
    };
    accept::accept(&harness.gateway, request).await.unwrap();
    step(&harness.gateway, 1, Duration::ZERO).await;
    assert_eq!(harness.addresses_received(1), [EMAIL]);
}

#[tokio::test]
async fn invalid_or_missing_contacts_are_refused_unless_their_delivery_may_fail_alone() {
    let harness =
        MixedAddressHarness::new(&[(AddressKind::Push, accepted()), (AddressKind::Email, accepted())]).await;
    let invalid = [(AddressKind::Email, "ada"), (AddressKind::Push, PUSH)];
    let error = accept::accept(&harness.gateway, request_to(&invalid)).await.unwrap_err();
    assert!(matches!(error, AcceptError::InvalidContact { kind: AddressKind::Email, .. }), "{error:?}");
    let error = accept::accept(&harness.gateway, request_to(&all_contacts()[..1])).await.unwrap_err();
    assert!(matches!(error, AcceptError::NoUsableContact { .. }), "{error:?}");
    let failing_alone =
        AcceptRequest { on_missing_address: MissingAddressPolicy::FailDelivery, ..request_to(&invalid) };
    accept::accept(&harness.gateway, failing_alone).await.unwrap();
    step(&harness.gateway, 1, Duration::ZERO).await;
    assert_eq!(harness.addresses_received(0), [PUSH]);
}

#[tokio::test]
async fn the_subject_of_the_message_precedes_that_of_the_channel() {
    let harness = MixedAddressHarness::new(&[(AddressKind::Email, accepted())]).await;
    harness.send(&all_contacts()).await;
    let own_subject = AcceptRequest { subject: Some("Your code".to_owned()), ..request_to(&all_contacts()) };
    accept::accept(&harness.gateway, own_subject).await.unwrap();
    step(&harness.gateway, 1, Duration::ZERO).await;
    assert_eq!(harness.subjects_received(0), ["News", "Your code"]);
    let invalid = AcceptRequest { subject: Some("a\r\nBcc: b".to_owned()), ..request_to(&all_contacts()) };
    let error = accept::accept(&harness.gateway, invalid).await.unwrap_err();
    assert!(matches!(error, AcceptError::InvalidSubject(255)), "{error:?}");
}

#[test]
fn the_address_kinds_of_a_channel_follow_from_its_providers_unless_configured() {
    use AddressKind::{Any, Email, Phone, Push, Url};
    let kinds = |address: Addressing, wanted: &[AddressKind]| address.kinds(wanted.iter().copied());
    assert_eq!(kinds(Addressing::ByProviders(Phone), &[Any, Any]), [Phone]);
    assert_eq!(kinds(Addressing::ByProviders(Phone), &[Any, Url]), [Url]);
    assert_eq!(kinds(Addressing::ByProviders(Phone), &[Push, Email, Push]), [Push, Email]);
    assert_eq!(kinds(Addressing::Only(Phone), &[Push, Email]), [Phone]);
    assert_eq!(kinds(Addressing::Mixed, &[Any]).len(), 5);
}
