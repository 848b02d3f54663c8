//! `POST /v1/users` and `GET /v1/users/{id}`: registers users, one or up to a thousand at once.
//!
//! Registering a user again changes only the fields that are given: a missing or null field keeps its value.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::{JsonResult, PathParams};
use crate::auth::{self, Caller};
use crate::body;
use crate::error_responses::{
    AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses, StoreErrorResponses,
};
use crate::json_fields::{ObjectReader, json_body};
use crate::problem::{PROBLEM_JSON, Problem, ProblemView, StoreResult as _, Violation};
use postrider_core::address::AddressKind;
use postrider_core::broadcast::{NewUser, USERS_PER_REQUEST_MAX, User, UserRegistration};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::rfc3339;
use postrider_engine::users::{self, InvalidUser};

/// Users, as the native API registers them: one, or a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum UserRegistrations {
    /// One user.
    One(UserRegistrationBody),
    /// Up to 1,000.
    Many(Vec<UserRegistrationBody>),
}

json_body! {
    /// A user, as the native API registers it.
    pub(super) struct UserRegistrationBody {
        /// User id, assigned by the client.
        #[schema(min_length = 1, max_length = 255, example = "ana")]
        id: String,
        /// Display name of the user.
        #[schema(min_length = 1, max_length = 255)]
        name: Option<String>,
        /// The user's addresses by kind; if given, they replace all known addresses.
        contacts: Option<UserContacts>,
    }
}

/// Addresses by kind.
#[derive(Deserialize, ToSchema)]
// Generators name the inline object of `User.contacts` `UserContacts`.
#[schema(as = ContactAddresses)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: `parse_contacts` reads the fields by kind")]
struct UserContacts {
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

/// Result of a registration.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
#[serde(untagged)]
pub(super) enum RegisteredView {
    /// The registered user, if the request has one user and an API key that may read.
    One(UserView),
    /// Otherwise the counts.
    Counts(RegisteredCountsView),
}

/// A registered user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    /// User id, assigned by the client.
    id: String,
    /// Display name of the user.
    name: Option<String>,
    /// The user's addresses by kind, normalized.
    contacts: std::collections::BTreeMap<&'static str, String>,
    /// Time of the first registration.
    #[schema(format = DateTime)]
    registered_at: String,
}

/// Counts of a registration.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = RegisteredCounts)]
pub(super) struct RegisteredCountsView {
    /// New users.
    added: usize,
    /// Known users with changed data.
    changed: usize,
    /// Known users with unchanged data.
    unchanged: usize,
}

/// Registers one user, or a list of up to a thousand.
///
/// For a known user only the given fields change; a missing or null field keeps its value. `contacts` is replaced as a
/// whole. A list is registered completely or not at all.
#[utoipa::path(
    post,
    path = "/v1/users",
    operation_id = "register_users",
    tag = "native",
    request_body(content = UserRegistrations, content_type = "application/json"),
    responses(
        (status = 201, description = "The users are on disk, and at least one is new.", body = RegisteredView),
        (status = 200, description = "The users are on disk, and none is new.", body = RegisteredView),
        (status = 422, description = "A field is not valid; no user was registered.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
    )
)]
pub(super) async fn register(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let (head, content) = request.into_parts();
    let caller = auth::authorize(&gateway, &head.headers, Scope::Send)?;
    let json = body::json(&gateway, &head.headers, content).await?;
    let (users, single_id) = match &json {
        Value::Object(user) => {
            let user = parse_user(&gateway, &caller.owner, "", user)?;
            let id = user.id.clone();
            (vec![user], Some(id))
        }
        Value::Array(users) => (parse_user_list(&gateway, &caller.owner, users)?, None),
        _ => return Err(Violation::new("body", "must be a user or a list of users").into()),
    };
    let counts = register_all(&gateway, users).await?;
    let status = if counts.added > 0 { StatusCode::CREATED } else { StatusCode::OK };
    // The response to a key that may only send must not contain stored data of the user.
    let can_read = auth::authorize(&gateway, &head.headers, Scope::Read).is_ok();
    let registered_view = match single_id.filter(|_| can_read) {
        Some(id) => RegisteredView::One(find_user(&gateway, &caller, &id).await?.into()),
        None => RegisteredView::Counts(counts),
    };
    Ok((status, Json(registered_view)).into_response())
}

