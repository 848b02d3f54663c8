//! Whether a call comes from Twilio: HMAC-SHA1 with the auth token over the URL and the sorted fields of its form.
//!
//! Twilio has signed URLs with and without the port that a scheme has anyway, so each way is tried. A JSON body is
//! bound to the signed URL by its hash. There is no time in it: a replay is told by what is known already.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::CallbackRequest;
use crate::sms::CallbackFields;

/// Whether the header `X-Twilio-Signature` is right for this call.
pub(super) fn is_valid(auth_token: &str, call: &CallbackRequest) -> bool {
    let Some(shown) = call.headers.get("x-twilio-signature") else {
        return false;
    };
    let Ok(shown) = BASE64.decode(shown.trim()) else {
        return false;
    };
    let Some(pairs) = signed_pairs(call) else {
        return false;
    };
    // No early end: which of the ways fits is nobody's business.
    url_variants(&call.url)
        .iter()
        .map(|url| has_valid_hmac(auth_token, url, &pairs, &shown))
        .fold(false, |known, fits| known | fits)
}

fn has_valid_hmac(auth_token: &str, url: &str, pairs: &[(String, String)], shown: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()) else {
        return false;
    };
    mac.update(url.as_bytes());
    for (name, value) in pairs {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac.verify_slice(shown).is_ok()
}

/// The fields that are signed beside the URL, in their order; none when the body is not the one that was signed.
fn signed_pairs(call: &CallbackRequest) -> Option<Vec<(String, String)>> {
    let hash = form_urlencoded::parse(call.query.as_bytes())
        .find(|(name, _)| name == "bodySHA256")
        .map(|(_, hash)| hash.to_ascii_lowercase());
    if let Some(hash) = hash {
        let body = Sha256::digest(&call.body);
        let body: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        return (body == hash).then(Vec::new);
    }
    if call.body.is_empty() {
        return Some(Vec::new());
    }
    let mut pairs = CallbackFields::from_form(&call.body).ok()?.pairs().to_vec();
    pairs.sort();
    pairs.dedup();
    Some(pairs)
}

/// The URL as it is, with the scheme's own port, and without any.
fn url_variants(text: &str) -> Vec<String> {
    let mut ways = vec![text.to_owned()];
    let (Ok(url), Some((scheme, rest))) = (Url::parse(text), text.split_once("://")) else {
        return ways;
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, Some(port))
        }
        _ => (authority, None),
    };
    match (port, url.port_or_known_default()) {
        (None, Some(usual)) => ways.push(format!("{scheme}://{host}:{usual}{path}")),
        _ => ways.push(format!("{scheme}://{host}{path}")),
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "12345";

    fn twilio_callback(url: &str, body: &str) -> CallbackRequest {
        CallbackRequest {
            url: url.to_owned(),
            query: url.split_once('?').map_or("", |(_, query)| query).to_owned(),
            body: body.into(),
            ..CallbackRequest::default()
        }
    }

    fn is_valid_with(mut call: CallbackRequest, signature: &str) -> bool {
        call.headers
            .insert("x-twilio-signature".to_owned(), signature.to_owned());
        is_valid(TOKEN, &call)
    }

    const FORM: &str =
        "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";

    #[test]
    fn the_vectors_of_the_reference_are_accepted() {
        for (url, signature) in [
            (
                "https://mycompany.com/myapp.php?foo=1&bar=2",
                "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            ),
            (
                "https://mycompany.com:443/myapp.php?foo=1&bar=2",
                "kvajT1Ptam85bY51eRf/AJRuM3w=",
            ),
            (
                "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
                "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
            ),
            (
                "http://mycompany.com:80/myapp.php?foo=1&bar=2",
                "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            ),
        ] {
            assert!(is_valid_with(twilio_callback(url, FORM), signature), "{url}");
            assert!(
                !is_valid_with(twilio_callback(url, &FORM.replace("1234&", "1235&")), signature),
                "{url}"
            );
            assert!(
                !is_valid_with(twilio_callback(&url.replace("foo=1", "foo=2"), FORM), signature),
                "{url}"
            );
        }
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let twice = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234";
        assert!(is_valid_with(
            twilio_callback(url, twice),
            "IK+Dwps556ElfBT0I3Rgjkr1wJU="
        ));
    }

    #[test]
    fn either_spelling_of_the_usual_port_is_accepted() {
        let plain = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert!(is_valid_with(
            twilio_callback(plain, FORM),
            "kvajT1Ptam85bY51eRf/AJRuM3w="
        ));
        let with_port = "https://mycompany.com:443/myapp.php?foo=1&bar=2";
        assert!(is_valid_with(
            twilio_callback(with_port, FORM),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8="
        ));
    }

    #[test]
    fn a_json_body_is_bound_by_its_hash() {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let body = r#"{"property": "value", "boolean": true}"#;
        assert!(is_valid_with(
            twilio_callback(url, body),
            "a9nBmqA0ju/hNViExpshrM61xv4="
        ));
        assert!(!is_valid_with(
            twilio_callback(url, "{}"),
            "a9nBmqA0ju/hNViExpshrM61xv4="
        ));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        for signature in [
            "",
            "=",
            "x",
            "RSOYDt4T1cUTdK1PDd93/VVr8B8",
            "RSOYDt4T1cUTdK1PDd93",
        ] {
            let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
            assert!(
                !is_valid_with(twilio_callback(url, FORM), signature),
                "{signature}"
            );
        }
    }
}
