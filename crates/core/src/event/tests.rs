use super::*;

fn callback_target(url: &str) -> EventTarget {
    let url = url.to_owned();
    EventTarget::Url {
        url,
        api_key: "shop one".to_owned(),
    }
}

#[test]
fn a_watch_survives_the_store() {
    for watch in [
        callback_target("https://a.example/x?y=1"),
        EventTarget::ApiKey("shop one".to_owned()),
    ] {
        assert_eq!(EventTarget::decode(&watch.encode()), Some(watch));
    }
    assert_eq!(EventTarget::decode("https://a.example/"), None);
}

#[test]
fn all_that_goes_to_one_host_stands_in_one_lane() {
    let lane = |url| callback_target(url).queue_name();
    assert_eq!(lane("https://A.example/x"), lane("https://a.example?y=1"));
    assert_ne!(lane("https://a.example/x"), lane("https://a.example:8443/x"));
    assert_eq!(EventTarget::ApiKey("shop".to_owned()).queue_name(), "key shop");
}

#[test]
fn an_event_is_known_by_its_name_and_its_name_has_no_dot() {
    let message = MessageId::from_bytes([7; 16]);
    let id = EventId {
        message,
        delivery_index: 3,
        sequence: 12,
    };
    let text = id.to_string();
    assert_eq!(text, "evt_07070707070707070707070707070707_3_12");
    assert_eq!(text.parse(), Ok(id));
    for wrong in ["", "evt_", "evt_1_2_3", &format!("{text}_1"), &text[4..]] {
        assert_eq!(wrong.parse::<EventId>(), Err(InvalidEventId), "{wrong}");
    }
}

#[test]
fn words_come_back() {
    assert!(
        EventType::ALL
            .into_iter()
            .all(|one| EventType::parse(one.as_str()) == Some(one))
    );
    assert!(
        EventStatusKind::ALL
            .into_iter()
            .all(|one| EventStatusKind::parse(one.as_str()) == Some(one))
    );
}
