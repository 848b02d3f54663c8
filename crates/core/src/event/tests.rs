use super::*;
use crate::callback::CallbackFormat;

fn callback_target(url: &str) -> EventTarget {
    let url = url.to_owned();
    EventTarget::Url { url, api_key: "shop one".to_owned() }
}

#[test]
fn an_encoded_target_decodes_to_the_same_target() {
    for target in [callback_target("https://a.example/x?y=1"), EventTarget::ApiKey("shop one".to_owned())] {
        assert_eq!(EventTarget::decode(&target.encode()), Some(target));
    }
    let callback = Callback {
        format: CallbackFormat::Kannel { mask: 31 },
        url: "http://A.example:81/x?d=%d".to_owned(),
        api_key: "shop one".to_owned(),
        fields: vec![("P".to_owned(), "Acme".to_owned())],
    };
    let target = EventTarget::Callback(callback);
    assert_eq!(target.queue_name(), "a.example:81");
    assert_eq!(EventTarget::decode(&target.encode()), Some(target));
    assert_eq!(EventTarget::decode("https://a.example/"), None);
    assert_eq!(EventTarget::decode("~other  https://a.example/ shop"), None);
}

#[test]
fn events_to_one_host_share_a_queue() {
    let queue = |url| callback_target(url).queue_name();
    assert_eq!(queue("https://A.example/x"), queue("https://a.example?y=1"));
    assert_ne!(queue("https://a.example/x"), queue("https://a.example:8443/x"));
    assert_eq!(EventTarget::ApiKey("shop".to_owned()).queue_name(), "key shop");
}

#[test]
fn an_event_id_parses_to_itself_and_has_no_dot() {
    let message = MessageId::from_bytes([7; 16]);
    let id = EventId { message, delivery_index: 3, sequence: 12 };
    let text = id.to_string();
    assert_eq!(text, "evt_07070707070707070707070707070707_3_12");
    assert_eq!(text.parse(), Ok(id));
    for invalid in ["", "evt_", "evt_1_2_3", &format!("{text}_1"), &text[4..]] {
        assert_eq!(invalid.parse::<EventId>(), Err(InvalidEventId), "{invalid}");
    }
}

#[test]
fn names_parse_to_their_values() {
    let names = ["waiting", "sent", "delivered", "failed", "opened", "received"];
    assert_eq!(EventType::ALL.map(EventType::as_str), names);
    assert_eq!(EventStatusKind::ALL.map(EventStatusKind::as_str), ["waiting", "delivered", "dead"]);
    assert!(EventType::ALL.into_iter().all(|kind| EventType::parse(kind.as_str()) == Some(kind)));
    assert!(EventStatusKind::ALL.into_iter().all(|kind| EventStatusKind::parse(kind.as_str()) == Some(kind)));
}
