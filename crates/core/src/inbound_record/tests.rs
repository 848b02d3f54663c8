//! Tests of the keys of events of inbound messages.

use super::*;
use crate::clock::from_millis;

#[test]
fn the_event_key_of_an_inbound_message_belongs_to_no_delivery() {
    for (millis, random) in [(0, [0; 10]), (1_790_000_000_000, [0xFF; 10]), (4_000_000_000_000, [0xFF; 10])] {
        let key = inbound_event_key(MessageId::new(from_millis(millis), random));
        assert!(key.0 < 0, "{key}");
        assert!(key.is_first(), "{key}");
    }
}

#[test]
fn two_inbound_messages_of_one_millisecond_have_different_event_keys() {
    let key = |last| {
        let random = [7, 7, 7, 7, 7, 7, 7, 7, 7, last];
        inbound_event_key(MessageId::new(from_millis(1_790_000_000_000), random))
    };
    assert_ne!(key(1), key(2));
}

#[test]
fn names_in_the_store_are_read_back() {
    for action in InboundAction::ALL {
        assert_eq!(InboundAction::parse(action.as_str()), Some(action));
    }
    for target in InboundTarget::ALL {
        assert_eq!(InboundTarget::parse(target.as_str()), Some(target));
    }
}
