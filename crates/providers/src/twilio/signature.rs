//! Makes and verifies Twilio's signature: HMAC-SHA1 with the auth token over the URL and the sorted fields of the form.
//!
//! Twilio has signed URLs with and without the default port, so both are tried. A JSON body is bound to the signed URL
//! by its hash. The signature has no time stamp. This is no risk, because a replayed callback changes nothing: states
//! never move backwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::Hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use url::{Position, Url};

use crate::callback::CallbackRequest;
use crate::signing::{encode_hex, hmac_digest, is_valid_hmac};
use crate::sms::CallbackFields;

/// Returns whether the header `X-Twilio-Signature` is valid for this callback.
pub(super) fn is_valid(auth_token: &str, request: &CallbackRequest) -> bool {
    let signature = request.headers.get("x-twilio-signature");
    let Some(signature) = signature.and_then(|text| BASE64.decode(text.trim()).ok()) else {
        return false;
    };
    let Some(fields) = signed_fields(request) else {
        return false;
    };
    // All variants are computed, so that the time does not reveal which of them matches.
    url_variants(&request.url)
        .iter()
        .map(|url| {
            let signed_parts = [url.as_bytes(), fields.as_bytes()];
            is_valid_hmac::<Hmac<Sha1>>(auth_token.as_bytes(), &signed_parts, &signature)
        })
        .fold(false, |any_valid, is_valid| any_valid | is_valid)
}

/// Returns the names and values that are signed after the URL. None when the body does not have the signed hash.
fn signed_fields(request: &CallbackRequest) -> Option<String> {
    if let Some(hash) = request.query_field("bodySHA256") {
        let is_signed_body = encode_hex(&Sha256::digest(&request.body)) == hash.to_ascii_lowercase();
        return is_signed_body.then(String::new);
    }
    if request.body.is_empty() {
        return Some(String::new());
    }
    Some(join_sorted(CallbackFields::from_form(&request.body).ok()?.pairs().to_vec()))
}

/// Returns names and values in the order in which they are signed. Equal pairs are signed once.
fn join_sorted(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort();
    pairs.dedup();
    pairs.into_iter().map(|(name, value)| name + &value).collect()
}

/// Returns the header `X-Twilio-Signature` of a form that is posted to `url`.
pub fn sign_form(auth_token: &str, url: &str, pairs: &[(String, String)]) -> Option<String> {
    let fields = join_sorted(pairs.to_vec());
    let signed_parts = [url.as_bytes(), fields.as_bytes()];
    hmac_digest::<Hmac<Sha1>>(auth_token.as_bytes(), &signed_parts).map(|digest| BASE64.encode(digest))
}

/// Returns the URL as it is, with the default port added, and with the port removed.
fn url_variants(text: &str) -> Vec<String> {
    let mut variants = vec![text.to_owned()];
    if let Ok(url) = Url::parse(text) {
        let (origin, path) = (&url[..Position::AfterHost], &url[Position::BeforePath..]);
        let default_port = url.port_or_known_default().filter(|_| url.port().is_none());
        variants.extend(default_port.map(|port| format!("{origin}:{port}{path}")));
        variants.push(format!("{origin}{path}"));
    }
    variants
}

#[cfg(test)]
mod tests;
