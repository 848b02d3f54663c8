use super::*;

fn checked(query: &str) -> Result<Parameters, Answer> {
    check(&LenientFields::parse(query.as_bytes()))
}

fn text_of(query: &str) -> Result<String, Answer> {
    checked(&format!("to=1&{query}")).map(|parameters| parameters.text)
}

#[test]
fn receivers_are_split_at_blanks_and_a_lost_plus_is_restored() {
    let receivers = |to: &str| checked(&format!("to={to}")).map(|parameters| parameters.receivers);
    for (to, expected) in [
        ("1500", vec!["1500"]),
        ("+1500", vec!["+1500"]),
        ("%2B1500", vec!["+1500"]),
        ("1500+1501", vec!["1500", "1501"]),
        ("1500%201501+%2B1502", vec!["1500", "1501", "+1502"]),
        ("1500++1501", vec!["1500", "+1501"]),
        ("150-0+", vec!["150-0"]),
    ] {
        assert_eq!(receivers(to).unwrap(), expected, "{to}");
    }
    assert_eq!(receivers(""), Err(Answer::RECEIVER_EMPTY));
    assert_eq!(receivers("+"), Err(Answer::RECEIVER_EMPTY));
    assert_eq!(receivers("15a"), Err(Answer::NUMBER_DENIED));
    assert_eq!(receivers("1500,1501"), Err(Answer::NUMBER_DENIED));
    assert_eq!(checked("text=hi"), Err(Answer::RECEIVER_MISSING));
}

#[test]
fn each_field_out_of_range_has_its_own_text() {
    let long_account = format!("account={}", "a".repeat(65));
    let long_url = format!("dlr-url=http://h/{}", "a".repeat(2_048));
    let long_udh = format!("udh=%8d{}", "%00".repeat(141));
    for (query, expected) in [
        ("udh=%05%00%03", Answer::UDH_MISFORMED),
        (long_udh.as_str(), Answer::UDH_TOO_LONG),
        ("udh=%05%00%03%01%02%01", Answer::UDH_MISFORMED),
        (long_account.as_str(), Answer::ACCOUNT_MISFORMED),
        ("account=a/b", Answer::ACCOUNT_MISFORMED),
        ("dlr-url=http://", Answer::DLR_URL_MISFORMED),
        (long_url.as_str(), Answer::DLR_URL_MISFORMED),
        ("dlr-mask=67", Answer::DLR_MASK_MISFORMED),
        ("dlrmask=-1", Answer::DLR_MASK_MISFORMED),
        ("mclass=4", Answer::MCLASS_MISFORMED),
        ("pid=256", Answer::PID_MISFORMED),
        ("rpi=3", Answer::RPI_MISFORMED),
        ("alt-dcs=2", Answer::ALT_DCS_MISFORMED),
        ("mwi=8", Answer::MWI_MISFORMED),
        ("coding=3", Answer::CODING_MISFORMED),
        ("coding=1", Answer::CODING_MISFORMED),
        ("compress=2", Answer::COMPRESS_MISFORMED),
        ("validity=-2", Answer::VALIDITY_MISFORMED),
        ("deferred=-2", Answer::DEFERRED_MISFORMED),
        ("priority=4", Answer::PRIORITY_MISFORMED),
        ("charset=EBCDIC&text=a", Answer::BODY_MISFORMED),
        ("text=%FF", Answer::BODY_MISFORMED),
    ] {
        assert_eq!(text_of(query), Err(expected), "{query}");
    }
}

#[test]
fn the_first_error_of_the_order_of_kannel_counts() {
    let all_wrong = "udh=x&account=/&dlr-url=h&dlr-mask=99&mclass=9&priority=9&coding=9&text=%FF";
    assert_eq!(checked(&format!("to=&{all_wrong}")), Err(Answer::RECEIVER_EMPTY));
    assert_eq!(checked(&format!("to=x&{all_wrong}")), Err(Answer::UDH_MISFORMED));
    let without_udh = all_wrong.trim_start_matches("udh=x&");
    assert_eq!(checked(&format!("to=x&{without_udh}")), Err(Answer::NUMBER_DENIED));
    assert_eq!(checked(&format!("to=1&{without_udh}")), Err(Answer::ACCOUNT_MISFORMED));
    assert_eq!(checked("to=1&dlr-mask=99&mclass=9"), Err(Answer::DLR_MASK_MISFORMED));
    assert_eq!(checked("to=1&coding=9&priority=9"), Err(Answer::CODING_MISFORMED));
}

#[test]
fn unset_and_unreadable_numbers_are_not_given() {
    let parameters = checked("to=1&mclass=-1&pid=&validity=x&deferred=-1&priority=+2x&unknown=1").unwrap();
    assert_eq!((parameters.validity_minutes, parameters.deferred_minutes), (None, None));
    assert_eq!(parameters.priority, Some(2));
}

#[test]
fn text_is_decoded_by_charset_and_coding() {
    for (query, expected) in [
        ("text=a+b%26%C3%BC", "a b&ü"),
        ("text=%FC&charset=ISO-8859-1", "ü"),
        ("text=%20%AC&coding=2", "€"),
        ("text=%C3%BC&coding=2&charset=UTF-8", "ü"),
        ("text=50%25", "50%"),
        ("text=50%", "50%"),
        ("", ""),
    ] {
        assert_eq!(text_of(query).as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn a_report_needs_a_url_and_a_mask() {
    let report = |query: &str| checked(&format!("to=1&{query}")).unwrap().report;
    let url = "http://h/d?s=%d";
    assert_eq!(report("dlr-mask=31&dlr-url=http://h/d?s=%25d"), Some((url.to_owned(), 31)));
    assert_eq!(report("dlrmask=64&dlrurl=http://h/d?s=%d"), Some((url.to_owned(), 64)));
    assert_eq!(report("dlr-mask=0&dlr-url=http://h/d"), None);
    assert_eq!(report("dlr-url=http://h/d"), None);
    assert_eq!(report("dlr-mask=31"), None);
}

#[test]
fn reports_repeat_what_the_request_says() {
    let query =
        "to=1&user=u&from=Acme&coding=2&mclass=0&mwi=1&binfo=b&meta-data=%3Fsmpp%3Fa%3D1%26&text=%00a";
    let fields = checked(query).unwrap().report_fields;
    let expected = [
        ("P", "Acme"),
        ("n", "u"),
        ("c", "2"),
        ("O", "0008"),
        ("m", "0"),
        ("M", "1"),
        ("B", "b"),
        ("D", "?smpp?a=1&"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_sender_of_digits_may_have_lost_its_plus() {
    let from = |query: &str| checked(&format!("to=1&{query}")).unwrap().from;
    for (query, expected) in [
        ("from=Acme", Some("Acme")),
        ("from=+1500", Some("+1500")),
        ("from=+Acme", Some("Acme")),
        ("from=", None),
        ("", None),
    ] {
        assert_eq!(from(query).as_deref(), expected, "{query}");
    }
}
