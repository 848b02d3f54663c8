//! `/api.json`, `/api.yaml`, `/api.html`: what the faces take and answer, made from the code.
//!
//! Each face describes its handlers beside its routes (`Described`); here they are put together. The description is the
//! same for everybody: it shows no setting and needs no key. A test holds every route against it.

mod error_responses;
mod page;
mod request_bodies;

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

pub(super) use self::error_responses::{
    AcceptErrorResponses, AuthErrorResponses, BadRequestResponses, BodyErrorResponses, NotFoundResponses,
    NotJsonResponses, ProblemView, StoreErrorResponses,
};
pub(super) use self::request_bodies::{
    BroadcastSubmission, InboxMessage, MessageSubmission, SimpleMessage, TextingMessage, TextingResponse,
    TextingStatus, UserRegistrations,
};
use super::{inbox, monitoring, native, problem, simple, texting};
use postrider_engine::gateway::Gateway;

/// How long a client may keep the description.
const API_DOC_CACHE_CONTROL: &str = "public, max-age=300";

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
    modifiers(&ApiKeySchemes),
    security((), ("bearer" = []), ("key" = []), ("password" = []))
)]
struct ApiDoc;

/// How API keys are sent.
struct ApiKeySchemes;

impl Modify for ApiKeySchemes {
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
pub(super) fn openapi_document() -> Description {
    let mut whole = ApiDoc::openapi();
    for face in [
        native::NativeApiDoc::openapi(),
        simple::SimpleApiDoc::openapi(),
        inbox::InboxApiDoc::openapi(),
        texting::TextingApiDoc::openapi(),
        monitoring::MonitoringApiDoc::openapi(),
    ] {
        whole.merge(face);
    }
    for (path, item) in &mut whole.paths.paths {
        normalize_path_item(item);
        for operation in operations(item) {
            operation
                .parameters
                .iter_mut()
                .flatten()
                .for_each(remove_null_type);
            if path.starts_with("/v1/") {
                add_request_id_header(operation);
            }
        }
    }
    whole
}

/// What one handler says of two methods, taken apart: a GET has no body, and each has a name of its own.
fn normalize_path_item(item: &mut PathItem) {
    let posted = item.post.as_ref().and_then(|post| post.operation_id.clone());
    if let Some(got) = &mut item.get {
        got.request_body = None;
        if got.operation_id == posted {
            got.operation_id = posted.map(|name| format!("{name}_by_get"));
        }
    }
}

/// What is left out of a query or a header is not null there.
fn remove_null_type(parameter: &mut RefOr<Parameter>) {
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
fn add_request_id_header(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let meaning = "Ties the answer to its line in the log.";
            let (name, header) = error_responses::header("X-Request-Id", Type::String, meaning);
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// The description in all its forms.
struct ApiDocFormats {
    json: Bytes,
    yaml: Bytes,
    html: Bytes,
}

static API_DOC_FORMATS: LazyLock<ApiDocFormats> = LazyLock::new(|| {
    let description = openapi_document();
    let or_nothing = |form: &str, text: Result<String, String>| {
        Bytes::from(text.unwrap_or_else(|error| {
            log::error!("the description cannot be written as {form}: {error}");
            String::new()
        }))
    };
    ApiDocFormats {
        json: or_nothing(
            "JSON",
            description.to_pretty_json().map_err(|error| error.to_string()),
        ),
        yaml: or_nothing("YAML", description.to_yaml().map_err(|error| error.to_string())),
        html: or_nothing("HTML", page::render_api_page(&description)),
    }
});

/// Where the description is.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route(
            "/api.json",
            get(async || document_response("application/json", API_DOC_FORMATS.json.clone())),
        )
        .route(
            "/api.yaml",
            get(async || document_response("application/yaml", API_DOC_FORMATS.yaml.clone())),
        )
        .route(
            "/api.html",
            get(async || super::pages::static_page(API_DOC_FORMATS.html.clone())),
        )
        .method_not_allowed_fallback(problem::method_not_allowed)
}

fn document_response(content_type: &'static str, text: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(API_DOC_CACHE_CONTROL));
    response
}
