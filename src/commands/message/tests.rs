use std::str::FromStr;

use super::*;
use postrider_core::id::{DeliveryId, MessageId};

fn at(second: i64) -> Timestamp {
    postrider_core::clock::from_millis(1_777_000_000_000 + second * 1_000)
}

fn config(mask_numbers: bool) -> Config {
    Config { mask_numbers, ..Config::test_mode() }
}

fn message(body: &str) -> Message {
    Message {
        id: MessageId::from_str("019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69").unwrap(),
        number: 1,
        subject: None,
        sender: None,
        body: body.to_owned(),
        owner: String::new(),
        user: None,
        created_at: at(0),
        deliveries: vec![Delivery {
            id: DeliveryId::from_position(1, 0),
            channel: "sms".parse().unwrap(),
            address: "+989122222222".to_owned(),
            spelling: "09122222222".to_owned(),
            parts: 1,
            state: DeliveryState::Delivered { at: at(3) },
            round: 1,
            tries: 1,
            provider: Some("blue".parse().unwrap()),
            reference: Some("b-1".to_owned()),
            expires_at: at(9_999),
            opened_at: None,
            attempts: vec![RecordedAttempt {
                reference: None,
                round: 1,
                provider: Some("red".parse().unwrap()),
                outcome: "unavailable".to_owned(),
                code: Some("HTTP 503".to_owned()),
                reason: Some("down".to_owned()),
                at: at(1),
                duration_ms: 12,
                address: None,
            }],
        }],
    }
}

#[test]
fn the_timeline_shows_attempts_state_and_next_step_in_order() {
    let text = format_timeline(&message("hello"), &config(true), at(10));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[2], "body     hello");
    assert!(lines[5].ends_with("round 1: red: unavailable in 12 ms (HTTP 503: down)"), "{text}");
    assert!(lines[6].ends_with("delivered"), "{text}");
    assert_eq!(lines[7], "  next: none: delivered");
}

#[test]
fn phone_numbers_are_masked_unless_the_configuration_shows_them() {
    assert!(!format_timeline(&message("hello"), &config(true), at(10)).contains("+989122222222"));
    assert!(format_timeline(&message("hello"), &config(false), at(10)).contains("+989122222222"));
}

#[test]
fn control_characters_of_a_body_do_not_reach_the_terminal() {
    assert!(!format_timeline(&message("\x1b[2Jgone\nnext: ok"), &config(true), at(10)).contains('\x1b'));
    assert!(format_timeline(&message("a\nb"), &config(true), at(10)).contains("body     a b\n"));
}
