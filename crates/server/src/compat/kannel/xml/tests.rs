use super::*;

fn texts(document: &str) -> Option<Vec<(String, String)>> {
    element_texts(document.as_bytes())
}

#[test]
fn elements_are_found_by_their_path() {
    let document = "<?xml version=\"1.0\"?>\n<!DOCTYPE message SYSTEM \"message.dtd\">\n<message a='>'><!-- <x> -->\
        <submit><da><number>1500</number></da><da><number>1501</number></da>\
        <ud>a &amp; b &lt;&#8364;&#x20AC;<![CDATA[<c>]]></ud><empty/></submit></message>";
    let found = texts(document).unwrap();
    let of = |path: &str| {
        found.iter().filter(|(name, _)| name == path).map(|(_, text)| text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("message/submit/da/number"), ["1500", "1501"]);
    assert_eq!(of("message/submit/ud"), ["a & b <€€<c>"]);
    assert_eq!(of("message/submit/empty"), [""]);
}

#[test]
fn the_declaration_names_the_encoding() {
    let latin1 = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xFC</a>";
    assert_eq!(element_texts(latin1).unwrap(), [("a".to_owned(), "\u{fc}".to_owned())]);
    assert_eq!(element_texts(b"<a>\xFC</a>"), None);
}

#[test]
fn a_malformed_or_dangerous_document_is_refused() {
    let deep = "<a>".repeat(17);
    for document in [
        "<a>",
        "<a></b>",
        "</a>",
        "<a",
        "text",
        "<a>&unknown;</a>",
        "<a>&#xD800;</a>",
        "<a>& b</a>",
        "<>x</>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!-- <a></a>",
        "<a><![CDATA[</a>",
        &deep,
    ] {
        assert_eq!(texts(document), None, "{document}");
    }
    assert_eq!(texts(""), Some(Vec::new()));
}
