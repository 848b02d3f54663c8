use super::*;
use axum::http::HeaderValue;

fn fields(
    content_type: &str,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> Result<LenientFields, Answer> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    let media_type = content_type.split(';').next().unwrap_or_default();
    map.insert("content-type", HeaderValue::from_str(content_type).unwrap());
    parameters(&map, media_type, b"to=9", body.as_bytes())
}

#[test]
fn headers_are_parameters_and_the_body_is_the_text() {
    let headers = [
        ("x-kannel-username", "u"),
        ("x-kannel-to", "1500 1501"),
        ("x-kannel-udh", "0500%03"),
        ("x-kannel-dlr-mask", "31"),
        ("x-kannel-meta-data", "?a?b=1&"),
        ("x-kannel-alt-dcs", "1"),
    ];
    let found = fields("text/plain; charset=ISO-8859-1", &headers, "a%20+b").unwrap();
    for (name, expected) in [
        ("username", "u"),
        ("to", "1500 1501"),
        ("dlr-mask", "31"),
        ("meta-data", "?a?b=1&"),
        ("alt-dcs", "1"),
        ("charset", "ISO-8859-1"),
        ("text", "a%20+b"),
        ("udh", "0500\u{3}"),
    ] {
        assert_eq!(found.text(&[name]).as_deref(), Some(expected), "{name}");
    }
    let hex = fields("text/plain", &[("x-kannel-udh", "050003")], "").unwrap();
    assert_eq!(hex.bytes(&["udh"]), Some([5, 0, 3].as_slice()));
}

#[test]
fn octets_are_binary_and_markup_is_removed() {
    assert_eq!(fields("application/octet-stream", &[], "a").unwrap().text(&["coding"]).as_deref(), Some("1"));
    let html = "<html><body>a &lt;b&gt;\n  <p>c&nbsp;&amp;amp;</p></body></html>";
    assert_eq!(fields("text/html", &[], html).unwrap().text(&["text"]).as_deref(), Some("a <b> c &amp;"));
}

#[test]
fn forms_work_like_a_query() {
    assert_eq!(
        fields(FORM_URLENCODED, &[], "to=1&text=a+b").unwrap().text(&["text"]).as_deref(),
        Some("a b")
    );
    assert_eq!(fields(FORM_URLENCODED, &[], "").unwrap().text(&["to"]).as_deref(), Some("9"));
    assert_eq!(fields("image/png", &[], "x"), Err(Answer::UNSUPPORTED_CONTENT));
}

#[test]
fn xml_elements_are_parameters() {
    let document = "<message><submit><from><user>u</user><pass>p</pass><account>a</account></from>\
        <oa><number>Acme</number></oa><da><number>1500</number></da><da><number>1501</number></da>\
        <ud>68%69+there</ud><dcs><coding>0</coding></dcs><smsc>x</smsc><vp><delay>5</delay></vp><timing><delay>6</delay></timing>\
        <statusrequest><dlr-mask>31</dlr-mask><dlr-url>http://h/d?s=%d</dlr-url></statusrequest></submit></message>";
    let found = fields("text/xml", &[], document).unwrap();
    for (name, expected) in [
        ("username", "u"),
        ("password", "p"),
        ("account", "a"),
        ("from", "Acme"),
        ("to", "1500 1501"),
        ("text", "68i there"),
        ("coding", "0"),
        ("smsc", "x"),
        ("validity", "5"),
        ("deferred", "6"),
        ("dlr-mask", "31"),
        ("dlr-url", "http://h/d?s=%d"),
    ] {
        assert_eq!(found.text(&[name]).as_deref(), Some(expected), "{name}");
    }
    let hex = "<message><submit><da><number>1</number></da><ud>6869</ud></submit></message>";
    assert_eq!(fields("text/xml", &[], hex).unwrap().text(&["text"]).as_deref(), Some("hi"));
    let without_receiver = "<message><submit><ud>x</ud></submit></message>";
    assert_eq!(fields("text/xml", &[], without_receiver), Err(Answer::XML_RECEIVER_MISSING));
    assert_eq!(fields("text/xml", &[], "<message>"), Err(Answer::BODY_MISFORMED));
}
