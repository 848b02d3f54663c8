use proptest::prelude::*;

use super::*;
use crate::provider::contract::parcel;

fn constants() -> Constants {
    Constants {
        provider: "blue".to_owned(),
        public_url: "https://postrider.example".to_owned(),
        delivery_status_url: Some("https://postrider.example/messages/delivery_status?token=t-1".to_owned()),
    }
}

fn filled(text: &str) -> String {
    Template::document(text, Escape::None, &constants())
        .unwrap()
        .fill(&parcel())
}

#[test]
fn every_name_is_filled_in() {
    for (name, _) in NAMES {
        let text = filled(&format!("<{{{name}}}>"));
        assert!(text.len() > 2 && !text.contains('{'), "{name}: {text}");
    }
    assert_eq!(
        filled("{to}|{to_digits}|{spelling}|{delivery_id}|{key}|{parts}"),
        "+989122222222|989122222222|0912 222 2222|449|449-2|1"
    );
    assert_eq!(
        filled("{callback_url} {delivery_status_url}"),
        "https://postrider.example/v1/receipts/blue https://postrider.example/messages/delivery_status?token=t-1"
    );
}

#[test]
fn other_braces_stay_as_they_are() {
    for text in [
        "{",
        "}",
        "{}",
        "{\"a\":{\"b\":1}}",
        "{ to }",
        "{{}}",
        "a{2}",
        "{to",
        "{{",
        "{9x}",
    ] {
        assert_eq!(filled(text), text);
    }
    assert_eq!(filled("{{to}}={parts}"), "{to}=1");
    assert_eq!(
        filled("{\"x\":{\"to\":\"{to_digits}\"}}"),
        "{\"x\":{\"to\":\"989122222222\"}}"
    );
}

#[test]
fn an_unknown_name_is_refused_by_its_name() {
    let error = Template::document("{\"a\":\"{boddy}\"}", Escape::Json, &constants()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("{boddy}") && error.contains("{body}") && error.contains("{{boddy}}"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn a_json_reader_gets_back_what_was_put_in(body in any::<String>(), to in any::<String>()) {
        let template = "{\"a\": {\"text\": \"<{body}>\"}, \"to\": \"{to}\"}";
        let template = Template::document(template, Escape::Json, &constants()).unwrap();
        let text = template.fill(&Parcel { body: body.clone(), to: to.clone(), ..parcel() });
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read["a"]["text"], &format!("<{body}>"));
        prop_assert_eq!(&read["to"], &to);
    }

    #[test]
    fn a_form_reader_gets_back_what_was_put_in(body in any::<String>(), spelling in any::<String>()) {
        let template = Template::document("b={body}&s={spelling}", Escape::Percent, &constants()).unwrap();
        let text = template.fill(&Parcel { body: body.clone(), spelling: spelling.clone(), ..parcel() });
        let read: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        prop_assert_eq!(read, vec![("b".to_owned(), body), ("s".to_owned(), spelling)]);
    }

    #[test]
    fn a_query_reader_gets_back_what_was_put_in(body in any::<String>()) {
        let template = Template::document("http://h/p?b={body}#", Escape::Percent, &constants()).unwrap();
        let text = template.fill(&Parcel { body: body.clone(), ..parcel() });
        let url = reqwest::Url::parse(&text).unwrap();
        let read: Vec<_> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(read, vec![("b".to_owned(), body)]);
    }

    #[test]
    fn literal_values_are_escaped_too(text in "[^{}]*") {
        let json = Template::value(&text, Escape::Json, &constants()).unwrap().fill(&parcel());
        prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{json}\"")).unwrap(), text.as_str());
        let form = Template::value(&text, Escape::Percent, &constants()).unwrap().fill(&parcel());
        let form = format!("a={form}");
        prop_assert_eq!(form_urlencoded::parse(form.as_bytes()).next().unwrap().1, text.as_str());
    }

    #[test]
    fn xml_never_holds_markup_of_a_message(body in any::<String>()) {
        let template = Template::document("{body}", Escape::Xml, &constants()).unwrap();
        let text = template.fill(&Parcel { body, ..parcel() });
        prop_assert!(!text.contains(['<', '>', '"', '\'']));
    }
}
