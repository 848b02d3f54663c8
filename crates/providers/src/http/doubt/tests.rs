use reqwest::header::{HeaderMap, HeaderValue};

use super::*;
use crate::http_response::BodyEnd;

fn response(body: &str) -> HttpResponse {
    HttpResponse {
        status: 200,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_owned(),
        body_end: BodyEnd::Complete,
    }
}

#[test]
fn a_page_an_error_and_a_missing_document_are_doubtful() {
    for body in [
        "<!DOCTYPE html><title>Login</title>",
        "\u{feff} <HTML><body>Sign in</body></HTML>",
        r#"{"error":101,"message":"Authorization failed"}"#,
        r#"{"errors":[{"code":7}]}"#,
        r#"{"error_message":"no credit"}"#,
        r#"{"messages":[{"status":"4","error-text":"Bad Credentials"}]}"#,
        r#"{"status":"failed"}"#,
        r#"{"success":false}"#,
        r#"[{"errorCode":"12"}]"#,
        "ERR: 101, Authorization failed",
        "ERROR 5",
        "<response><error>101</error></response>",
        "<soap:Envelope><soap:Fault/></soap:Envelope>",
    ] {
        assert!(doubt(&response(body), false).is_some(), "{body}");
    }
    assert!(doubt(&response(""), true).is_some());
}

#[test]
fn a_plain_answer_and_an_empty_error_field_are_not_doubtful() {
    for body in [
        "",
        "OK",
        "done",
        "0",
        "ID: 4711",
        r#"{"id":1,"error":null}"#,
        r#"{"error":0,"errors":[],"error_code":"000","error_message":""}"#,
        r#"{"success":true,"status":"queued"}"#,
        "<response><id>1</id></response>",
        "errand run",
    ] {
        assert_eq!(doubt(&response(body), false), None, "{body}");
    }
    assert_eq!(doubt(&HttpResponse { status: 204, ..response("") }, true), None);
}

#[test]
fn a_plain_text_with_the_content_type_of_html_is_an_answer() {
    let mut page = response("OK");
    page.headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    assert_eq!(doubt(&page, false), None);
    page.body = b"<p>Sign in</p>".to_vec();
    assert!(doubt(&page, false).is_some());
}
