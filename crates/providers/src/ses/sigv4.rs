//! Signs requests with AWS Signature Version 4.
//!
//! Paths and queries must need no URL encoding; those of this adapter are fixed. The `aws-sigv4` crate was considered: it
//! needs seven crates of the AWS SDK for what is about 60 lines here.

use hmac::Hmac;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use url::Position;

use postrider_core::clock::Timestamp;

use super::settings::SesSettings;
use crate::signing::{encode_hex, hmac_digest};

/// Service name in the credential scope.
const SERVICE: &str = "ses";

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Adds the signature headers to a request. None when a credential cannot be sent in a header.
pub(super) fn sign(mut request: Request, ses_settings: &SesSettings, now: Timestamp) -> Option<Request> {
    let time = now.format("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    let host = request.url()[Position::BeforeHost..Position::AfterPort].to_owned();
    let headers = request.headers_mut();
    headers.insert(X_AMZ_DATE, HeaderValue::from_str(&time).ok()?);
    headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
    if let Some(token) = &ses_settings.session_token {
        headers.insert(X_AMZ_SECURITY_TOKEN, HeaderValue::from_str(token).ok()?);
    }
    let mut header_names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
    header_names.sort();
    let canonical_hash = encode_hex(&Sha256::digest(canonical_request(&request, &header_names)?));
    let scope = format!("{date}/{}/{SERVICE}/aws4_request", ses_settings.region);
    let text_to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical_hash}");
    let mut signing_key = format!("AWS4{}", ses_settings.secret_access_key).into_bytes();
    for scope_part in scope.split('/') {
        signing_key = hmac_sha256(&signing_key, scope_part)?;
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={}",
        ses_settings.access_key_id,
        header_names.join(";"),
        encode_hex(&hmac_sha256(&signing_key, &text_to_sign)?),
    );
    let mut authorization = HeaderValue::from_str(&authorization).ok()?;
    authorization.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, authorization);
    Some(request)
}

/// Returns the request in the form that is signed: method, path, query, headers, and the hash of the body.
fn canonical_request(request: &Request, header_names: &[String]) -> Option<String> {
    let url = request.url();
    let mut canonical_lines =
        vec![request.method().to_string(), url.path().to_owned(), url.query().unwrap_or_default().to_owned()];
    for name in header_names {
        canonical_lines.push(format!("{name}:{}", request.headers().get(name)?.to_str().ok()?.trim()));
    }
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    canonical_lines.extend([String::new(), header_names.join(";"), encode_hex(&Sha256::digest(body))]);
    Some(canonical_lines.join("\n"))
}

fn hmac_sha256(key: &[u8], text: &str) -> Option<Vec<u8>> {
    hmac_digest::<Hmac<Sha256>>(key, &[text.as_bytes()])
}

#[cfg(test)]
mod tests;
