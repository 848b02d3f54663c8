use super::*;
use crate::conformance::sample_callback;

const STATUS_LISTS: &str = "delivered = [\"DELIVRD\", \"1\"]\nbounced = [\"failed\"]\ninvalid = [\"invalid\"]\n\
                     opened = [\"seen\"]\nignored = [\"queued\"]\n";

fn receipt_settings(places: &str) -> ReceiptSettings {
    toml::from_str(&format!("{STATUS_LISTS}{places}")).unwrap()
}

/// With the secrets that the places name; without any it says so, as it must.
fn parser(places: &str) -> CallbackReceiptParser {
    let has_secret = places.contains("token") || places.contains("hmac");
    let unsigned = if has_secret { "" } else { "unsigned = true\n" };
    CallbackReceiptParser::new(&receipt_settings(&format!("{unsigned}{places}"))).unwrap()
}

fn json_parser(more: &str) -> CallbackReceiptParser {
    parser(&format!(
        "reference = \"json:id\"\nstatus = \"json:status\"\n{more}"
    ))
}

fn callback_with_body(body: &str) -> CallbackRequest {
    CallbackRequest {
        body: body.into(),
        ..sample_callback()
    }
}

fn malformed_reason(reader: &CallbackReceiptParser, call: &CallbackRequest) -> String {
    match reader.parse(call) {
        Err(CallbackError::Malformed(what)) => what,
        other => panic!("{other:?} should be unreadable"),
    }
}

#[test]
fn every_list_of_words_has_its_verdict() {
    let reader = json_parser("reason = \"json:error\"");
    for (status, word, reason) in [
        ("delivrd", "delivered", None),
        (" 1 ", "delivered", None),
        ("FAILED", "bounced", Some("gone away")),
        ("invalid", "invalid", Some("gone away")),
        ("seen", "opened", None),
    ] {
        let call = callback_with_body(&format!(
            "{{\"id\":7,\"status\":\"{status}\",\"error\":\"gone\\naway\"}}"
        ));
        let receipts = reader.parse(&call).unwrap();
        let Receipt {
            reference,
            status: verdict,
            at,
        } = &receipts[0];
        assert_eq!(
            (reference.as_str(), verdict.as_str(), verdict.reason(), *at),
            ("7", word, reason, call.received_at)
        );
    }
    assert_eq!(
        reader.parse(&callback_with_body("{\"id\":7,\"status\":\"queued\"}")),
        Ok(Vec::new())
    );
}

#[test]
fn a_receipt_can_come_in_a_query_a_form_or_headers() {
    let reader = parser("reference = \"query:id\"\nstatus = \"header:X-Status\"\nreason = \"form:why\"");
    let mut call = CallbackRequest {
        query: "a=b&id=m%201".to_owned(),
        ..callback_with_body("why=no+one+there")
    };
    call.headers.insert("x-status".to_owned(), "failed".to_owned());
    let receipts = reader.parse(&call).unwrap();
    assert_eq!(receipts[0].reference, "m 1");
    assert_eq!(receipts[0].status.reason(), Some("no one there"));
}

#[test]
fn a_call_can_bring_several_receipts() {
    let body = r#"[{"id":"a","status":"1"},{"id":"b","status":"queued"},{"id":"c","status":"failed"}]"#;
    let whole = json_parser("list = \"json:\"");
    let inner = json_parser("list = \"json:messages\"");
    for (reader, body) in [
        (whole, body.to_owned()),
        (inner, format!("{{\"messages\":{body}}}")),
    ] {
        let receipts = reader.parse(&callback_with_body(&body)).unwrap();
        let references: Vec<_> = receipts
            .iter()
            .map(|receipt| receipt.reference.as_str())
            .collect();
        assert_eq!(references, ["a", "c"]);
    }
}

