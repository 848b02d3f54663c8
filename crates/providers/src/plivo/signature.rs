//! Verifies Plivo's signatures: HMAC-SHA256 with the auth token.
//!
//! Version 3 signs the URL, the query and the form. Version 2 signs only the URL without its query and a nonce, so it
//! is used only if the callback has no version 3. A nonce that was used before with other content is rejected.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::Hmac;
use sha2::Sha256;

use crate::callback::CallbackRequest;
use crate::signing::is_valid_hmac;
use crate::sms::{CallbackFields, NonceCache};

/// Headers with signatures of version 3: by the token of the sending account, and by the token of the main account.
const V3_HEADERS: [&str; 2] = ["x-plivo-signature-v3", "x-plivo-signature-ma-v3"];

/// The signature headers of version 2.
const V2_HEADERS: [&str; 2] = ["x-plivo-signature-v2", "x-plivo-signature-ma-v2"];

/// Returns whether any signature of the callback is valid, and its nonce is new or repeats the same content.
pub(super) fn is_valid(auth_token: &str, request: &CallbackRequest, nonces: &NonceCache) -> bool {
    let has_v3 = V3_HEADERS.iter().any(|header| request.headers.contains_key(*header));
    let (headers, nonce_header) = if has_v3 {
        (V3_HEADERS, "x-plivo-signature-v3-nonce")
    } else {
        (V2_HEADERS, "x-plivo-signature-v2-nonce")
    };
    let Some(nonce) = request.headers.get(nonce_header) else {
        return false;
    };
    let signed_text = if has_v3 {
        let Some(text) = v3_text(request) else { return false };
        format!("{text}.{nonce}")
    } else {
        format!("{}{nonce}", url_without_query(request))
    };
    let signed_parts = [signed_text.as_bytes()];
    let is_signed = headers
        .iter()
        .filter_map(|header| request.headers.get(*header))
        .flat_map(|value| value.split(','))
        .filter_map(|signature| BASE64.decode(signature.trim()).ok())
        .any(|signature| is_valid_hmac::<Hmac<Sha256>>(auth_token.as_bytes(), &signed_parts, &signature));
    let content = || [request.query.as_bytes(), b"\n", &request.body].concat();
    is_signed && nonces.is_new_or_repeated(nonce, &content(), request.received_at)
}

fn url_without_query(request: &CallbackRequest) -> &str {
    request.url.split(['?', '#']).next().unwrap_or_default()
}

/// Returns the text that version 3 signs, without the nonce: the URL, the sorted query after `?`, and the sorted form after
/// a dot. None when the fields cannot be parsed.
fn v3_text(request: &CallbackRequest) -> Option<String> {
    let mut query_fields = CallbackFields::from_form(request.query.as_bytes()).ok()?.pairs().to_vec();
    let mut form_fields = CallbackFields::from_form(&request.body).ok()?.pairs().to_vec();
    query_fields.sort();
    form_fields.sort();
    let mut signed_text = url_without_query(request).to_owned();
    let query_fields: Vec<String> =
        query_fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !query_fields.is_empty() || !form_fields.is_empty() {
        signed_text.push('?');
        signed_text.push_str(&query_fields.join("&"));
    }
    if !query_fields.is_empty() && !form_fields.is_empty() {
        signed_text.push('.');
    }
    signed_text.extend(form_fields.into_iter().map(|(name, value)| name + &value));
    Some(signed_text)
}

#[cfg(test)]
mod tests;