/// Parses a list of users, or returns all invalid fields.
fn parse_user_list(gateway: &Gateway, owner: &str, list: &[Value]) -> Result<Vec<NewUser>, Vec<Violation>> {
    if list.is_empty() || list.len() > USERS_PER_REQUEST_MAX {
        let detail = format!("must be a list of 1 to {USERS_PER_REQUEST_MAX} users");
        return Err(vec![Violation::new("body", detail)]);
    }
    let (mut users, mut violations) = (Vec::with_capacity(list.len()), Vec::new());
    for (position, json) in list.iter().enumerate() {
        let user = match json.as_object() {
            None => Err(vec![Violation::new(position.to_string(), "must be an object")]),
            Some(object) => parse_user(gateway, owner, &format!("{position}."), object),
        };
        match user {
            Ok(user) => users.push(user),
            Err(invalid_fields) => violations.extend(invalid_fields),
        }
    }
    if violations.is_empty() { Ok(users) } else { Err(violations) }
}

async fn register_all(gateway: &Gateway, users: Vec<NewUser>) -> Result<RegisteredCountsView, Problem> {
    let mut counts = RegisteredCountsView::default();
    for registration in users::register(gateway, users).await.or_problem(gateway, "register users")? {
        match registration {
            UserRegistration::Added => counts.added += 1,
            UserRegistration::Changed => counts.changed += 1,
            UserRegistration::Unchanged => counts.unchanged += 1,
        }
    }
    Ok(counts)
}

/// Parses a user, or returns all invalid fields; `prefix` is put before their names.
fn parse_user(
    gateway: &Gateway,
    owner: &str,
    prefix: &str,
    object: &Map<String, Value>,
) -> Result<NewUser, Vec<Violation>> {
    let mut fields = ObjectReader::new(object, prefix).refuse_unknown(UserRegistrationBody::FIELDS);
    let id = fields.required_string("id").unwrap_or_default();
    let name = fields.string("name");
    let expected = "must be an object such as {\"phone\": \"+98…\", \"email\": \"…\"}";
    let contacts = fields.read("contacts", expected, Value::as_object);
    let contacts = contacts.map(|contacts| parse_contacts(&mut fields, contacts));
    let (id, name, contacts) = fields.finish((id, name, contacts))?;
    let owner = owner.to_owned();
    let user = users::validate(&gateway.config.phone, owner, id, name, contacts, gateway.clock.now());
    user.map_err(|invalid| vec![user_violation(prefix, &invalid)])
}

fn parse_contacts(
    fields: &mut ObjectReader<'_>,
    contacts: &Map<String, Value>,
) -> Vec<(AddressKind, String)> {
    let mut addresses = Vec::with_capacity(contacts.len());
    for (key, address) in contacts.iter().filter(|(_, address)| !address.is_null()) {
        let kind = AddressKind::parse(key).filter(|kind| *kind != AddressKind::Any);
        let field = format!("contacts.{key}");
        match (kind, address.as_str()) {
            (Some(kind), Some(address)) => addresses.push((kind, address.to_owned())),
            (None, _) => fields.add_violation(&field, "must be phone, email, push, messenger or url"),
            (_, None) => fields.add_violation(&field, "must be a string"),
        }
    }
    addresses
}

fn user_violation(prefix: &str, invalid: &InvalidUser) -> Violation {
    let one_line = "must be one line of 1 to 255 characters without surrounding blanks";
    match invalid {
        InvalidUser::Id => Violation::new(format!("{prefix}id"), one_line),
        InvalidUser::Name => Violation::new(format!("{prefix}name"), one_line),
        InvalidUser::Contact { kind, cause } => {
            Violation::new(format!("{prefix}contacts.{}", kind.as_str()), cause.to_string())
        }
    }
}

/// Returns a user.
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    operation_id = "show_user",
    tag = "native",
    params(("id" = String, Path, description = "User id, assigned by the client.")),
    responses((status = 200, description = "The user.", body = UserView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> JsonResult<UserView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    Ok(Json(find_user(&gateway, &caller, &id).await?.into()))
}

/// Returns the user that the caller means by this id, or the 404 problem.
pub(super) async fn find_user(gateway: &Gateway, caller: &Caller, id: &str) -> Result<User, Problem> {
    let found_user = users::find(gateway, &caller.owner, caller.can_access_all, id).await;
    found_user
        .or_problem(gateway, "read the user")?
        .ok_or_else(|| Problem::not_found(format!("there is no user \"{id}\"")))
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let contacts = user.contacts.into_iter();
        Self {
            id: user.id,
            name: user.name,
            contacts: contacts.map(|contact| (contact.kind.as_str(), contact.address)).collect(),
            registered_at: rfc3339(user.created_at),
        }
    }
}
