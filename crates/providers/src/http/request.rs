//! Renders the request for a message, from templates that were parsed and tested on a sample message.
//!
//! A message changes values only. It never changes the host, the number of path segments, or the set of headers and
//! fields. If a value is not allowed at its position, such as a line break in a header, the message is refused and not
//! sent.

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
    pub fn parse(http_settings: &HttpSettings, constants: &TemplateConstants) -> Result<Self> {
        let (url_template, authorization) = split_credentials(&http_settings.url)?;
        let (url, sample_url) = parse_url_template(&url_template, &http_settings.query, constants)?;
        let body_template = parse_body(http_settings, constants)?;
        let mut template = Self {
            method: parse_method(http_settings, body_template.is_some())?,
            root_url: sample_url.join("/").unwrap_or(sample_url),
            url,
            static_headers: HeaderMap::new(),
            templated_headers: Vec::new(),
            body: None,
        };
        if let Some(authorization) = authorization {
            template.static_headers.insert(AUTHORIZATION, authorization);
        }
        if let Some((content_type, body_template)) = body_template {
            template.static_headers.insert(CONTENT_TYPE, content_type);
            template.body = Some(body_template);
        }
        for (name, value_template) in &http_settings.headers {
            template
                .parse_header(name, value_template, constants)
                .map_err(|cause| Error::usage(format!("headers.{name}: {cause}")))?;
        }
        Ok(template)
    }

    fn parse_header(
        &mut self,
        name: &str,
        value_template: &str,
        constants: &TemplateConstants,
    ) -> Result<(), String> {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "invalid header name; write letters, digits and -")?;
        if header == CONTENT_TYPE && self.body.is_some() {
            return Err("is set by json, form or content_type; leave it out here".to_owned());
        }
        if matches!(header.as_str(), "content-length" | "transfer-encoding" | "host" | "connection") {
            return Err("is set by the HTTP client; leave it out".to_owned());
        }
        let template = Template::parse_document(value_template, TemplateEscape::None, constants)
            .map_err(|cause| cause.to_string())?;
        let sample_value = header_value(&template.render(&probe_message()))
            .ok_or("contains a line break or a control character; remove it")?;
        if template.is_constant() {
            self.static_headers.insert(header, sample_value);
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
            let rendered_header = header_value(&template.render(message)).ok_or_else(|| {
                format!("the header {name} cannot contain line breaks or control characters")
            })?;
            request.headers_mut().insert(name, rendered_header);
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
    let default_method = if has_body { "POST" } else { "GET" };
    let method = settings.method.as_deref().unwrap_or(default_method).to_ascii_uppercase();
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
        return Err(Error::usage("method: write GET, POST, PUT, PATCH or DELETE"));
    }
    Method::from_bytes(method.as_bytes()).map_err(|cause| Error::usage(format!("method: {cause}")))
}

/// Returns the URL template without name and password, and the `Authorization` header for them. The type `Url` cannot
/// be used for a template, because it percent-encodes the braces of variables.
fn split_credentials(url_template: &str) -> Result<(String, Option<HeaderValue>)> {
    let Some((scheme, after_scheme)) = url_template.trim().split_once("://") else {
        return Err(Error::usage("url: is not a URL; write http://HOST/PATH or https://HOST/PATH"));
    };
    let authority_end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (authority, path_and_query) = after_scheme.split_at(authority_end);
    if path_and_query.contains('#') {
        return Err(Error::usage("url: contains #, which would end it; write %23"));
    }
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    if host.contains(['{', '}']) {
        return Err(Error::usage(
            "url: the host must not depend on the message; move the variable behind it",
        ));
    }
    Ok((format!("{scheme}://{host}{path_and_query}"), credentials.and_then(basic_authorization)))
}

/// Returns the header for `NAME` or `NAME:PASSWORD`, both percent-encoded.
fn basic_authorization(credentials: &str) -> Option<HeaderValue> {
    let missing_colon = if credentials.contains(':') { "" } else { ":" };
    let decoded_credentials: Vec<u8> = percent_decode_str(credentials).chain(missing_colon.bytes()).collect();
    header_value(&format!("Basic {}", BASE64.encode(decoded_credentials)))
}

/// Returns the template of a URL with its query, and the URL of a sample message.
fn parse_url_template(
    url_template: &str,
    query: &BTreeMap<String, String>,
    constants: &TemplateConstants,
) -> Result<(UrlTemplate, Url)> {
    let with_key = |key: &str, cause: &Error| Error::usage(format!("{key}: {cause}"));
    let mut template = Template::parse_document(url_template, TemplateEscape::Percent, constants)
        .map_err(|cause| with_key("url", &cause))?;
    let mut separator = if url_template.contains('?') { "&" } else { "?" };
    for (parameter, value_template) in query {
        template.append_text(separator);
        template.append_text(&percent_encode(parameter));
        template.append_text("=");
        let parameter_value = Template::parse_value(value_template, TemplateEscape::Percent, constants);
        template.append(parameter_value.map_err(|cause| with_key(&format!("query.{parameter}"), &cause))?);
        separator = "&";
    }
    let sample_url = parse_url(&template.render(&probe_message()))
        .map_err(|cause| Error::usage(format!("url: {cause}")))?;
    let url = if template.is_constant() {
        UrlTemplate::Static(sample_url.clone())
    } else {
        UrlTemplate::Templated(template)
    };
    Ok((url, sample_url))
}

/// Parses a rendered URL. A path segment of dots is refused, because it would change the path.
fn parse_url(rendered_url: &str) -> Result<Url, String> {
    let before_query = rendered_url.split('?').next().unwrap_or_default();
    if before_query.split('/').skip(3).any(|segment| matches!(segment, "." | "..")) {
        return Err("a segment of the URL's path would consist of dots only".to_owned());
    }
    let url = Url::parse(rendered_url).map_err(|cause| format!("is not a URL ({cause})"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with http://HOST or https://HOST".to_owned());
    }
    Ok(url)
}

/// Returns a header value that logs do not show, or None when the text has control characters.
fn header_value(text: &str) -> Option<HeaderValue> {
    let mut header_value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    header_value.set_sensitive(true);
    Some(header_value)
}

#[cfg(test)]
mod tests;
