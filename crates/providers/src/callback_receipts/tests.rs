use super::*;
use crate::testing::conformance::sample_callback;

const STATUS_LISTS: &str = "delivered = [\"DELIVRD\", \"1\"]\nbounced = [\"failed\"]\ninvalid = [\"invalid\"]\n\
                     opened = [\"seen\"]\nignored = [\"queued\"]\n";

fn receipt_settings(keys: &str) -> ReceiptSettings {
    toml::from_str(&format!("{STATUS_LISTS}{keys}")).unwrap()
}

/// Returns a parser with these keys, unsigned when they contain no secret.
fn parser(keys: &str) -> CallbackReceiptParser {
    let has_secret = keys.contains("token") || keys.contains("hmac");
    let unsigned = if has_secret { "" } else { "unsigned = true\n" };
    CallbackReceiptParser::new(&receipt_settings(&format!("{unsigned}{keys}"))).unwrap()
}

fn json_parser(more: &str) -> CallbackReceiptParser {
    parser(&format!("reference = \"json:id\"\nstatus = \"json:status\"\n{more}"))
}

fn callback_with_body(body: &str) -> CallbackRequest {
    CallbackRequest { body: body.into(), ..sample_callback() }
}

fn malformed_reason(parser: &CallbackReceiptParser, request: &CallbackRequest) -> String {
    match parser.parse(request) {
        Err(CallbackError::Malformed(what)) => what,
        other => panic!("{other:?} should be malformed"),
    }
}

#[test]
fn every_status_list_has_its_receipt_status() {
    let parser = json_parser("reason = \"json:error\"");
    for (provider_status, word, reason) in [
        ("delivrd", "delivered", None),
        (" 1 ", "delivered", None),
        ("FAILED", "bounced", Some("gone away")),
        ("invalid", "invalid", Some("gone away")),
        ("seen", "opened", None),
    ] {
        let request = callback_with_body(&format!(
            "{{\"id\":7,\"status\":\"{provider_status}\",\"error\":\"gone\\naway\"}}"
        ));
        let receipts = parser.parse(&request).unwrap();
        let Receipt { reference, status, at } = &receipts[0];
        assert_eq!(
            (reference.as_str(), status.as_str(), status.reason(), *at),
            ("7", word, reason, request.received_at)
        );
    }
    assert_eq!(parser.parse(&callback_with_body("{\"id\":7,\"status\":\"queued\"}")), Ok(Vec::new()));
}

#[test]
fn a_receipt_is_parsed_from_query_form_and_headers() {
    let parser = parser("reference = \"query:id\"\nstatus = \"header:X-Status\"\nreason = \"form:why\"");
    let mut request =
        CallbackRequest { query: "a=b&id=m%201".to_owned(), ..callback_with_body("why=no+one+there") };
    request.headers.insert("x-status".to_owned(), "failed".to_owned());
    let receipts = parser.parse(&request).unwrap();
    assert_eq!(receipts[0].reference, "m 1");
    assert_eq!(receipts[0].status.reason(), Some("no one there"));
}

#[test]
fn a_callback_can_have_several_receipts() {
    let body = r#"[{"id":"a","status":"1"},{"id":"b","status":"queued"},{"id":"c","status":"failed"}]"#;
    let whole = json_parser("list = \"json:\"");
    let inner = json_parser("list = \"json:messages\"");
    for (parser, body) in [(whole, body.to_owned()), (inner, format!("{{\"messages\":{body}}}"))] {
        let receipts = parser.parse(&callback_with_body(&body)).unwrap();
        let references: Vec<_> = receipts.iter().map(|receipt| receipt.reference.as_str()).collect();
        assert_eq!(references, ["a", "c"]);
    }
}

#[test]
fn the_time_is_the_providers_but_never_in_the_future() {
    let parser = json_parser("at = \"json:at\"");
    for (at, millis) in [
        ("\"2023-11-14T20:13:20+01:00\"", 1_699_989_200_000),
        ("1600000000", 1_600_000_000_000),
        ("1600000000123", 1_600_000_000_123),
        ("\"1600000000\"", 1_600_000_000_000),
        ("\"9999-01-01T00:00:00Z\"", 1_700_000_000_000),
        ("-5", 1_700_000_000_000),
        ("\"yesterday\"", 1_700_000_000_000),
        ("null", 1_700_000_000_000),
    ] {
        let request = callback_with_body(&format!("{{\"id\":\"a\",\"status\":\"1\",\"at\":{at}}}"));
        assert_eq!(parser.parse(&request).unwrap()[0].at.timestamp_millis(), millis, "{at}");
    }
}

