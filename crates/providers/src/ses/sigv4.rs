//! Signature Version 4: proves that a request is ours without showing the secret.
//!
//! Signs what [`signed`] is given and nothing more; the rules are those of the service's own documents.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Request, Url};
use sha2::{Digest, Sha256};

use postrider_core::clock::Timestamp;

/// The service that the signature is for.
const SERVICE: &str = "ses";

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Who signs. Has no `Debug`: it holds secrets.
#[derive(Clone)]
pub(super) struct AwsCredentials {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// The token that comes with temporary credentials.
    pub session_token: Option<String>,
}

/// The request with the headers that prove who sends it; none when a credential cannot stand in a header.
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
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{}", credentials.secret_access_key).into_bytes();
    for part in [&stamp[..8], &credentials.region, SERVICE, "aws4_request"] {
        key = hmac_sha256(&key, part)?;
    }
    let signature = hex(&hmac_sha256(&key, &to_sign)?);
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

/// The host as it goes over the wire: with its port where that is not the usual one.
fn host_header(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

fn signed_header_names(headers: &HeaderMap) -> Vec<String> {
    let mut names = headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// The request as both sides write it down. Paths and queries are ours and need no encoding.
fn canonical_request(request: &Request, names: &[String]) -> Option<String> {
    let url = request.url();
    let mut lines = vec![
        request.method().to_string(),
        url.path().to_owned(),
        url.query().unwrap_or_default().to_owned(),
    ];
    for name in names {
        lines.push(format!(
            "{name}:{}",
            request.headers().get(name)?.to_str().ok()?.trim()
        ));
    }
    let body = request
        .body()
        .and_then(reqwest::Body::as_bytes)
        .unwrap_or_default();
    lines.extend([String::new(), names.join(";"), hex(&Sha256::digest(body))]);
    Some(lines.join("\n"))
}

fn hmac_sha256(key: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::CONTENT_TYPE;

    use super::*;

    const BODY: &str = "{\"FromEmailAddress\":\"no-reply@example.org\",\"Destination\":{\"ToAddresses\":\
        [\"user@example.com\"]},\"Content\":{\"Simple\":{\"Subject\":{\"Data\":\"Your code\",\"Charset\":\"UTF-8\"},\
        \"Body\":{\"Text\":{\"Data\":\"4711\",\"Charset\":\"UTF-8\"}}}},\"ConfigurationSetName\":\"gw\",\
        \"EmailTags\":[{\"Name\":\"msg\",\"Value\":\"01J9ZC5T\"}]}";

    fn authorization(session: Option<&str>) -> String {
        let url = "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails";
        let mut request = Request::new(Method::POST, url.parse().unwrap());
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(BODY.into());
        let credentials = AwsCredentials {
            region: "eu-central-1".to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: session.map(str::to_owned),
        };
        let now = "2026-07-21T14:03:05Z".parse().unwrap();
        let request = sign(request, &credentials, now).unwrap();
        request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_request_is_signed_as_the_reference_computes_it() {
        assert_eq!(
            authorization(None),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260721/eu-central-1/ses/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=e3d3875d965a1f7d66c4bc9bb1f7b60903f667890e08d46520e3d53e5c2f2201"
        );
        let with_token = authorization(Some("AQoEXAMPLETOKEN"));
        assert!(
            with_token.ends_with("f86246b16bc2217ed5709d5737b8ea82bf15083fc9db05a437c38f9acf00f447"),
            "{with_token}"
        );
    }
}
