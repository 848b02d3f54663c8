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

fn api_group(api: &Value, api_tag: &Value) -> ApiGroup {
    let tag_name = string_member(api_tag, "name");
    let mut operations = Vec::new();
    for (path, path_item) in members(&api["paths"]) {
        for (method, operation) in members(path_item) {
            if array_items(&operation["tags"]).any(|api_tag| api_tag.as_str() == Some(&tag_name)) {
                operations.push(api_operation(path, method, operation));
            }
        }
    }
    ApiGroup { about: string_member(api_tag, "description"), name: tag_name, operations }
}

fn api_operation(path: &str, method: &str, operation: &Value) -> ApiOperation {
    let is_public = array_items(&operation["security"])
        .all(|requirement| requirement.as_object().is_some_and(serde_json::Map::is_empty));
    ApiOperation {
        id: string_member(operation, "operationId"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: string_member(operation, "summary"),
        about: string_member(operation, "description"),
        is_public: is_public && operation["security"].is_array(),
        fields: array_items(&operation["parameters"]).map(api_parameter).collect(),
        bodies: api_contents(&operation["requestBody"]["content"]),
        responses: members(&operation["responses"]).map(api_response).collect(),
    }
}

fn api_parameter(parameter: &Value) -> ApiField {
    ApiField {
        name: string_member(parameter, "name"),
        location: string_member(parameter, "in"),
        kind: summarize_schema(&parameter["schema"]),
        is_required: parameter["required"] == Value::Bool(true),
        about: string_member(parameter, "description"),
    }
}

fn api_response((status, response): (&String, &Value)) -> ApiResponse {
    let header_names = members(&response["headers"]).map(|(name, _)| name.as_str());
    ApiResponse {
        status: status.clone(),
        about: string_member(response, "description"),
        headers: header_names.collect::<Vec<_>>().join(", "),
        contents: api_contents(&response["content"]),
    }
}

fn api_contents(contents: &Value) -> Vec<ApiContent> {
    let api_content = |(media_type, api_content): (&String, &Value)| ApiContent {
        media_type: media_type.clone(),
        kind: summarize_schema(&api_content["schema"]),
    };
    members(contents).map(api_content).collect()
}

fn api_schema(schema_name: &str, schema: &Value) -> ApiSchema {
    let required = &schema["required"];
    let field = |(property_name, field_schema): (&String, &Value)| ApiField {
        name: property_name.clone(),
        location: String::new(),
        kind: summarize_schema(field_schema),
        is_required: array_items(required).any(|required_name| required_name.as_str() == Some(property_name)),
        about: string_member(field_schema, "description"),
    };
    ApiSchema {
        name: schema_name.to_owned(),
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
    for keyword in ["oneOf", "anyOf", "allOf"] {
        let choices = array_items(&schema[keyword]).map(summarize_schema).collect::<Vec<_>>();
        if !choices.is_empty() {
            let summaries = choices.iter().map(|choice| choice.summary.as_str()).collect::<Vec<_>>();
            return SchemaSummary {
                summary: summaries.join(" or "),
                link: choices.iter().find_map(|choice| choice.link.clone()),
            };
        }
    }
    let types = match &schema["type"] {
        Value::String(type_name) => vec![type_name.as_str()],
        type_names => array_items(type_names).filter_map(Value::as_str).collect(),
    };
    let mut link = None;
    let mut summary = types.join(" or ");
    if schema["items"].is_object() {
        let item_schema = summarize_schema(&schema["items"]);
        summary = summary.replace("array", &format!("array of {}", item_schema.summary));
        link = item_schema.link;
    }
    for (keyword, phrase) in [
        ("format", ""),
        ("minLength", "at least "),
        ("maxLength", "at most "),
        ("minimum", "from "),
        ("pattern", "pattern "),
    ] {
        match &schema[keyword] {
            Value::Null => {}
            Value::String(limit) => summary.push_str(&format!(", {phrase}{limit}")),
            limit => summary.push_str(&format!(", {phrase}{limit}")),
        }
    }
    SchemaSummary { summary, link }
}

fn string_member(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}

fn array_items(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
