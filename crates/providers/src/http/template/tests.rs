use crate::OutboundMessage;
use proptest::prelude::*;

use super::*;
use crate::testing::conformance::sample_message;

fn constants() -> TemplateConstants {
    TemplateConstants {
        provider: "blue".to_owned(),
        public_url: "https://postrider.example".to_owned(),
        delivery_status_url: Some("https://postrider.example/messages/delivery_status?token=t-1".to_owned()),
    }
}

fn rendered(text: &str) -> String {
    let message = OutboundMessage { sender: Some("Acme".to_owned()), ..sample_message() };
    Template::parse_document(text, TemplateEscape::None, &constants()).unwrap().render(&message)
}

#[test]
fn every_variable_is_rendered() {
    for name in variable_names() {
        let text = rendered(&format!("<{{{name}}}>"));
        assert!(text.len() > 2 && !text.contains('{'), "{name}: {text}");
    }
    assert_eq!(
        rendered("{to}|{to_digits}|{spelling}|{from}|{delivery_id}|{key}|{parts}"),
        "+989122222222|989122222222|0912 222 2222|Acme|449|449-2|1"
    );
    assert_eq!(
        rendered("{callback_url} {delivery_status_url}"),
        "https://postrider.example/v1/receipts/blue https://postrider.example/messages/delivery_status?token=t-1"
    );
}

#[test]
fn other_braces_are_literal() {
    for text in ["{", "}", "{}", "{\"a\":{\"b\":1}}", "{ to }", "{{}}", "a{2}", "{to", "{{", "{9x}"] {
        assert_eq!(rendered(text), text);
    }
    assert_eq!(rendered("{{to}}={parts}"), "{to}=1");
    assert_eq!(rendered("{\"x\":{\"to\":\"{to_digits}\"}}"), "{\"x\":{\"to\":\"989122222222\"}}");
}

#[test]
fn an_unknown_variable_is_refused_by_name() {
    let error =
        Template::parse_document("{\"a\":\"{boddy}\"}", TemplateEscape::Json, &constants()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("{boddy}") && error.contains("{body}") && error.contains("{{boddy}}"), "{error}");
}

proptest! {
    #[test]
    fn a_json_parser_gets_back_the_message(body in any::<String>(), to in any::<String>()) {
        let template = "{\"a\": {\"text\": \"<{body}>\"}, \"to\": \"{to}\"}";
        let template = Template::parse_document(template, TemplateEscape::Json, &constants()).unwrap();
        let text = template.render(&OutboundMessage { body: body.clone(), to: to.clone(), ..sample_message() });
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read["a"]["text"], &format!("<{body}>"));
        prop_assert_eq!(&read["to"], &to);
    }

    #[test]
    fn a_form_parser_gets_back_the_message(body in any::<String>(), spelling in any::<String>()) {
        let template = Template::parse_document("b={body}&s={spelling}", TemplateEscape::Percent, &constants()).unwrap();
        let text = template.render(&OutboundMessage { body: body.clone(), spelling: spelling.clone(), ..sample_message() });
        let read: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        prop_assert_eq!(read, vec![("b".to_owned(), body), ("s".to_owned(), spelling)]);
    }

    #[test]
    fn a_url_parser_gets_back_the_message(body in any::<String>()) {
        let template = Template::parse_document("http://h/p?b={body}#", TemplateEscape::Percent, &constants()).unwrap();
        let text = template.render(&OutboundMessage { body: body.clone(), ..sample_message() });
        let url = reqwest::Url::parse(&text).unwrap();
        let read: Vec<_> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(read, vec![("b".to_owned(), body)]);
    }

    #[test]
    fn literals_of_a_value_are_escaped(text in "[^{}]*") {
        let json = Template::parse_value(&text, TemplateEscape::Json, &constants()).unwrap().render(&sample_message());
        prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{json}\"")).unwrap(), text.as_str());
        let form = Template::parse_value(&text, TemplateEscape::Percent, &constants()).unwrap().render(&sample_message());
        let form = format!("a={form}");
        prop_assert_eq!(form_urlencoded::parse(form.as_bytes()).next().unwrap().1, text.as_str());
    }

    #[test]
    fn a_message_adds_no_markup_to_xml(body in any::<String>()) {
        let template = Template::parse_document("{body}", TemplateEscape::Xml, &constants()).unwrap();
        let text = template.render(&OutboundMessage { body, ..sample_message() });
        prop_assert!(!text.contains(['<', '>', '"', '\'']));
    }
}
