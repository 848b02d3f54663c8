//! Turns a parcel into a request, by templates that were taken apart and tried out before.
//!
//! A message changes values only: never the host, never the path's shape, never another header or field. What
//! does not fit where it should stand (a line break in a header) is refused before anything leaves.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::body::{parse_body, percent_encode, probe_message};
use super::settings::HttpSettings;
use super::template::{Template, TemplateConstants, TemplateEscape};
use crate::OutboundMessage;
use crate::http_client::host_and_port;
use postrider_core::error::{Error, Result};

/// A request with places in it.
pub(super) struct RequestTemplate {
    method: Method,
    url: UrlTemplate,
    static_headers: HeaderMap,
    templated_headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    /// The root of its host, for a look at whether anybody is there.
    root_url: Url,
}

/// Where it goes.
enum UrlTemplate {
    Static(Url),
    Templated(Template),
}

impl RequestTemplate {
    /// Takes the settings' templates apart and tries them out on a sample.
    pub fn parse(settings: &HttpSettings, constants: &TemplateConstants) -> Result<Self> {
        let (url, authorization) = split_credentials(&settings.url)?;
        let target = parse_url_template(&url, &settings.query, constants)?;
        let sample = match &target {
            UrlTemplate::Static(url) => url.clone(),
            UrlTemplate::Templated(template) => {
                parse_url(&template.render(&probe_message())).map_err(Error::usage)?
            }
        };
        let body = parse_body(settings, constants)?;
        let mut form = Self {
            method: parse_method(settings, body.is_some())?,
            root_url: sample.join("/").unwrap_or(sample),
            url: target,
            static_headers: HeaderMap::new(),
            templated_headers: Vec::new(),
            body: None,
        };
        if let Some(value) = authorization {
            form.static_headers.insert(AUTHORIZATION, value);
        }
        if let Some((content_type, template)) = body {
            form.static_headers.insert(CONTENT_TYPE, content_type);
            form.body = Some(template);
        }
        form.parse_headers(&settings.headers, constants)?;
        Ok(form)
    }

    fn parse_headers(
        &mut self,
        headers: &BTreeMap<String, String>,
        constants: &TemplateConstants,
    ) -> Result<()> {
        for (name, text) in headers {
            let fault = |what: &str| Error::usage(format!("headers.{name}: {what}"));
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| fault("is not a header's name; write letters, digits and -"))?;
            if header == CONTENT_TYPE && self.body.is_some() {
                return Err(fault("is set by json, form or content_type; leave it out here"));
            }
            if matches!(
                header.as_str(),
                "content-length" | "transfer-encoding" | "host" | "connection"
            ) {
                return Err(fault("is set by the connection itself; leave it out"));
            }
            let template = Template::parse_document(text, TemplateEscape::None, constants)
                .map_err(|cause| fault(&cause.to_string()))?;
            let value = header_value(&template.render(&probe_message()))
                .ok_or_else(|| fault("holds a line break or a control character; take it out"))?;
            if template.is_constant() {
                self.static_headers.insert(header, value);
            } else {
                self.templated_headers.push((header, template));
            }
        }
        Ok(())
    }

    /// The request for one message, or why there can be none.
    pub fn render(&self, parcel: &OutboundMessage) -> Result<Request, String> {
        let url = match &self.url {
            UrlTemplate::Static(url) => url.clone(),
            UrlTemplate::Templated(template) => parse_url(&template.render(parcel))?,
        };
        let mut request = Request::new(self.method.clone(), url);
        request.headers_mut().clone_from(&self.static_headers);
        for (name, template) in &self.templated_headers {
            let value = header_value(&template.render(parcel))
                .ok_or_else(|| format!("the header {name} cannot carry line breaks or control characters"))?;
            request.headers_mut().insert(name, value);
        }
        if let Some(template) = &self.body {
            *request.body_mut() = Some(template.render(parcel).into());
        }
        Ok(request)
    }

    /// Host and port.
    pub fn endpoint(&self) -> (String, u16) {
        host_and_port(&self.root_url)
    }

    /// The root of its host.
    pub fn root_url(&self) -> &Url {
        &self.root_url
    }
}

fn parse_method(settings: &HttpSettings, has_body: bool) -> Result<Method> {
    let usual = if has_body { "POST" } else { "GET" };
    let word = settings.method.as_deref().unwrap_or(usual).to_ascii_uppercase();
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&word.as_str()) {
        return Err(Error::usage("method: write GET, POST, PUT, PATCH or DELETE"));
    }
    Method::from_bytes(word.as_bytes()).map_err(|cause| Error::usage(format!("method: {cause}")))
}

/// The URL without the name and password before its host, and the header that stands for them.
fn split_credentials(url: &str) -> Result<(String, Option<HeaderValue>)> {
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Error::usage(
            "url: is not a URL; write http://HOST/PATH or https://HOST/PATH",
        ));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('#') {
        return Err(Error::usage("url: a # would cut it off; write %23"));
    }
    let Some((login, host)) = authority.rsplit_once('@') else {
        return Ok((url.to_owned(), None));
    };
    let (name, password) = login.split_once(':').unwrap_or((login, ""));
    let mut plain = percent_encoding::percent_decode_str(name).collect::<Vec<_>>();
    plain.push(b':');
    plain.extend(percent_encoding::percent_decode_str(password));
    let value = header_value(&format!("Basic {}", BASE64.encode(plain)));
    Ok((format!("{scheme}://{host}{path}"), value))
}

fn parse_url_template(
    url: &str,
    query: &BTreeMap<String, String>,
    constants: &TemplateConstants,
) -> Result<UrlTemplate> {
    let named = |key: &str, cause: &Error| Error::usage(format!("{key}: {cause}"));
    let mut template = Template::parse_document(url, TemplateEscape::Percent, constants)
        .map_err(|cause| named("url", &cause))?;
    let start = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &start[..start.find(['/', '?']).unwrap_or(start.len())];
    if authority.contains(['{', '}']) {
        return Err(Error::usage(
            "url: the host is the same for every message; places may stand behind it",
        ));
    }
    let mut glue = if url.contains('?') { "&" } else { "?" };
    for (name, text) in query {
        template.append_text(glue);
        template.append_text(&percent_encode(name));
        template.append_text("=");
        let value = Template::parse_value(text, TemplateEscape::Percent, constants);
        template.append(value.map_err(|cause| named(&format!("query.{name}"), &cause))?);
        glue = "&";
    }
    let sample = parse_url(&template.render(&probe_message()))
        .map_err(|cause| Error::usage(format!("url: {cause}")))?;
    Ok(if template.is_constant() {
        UrlTemplate::Static(sample)
    } else {
        UrlTemplate::Templated(template)
    })
}

/// The URL, unless it is none or a message would change the shape of its path by a segment of dots.
fn parse_url(text: &str) -> Result<Url, String> {
    let path = &text[..text.find('?').unwrap_or(text.len())];
    if path
        .split('/')
        .skip(3)
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("a part of the URL's path would consist of dots only".to_owned());
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
