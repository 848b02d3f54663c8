//! The forms of requests that handlers read by hand, so that everything wrong is told at once; only described here.
//!
//! A test compares the fields with those that are read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AnyOf, Object, ObjectBuilder, Schema, Type};

/// A message as the native face takes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct MessageSubmission {
    /// To whom: one address, or addresses by kind (`phone`, `email`, `push`, `messenger`, `url`) or by channel, of which
    /// every channel takes what it can use.
    #[schema(schema_with = recipients_schema)]
    to: serde_json::Value,
    /// Over which channels; without it those that `to` names, or the usual ones.
    #[schema(min_items = 1, max_items = 64, example = json!(["sms"]))]
    channels: Option<Vec<String>>,
    /// The line above the message, for providers that have one.
    #[schema(max_length = 255)]
    subject: Option<String>,
    /// What to say. The configuration says how long it may be.
    #[schema(min_length = 1)]
    body: String,
    /// The client's own name for the person.
    #[schema(min_length = 1, max_length = 255)]
    user_id: Option<String>,
    /// Not before this moment.
    #[schema(format = DateTime)]
    send_at: Option<String>,
    /// Not after this moment.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Instead of `expires_at`: for how long, in seconds or as a duration such as `10m`.
    #[schema(schema_with = ttl_schema)]
    ttl: Option<serde_json::Value>,
    /// `high` goes before all that is `normal`.
    #[schema(pattern = "^(high|normal)$")]
    priority: Option<String>,
    /// Whether the user is expected to answer, so that the message counts for the user's limit.
    expects_reply: Option<bool>,
    /// Where state changes are told: an https URL that may be called.
    #[schema(min_length = 1, max_length = 2048)]
    callback_url: Option<String>,
}

/// Users as the native face takes them: one, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) enum UserRegistrations {
    /// One user.
    One(UserRegistrationBody),
    /// Up to a thousand.
    Many(Vec<UserRegistrationBody>),
}

/// A user as the native face takes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct UserRegistrationBody {
    /// The client's own name for the user.
    #[schema(min_length = 1, max_length = 255, example = "ana")]
    id: String,
    /// What people call the user.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// The user's addresses by kind. Where they are given, they take the place of all that are known.
    contacts: Option<UserContacts>,
}

/// Addresses by kind.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct UserContacts {
    /// A phone number, in any spelling.
    phone: Option<String>,
    /// An e-mail address.
    email: Option<String>,
    /// The token of an app on a device.
    push: Option<String>,
    /// The user's id at a messenger.
    messenger: Option<String>,
    /// An `http` or `https` URL.
    url: Option<String>,
}

/// A broadcast as the native face takes it: to `users`, or to `all`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BroadcastSubmission)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct BroadcastSubmission {
    /// What to say. The configuration says how long it may be.
    #[schema(min_length = 1)]
    body: String,
    /// The ids of those it is for.
    #[schema(min_items = 1, max_items = 10000, example = json!(["ana"]))]
    users: Option<Vec<String>>,
    /// Whether it is for everybody who is registered now.
    all: Option<bool>,
    /// Over which channel; without it the usual one.
    channel: Option<String>,
}

/// A message as the inbox face takes it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct InboxMessage {
    /// The user.
    #[schema(format = "uuid", min_length = 36, max_length = 36)]
    user_id: String,
    /// What to say.
    #[schema(min_length = 1, max_length = 1000)]
    message: String,
    /// The user's e-mail address.
    #[schema(min_length = 3, max_length = 255)]
    email: Option<String>,
    /// The user's phone number.
    #[schema(min_length = 3, max_length = 50)]
    phone_number: Option<String>,
    /// The user's device.
    #[schema(min_length = 3, max_length = 255)]
    push_token: Option<String>,
}

/// A message as the simple face takes it in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct SimpleMessage {
    /// The phone number, in any spelling.
    #[schema(min_length = 1)]
    number: String,
    /// What to say.
    #[schema(min_length = 1)]
    body: String,
}

/// A message as the texting face takes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct TextingMessage {
    /// The phone number.
    #[schema(min_length = 1)]
    phone_number: String,
    /// What to say.
    #[schema(min_length = 1)]
    message_body: String,
}

/// A provider's later word as the texting face takes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) struct TextingStatus {
    /// The provider's id for the message.
    #[schema(min_length = 1, max_length = 255)]
    message_id: String,
    /// `delivered`, `failed` or `invalid`.
    #[schema(pattern = "^(delivered|failed|invalid)$")]
    status: String,
}

/// What the texting face answers with the status 200: it was done, or why it was not.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its form is used")]
pub(crate) enum TextingResponse<T, E> {
    /// It was done.
    Done(T),
    /// It was not.
    Failed(E),
}

fn string_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// An address, or an object of addresses.
fn recipients_schema() -> Schema {
    let one = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let address = RefOr::T(Schema::Object(string_schema()));
    let several = ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::RefOr(address)))
        .build();
    let mut either = AnyOf::new();
    either.items = vec![
        RefOr::T(Schema::Object(one.build())),
        RefOr::T(Schema::Object(several)),
    ];
    either.description = Some(
        "To whom: one address, or addresses by kind (`phone`, `email`, `push`, `messenger`, `url`) or by channel, of \
         which every channel takes what it can use."
            .to_owned(),
    );
    Schema::AnyOf(either)
}

/// Seconds, or a duration in words.
fn ttl_schema() -> Schema {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let mut either = AnyOf::new();
    either.items = vec![
        RefOr::T(Schema::Object(seconds.build())),
        RefOr::T(Schema::Object(string_schema())),
        RefOr::T(Schema::Object(
            ObjectBuilder::new().schema_type(Type::Null).build(),
        )),
    ];
    either.description =
        Some("Instead of `expires_at`: for how long, in seconds or as a duration such as `10m`.".to_owned());
    Schema::AnyOf(either)
}