#[test]
fn the_provider_says_when_it_happened_but_never_in_our_future() {
    let reader = json_parser("at = \"json:at\"");
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
        let call = callback_with_body(&format!("{{\"id\":\"a\",\"status\":\"1\",\"at\":{at}}}"));
        assert_eq!(
            reader.parse(&call).unwrap()[0].at.timestamp_millis(),
            millis,
            "{at}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let reader = json_parser("");
    for (body, part) in [
        ("{\"id\":\"a\",\"status\":\"lost\\u0007\"}", "\"lost\""),
        ("{\"id\":\"a\"}", "json:status"),
        ("{\"status\":\"1\"}", "json:id"),
        ("{\"status\":\"1\",\"id\":\"\"}", "json:id"),
        ("id=a&status=1", "json:status"),
    ] {
        let what = malformed_reason(&reader, &callback_with_body(body));
        assert!(what.contains(part), "{body}: {what}");
    }
    assert!(
        malformed_reason(
            &json_parser("list = \"json:messages\""),
            &callback_with_body("{}")
        )
        .contains("list")
    );
}

#[test]
fn only_who_knows_the_token_is_heard() {
    let body = "{\"id\":\"a\",\"status\":\"1\"}";
    let heard = |reader: &CallbackReceiptParser, query: &str, header: Option<(&str, &str)>| {
        let headers = header
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        reader.parse(&CallbackRequest {
            query: query.to_owned(),
            headers,
            ..callback_with_body(body)
        }) != Err(CallbackError::Unauthenticated)
    };
    let usual = json_parser("token = \"s3 cret\"");
    assert!(heard(&usual, "token=s3%20cret", None));
    assert!(heard(&usual, "", Some(("authorization", "Bearer s3 cret"))));
    for query in [
        "",
        "token=",
        "token=s3",
        "token=s3%20crett",
        "tokens=s3%20cret",
        "token=x&token=s3%20cret",
    ] {
        assert!(!heard(&usual, query, None), "{query}");
    }
    let own = json_parser("token = \"s3 cret\"\ntoken_header = \"X-Secret\"");
    assert!(heard(&own, "", Some(("x-secret", "s3 cret"))));
    assert!(!heard(&own, "token=s3%20cret", None));
}

#[test]
fn only_who_signs_the_body_is_heard() {
    // RFC 4231, test case 2; RFC 2202, test case 2.
    let body = "what do ya want for nothing?";
    for (how, shown) in [
        (
            "",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "prefix = \"sha256=\"",
            "sha256=5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843",
        ),
        (
            "encoding = \"base64\"",
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=",
        ),
        ("algorithm = \"sha1\"", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ] {
        let reader = json_parser(&format!(
            "[hmac]\nheader = \"X-Signature\"\nsecret = \"Jefe\"\n{how}"
        ));
        let heard = |body: &str, shown: &str| {
            let mut call = callback_with_body(body);
            call.headers.insert("x-signature".to_owned(), shown.to_owned());
            reader.parse(&call) != Err(CallbackError::Unauthenticated)
        };
        assert!(heard(body, shown), "{how}");
        assert!(!heard("what do ya want for nothing!", shown), "{how}");
        assert!(!heard(body, &shown[1..]), "{how}");
        assert!(!heard(body, ""), "{how}");
        assert_eq!(
            reader.parse(&callback_with_body(body)),
            Err(CallbackError::Unauthenticated),
            "{how}"
        );
    }
}

#[test]
fn wrong_settings_name_the_key_and_the_remedy() {
    let places = "reference = \"json:id\"\nstatus = \"json:status\"\n";
    for (more, part) in [
        ("list = \"form:a\"", "receipts.list:"),
        ("reason = \"body\"", "receipts.reason:"),
        ("at = \"query:\"", "receipts.at:"),
        ("token = \"\"", "receipts.token:"),
        ("token_header = \"x\"", "receipts.token:"),
        ("", "receipts.token: is missing"),
        ("unsigned = false", "unsigned = true"),
        ("unsigned = true\ntoken = \"sesame\"", "receipts.unsigned:"),
        (
            "hmac = { header = \"x\", secret = \"\" }",
            "receipts.hmac.secret:",
        ),
    ] {
        let error = CallbackReceiptParser::new(&receipt_settings(&format!("{places}{more}")))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(part), "{more}: {error}");
    }
    for (words, part) in [
        ("", "delivered"),
        ("delivered = [\"a\"]\nbounced = [\"A\"]", "\"A\""),
    ] {
        let settings: ReceiptSettings = toml::from_str(&format!("{words}\n{places}")).unwrap();
        let error = CallbackReceiptParser::new(&settings).err().unwrap().to_string();
        assert!(error.contains(part), "{words}: {error}");
    }
}
