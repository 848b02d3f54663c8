use super::*;
use crate::http::read_settings;
use crate::testing::conformance::sample_message;

fn constants() -> TemplateConstants {
    TemplateConstants {
        provider: "blue".to_owned(),
        public_url: "https://postrider.example".to_owned(),
        delivery_status_url: None,
    }
}

fn request(settings: &str) -> Request {
    let settings = read_settings(settings.parse().unwrap()).unwrap();
    RequestTemplate::parse(&settings, &constants()).unwrap().render(&sample_message()).unwrap()
}

fn body(request: &Request) -> String {
    let bytes = request.body().unwrap().as_bytes().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn variables_are_rendered_in_path_query_headers_and_body() {
    let request = request(
        "url = \"https://h.example/v1/{to}/send?x=1\"\nmethod = \"put\"\n\
         query = { from = \"A & B\", id = \"{message_id}\" }\n\
         headers = { Idempotency-Key = \"{key}\", X-Api-Key = \"hunter2\" }\n\
         content_type = \"application/json; charset=utf-8\"\nbody = '{\"a\":{\"b\":[{\"to\":\"{to}\"},{parts}]}}'",
    );
    assert_eq!(request.method(), Method::PUT);
    let url = "https://h.example/v1/%2B989122222222/send?x=1&from=A%20%26%20B&id=018bcfe5-6800-7707-8707-070707070707";
    assert_eq!(request.url().as_str(), url);
    assert_eq!(request.headers()["idempotency-key"], "449-2");
    assert_eq!(request.headers()["x-api-key"], "hunter2");
    assert_eq!(request.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(body(&request), "{\"a\":{\"b\":[{\"to\":\"+989122222222\"},1]}}");
}

#[test]
fn a_json_table_keeps_its_types() {
    let request = request(
        "url = \"http://h\"\n[json]\nflash = true\nttl = 60\nrate = 1.5\nlist = [\"{to}\", 2]\n\
         \"odd \\\"key\" = \"a\\\"b\\n{spelling}\"\n[json.deep]\nliteral = \"{{to}}\"",
    );
    let read: serde_json::Value = serde_json::from_str(&body(&request)).unwrap();
    let expected = serde_json::json!({
        "flash": true, "ttl": 60, "rate": 1.5, "list": ["+989122222222", 2],
        "odd \"key": "a\"b\n0912 222 2222", "deep": {"literal": "{to}"},
    });
    assert_eq!(read, expected);
    assert_eq!(request.method(), Method::POST);
}

#[test]
fn a_form_is_encoded_field_by_field() {
    let request = request("url = \"http://h\"\nform = { \"a b\" = \"1&2=3\", text = \"{body}\" }");
    let read: Vec<_> = form_urlencoded::parse(body(&request).as_bytes()).into_owned().collect();
    assert_eq!(read, [("a b".to_owned(), "1&2=3".to_owned()), ("text".to_owned(), sample_message().body)]);
}

#[test]
fn credentials_before_the_host_become_a_header() {
    let request = request("url = \"http://us%40er:p%3Aw@h.example:81/x\"");
    assert_eq!(request.url().as_str(), "http://h.example:81/x");
    assert_eq!(request.headers()["authorization"], "Basic dXNAZXI6cDp3");
}

#[test]
fn debug_shows_no_secrets() {
    let settings = "url = \"https://u:hunter2@h.example/hunter2?key=hunter2\"\nform = { a = \"hunter2\" }\n\
                    headers = { Authorization = \"hunter2\" }\nquery = { k = \"hunter2\" }\n[receipts]\n\
                    reference = \"any:id\"\nstatus = \"any:s\"\ndelivered = [\"d\"]\ntoken = \"hunter2\"";
    let debug = format!("{:?}", crate::ProviderSettings::read("http", settings.parse().unwrap()).unwrap());
    assert!(!debug.contains("hunter2"), "{debug}");
}

#[test]
fn wrong_settings_name_the_key_and_the_remedy() {
    for (settings, parts) in [
        ("", ["url", "missing"]),
        ("url = \"h.example\"", ["url:", "http://HOST"]),
        ("url = \"ftp://h\"", ["url:", "http://HOST"]),
        ("url = \"http://\"", ["url:", "URL"]),
        ("url = \"http://{to}.example/\"", ["url:", "host"]),
        ("url = \"http://h/#{to}\"", ["url:", "%23"]),
        ("url = \"http://h/{too}\"", ["url:", "{too}"]),
        ("url = \"http://h\"\nurll = 1", ["urll", "expected one of"]),
        (
            "url = \"http://h\"\nform = { a = \"{delivery_status_url}\" }",
            ["form.a:", "receipts = \"texting\""],
        ),
        ("url = \"http://h\"\nreceipts = \"text\"", ["receipts", "expected \"texting\", or a table"]),
        (
            "url = \"http://h\"\nreceipts = { reference = \"any:id\", status = \"any:s\", word = 1 }",
            ["receipts", "word"],
        ),
        (
            "url = \"http://h\"\nreceipts = { reference = \"any:id\", status = \"any:s\", delivered = [\"d\"] }",
            ["receipts.token:", "unsigned = true"],
        ),
        ("url = 7", ["url", "string"]),
        ("url = \"http://h\"\nmethod = \"HEAD\"", ["method:", "GET"]),
        ("url = \"http://h\"\nquery = { a = \"{b}\" }", ["query.a:", "{b}"]),
        ("url = \"http://h\"\nform = { a = \"{b}\" }", ["form.a:", "{b}"]),
        ("url = \"http://h\"\nform = { a = 1 }", ["form.a", "string"]),
        ("url = \"http://h\"\njson = { a = { b = [\"{c}\"] } }", ["json.a.b[0]:", "{c}"]),
        ("url = \"http://h\"\njson = { a = nan }", ["json.a:", "number"]),
        ("url = \"http://h\"\njson = {}\nform = {}", ["form, json, body", "only one"]),
        ("url = \"http://h\"\nbody = \"{body}\"", ["content_type:", "application/json"]),
        ("url = \"http://h\"\nbody = \"x\"\ncontent_type = \"image/png\"", ["content_type:", "text/plain"]),
        ("url = \"http://h\"\ncontent_type = \"text/plain\"", ["content_type:", "body"]),
        (
            "url = \"http://h\"\nbody = '{\"a\":{body}}'\ncontent_type = \"application/json\"",
            ["body:", "need quotes"],
        ),
        ("url = \"http://h\"\nheaders = { \"a b\" = \"c\" }", ["headers.a b:", "name"]),
        ("url = \"http://h\"\nheaders = { a = \"b\\nc\" }", ["headers.a:", "line break"]),
        ("url = \"http://h\"\nheaders = { Host = \"b\" }", ["headers.Host:", "leave it out"]),
        ("url = \"http://h\"\nreference = \"xml:id\"", ["reference:", "json:PATH"]),
        ("url = \"http://h\"\nreference = \"regex:(\"", ["reference:", "regular expression"]),
        ("url = \"http://h\"\n[[rules]]\noutcome = \"rejected\"", ["rules[0].status:", "which responses"]),
        (
            "url = \"http://h\"\n[[rules]]\nstatus = \"20x\"\noutcome = \"rejected\"",
            ["rules[0].status:", "\"2xx\""],
        ),
        (
            "url = \"http://h\"\n[[rules]]\nstatus = \"2xx\"\noutcome = \"fine\"",
            ["rules[0].outcome", "accepted"],
        ),
        (
            "url = \"http://h\"\n[[rules]]\nbody = \"json:a\"\noutcome = \"rejected\"",
            ["rules[0].body:", "json:PATH=VALUE"],
        ),
        (
            "url = \"http://h\"\n[[rules]]\nstatus = \"2xx\"\noutcome = \"deferred\"\nretry_after = \"5\"",
            ["rules[0]", "\"30s\""],
        ),
    ] {
        let error = read_settings(settings.parse().unwrap()).err().unwrap().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{settings}: {error}");
    }
}
