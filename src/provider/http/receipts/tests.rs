use super::*;
use crate::provider::contract::call;

const WORDS: &str = "delivered = [\"DELIVRD\", \"1\"]\nbounced = [\"failed\"]\ninvalid = [\"invalid\"]\n\
                     opened = [\"seen\"]\nignored = [\"queued\"]\n";

fn settings(places: &str) -> ReceiptSettings {
    toml::from_str(&format!("{WORDS}{places}")).unwrap()
}

/// With the secrets that the places name; without any it says so, as it must.
fn reader(places: &str) -> Reader {
    let has_secret = places.contains("token") || places.contains("hmac");
    let unsigned = if has_secret { "" } else { "unsigned = true\n" };
    Reader::read(&settings(&format!("{unsigned}{places}"))).unwrap()
}

fn json_reader(more: &str) -> Reader {
    reader(&format!(
        "reference = \"json:id\"\nstatus = \"json:status\"\n{more}"
    ))
}

fn posted(body: &str) -> Call {
    Call {
        body: body.into(),
        ..call()
    }
}

fn refusal(reader: &Reader, call: &Call) -> String {
    match reader.receipts(call) {
        Err(Refusal::Unreadable(what)) => what,
        other => panic!("{other:?} should be unreadable"),
    }
}

#[test]
fn every_list_of_words_has_its_verdict() {
    let reader = json_reader("reason = \"json:error\"");
    for (status, word, reason) in [
        ("delivrd", "delivered", None),
        (" 1 ", "delivered", None),
        ("FAILED", "bounced", Some("gone away")),
        ("invalid", "invalid", Some("gone away")),
        ("seen", "opened", None),
    ] {
        let call = posted(&format!(
            "{{\"id\":7,\"status\":\"{status}\",\"error\":\"gone\\naway\"}}"
        ));
        let receipts = reader.receipts(&call).unwrap();
        let Receipt {
            reference,
            verdict,
            at,
        } = &receipts[0];
        assert_eq!(
            (reference.as_str(), verdict.word(), verdict.reason(), *at),
            ("7", word, reason, call.heard_at)
        );
    }
    assert_eq!(
        reader.receipts(&posted("{\"id\":7,\"status\":\"queued\"}")),
        Ok(Vec::new())
    );
}

#[test]
fn a_receipt_can_come_in_a_query_a_form_or_headers() {
    let reader = reader("reference = \"query:id\"\nstatus = \"header:X-Status\"\nreason = \"form:why\"");
    let mut call = Call {
        query: "a=b&id=m%201".to_owned(),
        ..posted("why=no+one+there")
    };
    call.headers.insert("x-status".to_owned(), "failed".to_owned());
    let receipts = reader.receipts(&call).unwrap();
    assert_eq!(receipts[0].reference, "m 1");
    assert_eq!(receipts[0].verdict.reason(), Some("no one there"));
}

#[test]
fn a_call_can_bring_several_receipts() {
    let body = r#"[{"id":"a","status":"1"},{"id":"b","status":"queued"},{"id":"c","status":"failed"}]"#;
    let whole = json_reader("list = \"json:\"");
    let inner = json_reader("list = \"json:messages\"");
    for (reader, body) in [
        (whole, body.to_owned()),
        (inner, format!("{{\"messages\":{body}}}")),
    ] {
        let receipts = reader.receipts(&posted(&body)).unwrap();
        let references: Vec<_> = receipts
            .iter()
            .map(|receipt| receipt.reference.as_str())
            .collect();
        assert_eq!(references, ["a", "c"]);
    }
}

#[test]
fn the_provider_says_when_it_happened_but_never_in_our_future() {
    let reader = json_reader("at = \"json:at\"");
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
        let call = posted(&format!("{{\"id\":\"a\",\"status\":\"1\",\"at\":{at}}}"));
        assert_eq!(
            reader.receipts(&call).unwrap()[0].at.timestamp_millis(),
            millis,
            "{at}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let reader = json_reader("");
    for (body, part) in [
        ("{\"id\":\"a\",\"status\":\"lost\\u0007\"}", "\"lost\""),
        ("{\"id\":\"a\"}", "json:status"),
        ("{\"status\":\"1\"}", "json:id"),
        ("{\"status\":\"1\",\"id\":\"\"}", "json:id"),
        ("id=a&status=1", "json:status"),
    ] {
        let what = refusal(&reader, &posted(body));
        assert!(what.contains(part), "{body}: {what}");
    }
    assert!(refusal(&json_reader("list = \"json:messages\""), &posted("{}")).contains("list"));
}

#[test]
fn only_who_knows_the_token_is_heard() {
    let body = "{\"id\":\"a\",\"status\":\"1\"}";
    let heard = |reader: &Reader, query: &str, header: Option<(&str, &str)>| {
        let headers = header
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        reader.receipts(&Call {
            query: query.to_owned(),
            headers,
            ..posted(body)
        }) != Err(Refusal::Forged)
    };
    let usual = json_reader("token = \"s3 cret\"");
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
    let own = json_reader("token = \"s3 cret\"\ntoken_header = \"X-Secret\"");
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
        let reader = json_reader(&format!(
            "[hmac]\nheader = \"X-Signature\"\nsecret = \"Jefe\"\n{how}"
        ));
        let heard = |body: &str, shown: &str| {
            let mut call = posted(body);
            call.headers.insert("x-signature".to_owned(), shown.to_owned());
            reader.receipts(&call) != Err(Refusal::Forged)
        };
        assert!(heard(body, shown), "{how}");
        assert!(!heard("what do ya want for nothing!", shown), "{how}");
        assert!(!heard(body, &shown[1..]), "{how}");
        assert!(!heard(body, ""), "{how}");
        assert_eq!(reader.receipts(&posted(body)), Err(Refusal::Forged), "{how}");
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
        let error = Reader::read(&settings(&format!("{places}{more}")))
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
        let error = Reader::read(&settings).err().unwrap().to_string();
        assert!(error.contains(part), "{words}: {error}");
    }
}
