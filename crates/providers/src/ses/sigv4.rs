//! Signs requests with AWS Signature Version 4.
//!
//! Paths and queries must need no URL encoding; those of this adapter are fixed.

use hmac::Hmac;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Request, Url};
use sha2::{Digest, Sha256};

use crate::signing::{encode_hex, hmac_digest};
use postrider_core::clock::Timestamp;

/// Service name in the credential scope.
const SERVICE: &str = "ses";

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Credentials of a request. Without `Debug`, because they are secret.
#[derive(Clone)]
pub(super) struct AwsCredentials {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

/// Adds the signature headers to a request; `None` when a credential cannot be sent in a header.
pub(super) fn sign(mut request: Request, credentials: &AwsCredentials, now: Timestamp) -> Option<Request> {
    let stamp = now.format("%Y%m%dT%H%M%SZ").to_string();
    let host = host_header(request.url())?;
    let headers = request.headers_mut();
    headers.insert(X_AMZ_DATE, HeaderValue::from_str(&stamp).ok()?);
    headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
    if let Some(token) = &credentials.session_token {
        headers.insert(X_AMZ_SECURITY_TOKEN, HeaderValue::from_str(token).ok()?);
    }
    let names = signed_header_names(request.headers());
    let canonical = canonical_request(&request, &names)?;
    let scope = format!("{}/{}/{SERVICE}/aws4_request", &stamp[..8], credentials.region);
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", encode_hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{}", credentials.secret_access_key).into_bytes();
    for part in [&stamp[..8], &credentials.region, SERVICE, "aws4_request"] {
        key = hmac_sha256(&key, part)?;
    }
    let signature = encode_hex(&hmac_sha256(&key, &to_sign)?);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        names.join(";"),
    );
    let mut value = HeaderValue::from_str(&authorization).ok()?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Some(request)
}

/// Returns the `Host` header: the host, with the port if it is not the default one.
fn host_header(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

fn signed_header_names(headers: &HeaderMap) -> Vec<String> {
    let mut names = headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
    names.sort();
    names
}

/// Returns the canonical request.
fn canonical_request(request: &Request, names: &[String]) -> Option<String> {
    let url = request.url();
    let mut lines =
        vec![request.method().to_string(), url.path().to_owned(), url.query().unwrap_or_default().to_owned()];
    for name in names {
        lines.push(format!("{name}:{}", request.headers().get(name)?.to_str().ok()?.trim()));
    }
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    lines.extend([String::new(), names.join(";"), encode_hex(&Sha256::digest(body))]);
    Some(lines.join("\n"))
}

fn hmac_sha256(key: &[u8], text: &str) -> Option<Vec<u8>> {
    hmac_digest::<Hmac<Sha256>>(key, &[text.as_bytes()])
}

#[cfg(test)]
mod tests;