#[test]
fn a_malformed_callback_is_rejected_with_a_reason() {
    let parser = json_parser("");
    for (body, part) in [
        ("{\"id\":\"a\",\"status\":\"lost\\u0007\"}", "\"lost\""),
        ("{\"id\":\"a\"}", "json:status"),
        ("{\"status\":\"1\"}", "json:id"),
        ("{\"status\":\"1\",\"id\":\"\"}", "json:id"),
        ("id=a&status=1", "json:status"),
    ] {
        let what = malformed_reason(&parser, &callback_with_body(body));
        assert!(what.contains(part), "{body}: {what}");
    }
    assert!(
        malformed_reason(&json_parser("list = \"json:messages\""), &callback_with_body("{}"))
            .contains("list")
    );
}

#[test]
fn only_callbacks_with_the_token_are_accepted() {
    let body = "{\"id\":\"a\",\"status\":\"1\"}";
    let is_accepted = |parser: &CallbackReceiptParser, query: &str, header: Option<(&str, &str)>| {
        let headers = header.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        parser.parse(&CallbackRequest { query: query.to_owned(), headers, ..callback_with_body(body) })
            != Err(CallbackError::Unauthenticated)
    };
    let with_token = json_parser("token = \"s3 cret\"");
    assert!(is_accepted(&with_token, "token=s3%20cret", None));
    assert!(is_accepted(&with_token, "", Some(("authorization", "Bearer s3 cret"))));
    for query in ["", "token=", "token=s3", "token=s3%20crett", "tokens=s3%20cret", "token=x&token=s3%20cret"]
    {
        assert!(!is_accepted(&with_token, query, None), "{query}");
    }
    let with_header = json_parser("token = \"s3 cret\"\ntoken_header = \"X-Secret\"");
    assert!(is_accepted(&with_header, "", Some(("x-secret", "s3 cret"))));
    assert!(!is_accepted(&with_header, "token=s3%20cret", None));
}

#[test]
fn only_callbacks_with_a_signed_body_are_accepted() {
    // RFC 4231, test case 2; RFC 2202, test case 2.
    let body = "what do ya want for nothing?";
    for (keys, signature) in [
        ("", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("prefix = \"sha256=\"", "sha256=5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843"),
        ("encoding = \"base64\"", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="),
        ("algorithm = \"sha1\"", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ] {
        let parser = json_parser(&format!("[hmac]\nheader = \"X-Signature\"\nsecret = \"Jefe\"\n{keys}"));
        let is_accepted = |body: &str, signature: &str| {
            let mut request = callback_with_body(body);
            request.headers.insert("x-signature".to_owned(), signature.to_owned());
            parser.parse(&request) != Err(CallbackError::Unauthenticated)
        };
        assert!(is_accepted(body, signature), "{keys}");
        assert!(!is_accepted("what do ya want for nothing!", signature), "{keys}");
        assert!(!is_accepted(body, &signature[1..]), "{keys}");
        assert!(!is_accepted(body, ""), "{keys}");
        assert_eq!(parser.parse(&callback_with_body(body)), Err(CallbackError::Unauthenticated), "{keys}");
    }
}

#[test]
fn wrong_settings_name_the_key_and_the_remedy() {
    let keys = "reference = \"json:id\"\nstatus = \"json:status\"\n";
    for (more, part) in [
        ("list = \"form:a\"", "receipts.list:"),
        ("reason = \"body\"", "receipts.reason:"),
        ("at = \"query:\"", "receipts.at:"),
        ("token = \"\"", "receipts.token:"),
        ("token_header = \"x\"", "receipts.token:"),
        ("", "receipts.token: is missing"),
        ("unsigned = false", "unsigned = true"),
        ("unsigned = true\ntoken = \"sesame\"", "receipts.unsigned:"),
        ("hmac = { header = \"x\", secret = \"\" }", "receipts.hmac.secret:"),
    ] {
        let error = CallbackReceiptParser::new(&receipt_settings(&format!("{keys}{more}")))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(part), "{more}: {error}");
    }
    for (lists, part) in [("", "delivered"), ("delivered = [\"a\"]\nbounced = [\"A\"]", "\"A\"")] {
        let settings: ReceiptSettings = toml::from_str(&format!("{lists}\n{keys}")).unwrap();
        let error = CallbackReceiptParser::new(&settings).err().unwrap().to_string();
        assert!(error.contains(part), "{lists}: {error}");
    }
}
