//! The trait that every adapter implements, and the values that cross it.
//!
//! An adapter translates an [`OutboundMessage`] into its provider's request and the response into a [`SendResult`]. It
//! never repeats a send, and has no access to the store, to retries or to the state of a delivery.

use std::time::Duration;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Timestamp;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::CallbackItem;

use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};

/// An account at a provider. The conformance suite (feature `testing`) decides what a correct implementation is.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Sends one message. A failure is an outcome, never an error and never a panic. If the request has left and no
    /// response arrives, the outcome is `Unknown`.
    async fn send(&self, message: &OutboundMessage) -> SendResult;

    /// Authenticates a provider callback and returns its receipts and inbound messages. The list is empty for a genuine
    /// callback that changes nothing. An adapter may call its provider first, for example to fetch the certificate of a
    /// signature.
    ///
    /// # Errors
    ///
    /// Returns the reason to reject the callback. The default implementation is for providers without callbacks.
    async fn parse_callback(&self, _request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    /// Returns the response that the provider expects to an accepted callback. The default is the number of items, as
    /// JSON.
    fn callback_response(&self, _request: &CallbackRequest) -> Option<CallbackResponse> {
        None
    }

    /// Returns how callbacks reach the adapter over HTTP and how they are authenticated.
    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Disabled
    }

    /// Returns the maximum size of a callback, in bytes. The body is read before the callback is authenticated, so the
    /// default is only 8 KiB; a kind with longer callbacks overrides it. The configuration may lower it.
    fn callback_bytes_max(&self) -> usize {
        8 * 1024
    }

    /// Waits for receipts and inbound messages that arrive over the provider's own connection, and returns them. Never
    /// returns for a provider without such a connection.
    async fn receive(&self) -> Vec<CallbackItem> {
        std::future::pending().await
    }

    /// Returns the number of receipts that [`Provider::receive`] has returned or will return. Only a mock returns it.
    fn expected_receipt_count(&self) -> u64 {
        0
    }

    /// Returns the kind of address that the adapter sends to. On a channel with several kinds, [`OutboundMessage::to`]
    /// is the recipient's address of this kind, and a recipient without such an address is skipped. `Any` means the
    /// main address.
    fn address_kind(&self) -> AddressKind {
        AddressKind::Any
    }

    /// Returns whether the adapter can send to this address. The address has the right kind, but some providers serve
    /// only one country.
    fn can_send_to(&self, _address: &str) -> bool {
        true
    }

    /// Returns the number of parts in which the adapter sends the message, which the rate limit counts.
    fn part_count(&self, message: &OutboundMessage) -> u32 {
        message.parts
    }

    /// Returns whether a code with the outcome `unavailable` concerns only the destination, such as a country that the
    /// account may not send to. Such a code does not count against the provider's circuit breaker.
    fn concerns_destination(&self, _code: &str) -> bool {
        false
    }

    /// Returns the time at which the provider last accepted a connection of the adapter's own (a bind), which closes an
    /// open circuit breaker. None for adapters that connect for each call.
    fn last_connected_at(&self) -> Option<Timestamp> {
        None
    }

    /// Returns the provider's host and port, or the kind and port 0 when there is no single host.
    fn endpoint(&self) -> (String, u16);

    /// Tests the account with a call that sends nothing and costs nothing, if the provider has such a call.
    async fn check_account(&self) -> AccountCheck {
        AccountCheck::Untested("its account cannot be tested without sending".to_owned())
    }

    /// Returns the time by which a call may exceed the configured timeout, because one reply has its own, longer limit.
    fn extra_call_time(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns whether the adapter reads [`OutboundMessage::registered_at`], which costs a read of the store.
    fn uses_registration_time(&self) -> bool {
        false
    }

    /// Returns whether a message may be sent again after this provider did not answer. False if the provider usually
    /// has accepted a message when it does not answer.
    fn repeats_unknown(&self) -> bool {
        true
    }

    /// Returns warnings for an operator about settings that are valid but cannot distinguish success from failure.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the name of another provider whose messages may appear in the receipts of this one: both are accounts at
    /// one system, which numbers all messages together.
    fn shares_ids_with(&self) -> Option<&str> {
        None
    }

    /// Returns whether another adapter for the same provider can replace this one while the program runs. False if this
    /// adapter has its own connection or pending receipts.
    fn is_replaceable(&self) -> bool {
        true
    }

    /// Returns whether the provider sends nothing over a network.
    fn is_mock(&self) -> bool {
        false
    }
}

/// The result of an account check, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCheck {
    /// The provider answered as expected. The text names what was proven and what was not.
    Passed(String),
    /// The error and its remedy.
    Failed(String),
    /// No call was made. The text names what was not tested. The caller may test the connection.
    Untested(String),
}

impl AccountCheck {
    /// Returns the failed check whose call had this outcome.
    pub(crate) fn failed(outcome: &Outcome) -> Self {
        Self::Failed(outcome.reason().unwrap_or(outcome.as_str()).to_owned())
    }
}

/// One message to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundMessage {
    /// The delivery. With `round` it forms a key by which a provider can recognise a repetition.
    pub delivery_id: DeliveryId,
    /// The message of the delivery.
    pub message_id: MessageId,
    /// The number of the delivery's claim.
    pub round: u32,
    /// The normalised address, of the kind [`Provider::address_kind`].
    pub to: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// The time at which an app last registered the address, when it is known and the adapter uses it.
    pub registered_at: Option<Timestamp>,
    /// The subject of a mail or the title of a push, of the message or else of the channel, without line breaks. None
    /// means the adapter's own default.
    pub subject: Option<String>,
    /// The sender that the client named, or the default sender of its account. `None` means the sender of the adapter's
    /// settings.
    pub sender: Option<String>,
    /// The text.
    pub body: String,
    /// The number of text message parts in the alphabets of GSM.
    pub parts: u32,
    /// The end of the message's validity. Used by providers that store messages which they cannot deliver at once.
    pub expires_at: Timestamp,
}

impl OutboundMessage {
    /// Returns the sender for a text message: the message's own, or else that of the settings. A sender with `@` is one of a
    /// mail.
    pub fn phone_sender<'a>(&'a self, from: Option<&'a str>) -> Option<&'a str> {
        self.sender.as_deref().filter(|sender| !sender.contains('@')).or(from)
    }

    /// Returns the sender of a mail that the client named.
    pub fn email_sender(&self) -> Option<&str> {
        self.sender.as_deref().filter(|sender| sender.contains('@'))
    }
}

/// The limits of one provider call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Maximum time to connect, name resolution and TLS handshake included.
    pub connect_timeout: Duration,
    /// Maximum time of the whole call, connecting included. Must be longer than `connect_timeout`; otherwise an
    /// unreachable host could not be distinguished from a host that did not respond.
    pub call_timeout: Duration,
    /// Maximum size of a response body that is read, in bytes.
    pub response_bytes_max: usize,
}
