//! Tests of the request signature.

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
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(BODY.into());
    let mut settings = toml::toml! {
        region = "eu-central-1"
        access_key_id = "AKIDEXAMPLE"
        secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        from = "no-reply@example.org"
    };
    settings.extend(session.map(|token| ("session_token".to_owned(), token.into())));
    let settings = SesSettings::read(settings).unwrap();
    let now = "2026-07-21T14:03:05Z".parse().unwrap();
    let request = sign(request, &settings, now).unwrap();
    request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
}

#[test]
fn a_request_is_signed_as_the_reference_shows() {
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
