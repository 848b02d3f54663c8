//! `/api.html`: the OpenAPI description as a page with all operations and schemas.
//!
//! Rendered once from the description, without a script, under the same security policy as all pages.

use askama::Template;
use serde_json::Value;
use utoipa::openapi::OpenApi as Description;

/// The page at `/api.html`.
#[derive(Template)]
#[template(path = "api.html", whitespace = "minimize")]
struct ApiPage {
    layout: crate::pages::PageLayout,
    about: Vec<String>,
    groups: Vec<ApiGroup>,
    schemas: Vec<ApiSchema>,
}

/// The operations of one API.
struct ApiGroup {
    name: String,
    about: String,
    operations: Vec<ApiOperation>,
}

/// One method of one path.
struct ApiOperation {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: String,
    is_public: bool,
    fields: Vec<ApiField>,
    bodies: Vec<ApiContent>,
    responses: Vec<ApiResponse>,
}

/// A parameter or a field.
struct ApiField {
    name: String,
    location: String,
    kind: SchemaSummary,
    is_required: bool,
    about: String,
}

/// A request or response body in one media type.
struct ApiContent {
    media_type: String,
    kind: SchemaSummary,
}

/// A response with one status.
struct ApiResponse {
    status: String,
    about: String,
    headers: String,
    contents: Vec<ApiContent>,
}

/// A named schema.
struct ApiSchema {
    name: String,
    about: String,
    fields: Vec<ApiField>,
    kind: SchemaSummary,
}

/// A type in words, and the named schema it refers to.
struct SchemaSummary {
    summary: String,
    link: Option<String>,
}

/// Renders the page.
pub(super) fn render_api_page(description: &Description) -> Result<String, String> {
    let api = serde_json::to_value(description).map_err(|error| error.to_string())?;
    let page = ApiPage {
        layout: crate::pages::PageLayout::new("API", false, None),
        about: string_member(&api["info"], "description").split("\n\n").map(str::to_owned).collect(),
        groups: array_items(&api["tags"]).map(|tag| api_group(&api, tag)).collect(),
        schemas: members(&api["components"]["schemas"])
            .map(|(name, schema)| api_schema(name, schema))
            .collect(),
    };
    page.render().map_err(|error| error.to_string())
}

fn api_group(api: &Value, tag: &Value) -> ApiGroup {
    let name = string_member(tag, "name");
    let mut operations = Vec::new();
    for (path, item) in members(&api["paths"]) {
        for (method, value) in members(item) {
            if array_items(&value["tags"]).any(|tag| tag.as_str() == Some(&name)) {
                operations.push(api_operation(path, method, value));
            }
        }
    }
    ApiGroup { about: string_member(tag, "description"), name, operations }
}

fn api_operation(path: &str, method: &str, value: &Value) -> ApiOperation {
    let is_public = array_items(&value["security"])
        .all(|requirement| requirement.as_object().is_some_and(serde_json::Map::is_empty));
    ApiOperation {
        id: string_member(value, "operationId"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: string_member(value, "summary"),
        about: string_member(value, "description"),
        is_public: is_public && value["security"].is_array(),
        fields: array_items(&value["parameters"]).map(api_parameter).collect(),
        bodies: api_contents(&value["requestBody"]["content"]),
        responses: members(&value["responses"]).map(api_response).collect(),
    }
}

fn api_parameter(value: &Value) -> ApiField {
    ApiField {
        name: string_member(value, "name"),
        location: string_member(value, "in"),
        kind: summarize_schema(&value["schema"]),
        is_required: value["required"] == Value::Bool(true),
        about: string_member(value, "description"),
    }
}

fn api_response((status, value): (&String, &Value)) -> ApiResponse {
    let headers = members(&value["headers"]).map(|(name, _)| name.as_str());
    ApiResponse {
        status: status.clone(),
        about: string_member(value, "description"),
        headers: headers.collect::<Vec<_>>().join(", "),
        contents: api_contents(&value["content"]),
    }
}

fn api_contents(value: &Value) -> Vec<ApiContent> {
    let content = |(media_type, value): (&String, &Value)| ApiContent {
        media_type: media_type.clone(),
        kind: summarize_schema(&value["schema"]),
    };
    members(value).map(content).collect()
}

fn api_schema(name: &str, schema: &Value) -> ApiSchema {
    let required = &schema["required"];
    let field = |(name, value): (&String, &Value)| ApiField {
        name: name.clone(),
        location: String::new(),
        kind: summarize_schema(value),
        is_required: array_items(required).any(|other| other.as_str() == Some(name)),
        about: string_member(value, "description"),
    };
    ApiSchema {
        name: name.to_owned(),
        about: string_member(schema, "description"),
        fields: members(&schema["properties"]).map(field).collect(),
        kind: summarize_schema(schema),
    }
}

/// Describes a schema in a few words.
fn summarize_schema(schema: &Value) -> SchemaSummary {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return SchemaSummary { summary: name.to_owned(), link: Some(name.to_owned()) };
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let choices = array_items(&schema[choice]).map(summarize_schema).collect::<Vec<_>>();
        if !choices.is_empty() {
            let summaries = choices.iter().map(|choice| choice.summary.as_str()).collect::<Vec<_>>();
            return SchemaSummary {
                summary: summaries.join(" or "),
                link: choices.iter().find_map(|choice| choice.link.clone()),
            };
        }
    }
    let types = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        names => array_items(names).filter_map(Value::as_str).collect(),
    };
    let mut link = None;
    let mut summary = types.join(" or ");
    if schema["items"].is_object() {
        let items = summarize_schema(&schema["items"]);
        summary = summary.replace("array", &format!("array of {}", items.summary));
        link = items.link;
    }
    for (limit, phrase) in [
        ("format", ""),
        ("minLength", "at least "),
        ("maxLength", "at most "),
        ("minimum", "from "),
        ("pattern", "pattern "),
    ] {
        match &schema[limit] {
            Value::Null => {}
            Value::String(value) => summary.push_str(&format!(", {phrase}{value}")),
            value => summary.push_str(&format!(", {phrase}{value}")),
        }
    }
    SchemaSummary { summary, link }
}

fn string_member(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn array_items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
