//! The template of a request body: a form, a JSON document from a table, or a text with a content type.
//!
//! Literals are escaped when the template is parsed, variables when it is rendered. A JSON text that a sample message
//! does not render to valid JSON is refused at the start.

use std::collections::BTreeMap;

use percent_encoding::utf8_percent_encode;
use reqwest::header::HeaderValue;

use postrider_core::error::{Error, Result};
use postrider_core::id::{DeliveryId, MessageId};

use super::settings::HttpSettings;
use super::template::{RESERVED, Template, TemplateConstants, TemplateEscape};
use crate::json_api::{FORM_CONTENT_TYPE, JSON_CONTENT_TYPE, escape_json};
use crate::provider::OutboundMessage;

/// Returns the sample message on which templates are tested. Its texts are not valid JSON without quotes.
pub(super) fn probe_message() -> OutboundMessage {
    let sample_text = || "sample".to_owned();
    OutboundMessage {
        delivery_id: DeliveryId(1),
        message_id: MessageId::from_bytes([0; 16]),
        round: 1,
        to: sample_text(),
        spelling: sample_text(),
        registered_at: None,
        subject: Some(sample_text()),
        sender: Some(sample_text()),
        body: sample_text(),
        parts: 1,
        expires_at: postrider_core::clock::from_millis(0),
    }
}

/// Returns the content type and the template of the body.
pub(super) fn parse_body(
    http_settings: &HttpSettings,
    constants: &TemplateConstants,
) -> Result<Option<(HeaderValue, Template)>> {
    let has_bodies =
        [http_settings.form.is_some(), http_settings.json.is_some(), http_settings.body.is_some()];
    if has_bodies.iter().filter(|has_body| **has_body).count() > 1 {
        return Err(Error::usage("form, json, body: write only one of them"));
    }
    if http_settings.content_type.is_some() && http_settings.body.is_none() {
        return Err(Error::usage(
            "content_type: is for body only; json and form set their own, leave it out",
        ));
    }
    if let Some(fields) = &http_settings.form {
        return Ok(Some((FORM_CONTENT_TYPE, parse_form_body(fields, constants)?)));
    }
    if let Some(table) = &http_settings.json {
        let mut template = Template::parse_value("", TemplateEscape::Json, constants)?;
        append_json("json", &toml::Value::Table(table.clone()), &mut template, constants)?;
        return Ok(Some((JSON_CONTENT_TYPE, template)));
    }
    http_settings.body.as_deref().map(|body| parse_text_body(http_settings, body, constants)).transpose()
}

fn parse_form_body(fields: &BTreeMap<String, String>, constants: &TemplateConstants) -> Result<Template> {
    let mut template = Template::parse_value("", TemplateEscape::Percent, constants)?;
    for (index, (field, value_template)) in fields.iter().enumerate() {
        if index > 0 {
            template.append_text("&");
        }
        template.append_text(&percent_encode(field));
        template.append_text("=");
        let field_value = Template::parse_value(value_template, TemplateEscape::Percent, constants);
        template.append(field_value.map_err(|cause| Error::usage(format!("form.{field}: {cause}")))?);
    }
    Ok(template)
}

/// Appends the value of a configuration key to the body as JSON. Strings are templates themselves.
fn append_json(
    template_key: &str,
    value: &toml::Value,
    json_template: &mut Template,
    constants: &TemplateConstants,
) -> Result<()> {
    match value {
        toml::Value::String(text) => {
            let template = Template::parse_value(text, TemplateEscape::Json, constants);
            json_template.append_text("\"");
            json_template.append(template.map_err(|cause| Error::usage(format!("{template_key}: {cause}")))?);
            json_template.append_text("\"");
        }
        toml::Value::Array(elements) => {
            json_template.append_text("[");
            for (index, element) in elements.iter().enumerate() {
                json_template.append_text(if index > 0 { "," } else { "" });
                append_json(&format!("{template_key}[{index}]"), element, json_template, constants)?;
            }
            json_template.append_text("]");
        }
        toml::Value::Table(fields) => {
            json_template.append_text("{");
            for (index, (field, field_value)) in fields.iter().enumerate() {
                let separator = if index > 0 { "," } else { "" };
                json_template.append_text(&format!("{separator}\"{}\":", escape_json(field)));
                append_json(&format!("{template_key}.{field}"), field_value, json_template, constants)?;
            }
            json_template.append_text("}");
        }
        toml::Value::Datetime(time) => json_template.append_text(&format!("\"{time}\"")),
        toml::Value::Float(number) if !number.is_finite() => {
            return Err(Error::usage(format!(
                "{template_key}: JSON cannot represent this number; write a string"
            )));
        }
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
            json_template.append_text(&value.to_string());
        }
    }
    Ok(())
}

fn parse_text_body(
    settings: &HttpSettings,
    body_template: &str,
    constants: &TemplateConstants,
) -> Result<(HeaderValue, Template)> {
    let Some(content_type) = &settings.content_type else {
        return Err(Error::usage(
            "content_type: is missing; it decides how body is escaped; write for example \"application/json\"",
        ));
    };
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let escape = match media_type.as_str() {
        "application/x-www-form-urlencoded" => TemplateEscape::Percent,
        json if json.ends_with("/json") || json.ends_with("+json") => TemplateEscape::Json,
        xml if xml.ends_with("/xml") || xml.ends_with("+xml") => TemplateEscape::Xml,
        "text/plain" => TemplateEscape::None,
        _ => {
            return Err(Error::usage(
                "content_type: unsupported type; write a JSON, XML, text/plain or \
                 application/x-www-form-urlencoded type",
            ));
        }
    };
    let header = HeaderValue::from_str(content_type)
        .map_err(|_| Error::usage("content_type: is not valid in a header"))?;
    let template = Template::parse_document(body_template, escape, constants)
        .map_err(|cause| Error::usage(format!("body: {cause}")))?;
    if escape == TemplateEscape::Json {
        serde_json::from_str::<serde_json::Value>(&template.render(&probe_message())).map_err(|cause| {
            Error::usage(format!(
                "body: does not render to valid JSON ({cause}); texts need quotes: \"{{body}}\""
            ))
        })?;
    }
    Ok((header, template))
}

/// Encodes the name of a query parameter or form field.
pub(super) fn percent_encode(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}
