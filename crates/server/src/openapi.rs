//! `/api.json`, `/api.yaml`, `/api.html`: the OpenAPI description of all APIs, made from the code.
//!
//! Each API describes its handlers beside its routes (`…ApiDoc`); this module merges them. The description contains no
//! settings, is the same for all clients, and needs no key. A test compares it with the routes.
mod page;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse as _;
use axum::routing::get;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as Description, RefOr};
use utoipa::{Modify, OpenApi};

use super::error_responses;
use super::problem::ProblemView;
use super::{inbox, monitoring, native, problem, simple, texting};
use postrider_engine::gateway::Gateway;

/// Cache lifetime of the description at clients.
const API_DOC_CACHE_CONTROL: &str = "public, max-age=300";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Accepts messages and delivers them through whichever configured provider works. A 2xx \
            response to a message means that it is on disk.\n\nEvery path answers 405 with the `Allow` header to a method \
            that it does not support. A request that is not HTTP/1.1 or exceeds the limits is answered 400, 408, 414 or 431 \
            without a body.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "native", description = "JSON requests and responses, problem documents (RFC 9457) for errors, cursors for lists."),
        (name = "simple", description = "One message by GET, or as a form."),
        (name = "inbox", description = "One message over every used channel."),
        (name = "texting", description = "The HTTP status is 200 and the outcome is in `status`, except for requests that \
            cannot be processed at all."),
        (name = "monitoring", description = "Liveness, readiness and metrics."),
    ),
    components(schemas(ProblemView)),
    modifiers(&ApiKeySchemes),
    security((), ("bearer" = []), ("api_key_header" = []), ("basic" = []))
)]
struct ApiDoc;

/// Adds the security schemes for API keys.
struct ApiKeySchemes;

impl Modify for ApiKeySchemes {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        let mut basic = Http::new(HttpAuthScheme::Basic);
        basic.description = Some("The key is the password; any user name is valid.".to_owned());
        for (name, scheme) in [
            ("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))),
            ("api_key_header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key")))),
            ("basic", SecurityScheme::Http(basic)),
        ] {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// Builds the description of all APIs.
pub(super) fn openapi_document() -> Description {
    let mut description = ApiDoc::openapi();
    for api in [
        native::NativeApiDoc::openapi(),
        simple::SimpleApiDoc::openapi(),
        inbox::InboxApiDoc::openapi(),
        texting::TextingApiDoc::openapi(),
        monitoring::MonitoringApiDoc::openapi(),
    ] {
        description.merge(api);
    }
    for (path, path_item) in &mut description.paths.paths {
        normalize_path_item(path_item);
        for operation in operations(path_item) {
            operation.parameters.iter_mut().flatten().for_each(remove_null_type);
            if path.starts_with("/v1/") {
                add_request_id_header(operation);
            }
        }
    }
    description
}

/// Separates the descriptions of a handler that serves two methods: its GET gets its own operation id and no body.
fn normalize_path_item(path_item: &mut PathItem) {
    let post_id = path_item.post.as_ref().and_then(|post| post.operation_id.clone());
    if let Some(get) = &mut path_item.get {
        get.request_body = None;
        if get.operation_id == post_id {
            get.operation_id = post_id.map(|id| format!("{id}_by_get"));
        }
    }
}

/// Removes `null` from the type of an optional parameter: an absent query parameter or header is not null.
fn remove_null_type(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else {
        return;
    };
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && let SchemaType::Array(types) = &mut object.schema_type
    {
        types.retain(|json_type| *json_type != Type::Null);
        if let [json_type] = types.as_slice() {
            object.schema_type = SchemaType::Type(json_type.clone());
        }
    }
}

fn operations(path_item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path_item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Adds the `X-Request-Id` header to all responses of an operation.
fn add_request_id_header(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let (name, header) =
                error_responses::header("X-Request-Id", Type::String, "Id of this request in the log.");
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// The description in all its formats.
struct ApiDocFormats {
    json: Bytes,
    yaml: Bytes,
    html: Bytes,
}

static API_DOC_FORMATS: LazyLock<ApiDocFormats> = LazyLock::new(|| {
    let description = openapi_document();
    let bytes_or_empty = |format: &str, rendered: Result<String, String>| {
        Bytes::from(rendered.unwrap_or_else(|error| {
            log::error!("cannot render OpenAPI document: format={format} error={error}");
            String::new()
        }))
    };
    ApiDocFormats {
        json: bytes_or_empty("JSON", description.to_pretty_json().map_err(|error| error.to_string())),
        yaml: bytes_or_empty("YAML", description.to_yaml().map_err(|error| error.to_string())),
        html: bytes_or_empty("HTML", page::render_api_page(&description)),
    }
});

/// Returns the routes of the description.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api.json", get(async || document_response("application/json", API_DOC_FORMATS.json.clone())))
        .route("/api.yaml", get(async || document_response("application/yaml", API_DOC_FORMATS.yaml.clone())))
        .route("/api.html", get(async || super::pages::static_page(API_DOC_FORMATS.html.clone())))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

fn document_response(content_type: &'static str, document: Bytes) -> Response<Body> {
    let headers = [
        (CONTENT_TYPE, content_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, API_DOC_CACHE_CONTROL),
    ];
    (headers, document).into_response()
}
