//! The OpenAPI description matches the APIs: it contains every route and method, and all its references resolve.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::TestServer;

/// Routes outside the description: pages for people, the description itself, alternative spellings of described paths,
/// and fallbacks for unknown paths.
const UNDOCUMENTED_ROUTES: [&str; 23] = [
    "/",
    "/usage",
    "/broadcasts",
    "/broadcasts/{id}",
    "/messages/{id}",
    "/style.css",
    "/operate",
    "/operate.js",
    "/operate/messages",
    "/operate/inbound",
    "/operate/events",
    "/operate/confirm",
    "/operate/apply",
    "/operate/providers/{provider}/{action}",
    "/sign-in",
    "/sign-out",
    "/problems/{name}",
    "/api.json",
    "/api.yaml",
    "/api.html",
    "/sms/send/",
    "/sms/{*rest}",
    "/v1/{*rest}",
];

async fn openapi_document() -> Value {
    TestServer::new().await.get("/api.json").await.json()
}

/// Collects the paths in `.route("…"` of the source files in a folder.
fn routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The compatible APIs are described by the references of the other systems.
        if path.ends_with("tests") || path.ends_with("tests.rs") || path.ends_with("compat") {
            continue;
        }
        if path.is_dir() {
            routes(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            for call in source.split(".route(").skip(1) {
                let literal = call.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
                // Other calls of `route` concern channels.
                found.extend(
                    literal
                        .map(|(path, _)| path.replace("{*address}", "{address}"))
                        .filter(|path| path.starts_with('/')),
                );
            }
        }
    }
}

#[tokio::test]
async fn exactly_the_routes_are_described() {
    let mut routes_in_sources = BTreeSet::new();
    routes(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut routes_in_sources);
    let api = openapi_document().await;
    let mut known_routes = api["paths"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    known_routes.extend(UNDOCUMENTED_ROUTES.map(str::to_owned));
    assert_eq!(
        routes_in_sources, known_routes,
        "a handler is described by #[utoipa::path] and listed in the `…ApiDoc` of its API"
    );
}

#[tokio::test]
async fn every_path_supports_exactly_the_described_methods() {
    let server = TestServer::new().await;
    for (path, item) in openapi_document().await["paths"].as_object().unwrap() {
        let described = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        let request_path = path.replace("{id}", "x").replace("{provider}", "mock-red");
        let request_path = request_path.replace("{channel}", "sms").replace("{address}", "x");
        let request = Request::builder().method("PROPFIND").uri(&request_path);
        let response = server.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status, 405, "{path}");
        let allowed = response.header("allow").unwrap().split(',').filter(|method| *method != "HEAD");
        assert_eq!(
            allowed.map(str::to_owned).collect::<BTreeSet<_>>(),
            described.collect::<BTreeSet<_>>(),
            "{path}"
        );
    }
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_resolves_and_every_operation_describes_its_errors() {
    let api = openapi_document().await;
    let mut all_references = Vec::new();
    references(&api, &mut all_references);
    for reference in all_references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{reference}");
    }
    let mut operation_ids = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let operation_id = operation["operationId"].as_str().unwrap();
            assert!(operation_ids.insert(operation_id.to_owned()), "{operation_id} twice");
            let is_public = operation["security"] == serde_json::json!([{}]);
            let responses = operation["responses"].as_object().unwrap();
            let mut expected = vec![];
            if !is_public {
                expected.extend(["401", "403"]);
            }
            if operation["requestBody"].is_object() {
                expected.extend(["408", "413", "500", "503"]);
            }
            for status in expected {
                assert!(responses.contains_key(status), "{method} {path} does not describe {status}");
            }
            for (status, response) in responses {
                assert!(!response["description"].as_str().unwrap().is_empty());
                assert!(response["content"].is_object(), "{method} {path}: {status} has no schema");
                if status == "429" || status == "503" {
                    assert!(response["headers"]["Retry-After"].is_object(), "{method} {path}: {status}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_description_has_three_formats_and_needs_no_key() {
    let server = TestServer::with(|config| {
        config.keys = vec![postrider_engine::config::ApiKey {
            name: "shop".to_owned(),
            sha256: Some([7; 32]),
            scopes: vec![],
            user_per_hour: None,
            limits: postrider_engine::config::ApiKeyLimits::default(),
            is_shared: false,
            account: Default::default(),
            events: postrider_engine::config::ApiKeyEvents::default(),
        }];
    })
    .await;
    let json = server.get("/api.json").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.json()["openapi"], "3.1.0");
    assert_eq!(json.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
    let yaml = server.get("/api.yaml").await;
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert!(yaml.text().starts_with("openapi: 3.1.0\n"), "{}", yaml.text());
    let page = server.get("/api.html").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    let html = page.text();
    assert!(!html.contains("<script") && !html.contains("style=\""));
    for path in json.json()["paths"].as_object().unwrap().keys() {
        assert!(html.contains(path.as_str()), "{path} is not on the page");
    }
}

/// Returns the names that client generators give to the inline objects of a component: the name of the component,
/// followed by that of the property.
fn inline_object_names(component: &str, schema: &Value) -> Vec<String> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let inline =
        properties.filter(|(_, property)| property["type"] == "object" && property["title"].is_null());
    let capitalize = |word: &str| word[..1].to_uppercase() + &word[1..];
    inline
        .map(|(name, _)| format!("{component}{}", name.split('_').map(capitalize).collect::<String>()))
        .collect()
}

#[tokio::test]
async fn no_component_has_the_generated_name_of_an_inline_object() {
    let document = openapi_document().await;
    let components = document["components"]["schemas"].as_object().unwrap();
    let generated =
        components.iter().flat_map(|(name, schema)| inline_object_names(name, schema)).collect::<Vec<_>>();
    assert!(generated.contains(&"UserContacts".to_owned()), "{generated:?}");
    let duplicates = generated.iter().filter(|name| components.contains_key(*name)).collect::<Vec<_>>();
    assert_eq!(duplicates, Vec::<&String>::new());
}
