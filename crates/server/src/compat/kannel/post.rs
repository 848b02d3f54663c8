//! Messages by POST: a text or octets with `X-Kannel-*` headers, XML, and forms. Each becomes the parameters of a GET.
//!
//! Kannel refuses forms; many clients send them, so they are accepted.

#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::answers::Answer;
use super::xml;
use crate::body::FORM_URLENCODED;
use crate::compat::query::LenientFields;

/// Headers and the parameters that they stand for.
const HEADERS: [(&str, &str); 19] = [
    ("x-kannel-username", "username"),
    ("x-kannel-password", "password"),
    ("x-kannel-from", "from"),
    ("x-kannel-to", "to"),
    ("x-kannel-smsc", "smsc"),
    ("x-kannel-dlr-url", "dlr-url"),
    ("x-kannel-dlr-mask", "dlr-mask"),
    ("x-kannel-account", "account"),
    ("x-kannel-binfo", "binfo"),
    ("x-kannel-coding", "coding"),
    ("x-kannel-pid", "pid"),
    ("x-kannel-mwi", "mwi"),
    ("x-kannel-mclass", "mclass"),
    ("x-kannel-alt-dcs", "alt-dcs"),
    ("x-kannel-compress", "compress"),
    ("x-kannel-validity", "validity"),
    ("x-kannel-deferred", "deferred"),
    ("x-kannel-rpi", "rpi"),
    ("x-kannel-priority", "priority"),
];

/// Elements below `message/submit` and the parameters that they stand for.
const ELEMENTS: [(&str, &str); 24] = [
    ("from/username", "username"),
    ("from/user", "username"),
    ("from/password", "password"),
    ("from/pass", "password"),
    ("from/account", "account"),
    ("from/binfo", "binfo"),
    ("oa/number", "from"),
    ("smsc", "smsc"),
    ("to", "smsc"),
    ("pid", "pid"),
    ("rpi", "rpi"),
    ("dcs/mclass", "mclass"),
    ("dcs/mwi", "mwi"),
    ("dcs/coding", "coding"),
    ("dcs/compress", "compress"),
    ("dcs/alt-dcs", "alt-dcs"),
    ("statusrequest/dlr-mask", "dlr-mask"),
    ("statusrequest/dlr-url", "dlr-url"),
    ("vp/delay", "validity"),
    ("timing/delay", "deferred"),
    ("priority", "priority"),
    ("meta-data", "meta-data"),
    ("udh", "udh"),
    ("ud", "text"),
];

/// Returns the parameters of a request. `query` counts only with a form.
pub(super) fn parameters(
    headers: &HeaderMap,
    content_type: &str,
    query: &[u8],
    body: &[u8],
) -> Result<LenientFields, Answer> {
    match content_type {
        FORM_URLENCODED if body.is_empty() => Ok(LenientFields::parse(query)),
        FORM_URLENCODED => Ok(LenientFields::parse(body)),
        "text/xml" => from_xml(body),
        "text/plain" | "" => Ok(from_headers(headers, body.to_vec(), false)),
        "text/html" | "text/vnd.wap.wml" => Ok(from_headers(headers, strip_tags(body), false)),
        "application/octet-stream" => Ok(from_headers(headers, body.to_vec(), true)),
        _ => Err(Answer::UNSUPPORTED_CONTENT),
    }
}

fn from_headers(headers: &HeaderMap, text: Vec<u8>, is_binary: bool) -> LenientFields {
    let mut fields = LenientFields::default();
    for (header, parameter) in HEADERS {
        if let Some(value) = headers.get(header) {
            fields.push(parameter, value.as_bytes());
        }
    }
    if let Some(value) = headers.get("x-kannel-meta-data") {
        fields.push("meta-data", value.as_bytes());
    }
    if let Some(udh) = headers.get("x-kannel-udh").and_then(|value| value.to_str().ok()) {
        fields.push("udh", octets_of(udh));
    }
    if is_binary {
        fields.push("coding", "1");
    }
    let content_type = headers.get(axum::http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let charset = content_type.and_then(|content_type| content_type.split_once("charset="));
    if let Some((_, charset)) = charset {
        fields.push("charset", charset.trim().trim_matches('"'));
    }
    fields.push("text", text);
    fields
}

fn from_xml(body: &[u8]) -> Result<LenientFields, Answer> {
    let texts = xml::element_texts(body).ok_or(Answer::BODY_MISFORMED)?;
    let mut fields = LenientFields::default();
    let mut receivers = Vec::new();
    for (path, text) in texts {
        let Some(element) = path.strip_prefix("message/submit/") else {
            continue;
        };
        let text = text.trim();
        if element == "da/number" {
            receivers.push(text.to_owned());
            continue;
        }
        match ELEMENTS.iter().find(|(name, _)| *name == element) {
            Some((_, parameter @ ("udh" | "text"))) => fields.push(parameter, octets_of(text)),
            Some((_, parameter)) => fields.push(parameter, text),
            None => {}
        }
    }
    if receivers.is_empty() {
        return Err(Answer::XML_RECEIVER_MISSING);
    }
    fields.push("to", receivers.join(" "));
    Ok(fields)
}

/// Returns the octets of hexadecimal digits, or of an URL-encoded text.
fn octets_of(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .unwrap_or_else(|_| percent_decode_str(&text.replace('+', " ")).collect())
}

/// Removes tags, and replaces blanks in a row by one and the usual entities by their characters.
fn strip_tags(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len());
    let mut is_in_tag = false;
    for byte in body {
        match byte {
            b'<' => is_in_tag = true,
            b'>' if is_in_tag => is_in_tag = false,
            _ if is_in_tag => {}
            byte if byte.is_ascii_whitespace() => {
                if !text.ends_with(b" ") {
                    text.push(b' ');
                }
            }
            byte => text.push(*byte),
        }
    }
    let mut text = text.trim_ascii().to_vec();
    for (entity, character) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
    {
        text = replace_bytes(&text, entity.as_bytes(), character.as_bytes());
    }
    text
}

fn replace_bytes(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..position]);
        replaced.extend_from_slice(to);
        rest = &rest[position + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
