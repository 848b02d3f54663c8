//! Types of a request to send a message and of its result.

use postrider_core::address::{AddressError, AddressKind};
use postrider_core::callback::CallbackFormat;
use postrider_core::{
    clock::Timestamp, error::Error, id::MessageId, name::ConfigName, priority::Priority,
    recipient::RecipientStatus,
};
use std::time::Duration;

/// A request to send one message, as an API has parsed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptRequest {
    /// Text of the message.
    pub body: String,
    /// Explicit addresses: a channel name and the address as the client wrote it.
    pub addresses: Vec<(String, String)>,
    /// Further channels; the address of each is chosen from `contacts`.
    pub channels: Vec<String>,
    /// Contacts of the recipient as the client wrote them, at most one of each kind.
    pub contacts: Vec<(AddressKind, String)>,
    /// Policy for a channel with a missing or invalid address.
    pub on_missing_address: MissingAddressPolicy,
    /// Uses `user` as the address if no contact is usable and the channel's providers take any text as an
    /// address.
    pub can_use_user_as_address: bool,
    /// Subject of the message, for providers that support subjects.
    pub subject: Option<String>,
    /// Sender that the client named; `None` uses the default sender of the account.
    pub sender: Option<String>,
    /// The client's own id of the recipient.
    pub user: Option<String>,
    /// Priority of the message; `None` uses the priority of the channel.
    pub priority: Option<Priority>,
    /// Earliest time to send.
    pub send_at: Option<Timestamp>,
    /// Time after which the message is not sent any more; the age limit of the channel also applies.
    pub expires_at: Option<Timestamp>,
    /// True if the message must not be sent again once a copy may have left.
    pub at_most_once: bool,
    /// True if the message expects an answer and therefore counts for the user throttle; `None` uses the
    /// channel's setting.
    pub expects_reply: Option<bool>,
    /// True for the confirmation of an opt-out, which is sent although its recipient has opted out.
    pub ignores_opt_out: bool,
    /// Webhook URL for the events of this message; validated by the API that parsed it.
    pub callback_url: Option<String>,
    /// Form of the events that are told to `callback_url`.
    pub callback_format: CallbackFormat,
    /// Fields of the request that a callback in another form repeats, see [`Callback::fields`].
    ///
    /// [`Callback::fields`]: postrider_core::callback::Callback::fields
    pub callback_fields: Vec<(String, String)>,
    /// Name of the API key of the request; empty if no API keys are configured.
    pub api_key_name: String,
    /// Idempotency key of the request.
    pub idempotency_key: Option<RequestIdempotencyKey>,
    /// Owner of the broadcast that makes this message. Its text parts were counted when it was published, so the message
    /// does not count for the spending limits of the API key. `None` for a single message.
    pub broadcast_owner: Option<String>,
}

/// An idempotency key as an API has parsed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdempotencyKey {
    /// Namespace of the key: equal keys of two clients are different keys.
    pub scope: String,
    /// The key sent by the client.
    pub key: String,
    /// Canonical form of the request; two requests with equal fingerprints are the same request.
    pub fingerprint: String,
}

/// A message that was accepted and is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Public id of the message.
    pub id: MessageId,
    /// Running number of the message.
    pub number: i64,
    /// Number of text parts of the message body.
    pub parts: u32,
    /// Channels of the message, in the order of its deliveries.
    pub channels: Vec<ConfigName>,
    /// True if an earlier request with the same idempotency key had been accepted.
    pub is_replay: bool,
}

/// The reason why a message was not accepted. Nothing was stored.
#[derive(Debug)]
pub enum AcceptError {
    /// The body is empty.
    EmptyBody,
    /// The body contains a NUL character, which no provider can send.
    InvalidBody,
    /// The body is longer than this number of characters.
    BodyTooLong(usize),
    /// The request has no recipient, or more addresses than a message can have.
    NoRecipient,
    /// No channel has this name.
    UnknownChannel(String),
    /// An address is not valid on its channel.
    InvalidAddress {
        /// Channel of the address.
        channel: ConfigName,
        /// Why the address is invalid.
        cause: AddressError,
    },
    /// A contact is not valid for its kind.
    InvalidContact {
        /// Address kind that the client stated.
        kind: AddressKind,
        /// Why the contact is invalid.
        cause: AddressError,
    },
    /// The channel cannot use any of the contacts.
    NoUsableContact {
        /// Channel without a usable contact.
        channel: ConfigName,
        /// Kinds of address that the channel can use, for people.
        expected: String,
    },
    /// The subject is longer than this number of characters or contains a control character.
    InvalidSubject(usize),
    /// The sender is neither a number, nor a name of at most 11 characters, nor an e-mail address.
    InvalidSender,
    /// The account may not use this sender.
    SenderNotAllowed,
    /// The message expires in the past, or before its `send_at`.
    ExpiresTooEarly,
    /// The text has more parts than a message to a phone number may have.
    TooManyParts {
        /// Parts of this text.
        parts: u32,
        /// `limits.message_parts_max`.
        parts_max: u32,
    },
    /// Title and text are longer than a push notification may be.
    PushTooLong {
        /// Bytes of this notification, with its frame.
        bytes: usize,
        /// Bytes that push services accept.
        bytes_max: usize,
    },
    /// No recipient is active: `OptedOut` if at least one has opted out, else `Inactive`.
    Suppressed(RecipientStatus),
    /// The user throttle is exhausted.
    Throttled {
        /// Time until the next message is accepted.
        retry_after: Duration,
    },
    /// A spending limit of the API key is reached.
    SpendingLimit {
        /// Time until the limit allows messages again.
        retry_after: Duration,
    },
    /// The idempotency key was used for a different request.
    IdempotencyKeyReused,
    /// The store failed to store the message.
    Store(Error),
}

impl AcceptError {
    /// Returns the value of the metric label `reason`.
    pub(crate) fn metric_label(&self) -> &'static str {
        match self {
            Self::EmptyBody
            | Self::InvalidBody
            | Self::BodyTooLong(_)
            | Self::TooManyParts { .. }
            | Self::PushTooLong { .. }
            | Self::InvalidSubject(_) => "body",
            Self::NoRecipient
            | Self::InvalidAddress { .. }
            | Self::InvalidContact { .. }
            | Self::NoUsableContact { .. } => "address",
            Self::UnknownChannel(_) => "channel",
            Self::InvalidSender | Self::SenderNotAllowed => "sender",
            Self::ExpiresTooEarly => "time",
            Self::Suppressed(RecipientStatus::OptedOut) => "opted_out",
            Self::Suppressed(_) => "suppressed",
            Self::Throttled { .. } => "throttled",
            Self::SpendingLimit { .. } => "spending_limit",
            Self::IdempotencyKeyReused => "key_reused",
            Self::Store(_) => "store",
        }
    }
}

/// Policy for a channel with a missing or invalid address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingAddressPolicy {
    /// Rejects the whole message.
    #[default]
    RejectMessage,
    /// Stores the delivery as failed; the other deliveries are sent.
    FailDelivery,
    /// Skips the channel; rejects the message if no channel remains.
    SkipChannel,
}
