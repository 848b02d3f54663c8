use super::*;

#[test]
fn a_path_leads_through_objects_and_lists() {
    let document = serde_json::json!({"messages": [{"id": 7, "ok": true, "none": null}], "a": "b"});
    for (path, text) in [
        ("a", Some("b")),
        ("messages.0.id", Some("7")),
        ("messages.0.ok", Some("true")),
        ("messages.0.none", None),
        ("messages.1.id", None),
        ("messages.x", None),
        ("messages", None),
        ("a.b", None),
        ("", None),
    ] {
        assert_eq!(JsonPath::parse(path).text(&document).as_deref(), text, "{path}");
    }
    assert_eq!(JsonPath::parse("").find(&document), Some(&document));
}
