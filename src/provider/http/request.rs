//! Turns a parcel into a request, by templates that were taken apart and tried out before.
//!
//! A message changes values only: never the host, never the path's shape, never another header or field. What
//! does not fit where it should stand (a line break in a header) is refused before anything leaves.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::body::{body, encoded, sample};
use super::settings::Settings;
use super::template::{Constants, Escape, Template};
use crate::error::{Error, Result};
use crate::provider::Parcel;
use crate::provider::outbound::place_of;

/// A request with places in it.
pub(super) struct Form {
    method: Method,
    target: Target,
    fixed: HeaderMap,
    varying: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    /// The root of its host, for a look at whether anybody is there.
    root: Url,
}

/// Where it goes.
enum Target {
    Fixed(Url),
    Varying(Template),
}

impl Form {
    /// Takes the settings' templates apart and tries them out on a sample.
    pub fn read(settings: &Settings, constants: &Constants) -> Result<Self> {
        let (url, authorization) = split_login(&settings.url)?;
        let target = target(&url, &settings.query, constants)?;
        let sample = match &target {
            Target::Fixed(url) => url.clone(),
            Target::Varying(template) => parsed(&template.fill(&sample())).map_err(Error::usage)?,
        };
        let body = body(settings, constants)?;
        let mut form = Self {
            method: method(settings, body.is_some())?,
            root: sample.join("/").unwrap_or(sample),
            target,
            fixed: HeaderMap::new(),
            varying: Vec::new(),
            body: None,
        };
        if let Some(value) = authorization {
            form.fixed.insert(AUTHORIZATION, value);
        }
        if let Some((content_type, template)) = body {
            form.fixed.insert(CONTENT_TYPE, content_type);
            form.body = Some(template);
        }
        form.read_headers(&settings.headers, constants)?;
        Ok(form)
    }

    fn read_headers(&mut self, headers: &BTreeMap<String, String>, constants: &Constants) -> Result<()> {
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
            let template = Template::document(text, Escape::None, constants)
                .map_err(|cause| fault(&cause.to_string()))?;
            let value = header_value(&template.fill(&sample()))
                .ok_or_else(|| fault("holds a line break or a control character; take it out"))?;
            if template.is_fixed() {
                self.fixed.insert(header, value);
            } else {
                self.varying.push((header, template));
            }
        }
        Ok(())
    }

    /// The request for one message, or why there can be none.
    pub fn fill(&self, parcel: &Parcel) -> Result<Request, String> {
        let url = match &self.target {
            Target::Fixed(url) => url.clone(),
            Target::Varying(template) => parsed(&template.fill(parcel))?,
        };
        let mut request = Request::new(self.method.clone(), url);
        request.headers_mut().clone_from(&self.fixed);
        for (name, template) in &self.varying {
            let value = header_value(&template.fill(parcel))
                .ok_or_else(|| format!("the header {name} cannot carry line breaks or control characters"))?;
            request.headers_mut().insert(name, value);
        }
        if let Some(template) = &self.body {
            *request.body_mut() = Some(template.fill(parcel).into());
        }
        Ok(request)
    }

    /// Host and port.
    pub fn place(&self) -> (String, u16) {
        place_of(&self.root)
    }

    /// The root of its host.
    pub fn root(&self) -> &Url {
        &self.root
    }
}

fn method(settings: &Settings, has_body: bool) -> Result<Method> {
    let usual = if has_body { "POST" } else { "GET" };
    let word = settings.method.as_deref().unwrap_or(usual).to_ascii_uppercase();
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&word.as_str()) {
        return Err(Error::usage("method: write GET, POST, PUT, PATCH or DELETE"));
    }
    Method::from_bytes(word.as_bytes()).map_err(|cause| Error::usage(format!("method: {cause}")))
}

/// The URL without the name and password before its host, and the header that stands for them.
fn split_login(url: &str) -> Result<(String, Option<HeaderValue>)> {
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

fn target(url: &str, query: &BTreeMap<String, String>, constants: &Constants) -> Result<Target> {
    let named = |key: &str, cause: &Error| Error::usage(format!("{key}: {cause}"));
    let mut template =
        Template::document(url, Escape::Percent, constants).map_err(|cause| named("url", &cause))?;
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
        template.append_text(&encoded(name));
        template.append_text("=");
        let value = Template::value(text, Escape::Percent, constants);
        template.append(value.map_err(|cause| named(&format!("query.{name}"), &cause))?);
        glue = "&";
    }
    let sample = parsed(&template.fill(&sample())).map_err(|cause| Error::usage(format!("url: {cause}")))?;
    Ok(if template.is_fixed() {
        Target::Fixed(sample)
    } else {
        Target::Varying(template)
    })
}

/// The URL, unless it is none or a message would change the shape of its path by a segment of dots.
fn parsed(text: &str) -> Result<Url, String> {
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
