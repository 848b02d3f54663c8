use super::*;
use crate::events::callback::test_events::{callback, delivered};
use postrider_core::callback::CallbackFormat;

const META_DATA: &str = "?smpp?dlr_err=\u{3}\0\0&x=a b&?other?y=2&";

fn expanded_with(pattern: &str, fields: &[(&str, &str)], text: &str) -> String {
    let callback = callback(CallbackFormat::Kannel { mask: 31 }, pattern, fields);
    let event = delivered();
    let values = PatternValues {
        event: &event,
        callback: &callback,
        dlr_value: 1,
        text,
        reference: "ab/1",
        sender: callback.field("P").unwrap_or_default(),
        uuid: "00000000-0000-4000-8000-000000000001",
    };
    expand(pattern, &values)
}

fn expanded(pattern: &str) -> String {
    let fields = [
        ("P", "0049 Acme"),
        ("D", META_DATA),
        ("B", "b i"),
        ("u", "\u{5}\0\u{3}"),
        ("n", "us er"),
        ("m", "0"),
    ];
    expanded_with(pattern, &fields, "id:1 stat:D*V err:0 a&b")
}

#[test]
fn every_escape_of_the_table_is_expanded() {
    for (pattern, expected) in [
        ("%d", "1"),
        ("%p", "%2B15005550001"),
        ("%P", "0049+Acme"),
        ("%q", "%2B15005550001"),
        ("%Q", "%2B49+Acme"),
        ("%t", "2026-11-30+17:24:00"),
        ("%T", "1796059440"),
        ("%i", "red"),
        ("%I", "00000000-0000-4000-8000-000000000001"),
        ("%F", "ab%2F1"),
        ("%A", "id%3A1+stat%3AD*V+err%3A0+a%26b"),
        ("%b", "id%3A1+stat%3AD*V+err%3A0+a%26b"),
        ("%a", "id%3A1+stat%3AD*V+err%3A0+a%26b"),
        ("%k", "id%3A1"),
        ("%s", "stat%3AD*V"),
        ("%s-%s-%r", "stat%3AD*V-err%3A0-a%26b"),
        ("%r", "stat%3AD*V+err%3A0+a%26b"),
        ("%S", "stat:D~V"),
        ("%s%s%S", "stat%3AD*Verr%3A0a%26b"),
        ("%s%s%s%s%s.", "stat%3AD*Verr%3A0a%26b."),
        ("%n", "us+er"),
        ("%c", "-1"),
        ("%m/%M", "0/-1"),
        ("%C", "UTF-8"),
        ("%u", "%05%00%03"),
        ("%B", "b+i"),
        ("[%o%f%v%V]", "[]"),
        ("%O", "0000"),
        ("%D", "%3Fsmpp%3Fdlr_err%3D%03%00%00%26x%3Da+b%26%3Fother%3Fy%3D2%26"),
        ("%#smpp#dlr_err#", "%03%00%00"),
        ("%#smpp#x#%#other#y#", "a+b2"),
        ("[%#smpp#missing#]", "[]"),
        ("%#smpp", "%#smpp"),
        ("%e", "69643A3120737461743A442A56206572723A3020612662"),
        ("%U%x%y%z", "%U%x%y%z"),
        ("%%d", "%d"),
        ("%é", "%é"),
        ("a%", "a%"),
        ("x%R", "xx%25R"),
    ] {
        assert_eq!(expanded(pattern), expected, "{pattern}");
    }
}

#[test]
fn values_that_the_request_did_not_set_have_the_defaults_of_kannel() {
    let text = "[%P%u%B%D]%n,%c,%m,%M,%C,%O,%#a#b#";
    assert_eq!(expanded_with(text, &[], ""), "[]shop,-1,-1,-1,UTF-8,0000,");
    assert_eq!(expanded_with("[%k%s%r%S%a]", &[], ""), "[]");
}

#[test]
fn a_number_is_told_as_the_client_wrote_it() {
    let fields = [(ADDED_PLUS, "1")];
    assert_eq!(expanded_with("%p/%q", &fields, ""), "15005550001/15005550001");
}

#[test]
fn a_pattern_is_checked_like_a_url() {
    let policy = EgressPolicy::parse(&["127.0.0.0/8"], &[443]).unwrap();
    let validated = |text| validate_pattern(&policy, text);
    let pattern = "http://127.0.0.1:81/d?s=%d&e=%#smpp#dlr_err#";
    assert_eq!(validated(pattern).as_deref(), Ok(pattern));
    assert_eq!(validated("https://shop.example/a b").as_deref(), Ok("https://shop.example/a%20b"));
    for invalid in [
        "",
        "x",
        "ftp://127.0.0.1/",
        "http://10.0.0.1/",
        "http://%P/",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1/\n",
    ] {
        assert!(validated(invalid).is_err(), "{invalid:?}");
    }
}
