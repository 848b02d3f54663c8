//! The description as a page: every operation with its parameters, its body and its answers, then every form.
//!
//! Rendered once from what is in the description, without a script, under the same policy as all pages.

use askama::Template;
use serde_json::Value;
use utoipa::openapi::OpenApi as Description;

/// The page at `/api.html`.
#[derive(Template)]
#[template(path = "api.html", whitespace = "minimize")]
struct ApiPage {
    frame: crate::http::pages::Frame,
    about: Vec<String>,
    groups: Vec<Group>,
    forms: Vec<Form>,
}

/// What belongs to one face.
struct Group {
    name: String,
    about: String,
    operations: Vec<Operation>,
}

/// One method of one path.
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: String,
    is_open: bool,
    fields: Vec<Field>,
    bodies: Vec<Content>,
    answers: Vec<Answer>,
}

/// A parameter or a field.
struct Field {
    name: String,
    place: String,
    kind: Kind,
    is_required: bool,
    about: String,
}

/// A body, or one of its forms.
struct Content {
    media: String,
    kind: Kind,
}

/// What is answered with one status.
struct Answer {
    status: String,
    about: String,
    headers: String,
    contents: Vec<Content>,
}

/// A form that has a name.
struct Form {
    name: String,
    about: String,
    fields: Vec<Field>,
    kind: Kind,
}

/// What something is, in words, and the named form it leads to.
struct Kind {
    words: String,
    link: Option<String>,
}

/// The page's text.
pub(super) fn html(description: &Description) -> Result<String, String> {
    let api = serde_json::to_value(description).map_err(|error| error.to_string())?;
    let page = ApiPage {
        frame: crate::http::pages::Frame::new("API", false, None),
        about: text(&api["info"], "description")
            .split("\n\n")
            .map(str::to_owned)
            .collect(),
        groups: list(&api["tags"]).map(|tag| group(&api, tag)).collect(),
        forms: members(&api["components"]["schemas"])
            .map(|(name, schema)| form(name, schema))
            .collect(),
    };
    page.render().map_err(|error| error.to_string())
}

fn group(api: &Value, tag: &Value) -> Group {
    let name = text(tag, "name");
    let mut operations = Vec::new();
    for (path, item) in members(&api["paths"]) {
        for (method, value) in members(item) {
            if list(&value["tags"]).any(|of| of.as_str() == Some(&name)) {
                operations.push(operation(path, method, value));
            }
        }
    }
    Group {
        about: text(tag, "description"),
        name,
        operations,
    }
}

fn operation(path: &str, method: &str, value: &Value) -> Operation {
    let open = list(&value["security"]).all(|way| way.as_object().is_some_and(serde_json::Map::is_empty));
    Operation {
        id: text(value, "operationId"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(value, "summary"),
        about: text(value, "description"),
        is_open: open && value["security"].is_array(),
        fields: list(&value["parameters"]).map(parameter).collect(),
        bodies: contents(&value["requestBody"]["content"]),
        answers: members(&value["responses"]).map(answer).collect(),
    }
}

fn parameter(value: &Value) -> Field {
    Field {
        name: text(value, "name"),
        place: text(value, "in"),
        kind: kind(&value["schema"]),
        is_required: value["required"] == Value::Bool(true),
        about: text(value, "description"),
    }
}

fn answer((status, value): (&String, &Value)) -> Answer {
    let headers = members(&value["headers"]).map(|(name, _)| name.as_str());
    Answer {
        status: status.clone(),
        about: text(value, "description"),
        headers: headers.collect::<Vec<_>>().join(", "),
        contents: contents(&value["content"]),
    }
}

fn contents(value: &Value) -> Vec<Content> {
    let content = |(media, value): (&String, &Value)| Content {
        media: media.clone(),
        kind: kind(&value["schema"]),
    };
    members(value).map(content).collect()
}

fn form(name: &str, schema: &Value) -> Form {
    let required = &schema["required"];
    let field = |(name, value): (&String, &Value)| Field {
        name: name.clone(),
        place: String::new(),
        kind: kind(value),
        is_required: list(required).any(|other| other.as_str() == Some(name)),
        about: text(value, "description"),
    };
    Form {
        name: name.to_owned(),
        about: text(schema, "description"),
        fields: members(&schema["properties"]).map(field).collect(),
        kind: kind(schema),
    }
}

/// What a schema allows, in a few words.
fn kind(schema: &Value) -> Kind {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return Kind {
            words: name.to_owned(),
            link: Some(name.to_owned()),
        };
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let choices = list(&schema[choice]).map(kind).collect::<Vec<_>>();
        if !choices.is_empty() {
            let words = choices
                .iter()
                .map(|choice| choice.words.as_str())
                .collect::<Vec<_>>();
            return Kind {
                words: words.join(" or "),
                link: choices.iter().find_map(|choice| choice.link.clone()),
            };
        }
    }
    let named = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        names => list(names).filter_map(Value::as_str).collect(),
    };
    let mut link = None;
    let mut words = named.join(" or ");
    if schema["items"].is_object() {
        let of = kind(&schema["items"]);
        words = words.replace("array", &format!("array of {}", of.words));
        link = of.link;
    }
    for (limit, phrase) in [
        ("format", ""),
        ("minLength", "at least "),
        ("maxLength", "at most "),
        ("minimum", "from "),
        ("pattern", "as "),
    ] {
        match &schema[limit] {
            Value::Null => {}
            Value::String(value) => words.push_str(&format!(", {phrase}{value}")),
            value => words.push_str(&format!(", {phrase}{value}")),
        }
    }
    Kind { words, link }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
