//! `/api.json`, `/api.yaml`, `/api.html`: what the faces take and answer, made from the code.
//!
//! Each face describes its handlers beside its routes (`Described`); here they are put together. The description is the
//! same for everybody: it shows no setting and needs no key. A test holds every route against it.

mod errors;
mod page;
mod wire;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Response};
use axum::routing::get;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as Description, RefOr};
use utoipa::{Modify, OpenApi};

pub(super) use self::errors::{Denied, Failed, Misread, Missing, NotJson, ProblemView, Refused, Unread};
pub(super) use self::wire::{
    BroadcastBody, InboxMessage, SimpleMessage, Submission, TextingAnswer, TextingMessage, TextingStatus,
    Users,
};
use super::{health, inbox, native, problem, simple, texting};
use crate::gateway::Gateway;

/// How long a client may keep the description.
const KEEP: &str = "public, max-age=300";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Accepts messages and gets them to people through whichever provider works right now. A 2xx \
            answer to a message means that it is on disk.\n\nEvery path answers 405 with the header `Allow` to a method \
            it does not take, and what is no HTTP/1.1 within the limits is answered 400, 408, 414 or 431 without a body.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "native", description = "JSON in and out, problem documents (RFC 9457) for errors, cursors for pages."),
        (name = "simple", description = "One message by GET, or as a form."),
        (name = "inbox", description = "One message over every used channel."),
        (name = "texting", description = "The HTTP status is 200 and the outcome is in `status`, but for requests that \
            cannot be taken at all."),
        (name = "machines", description = "Is it alive, can it do its work, and what has it counted."),
    ),
    components(schemas(ProblemView)),
    modifiers(&Keys),
    security((), ("bearer" = []), ("key" = []), ("password" = []))
)]
struct Whole;

/// How API keys are sent.
struct Keys;

impl Modify for Keys {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        let mut basic = Http::new(HttpAuthScheme::Basic);
        basic.description = Some("The key is the password; any user name will do.".to_owned());
        for (name, scheme) in [
            ("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))),
            (
                "key",
                SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))),
            ),
            ("password", SecurityScheme::Http(basic)),
        ] {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// All faces together.
pub(super) fn description() -> Description {
    let mut whole = Whole::openapi();
    for face in [
        native::Described::openapi(),
        simple::Described::openapi(),
        inbox::Described::openapi(),
        texting::Described::openapi(),
        health::Described::openapi(),
    ] {
        whole.merge(face);
    }
    for (path, item) in &mut whole.paths.paths {
        refine(item);
        for operation in operations(item) {
            operation.parameters.iter_mut().flatten().for_each(without_null);
            if path.starts_with("/v1/") {
                name_requests(operation);
            }
        }
    }
    whole
}

/// What one handler says of two methods, taken apart: a GET has no body, and each has a name of its own.
fn refine(item: &mut PathItem) {
    let posted = item.post.as_ref().and_then(|post| post.operation_id.clone());
    if let Some(got) = &mut item.get {
        got.request_body = None;
        if got.operation_id == posted {
            got.operation_id = posted.map(|name| format!("{name}_by_get"));
        }
    }
}

/// What is left out of a query or a header is not null there.
fn without_null(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else {
        return;
    };
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && let SchemaType::Array(kinds) = &mut object.schema_type
    {
        kinds.retain(|kind| *kind != Type::Null);
        if let [kind] = kinds.as_slice() {
            object.schema_type = SchemaType::Type(kind.clone());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    methods.into_iter().flatten()
}

/// Every answer of the native face says which request it was.
fn name_requests(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let meaning = "Ties the answer to its line in the log.";
            let (name, header) = errors::header("X-Request-Id", Type::String, meaning);
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// The description in all its forms.
struct Forms {
    json: Bytes,
    yaml: Bytes,
    html: Bytes,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let description = description();
    let or_nothing = |form: &str, text: Result<String, String>| {
        Bytes::from(text.unwrap_or_else(|error| {
            log::error!("the description cannot be written as {form}: {error}");
            String::new()
        }))
    };
    Forms {
        json: or_nothing(
            "JSON",
            description.to_pretty_json().map_err(|error| error.to_string()),
        ),
        yaml: or_nothing("YAML", description.to_yaml().map_err(|error| error.to_string())),
        html: or_nothing("HTML", page::html(&description)),
    }
});

/// Where the description is.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route(
            "/api.json",
            get(async || file("application/json", FORMS.json.clone())),
        )
        .route(
            "/api.yaml",
            get(async || file("application/yaml", FORMS.yaml.clone())),
        )
        .route("/api.html", get(async || super::pages::fixed(FORMS.html.clone())))
        .method_not_allowed_fallback(problem::wrong_method)
}

fn file(content_type: &'static str, text: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(KEEP));
    response
}
