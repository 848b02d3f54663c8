//! Schemas of the request bodies for the OpenAPI description.
//!
//! The handlers read these bodies field by field, in order to report all errors at once; a test compares the fields of
//! [`MessageSubmission`] with those that the handler reads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AnyOf, Object, ObjectBuilder, Schema, Type};

/// A message, as the native API accepts it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct MessageSubmission {
    /// One address, or addresses by kind (`phone`, `email`, `push`, `messenger`, `url`) or by channel; each channel takes
    /// the one it can use.
    #[schema(schema_with = recipients_schema)]
    to: serde_json::Value,
    /// The channels; by default those that `to` names, or the usual ones.
    #[schema(min_items = 1, max_items = 64, example = json!(["sms"]))]
    channels: Option<Vec<String>>,
    /// Subject line, for providers that support one.
    #[schema(max_length = 255)]
    subject: Option<String>,
    /// The message text. The configuration limits its length.
    #[schema(min_length = 1)]
    body: String,
    /// User id, assigned by the client.
    #[schema(min_length = 1, max_length = 255)]
    user_id: Option<String>,
    /// Not sent before this time.
    #[schema(format = DateTime)]
    send_at: Option<String>,
    /// Not sent after this time.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Alternative to `expires_at`: lifetime in seconds, or a duration such as `10m`.
    #[schema(schema_with = ttl_schema)]
    ttl: Option<serde_json::Value>,
    /// `high` is sent before `normal`.
    #[schema(pattern = "^(high|normal)$")]
    priority: Option<String>,
    /// `true` if the user is expected to answer; such messages count toward the user's limit.
    expects_reply: Option<bool>,
    /// Webhook URL for state changes: an https URL that the configuration allows.
    #[schema(min_length = 1, max_length = 2048)]
    callback_url: Option<String>,
}

/// Users, as the native API registers them: one, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum UserRegistrations {
    /// One user.
    One(UserRegistrationBody),
    /// Up to 1,000.
    Many(Vec<UserRegistrationBody>),
}

/// A user, as the native API registers it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct UserRegistrationBody {
    /// User id, assigned by the client.
    #[schema(min_length = 1, max_length = 255, example = "ana")]
    id: String,
    /// Display name of the user.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// The user's addresses by kind; if given, they replace all known addresses.
    contacts: Option<UserContacts>,
}

/// Addresses by kind.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct UserContacts {
    /// A phone number, in any spelling.
    phone: Option<String>,
    /// An e-mail address.
    email: Option<String>,
    /// The push token of an app on a device.
    push: Option<String>,
    /// The user's id at a messenger.
    messenger: Option<String>,
    /// An `http` or `https` URL.
    url: Option<String>,
}

/// A broadcast, as the native API accepts it: to `users`, or to `all`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BroadcastSubmission)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct BroadcastSubmission {
    /// The message text. The configuration limits its length.
    #[schema(min_length = 1)]
    body: String,
    /// User ids of the recipients.
    #[schema(min_items = 1, max_items = 10000, example = json!(["ana"]))]
    users: Option<Vec<String>>,
    /// `true` to send to all users that are registered now.
    all: Option<bool>,
    /// The channel; default: the default channel.
    channel: Option<String>,
}

/// A message, as the inbox API accepts it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct InboxMessage {
    /// User id.
    #[schema(format = "uuid", min_length = 36, max_length = 36)]
    user_id: String,
    /// The message text.
    #[schema(min_length = 1, max_length = 1000)]
    message: String,
    /// The user's e-mail address.
    #[schema(min_length = 3, max_length = 255)]
    email: Option<String>,
    /// The user's phone number.
    #[schema(min_length = 3, max_length = 50)]
    phone_number: Option<String>,
    /// The push token of the user's device.
    #[schema(min_length = 3, max_length = 255)]
    push_token: Option<String>,
}

/// A message, as the simple API accepts it in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct SimpleMessage {
    /// The phone number, in any spelling.
    #[schema(min_length = 1)]
    number: String,
    /// The message text.
    #[schema(min_length = 1)]
    body: String,
}

/// A message, as the texting API accepts it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct TextingMessage {
    /// The phone number.
    #[schema(min_length = 1)]
    phone_number: String,
    /// The message text.
    #[schema(min_length = 1)]
    message_body: String,
}

/// The status of a message, as a provider of the texting API reports it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct TextingStatus {
    /// The provider's id of the message.
    #[schema(min_length = 1, max_length = 255)]
    message_id: String,
    /// `delivered`, `failed` or `invalid`.
    #[schema(pattern = "^(delivered|failed|invalid)$")]
    status: String,
}

/// Response of the texting API with the HTTP status 200: success or error.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum TextingResponse<T, E> {
    /// Success.
    Done(T),
    /// Error.
    Failed(E),
}

fn string_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// Schema of `to`: an address, or an object of addresses.
fn recipients_schema() -> Schema {
    let single_address = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let address = RefOr::T(Schema::Object(string_schema()));
    let addresses =
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(address))).build();
    let mut either = AnyOf::new();
    either.items =
        vec![RefOr::T(Schema::Object(single_address.build())), RefOr::T(Schema::Object(addresses))];
    either.description = Some(
        "One address, or addresses by kind (`phone`, `email`, `push`, `messenger`, `url`) or by channel; each channel \
         takes the one it can use."
            .to_owned(),
    );
    Schema::AnyOf(either)
}

/// Schema of `ttl`: seconds, or a duration as text.
fn ttl_schema() -> Schema {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let mut either = AnyOf::new();
    either.items = vec![
        RefOr::T(Schema::Object(seconds.build())),
        RefOr::T(Schema::Object(string_schema())),
        RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::Null).build())),
    ];
    either.description =
        Some("Alternative to `expires_at`: lifetime in seconds, or a duration such as `10m`.".to_owned());
    Schema::AnyOf(either)
}
