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

fn is_valid_with(mut request: CallbackRequest, signature: &str) -> bool {
    request.headers.insert("x-twilio-signature".to_owned(), signature.to_owned());
    is_valid(TOKEN, &request)
}

const FORM: &str =
    "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";

#[test]
fn the_examples_of_the_reference_are_valid() {
    for (url, signature) in [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        ("http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ] {
        assert!(is_valid_with(twilio_callback(url, FORM), signature), "{url}");
        assert!(!is_valid_with(twilio_callback(url, &FORM.replace("1234&", "1235&")), signature), "{url}");
        assert!(!is_valid_with(twilio_callback(&url.replace("foo=1", "foo=2"), FORM), signature), "{url}");
    }
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let duplicate = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234";
    assert!(is_valid_with(twilio_callback(url, duplicate), "IK+Dwps556ElfBT0I3Rgjkr1wJU="));
}

#[test]
fn a_signed_form_has_the_signature_of_the_reference() {
    let form = |text: &str| CallbackFields::from_form(text.as_bytes()).unwrap().pairs().to_vec();
    let signed = |url, text| sign_form(TOKEN, url, &form(text)).unwrap();
    for (url, signature) in [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        ("http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ] {
        assert_eq!(signed(url, FORM), signature, "{url}");
    }
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let duplicate = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234";
    assert_eq!(signed(url, duplicate), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
}

#[test]
fn the_default_port_may_be_written_or_left_out() {
    let plain = "https://mycompany.com/myapp.php?foo=1&bar=2";
    assert!(is_valid_with(twilio_callback(plain, FORM), "kvajT1Ptam85bY51eRf/AJRuM3w="));
    let with_port = "https://mycompany.com:443/myapp.php?foo=1&bar=2";
    assert!(is_valid_with(twilio_callback(with_port, FORM), "RSOYDt4T1cUTdK1PDd93/VVr8B8="));
}

#[test]
fn a_json_body_is_bound_by_its_hash() {
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let body = r#"{"property": "value", "boolean": true}"#;
    assert!(is_valid_with(twilio_callback(url, body), "a9nBmqA0ju/hNViExpshrM61xv4="));
    assert!(!is_valid_with(twilio_callback(url, "{}"), "a9nBmqA0ju/hNViExpshrM61xv4="));
}

#[test]
fn a_malformed_signature_is_invalid() {
    for signature in ["", "=", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93"] {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert!(!is_valid_with(twilio_callback(url, FORM), signature), "{signature}");
    }
}
