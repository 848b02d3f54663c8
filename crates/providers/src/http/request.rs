//! Renders the request for a message, from templates that were parsed and tried out on a sample.
//!
//! A message changes values only: never the host, the number of path segments, or the set of headers and fields. A value
//! that does not fit its place (a line break in a header) is refused before anything is sent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use postrider_core::error::{Error, Result};

use super::body::{parse_body, percent_encode, probe_message};
use super::settings::HttpSettings;
use super::template::{Template, TemplateConstants, TemplateEscape};
use crate::http_client::host_and_port;
use crate::provider::OutboundMessage;

/// The template of a request.
pub(super) struct RequestTemplate {
    method: Method,
    url: UrlTemplate,
    static_headers: HeaderMap,
    templated_headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    /// The root of the host, which the account check calls.
    root_url: Url,
}

enum UrlTemplate {
    Static(Url),
    Templated(Template),
}

impl RequestTemplate {
    /// Parses the templates and tries them out on a sample message.
    pub fn parse(settings: &HttpSettings, constants: &TemplateConstants) -> Result<Self> {
        let (url, authorization) = split_credentials(&settings.url)?;
        let (url, sample) = parse_url_template(&url, &settings.query, constants)?;
        let body = parse_body(settings, constants)?;
        let mut template = Self {
            method: parse_method(settings, body.is_some())?,
            root_url: sample.join("/").unwrap_or(sample),
            url,
            static_headers: HeaderMap::new(),
            templated_headers: Vec::new(),
            body: None,
        };
        if let Some(value) = authorization {
            template.static_headers.insert(AUTHORIZATION, value);
        }
        if let Some((content_type, body)) = body {
            template.static_headers.insert(CONTENT_TYPE, content_type);
            template.body = Some(body);
        }
        for (name, text) in &settings.headers {
            template
                .parse_header(name, text, constants)
                .map_err(|cause| Error::usage(format!("headers.{name}: {cause}")))?;
        }
        Ok(template)
    }

    fn parse_header(&mut self, name: &str, text: &str, constants: &TemplateConstants) -> Result<(), String> {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "invalid header name; write letters, digits and -")?;
        if header == CONTENT_TYPE && self.body.is_some() {
            return Err("is set by json, form or content_type; leave it out here".to_owned());
        }
        if matches!(header.as_str(), "content-length" | "transfer-encoding" | "host" | "connection") {
            return Err("is set by the HTTP client; leave it out".to_owned());
        }
        let template = Template::parse_document(text, TemplateEscape::None, constants)
            .map_err(|cause| cause.to_string())?;
        let sample = header_value(&template.render(&probe_message()))
            .ok_or("contains a line break or a control character; remove it")?;
        if template.is_constant() {
            self.static_headers.insert(header, sample);
        } else {
            self.templated_headers.push((header, template));
        }
        Ok(())
    }

    /// Renders the request for a message. The error is the reason why it cannot be sent.
    pub fn render(&self, message: &OutboundMessage) -> Result<Request, String> {
        let url = match &self.url {
            UrlTemplate::Static(url) => url.clone(),
            UrlTemplate::Templated(template) => parse_url(&template.render(message))?,
        };
        let mut request = Request::new(self.method.clone(), url);
        request.headers_mut().clone_from(&self.static_headers);
        for (name, template) in &self.templated_headers {
            let value = header_value(&template.render(message)).ok_or_else(|| {
                format!("the header {name} cannot contain line breaks or control characters")
            })?;
            request.headers_mut().insert(name, value);
        }
        if let Some(template) = &self.body {
            *request.body_mut() = Some(template.render(message).into());
        }
        Ok(request)
    }

    /// Returns host and port.
    pub fn endpoint(&self) -> (String, u16) {
        host_and_port(&self.root_url)
    }

    /// Returns the root URL of the host.
    pub fn root_url(&self) -> &Url {
        &self.root_url
    }
}

fn parse_method(settings: &HttpSettings, has_body: bool) -> Result<Method> {
    let default = if has_body { "POST" } else { "GET" };
    let method = settings.method.as_deref().unwrap_or(default).to_ascii_uppercase();
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
        return Err(Error::usage("method: write GET, POST, PUT, PATCH or DELETE"));
    }
    Method::from_bytes(method.as_bytes()).map_err(|cause| Error::usage(format!("method: {cause}")))
}

/// Returns the URL without name and password, and the `Authorization` header for them.
fn split_credentials(url: &str) -> Result<(String, Option<HeaderValue>)> {
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Error::usage("url: is not a URL; write http://HOST/PATH or https://HOST/PATH"));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('#') {
        return Err(Error::usage("url: contains #, which would end it; write %23"));
    }
    let Some((credentials, host)) = authority.rsplit_once('@') else {
        return Ok((url.to_owned(), None));
    };
    let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut decoded = percent_decode_str(name).collect::<Vec<_>>();
    decoded.push(b':');
    decoded.extend(percent_decode_str(password));
    let value = header_value(&format!("Basic {}", BASE64.encode(decoded)));
    Ok((format!("{scheme}://{host}{path}"), value))
}

/// Returns the template, and the URL of a sample message.
fn parse_url_template(
    url: &str,
    query: &BTreeMap<String, String>,
    constants: &TemplateConstants,
) -> Result<(UrlTemplate, Url)> {
    let with_key = |key: &str, cause: &Error| Error::usage(format!("{key}: {cause}"));
    let mut template = Template::parse_document(url, TemplateEscape::Percent, constants)
        .map_err(|cause| with_key("url", &cause))?;
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    if authority.contains(['{', '}']) {
        return Err(Error::usage(
            "url: the host must not depend on the message; move the variable behind it",
        ));
    }
    let mut separator = if url.contains('?') { "&" } else { "?" };
    for (name, text) in query {
        template.append_text(separator);
        template.append_text(&percent_encode(name));
        template.append_text("=");
        let value = Template::parse_value(text, TemplateEscape::Percent, constants);
        template.append(value.map_err(|cause| with_key(&format!("query.{name}"), &cause))?);
        separator = "&";
    }
    let sample = parse_url(&template.render(&probe_message()));
    let sample = sample.map_err(|cause| Error::usage(format!("url: {cause}")))?;
    let url = if template.is_constant() {
        UrlTemplate::Static(sample.clone())
    } else {
        UrlTemplate::Templated(template)
    };
    Ok((url, sample))
}

/// Parses a rendered URL. A path segment of dots is refused, because it would change the path.
fn parse_url(text: &str) -> Result<Url, String> {
    let path = &text[..text.find('?').unwrap_or(text.len())];
    let is_dots = |segment: &str| segment == "." || segment == "..";
    if path.split('/').skip(3).any(is_dots) {
        return Err("a segment of the URL's path would consist of dots only".to_owned());
    }
    let url = Url::parse(text).map_err(|cause| format!("is not a URL ({cause})"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with http://HOST or https://HOST".to_owned());
    }
    Ok(url)
}

fn header_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
