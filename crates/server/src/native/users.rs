//! `POST /v1/users` and `GET /v1/users/{id}`: who registers, alone or up to a thousand at once.
//!
//! Registering again changes what is given and nothing else: what is left out, or null, stays.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::message_view::rfc3339;
use super::{JsonResult, PathSegment, invalid_fields};
use crate::openapi::{
    AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses, ProblemView,
    StoreErrorResponses, UserRegistrations,
};
use crate::problem::{PROBLEM_JSON, Problem, Violation};
use crate::{auth, body};
use postrider_core::address::AddressKind;
use postrider_core::broadcast::{NewUser, USERS_PER_REQUEST_MAX, User, UserRegistration};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::users::{self, InvalidUser};

/// What the object may hold.
const FIELDS: [&str; 3] = ["id", "name", "contacts"];

/// What registering came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
#[serde(untagged)]
pub(super) enum RegisteredView {
    /// Of one user, for a key that may read: the user as it is now.
    One(UserView),
    /// Else: how many of each.
    Counts(RegisteredCountsView),
}

/// Who has registered.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    /// The client's own name for the user.
    id: String,
    /// What people call the user.
    name: Option<String>,
    /// The user's addresses by kind, as they are used.
    contacts: std::collections::BTreeMap<&'static str, String>,
    /// When the user registered first.
    #[schema(format = DateTime)]
    registered_at: String,
}

/// What registering came to, in numbers.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = RegisteredMany)]
pub(super) struct RegisteredCountsView {
    /// Users that are new.
    added: usize,
    /// Users that were there and are other now.
    changed: usize,
    /// Users that are as they were.
    unchanged: usize,
}

/// Registers a user, or a list of up to a thousand.
///
/// Who is registered already is changed in what is given; what is left out or null stays. `contacts` are one thing: those
/// given take the place of all that are known. All of a list is registered, or nothing of it.
#[utoipa::path(
    post,
    path = "/v1/users",
    operation_id = "register_users",
    tag = "native",
    request_body(content = UserRegistrations, content_type = "application/json"),
    responses(
        (status = 201, description = "They are on disk, and at least one is new.", body = RegisteredView),
        (status = 200, description = "They are on disk, and none is new.", body = RegisteredView),
        (status = 422, description = "What is wrong with whom; nobody was registered.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
    )
)]
pub(super) async fn register(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Response<Body>> {
    let (head, content) = request.into_parts();
    auth::authorize(&gateway, &head.headers, Scope::Send).map_err(IntoResponse::into_response)?;
    let wanted = body::json(&gateway, &head.headers, content).await;
    let wanted = wanted.map_err(IntoResponse::into_response)?;
    // What is known of a user is told to nobody who may only send.
    let may_read = auth::authorize(&gateway, &head.headers, Scope::Read).is_ok();
    let (users, shown) = match wanted {
        Value::Object(user) => {
            let user = parse_user(&gateway, "", &user);
            let id = user.as_ref().ok().map(|user| user.id.clone());
            (user.map(|user| vec![user]), id.filter(|_| may_read))
        }
        Value::Array(users) => (parse_user_list(&gateway, &users), None),
        _ => {
            let wrong = Violation::new("body", "must be a user or a list of users");
            (Err(vec![wrong]), None)
        }
    };
    let users = users.map_err(|violations| invalid_fields(&violations).into_response())?;
    let counts = register_all(&gateway, users)
        .await
        .map_err(IntoResponse::into_response)?;
    let status = if counts.added > 0 {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let view = match shown {
        Some(id) => find_user(&gateway, &id).await.map(RegisteredView::One),
        None => Ok(RegisteredView::Counts(counts)),
    };
    Ok((status, Json(view.map_err(IntoResponse::into_response)?)).into_response())
}

/// The users of a list, or everything that is wrong with them.
fn parse_user_list(gateway: &Gateway, listed: &[Value]) -> Result<Vec<NewUser>, Vec<Violation>> {
    if listed.is_empty() || listed.len() > USERS_PER_REQUEST_MAX {
        let wrong = format!("must be a list of 1 to {USERS_PER_REQUEST_MAX} users");
        return Err(vec![Violation::new("body", wrong)]);
    }
    let (mut users, mut violations) = (Vec::with_capacity(listed.len()), Vec::new());
    for (place, user) in listed.iter().enumerate() {
        match user.as_object() {
            None => violations.push(Violation::new(place.to_string(), "must be an object")),
            Some(object) => match parse_user(gateway, &format!("{place}."), object) {
                Ok(user) => users.push(user),
                Err(wrong) => violations.extend(wrong),
            },
        }
    }
    if violations.is_empty() {
        Ok(users)
    } else {
        Err(violations)
    }
}

async fn register_all(gateway: &Gateway, users: Vec<NewUser>) -> Result<RegisteredCountsView, Problem> {
    let outcomes = users::register(gateway, users).await;
    let outcomes = outcomes.map_err(|error| Problem::from_error(gateway, "register users", &error))?;
    let mut counts = RegisteredCountsView::default();
    for outcome in outcomes {
        match outcome {
            UserRegistration::Added => counts.added += 1,
            UserRegistration::Changed => counts.changed += 1,
            UserRegistration::Unchanged => counts.unchanged += 1,
        }
    }
    Ok(counts)
}

/// The user that the object speaks of, or everything that is wrong with it. Fields are named with `before` in front.
fn parse_user(
    gateway: &Gateway,
    before: &str,
    object: &Map<String, Value>,
) -> Result<NewUser, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut wrong = |field: &str, detail: &str| {
        violations.push(Violation::new(format!("{before}{field}"), detail));
    };
    for unknown in object.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        wrong(unknown, "there is no such field; known are id, name, contacts");
    }
    let mut text = |field: &str| match object.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            wrong(field, "must be a text");
            None
        }
    };
    let (id, name) = (text("id"), text("name"));
    if object.get("id").is_none_or(Value::is_null) {
        wrong("id", "is missing");
    }
    let contacts = match object.get("contacts") {
        None | Some(Value::Null) => None,
        Some(Value::Object(contacts)) => Some(parse_contacts(contacts, &mut wrong)),
        Some(_) => {
            wrong(
                "contacts",
                "must be an object such as {\"phone\": \"+98…\", \"email\": \"…\"}",
            );
            None
        }
    };
    let Some(id) = id.filter(|_| violations.is_empty()) else {
        return Err(violations);
    };
    let checked = users::validate(&gateway.config.phone, id, name, contacts, gateway.clock.now());
    checked.map_err(|unfit| vec![user_violation(before, &unfit)])
}

fn parse_contacts(
    contacts: &Map<String, Value>,
    wrong: &mut impl FnMut(&str, &str),
) -> Vec<(AddressKind, String)> {
    let mut read = Vec::with_capacity(contacts.len());
    for (key, value) in contacts.iter().filter(|(_, value)| !value.is_null()) {
        let kind = AddressKind::parse(key).filter(|kind| *kind != AddressKind::Any);
        match (kind, value.as_str()) {
            (Some(kind), Some(address)) => read.push((kind, address.to_owned())),
            (None, _) => wrong(
                &format!("contacts.{key}"),
                "must be phone, email, push, messenger or url",
            ),
            (_, None) => wrong(&format!("contacts.{key}"), "must be a text"),
        }
    }
    read
}

fn user_violation(before: &str, unfit: &InvalidUser) -> Violation {
    let line = "must be one line of 1 to 255 characters without blanks around it";
    match unfit {
        InvalidUser::Id => Violation::new(format!("{before}id"), line),
        InvalidUser::Name => Violation::new(format!("{before}name"), line),
        InvalidUser::Contact { kind, cause: why } => {
            Violation::new(format!("{before}contacts.{}", kind.as_str()), why.to_string())
        }
    }
}

/// Shows a user.
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    operation_id = "show_user",
    tag = "native",
    params(("id" = String, Path, description = "The client's own name for the user.")),
    responses((status = 200, description = "Who has registered.", body = UserView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathSegment(id): PathSegment,
    headers: HeaderMap,
) -> Result<Json<UserView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    user_response(&gateway, &id)
        .await
        .map_err(IntoResponse::into_response)
}

async fn user_response(gateway: &Gateway, id: &str) -> JsonResult<UserView> {
    find_user(gateway, id).await.map(Json)
}

/// The user of that id, or that there is none.
pub(super) async fn find_user(gateway: &Gateway, id: &str) -> Result<UserView, Problem> {
    let found = gateway.store.user(id).await;
    let found = found.map_err(|error| Problem::from_error(gateway, "read the user", &error))?;
    let missing = || Problem::not_found(format!("nobody has registered as \"{id}\""));
    found.map(UserView::from).ok_or_else(missing)
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let contacts = user.contacts.into_iter();
        Self {
            id: user.id,
            name: user.name,
            contacts: contacts
                .map(|contact| (contact.kind.as_str(), contact.address))
                .collect(),
            registered_at: rfc3339(user.created_at),
        }
    }
}
